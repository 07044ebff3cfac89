//! Deploys that are killed, fail or lose power at any call: the old system boots, and a rerun comes to the same end.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_boot::{BlsEntry, FoundEntry};
use sealstone_store::{
    Place,
    disk::{Call, Disk, FailingDisk, Fate, PowerCutDisk, RealDisk},
};

use super::*;
use crate::{
    DeployRequest, ImageId, plan_reconcile,
    testing::{Machine, System, deploy_on},
};

/// A machine that runs an old system, and what would update it.
fn updatable() -> (Machine, DeployRequest, DeployRequest) {
    let machine = Machine::new();
    let (old, new) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&old);
    (machine, old, new)
}

/// The images whose entries boot: the entry is whole, its files are those that it wants, and image, refs, state folder
/// and record are there.
pub(super) fn bootable(root: &Path) -> Vec<ImageId> {
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let records = target.sysroot.records().unwrap().0;
    let kept = target.repository.refs(Place::Images).unwrap();
    let boots = |entry: &BlsEntry| -> Option<ImageId> {
        let id: DeploymentId = entry.sealstone_id()?.parse().ok()?;
        let record = records.iter().find(|record| record.id == id)?;
        for (file, name) in entry.files().zip(["initramfs", "kernel"]) {
            let text = std::fs::read_to_string(root.join("esp").join(file.trim_start_matches('/'))).ok()?;
            let times = if name == "kernel" { 100 } else { 200 };
            assert_eq!(
                text,
                format!("{name} {} ", record.os.version.as_ref()?).repeat(times),
                "{file} is torn"
            );
        }
        let etc = root.join(format!("sysroot/state/deploy/{id}/etc/version"));
        assert_eq!(std::fs::read_to_string(etc).ok()?, *record.os.version.as_ref()?);
        assert!(
            kept.iter().any(|(_, target)| target.to_string() == format!("image {}", id.image())),
            "no ref"
        );
        crate::image_tree::image_tree(&target.repository, id.image()).unwrap();
        Some(*id.image())
    };
    // As systemd-boot does: an entry whose kernel is not there (its last line is torn) is no entry.
    let has_kernel = |entry: &BlsEntry| {
        entry.linux().is_some_and(|linux| root.join("esp").join(linux.trim_start_matches('/')).is_file())
    };
    let found = target.esps[0].entries().unwrap();
    let entries = found.iter().filter_map(|found| match found {
        FoundEntry::Entry(_, entry) if has_kernel(entry) => Some(entry),
        _ => None,
    });
    // A bootable entry whose deployment does not boot is the one thing that must never be.
    entries.map(|entry| boots(entry).unwrap_or_else(|| panic!("{entry} does not boot"))).collect()
}

/// Every file of the sysroot's state and of the boot partition, with its content.
pub(super) fn end_state(root: &Path) -> BTreeMap<String, String> {
    fn fill(dir: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
        for entry in dir.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                fill(&path, root, into);
            } else if kind.is_symlink() {
                into.insert(name, path.read_link().unwrap().display().to_string());
            } else {
                into.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut state = BTreeMap::new();
    for part in ["esp", "sysroot/state", "sysroot/composefs/images", "sysroot/composefs/streams"] {
        fill(&root.join(part), root, &mut state);
    }
    state
}

/// The call that fails, at each place in turn, for good: as a kill does, or a disk that went away.
fn fail_everywhere(errno: Errno, picks: fn(&Call<'_>) -> bool) {
    let (machine, old, new) = updatable();
    let expected = {
        let whole = machine.copy();
        whole.deploy(&new);
        end_state(whole.root())
    };
    for nth in 0.. {
        let machine = machine.copy();
        let failing = FailingDisk::new(RealDisk::shared(), nth, true, errno, picks);
        let disk: Arc<dyn Disk> = failing.clone();
        let result = Machine::target_on(&disk, machine.root()).and_then(|target| deploy_on(&target, &new));
        drop(disk);
        if !failing.has_failed() {
            assert!(result.is_ok() && nth > 30, "{nth}");
            break;
        }
        let boots = bootable(machine.root());
        assert!(boots.contains(&old.image), "the old system is gone at call {nth}: {result:?}");
        machine.deploy(&new);
        assert_eq!(end_state(machine.root()), expected, "a rerun after call {nth}");
    }
}

#[test]
fn killed_at_any_change_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere(Errno::IO, |call| {
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
    });
}

#[test]
fn with_no_space_at_any_write_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere(Errno::NOSPC, |call| {
        matches!(
            call,
            Call::Write { .. }
                | Call::CreateNew { .. }
                | Call::CreateTemp { .. }
                | Call::CreateDir { .. }
                | Call::Symlink { .. }
                | Call::Rename { .. }
        )
    });
}

#[test]
fn after_a_power_cut_at_any_point_of_an_update_old_or_new_boots_and_a_rerun_converges() {
    let (machine, old, new) = updatable();
    let power = PowerCutDisk::new(RealDisk::shared(), machine.root());
    let disk: Arc<dyn Disk> = power.clone();
    deploy_on(&Machine::target_on(&disk, machine.root()).unwrap(), &new).unwrap();
    let after = tempfile::tempdir_in(machine.root().parent().unwrap()).unwrap();
    let mut states = 0;
    for point in 0..=power.len() {
        for fate in [Fate::AllLand, Fate::NoneLands, Fate::Seeded(point as u64)] {
            let root = after.path().join(format!("{point}-{states}"));
            power.materialise(point, fate, &root);
            let boots = bootable(&root);
            assert!(boots.contains(&old.image), "the old system is gone at point {point}, {fate:?}");
            let target = Machine::target_on(&RealDisk::shared(), &root).unwrap();
            deploy_on(&target, &new).unwrap();
            assert_eq!(bootable(&root).len(), 2, "a rerun after point {point}, {fate:?}");
            assert!(plan_reconcile(&target, None).unwrap().is_empty());
            if point == power.len() {
                assert!(boots.contains(&new.image), "what was acknowledged is lost, {fate:?}");
            }
            std::fs::remove_dir_all(&root).unwrap();
            states += 1;
        }
    }
    assert!(states > 100, "{states}");
}
