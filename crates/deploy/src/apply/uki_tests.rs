//! Updates between sealed images that fail or lose power at any call: the old one boots, and a rerun comes to the same end.

use std::{path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_boot::FoundEntry;
use sealstone_store::disk::{Call, Disk, FailingDisk, Fate, PowerCutDisk, RealDisk};

use super::*;
use crate::{
    AddonChanges, DeployRequest, plan_reconcile,
    testing::{Machine, Sealed, deploy_on},
};

const ADDONS: &[(&str, &str)] = &[("EFI/Linux/os.efi.extra.d", "console")];

/// A request with the bytes of its unified kernel image.
type System = (DeployRequest, Vec<u8>);

/// A machine that runs an old system, and what would update it.
fn updatable() -> (Machine, System, System) {
    let machine = Machine::new();
    let import = |version| {
        let (request, uki) = machine.import_sealed(&Sealed { addons: ADDONS, ..Sealed::new(version) });
        let addons = AddonChanges { add: vec!["console".into()], remove: Vec::new() };
        (DeployRequest { addons, ..request }, uki)
    };
    let (old, new) = (import("1"), import("2"));
    machine.deploy(&old.0);
    (machine, old, new)
}

/// The images whose entries boot: their files are there and whole, addons included.
fn bootable(root: &Path, systems: [&System; 2]) -> Vec<ImageId> {
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let mut boots = Vec::new();
    for found in target.esps[0].entries().unwrap() {
        let FoundEntry::Entry(_, entry) = found else { continue };
        let Some(file) = entry.get("efi") else { continue };
        let path = root.join("esp").join(file.trim_start_matches('/'));
        // As a boot loader does: an entry that names no file (its last line is torn) is none.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let (request, _) = systems.into_iter().find(|(_, uki)| *uki == bytes).expect("a torn image");
        let addon = path.with_extension("efi.extra.d").join("console.addon.efi");
        assert!(std::fs::metadata(addon).unwrap().len() > 4096, "an addon is torn");
        let etc = root.join(format!("sysroot/state/deploy/{}/etc/version", request.image));
        assert!(etc.is_file(), "no state");
        boots.push(request.image);
    }
    boots.dedup();
    boots
}

fn changes(call: &Call<'_>) -> bool {
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

#[test]
fn an_update_of_a_sealed_system_fails_at_any_call_and_the_old_one_boots() {
    let (machine, old, new) = updatable();
    for nth in 0.. {
        let machine = machine.copy();
        let failing = FailingDisk::new(RealDisk::shared(), nth, true, Errno::IO, changes);
        let disk: Arc<dyn Disk> = failing.clone();
        let result = Machine::target_on(&disk, machine.root()).and_then(|target| deploy_on(&target, &new.0));
        drop(disk);
        if !failing.has_failed() {
            assert!(result.is_ok() && nth > 30, "{nth}");
            break;
        }
        let boots = bootable(machine.root(), [&old, &new]);
        assert!(boots.contains(&old.0.image), "the old system is gone at call {nth}: {result:?}");
        machine.deploy(&new.0);
        assert_eq!(bootable(machine.root(), [&old, &new]).len(), 2, "a rerun after call {nth}");
    }
}

#[test]
fn an_update_of_a_sealed_system_loses_power_at_any_point_and_the_old_one_boots() {
    let (machine, old, new) = updatable();
    let power = PowerCutDisk::new(RealDisk::shared(), machine.root());
    let disk: Arc<dyn Disk> = power.clone();
    deploy_on(&Machine::target_on(&disk, machine.root()).unwrap(), &new.0).unwrap();
    let after = tempfile::tempdir_in(machine.root().parent().unwrap()).unwrap();
    let mut states = 0;
    for point in 0..=power.len() {
        for fate in [Fate::AllLand, Fate::NoneLands, Fate::Seeded(point as u64)] {
            let root = after.path().join(format!("{point}-{states}"));
            power.materialise(point, fate, &root);
            let boots = bootable(&root, [&old, &new]);
            assert!(boots.contains(&old.0.image), "the old system is gone at point {point}, {fate:?}");
            let target = Machine::target_on(&RealDisk::shared(), &root).unwrap();
            deploy_on(&target, &new.0).unwrap();
            assert_eq!(bootable(&root, [&old, &new]).len(), 2, "a rerun after point {point}, {fate:?}");
            assert!(plan_reconcile(&target, None).unwrap().is_empty());
            if point == power.len() {
                assert!(boots.contains(&new.0.image), "what was acknowledged is lost, {fate:?}");
            }
            std::fs::remove_dir_all(&root).unwrap();
            states += 1;
        }
    }
    assert!(states > 100, "{states}");
}
