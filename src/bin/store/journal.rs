//! What happened to deployments, as entries of the journal with stable ids (docs/updates.md lists them).
//!
//! What lives here: the events, their ids and fields, and the native protocol of the journal: one datagram an entry
//! (`systemd.io/JOURNAL_NATIVE_PROTOCOL`). What does not: when something happened; verbs say so. An entry that cannot be sent
//! fails nothing: what was done is done.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use sealstone::deploy::{DeploymentId, Plan, Record, State, Target};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// What happened. The id of each never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A deployment is whole, and boots after it was finalised at shutdown.
    Staged,
    /// A deployment is whole, and waits until somebody asks for it.
    Downloaded,
    /// A deployment boots next.
    Deployed,
    /// An older deployment boots next. The id is bootc's, for the same event.
    RolledBack,
    /// A deployment was removed.
    Pruned,
    /// The machine runs another deployment than the one that should have booted.
    FellBack,
    /// A staged deployment could not be finalised: the old one boots.
    FinaliseFailed,
    /// The machine runs without all the images that are bound to its system.
    BoundMissing,
}

impl Event {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 8] = [
        Self::Staged,
        Self::Downloaded,
        Self::Deployed,
        Self::RolledBack,
        Self::Pruned,
        Self::FellBack,
        Self::FinaliseFailed,
        Self::BoundMissing,
    ];

    /// `MESSAGE_ID`.
    const fn id(self) -> &'static str {
        match self {
            Self::Staged => "c78672ca73b84a2e91194084dd535683",
            Self::Downloaded => "89d8c41783494d1e8d8c72b20fdcb848",
            Self::Deployed => "b3e886883cff4e21af6be5e02d33e734",
            Self::RolledBack => "26f3b1eb24464d12aa5e7b544a6b5468",
            Self::Pruned => "6bd087d1a79c4262814282be9d826213",
            Self::FellBack => "8945a9d2825847aea86fe26831ca380e",
            Self::FinaliseFailed => "31902a324a0e4e0a9ff23271e319ec3a",
            Self::BoundMissing => "184fcfe6e11f4e9ba614802d6524d18d",
        }
    }

    /// `PRIORITY`, as in syslog(3): 3 an error, 4 a warning, 5 worth noting, 6 information.
    const fn priority(self) -> u8 {
        match self {
            Self::FellBack | Self::FinaliseFailed => 3,
            Self::BoundMissing => 4,
            Self::Staged | Self::Downloaded | Self::Deployed | Self::RolledBack => 5,
            Self::Pruned => 6,
        }
    }
}

/// The journal that events go to, or none.
#[derive(Clone, Debug)]
pub struct Journal {
    socket: Option<PathBuf>,
}

impl Journal {
    /// The socket that was given; else this machine's, if it is this machine that is changed.
    pub fn new(given: Option<&Path>, is_this_machine: bool) -> Self {
        let own = is_this_machine.then(|| Path::new(SOCKET));
        Self { socket: given.or(own).map(Path::to_owned) }
    }

    /// Writes an entry about a deployment as it is recorded now, by default the one that boots next; and one for each that the
    /// plan removed.
    pub fn tell_of(&self, event: Event, target: &Target, id: Option<&DeploymentId>, what: &str, plan: &Plan) {
        if self.socket.is_none() {
            return;
        }
        // What cannot be read now is told of without its record.
        let records = target.sysroot.records().map(|(records, _)| records).unwrap_or_default();
        let boots = |record: &&Record| record.state == State::Deployed && record.broken.is_none();
        let record = match id {
            Some(id) => records.iter().find(|record| record.id == *id),
            None => records.iter().find(boots),
        };
        let title = record.map_or("the system", |record| record.os.title.as_str());
        self.tell(event, &format!("{title} {what}"), record);
        self.tell_pruned(plan);
    }

    /// Writes an entry for each deployment that a plan removed.
    pub fn tell_pruned(&self, plan: &Plan) {
        for pruned in &plan.deployments.pruned {
            let message = format!("the deployment {} was removed: {}", pruned.id, pruned.reason);
            self.tell(Event::Pruned, &message, plan.record(&pruned.id));
        }
    }

    /// Writes an entry. `record` is the deployment that it is about.
    pub fn tell(&self, event: Event, message: &str, record: Option<&Record>) {
        let Some(socket) = &self.socket else { return };
        let entry = entry(event, message, record);
        // Nobody may listen.
        let _ = UnixDatagram::unbound().and_then(|from| from.send_to(&entry, socket));
    }
}

/// The datagram.
fn entry(event: Event, message: &str, record: Option<&Record>) -> Vec<u8> {
    let mut entry = Vec::new();
    add(&mut entry, "MESSAGE_ID", event.id());
    add(&mut entry, "PRIORITY", &event.priority().to_string());
    add(&mut entry, "SYSLOG_IDENTIFIER", "store");
    add(&mut entry, "MESSAGE", message);
    if let Some(record) = record {
        add(&mut entry, "SEALSTONE_DEPLOYMENT", &record.id.to_string());
        add(&mut entry, "SEALSTONE_REFERENCE", &record.image.reference);
        add(&mut entry, "SEALSTONE_MANIFEST", &record.image.manifest.to_string());
        if let Some(version) = &record.os.version {
            add(&mut entry, "SEALSTONE_VERSION", version);
        }
    }
    entry
}

/// One field: a line, or with its length before it where it is more than a line.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_datagram_of_the_native_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        Journal::new(Some(&path), false).tell(Event::RolledBack, "back\nto 1", None);
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).unwrap();
        let mut expected =
            b"MESSAGE_ID=26f3b1eb24464d12aa5e7b544a6b5468\nPRIORITY=5\nSYSLOG_IDENTIFIER=store\nMESSAGE\n"
                .to_vec();
        expected.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(b"back\nto 1\n");
        assert_eq!(&buffer[..len], expected);
    }

    #[test]
    fn nobody_listening_is_no_fault_and_another_machine_has_no_journal() {
        Journal::new(Some(Path::new("/nonexistent/socket")), true).tell(Event::Pruned, "gone", None);
        assert_eq!(Journal::new(None, false).socket, None);
        assert_eq!(Journal::new(None, true).socket.as_deref(), Some(Path::new(SOCKET)));
    }

    #[test]
    fn every_event_has_an_id_of_its_own_which_the_document_lists() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/updates.md");
        let document = std::fs::read_to_string(document).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for event in Event::ALL {
            let id = event.id();
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            assert!(seen.insert(id), "{id} twice");
            let line = format!("| `{id}` | {} |", event.priority());
            assert!(document.contains(&line), "docs/updates.md lacks {line}");
        }
    }
}
