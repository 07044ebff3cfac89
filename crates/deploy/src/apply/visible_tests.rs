//! A boot partition with a journal, before a boot loader that replays none (rule D8): what it sees is always a whole system.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use sealstone_store::disk::{Call, Disk, FsType, RealDisk, Recorded, RecordingDisk, Reply};

use super::kill_tests::{Case, Verb, lost};
use crate::{
    DeployError,
    testing::{Emptying, Journalled, Machine, bootable, cut_at_every_point_on},
};

/// The verbs that write entries, and whether something is staged before.
const VERBS: [(&str, bool, Verb); 7] = [
    ("deploy", false, Case::deploy),
    ("update", false, Case::stage),
    ("finalize", true, Case::finalize),
    ("rollback", true, Case::rollback),
    ("kargs", false, Case::kargs),
    ("prune", false, Case::prune),
    ("gc", false, Case::gc),
];

/// Cuts the power at each point of a verb's writes, and looks at the boot partition without a replay. Gives the number of
/// states, and of those that are broken.
fn look_without_replay(case: &Case, verb: Verb, emptying: Emptying) -> (usize, usize) {
    let whole = case.machine.copy();
    verb(case, &whole.target()).unwrap();
    let defaults = case.defaults(whole.root());
    let mut broken = 0;
    let states = cut_at_every_point_on(
        &case.machine,
        |disk, root| Journalled::new(disk, root, emptying) as Arc<dyn Disk>,
        |target| verb(case, target),
        |root, cut| {
            let look = || {
                let boots = bootable(root);
                let is_first_right = boots.first().is_some_and(|first| defaults.contains(first));
                let is_done = !cut.is_after || boots == bootable(whole.root());
                lost(case, root).is_none() && is_first_right && is_done
            };
            // What a boot loader would try to boot and could not is a panic there.
            let is_whole = std::panic::catch_unwind(AssertUnwindSafe(look)).unwrap_or(false);
            broken += usize::from(!is_whole);
            assert!(is_whole || emptying != Emptying::Works, "{cut}");
        },
    );
    (states, broken)
}

#[test]
fn a_boot_loader_that_replays_no_journal_sees_the_old_system_or_the_new_one_wherever_power_is_cut() {
    let cases = VERBS.map(|(name, is_staged, verb)| (name, Case::new(is_staged), verb));
    let waiting = ("deploy, one waits", Case::waiting(), Case::deploy as Verb);
    for (name, case, verb) in cases.into_iter().chain([waiting]) {
        let (states, _) = look_without_replay(&case, verb, Emptying::Works);
        println!("{name}: without replay: {states} states");
        assert!(states > 10, "{name} has only {states} states");
    }
}

#[test]
fn control_with_a_journal_that_is_not_emptied_it_sees_what_does_not_boot() {
    for (name, is_staged, verb) in
        [("deploy", false, Case::deploy as Verb), ("rollback", true, Case::rollback)]
    {
        let (states, broken) = look_without_replay(&Case::new(is_staged), verb, Emptying::Lies);
        println!("{name}: never emptied: {broken} of {states} states are broken");
        assert!(broken > 0, "{name}");
    }
}

/// What a verb asked of a disk that is laid over the real one.
fn recorded(
    machine: &Machine,
    disk: Arc<dyn Disk>,
    case: &Case,
    verb: Verb,
) -> (Vec<Recorded>, Result<(), DeployError>) {
    let recording = RecordingDisk::new(disk);
    let disk: Arc<dyn Disk> = recording.clone();
    let result = verb(case, &Machine::target_on(&disk, machine.root()).unwrap());
    (recording.log(), result)
}

fn journalled(root: &Path, emptying: Emptying) -> Arc<dyn Disk> {
    Journalled::new(RealDisk::shared(), root, emptying)
}

#[test]
fn d8_each_step_on_a_boot_partition_is_seen_before_one_that_relies_on_it() {
    let case = Case::new(false);
    let disk = journalled(case.machine.root(), Emptying::Works);
    let (log, result) = recorded(&case.machine, disk, &case, Case::deploy);
    result.unwrap();
    let esp = case.machine.path("esp");
    let is_change = |call: &&Recorded| {
        let changes = ["CreateNew", "RemoveFile", "RemoveDir", "EmptyJournal"].contains(&call.name);
        changes && call.path.starts_with(&esp)
    };
    let mut seen: Vec<String> = Vec::new();
    for call in log.iter().filter(is_change) {
        let what = if call.path.starts_with(esp.join("loader/entries")) { "entry" } else { "kernel" };
        let step = match call.name {
            "EmptyJournal" => "seen".to_owned(),
            "CreateNew" => format!("write {what}"),
            _ => format!("remove {what}"),
        };
        // Each change of an entry by itself.
        assert!(step == "seen" || what == "kernel" || seen.last().is_some_and(|last| last == "seen"));
        if seen.ends_with(&[step.clone(), "seen".to_owned()]) {
            seen.pop();
        } else if seen.last() != Some(&step) {
            seen.push(step);
        }
    }
    let order =
        ["write kernel", "seen", "write entry", "seen", "remove entry", "seen", "remove kernel", "seen"];
    assert_eq!(seen, order);
    let last = log.iter().rposition(|call| call.name == "EmptyJournal").unwrap();
    assert!(log[last..].iter().all(|call| !call.path.starts_with(&esp) || call.name == "EmptyJournal"));
}

#[test]
fn no_file_system_is_frozen_that_has_no_journal_or_that_the_system_lives_on() {
    let case = Case::new(false);
    for is_sysroots in [false, true] {
        let machine = case.machine.copy();
        let disk: Arc<dyn Disk> = if is_sysroots {
            Journalled::of_the_sysroot(RealDisk::shared(), machine.root())
        } else {
            RealDisk::shared()
        };
        let (log, result) = recorded(&machine, disk, &case, Case::deploy);
        result.unwrap();
        assert!(log.iter().all(|call| call.name != "EmptyJournal"));
        let asked = log.iter().filter(|call| call.name == "FsType" && call.path.ends_with("esp")).count();
        assert_eq!(asked, 1, "once is enough");
    }
}

#[test]
fn a_journal_that_cannot_be_emptied_stops_nothing_and_a_disk_that_fails_does() {
    let case = Case::new(false);
    for errno in [Errno::PERM, Errno::NOTTY, Errno::OPNOTSUPP, Errno::BUSY, Errno::IO] {
        let machine = case.machine.copy();
        let disk = journalled(machine.root(), Emptying::Fails(errno));
        let (log, result) = recorded(&machine, disk, &case, Case::deploy);
        assert!(log.iter().any(|call| call.name == "EmptyJournal"));
        assert_eq!(result.is_err(), errno == Errno::IO, "{result:?}");
        assert_eq!(lost(&case, machine.root()), None, "{errno}");
        Case::deploy(&case, &machine.target()).unwrap();
        assert!(bootable(machine.root()).contains(&case.systems[3].image), "{errno}");
    }
}

/// A boot partition with FAT.
struct OnFat(PathBuf);

impl Disk for OnFat {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::FsType { dir } if dir.label() == self.0 => Ok(Reply::FsType(FsType::Vfat)),
            _ => RealDisk::shared().call(call),
        }
    }
}

#[test]
fn on_fat_what_a_killed_run_did_not_come_to_sync_is_synced_before_an_entry_changes() {
    for (name, is_staged, verb) in VERBS {
        let case = Case::new(is_staged);
        let esp = case.machine.path("esp");
        let (log, result) = recorded(&case.machine, Arc::new(OnFat(esp.clone())), &case, verb);
        result.unwrap();
        let changes = |call: &Recorded| ["CreateNew", "RemoveFile"].contains(&call.name);
        let entries = esp.join("loader/entries");
        let first = log.iter().position(|call| changes(call) && call.path.starts_with(&entries));
        let synced: Vec<_> =
            (0..log.len()).filter(|n| log[*n].name == "SyncFs" && log[*n].path == esp).collect();
        match first {
            Some(first) => assert!(synced.len() == 1 && synced[0] < first, "{name}: {synced:?}, {first}"),
            None => assert!(synced.len() <= 1, "{name}"),
        }
        assert!(log.iter().all(|call| call.name != "EmptyJournal"), "{name}");
    }
}
