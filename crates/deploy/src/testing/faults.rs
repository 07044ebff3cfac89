//! Verbs that fail, are killed or lose power, at each place in turn: the loops that all such tests have in common.
//!
//! What lives here: the loops, and which calls a failure hits. What does not: what must hold afterwards, which each test says.

use std::{fmt, path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_store::disk::{Call, Disk, FailingDisk, Fate, PowerCutDisk, RealDisk};

use super::Machine;
use crate::{DeployError, Target};

/// A kind of failure.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    pub name: &'static str,
    /// Whether all later calls of its kind fail as well.
    pub stays: bool,
    pub errno: Errno,
    /// The calls that it may hit.
    pub picks: fn(&Call<'_>) -> bool,
}

impl Failure {
    /// No change comes through any more.
    pub(crate) const KILLED: Self = Self { name: "killed", stays: true, errno: Errno::IO, picks: changes };

    /// The disk fails once, in whatever it was asked.
    pub(crate) const EIO_ONCE: Self =
        Self { name: "EIO once", stays: false, errno: Errno::IO, picks: |_| true };

    /// The disk is full.
    pub(crate) const NO_SPACE: Self =
        Self { name: "no space", stays: true, errno: Errno::NOSPC, picks: takes_space };

    pub(crate) const ALL: [Self; 3] = [Self::KILLED, Self::EIO_ONCE, Self::NO_SPACE];
}

/// Whether a call changes something.
pub(crate) fn changes(call: &Call<'_>) -> bool {
    !matches!(
        call,
        Call::OpenAmbient { .. }
            | Call::OpenDir { .. }
            | Call::OpenFile { .. }
            | Call::Read { .. }
            | Call::ReadDir { .. }
            | Call::ReadLink { .. }
            | Call::Metadata { .. }
            | Call::FileMetadata { .. }
    )
}

/// Whether a call needs space on the disk.
fn takes_space(call: &Call<'_>) -> bool {
    matches!(
        call,
        Call::Write { .. }
            | Call::CreateNew { .. }
            | Call::CreateTemp { .. }
            | Call::CreateDir { .. }
            | Call::Symlink { .. }
            | Call::Rename { .. }
    )
}

/// Runs a verb on copies of a machine, failing at its first call, at its second, and so on until it comes through; `check`
/// looks at each copy, with a text that says what was done to it. Gives the number of failures.
pub(crate) fn fail_at_every_call(
    machine: &Machine,
    failure: Failure,
    verb: impl Fn(&Target) -> Result<(), DeployError>,
    mut check: impl FnMut(&Machine, &str),
) -> usize {
    let Failure { name, stays, errno, picks } = failure;
    for nth in 0.. {
        let machine = machine.copy();
        let failing = FailingDisk::new(RealDisk::shared(), nth, stays, errno, picks);
        let disk: Arc<dyn Disk> = failing.clone();
        let result = Machine::target_on(&disk, machine.root()).and_then(|target| verb(&target));
        drop(disk);
        if !failing.has_failed() {
            result.unwrap();
            return nth;
        }
        check(&machine, &format!("{name} at call {nth}: {result:?}"));
    }
    0
}

/// Where the power was cut, and what became of what was not synced.
pub(crate) struct Cut {
    point: usize,
    fate: Fate,
    /// Whether the verb had ended.
    pub is_after: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut at {}, {:?}", self.point, self.fate)
    }
}

/// Runs a verb once, and gives `check` the root of what a power cut at each point of its writes leaves, in three ways. Gives
/// the number of states.
pub(crate) fn cut_at_every_point(
    machine: &Machine,
    verb: impl Fn(&Target) -> Result<(), DeployError>,
    check: impl FnMut(&Path, &Cut),
) -> usize {
    cut_at_every_point_on(machine, |disk, _| disk, verb, check)
}

/// The same, with a disk of the test's laid over the one that loses power. It gets the machine's root as well.
pub(crate) fn cut_at_every_point_on(
    machine: &Machine,
    lay: impl FnOnce(Arc<dyn Disk>, &Path) -> Arc<dyn Disk>,
    verb: impl Fn(&Target) -> Result<(), DeployError>,
    mut check: impl FnMut(&Path, &Cut),
) -> usize {
    let power = PowerCutDisk::new(RealDisk::shared(), machine.root());
    let disk: Arc<dyn Disk> = lay(power.clone(), machine.root());
    verb(&Machine::target_on(&disk, machine.root()).unwrap()).unwrap();
    let after = tempfile::tempdir_in(machine.root().parent().unwrap()).unwrap();
    let mut states = 0;
    for point in 0..=power.len() {
        for fate in [Fate::AllLand, Fate::NoneLands, Fate::Seeded(point as u64)] {
            let root = after.path().join(states.to_string());
            power.materialise(point, fate, &root);
            check(&root, &Cut { point, fate, is_after: point == power.len() });
            std::fs::remove_dir_all(&root).unwrap();
            states += 1;
        }
    }
    states
}
