//! Every state that a power cut could leave during an operation, and what to think of each.

use std::path::Path;
use std::sync::Arc;

use sealstone::store::disk::{Call, Disk, Fate, PowerCutDisk, RealDisk, Reply};
use tempfile::TempDir;

use super::world;

/// How many random fates each point gets, beside "all landed" and "nothing landed".
pub fn seeds() -> u64 {
    if std::env::var_os("SEALSTONE_SOAK").is_some() { 200 } else { 4 }
}

/// What is done in a folder through a disk.
pub type Operation<'a> = dyn Fn(&Arc<dyn Disk>, &Path) + 'a;

/// A folder for states, in memory where there is such a place: nothing in it has to survive.
pub fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary folder")
}

/// A recorded run of an operation on a folder whose content before counts as durable.
pub struct Run {
    disk: Arc<PowerCutDisk>,
    /// How many changes had been made when the operation said that it was done.
    acknowledged: usize,
}

/// What the states of a run were like.
#[derive(Debug, Default)]
pub struct Tally {
    pub states: usize,
    /// States with a name that is there and not whole, with the first finding of each kind.
    pub half: usize,
    /// States without something that had been acknowledged.
    pub lost: usize,
    pub first: Option<String>,
}

impl Tally {
    /// Holds that no state was bad, and that there were enough for this to mean something.
    #[track_caller]
    pub fn is_clean(&self, at_least: usize) {
        assert!(self.half == 0 && self.lost == 0, "{self:?}");
        assert!(self.states >= at_least, "only {} states", self.states);
    }
}

impl Run {
    /// Runs `operation` in `folder`, through a disk that `lie` may stand before.
    pub fn of(
        folder: &Path,
        lie: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>,
        operation: impl FnOnce(&Arc<dyn Disk>),
    ) -> Self {
        let disk = PowerCutDisk::new(RealDisk::shared(), folder);
        operation(&lie(disk.clone()));
        let acknowledged = disk.len();
        Self { disk, acknowledged }
    }

    /// Makes every state and asks `lost` what is missing from it that should be there, given whether the operation had
    /// been acknowledged; damage is looked for in any case. Many states are also written to by `again`, after which nothing may be damaged or missing.
    pub fn states(
        &self,
        lost: impl Fn(&Path, bool) -> Option<String>,
        again: Option<&Operation<'_>>,
    ) -> Tally {
        let mut tally = Tally::default();
        for point in 0..=self.disk.len() {
            let fates = [Fate::AllLand, Fate::NoneLands];
            let seeded = (1..=seeds()).map(|seed| Fate::Seeded(seed << 32 | point as u64));
            for (number, fate) in fates.into_iter().chain(seeded).enumerate() {
                let folder = in_memory();
                let state = folder.path().join("state");
                self.disk.materialise(point, fate, &state);
                tally.states += 1;
                let said = |what: String| format!("cut at {point} of {}, {fate:?}: {what}", self.disk.len());
                if let Some(damage) = world::damage(&state.join("repo")) {
                    tally.half += 1;
                    tally.first.get_or_insert(said(damage));
                    continue;
                }
                if let Some(what) = lost(&state, point >= self.acknowledged) {
                    tally.lost += 1;
                    tally.first.get_or_insert(said(what));
                }
                // Recovery costs as much as the operation: three fates of each point stand for all.
                if let Some(again) = again.filter(|_| number < 3) {
                    again(&RealDisk::shared(), &state);
                    let after = world::damage(&state.join("repo")).or_else(|| lost(&state, true));
                    assert_eq!(after, None, "after it was done again: {}", said(String::new()));
                }
            }
        }
        tally
    }
}

/// A disk that answers some calls without making them: a bug to be caught.
pub struct Lying {
    inner: Arc<dyn Disk>,
    skips: fn(&Call<'_>) -> bool,
}

impl Lying {
    /// Says "done" to the calls that `skips` picks, which have to be of a kind that has no other answer.
    pub fn about(skips: fn(&Call<'_>) -> bool) -> impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk> {
        move |inner| Arc::new(Self { inner, skips })
    }
}

impl Disk for Lying {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, rustix::io::Errno> {
        if (self.skips)(call) { Ok(Reply::Done) } else { self.inner.call(call) }
    }
}
