//! Which older deployments go when a new one comes, or when asked.
//!
//! What lives here: the policy as a value, and the choice. What does not: the removal. Invariant: the deployment that
//! runs, the two that a boot would choose first, and pinned ones never go.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{DeploymentId, Record, State, plan::Pruned};

/// What may stay. Each limit that is given holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// At most so many in the boot menu, the pinned ones not counted.
    pub count: Option<usize>,
    /// None that was made more than so many seconds ago.
    pub age: Option<u64>,
    /// Of the newest so many versions of the system the newest deployment each, and no other.
    pub versions: Option<usize>,
    /// At least so many bytes stay free on each boot partition: the oldest go until they are.
    pub esp_free: Option<u64>,
    /// Whether the oldest go when a boot partition has no room for a new kernel.
    pub make_room: bool,
}

impl Default for Retention {
    /// All stay, while there is room.
    fn default() -> Self {
        Self { count: None, age: None, versions: None, esp_free: None, make_room: true }
    }
}

impl Retention {
    /// Those that go by count, age and version. `menu` is in the order of the boot menu; `now` in seconds since 1970.
    pub(crate) fn choose(
        &self,
        menu: &[&Record],
        protected: &BTreeSet<DeploymentId>,
        now: i64,
    ) -> Vec<Pruned> {
        let mut pruned = Vec::new();
        let mut versions: Vec<(&str, Option<&str>)> = Vec::new();
        let mut counted = 0;
        for record in menu {
            let version = (record.os.id.as_str(), record.os.version.as_deref());
            let is_new_version = !versions.contains(&version);
            let too_many = self.versions.is_some_and(|most| !is_new_version || versions.len() >= most);
            if is_new_version {
                versions.push(version);
            }
            if record.pinned {
                continue;
            }
            counted += 1;
            let age = u64::try_from(now.saturating_sub(record.time)).unwrap_or_default();
            let reason = if self.count.is_some_and(|most| counted > most) {
                format!("more than {} are in the menu", self.count.unwrap_or_default())
            } else if self.age.is_some_and(|most| age > most) {
                format!("it is {} days old", age / 86_400)
            } else if too_many {
                "newer versions of the system are there".to_owned()
            } else {
                continue;
            };
            if protected.contains(&record.id) {
                continue;
            }
            counted -= 1;
            pruned.push(Pruned { id: record.id, reason });
        }
        pruned
    }
}

/// Those that never go: what runs, the first two of the menu, pinned ones.
pub(crate) fn protected(menu: &[&Record], running: Option<&DeploymentId>) -> BTreeSet<DeploymentId> {
    let first = menu.iter().take(2).map(|record| record.id);
    let pinned = menu.iter().filter(|record| record.pinned).map(|record| record.id);
    first.chain(pinned).chain(running.copied()).collect()
}

/// The oldest deployment of the menu that may go.
pub(crate) fn oldest<'a>(menu: &[&'a Record], protected: &BTreeSet<DeploymentId>) -> Option<&'a Record> {
    let may_go = |record: &&&'a Record| record.state == State::Deployed && !protected.contains(&record.id);
    menu.iter().rev().find(may_go).copied()
}
