//! Updates between sealed images that fail or lose power at any call: the old one boots, and a rerun comes to the same end.
//! The new one is another system, or the same one whose unified kernel image was made anew.

use std::path::Path;

use sealstone_boot::FoundEntry;
use sealstone_store::disk::RealDisk;

use super::*;
use crate::{
    AddonChanges, DeployRequest, plan_reconcile,
    testing::{Failure, Machine, Sealed, cut_at_every_point, deploy_on, fail_at_every_call},
};

const ADDONS: &[(&str, &str)] = &[("EFI/Linux/os.efi.extra.d", "console")];

/// A request with the bytes of its unified kernel image.
type System = (DeployRequest, Vec<u8>);

/// A machine that runs an old system, the old system, and what would update it.
fn updatable(new: Sealed<'_>) -> (Machine, System, System) {
    let machine = Machine::new();
    let import = |sealed: Sealed<'_>| {
        let (request, uki) = machine.import_sealed(&Sealed { addons: ADDONS, ..sealed });
        let addons = AddonChanges { add: vec!["console".into()], remove: Vec::new() };
        (DeployRequest { addons, ..request }, uki)
    };
    let (old, new) = (import(Sealed::new("1")), import(new));
    assert_ne!(old.1, new.1);
    machine.deploy(&old.0);
    (machine, old, new)
}

fn news() -> [Sealed<'static>; 2] {
    [Sealed::new("2"), Sealed { kargs: "quiet splash", ..Sealed::new("1") }]
}

/// The places in `systems` of those whose entries boot: their files are there and whole, addons included.
fn bootable(root: &Path, systems: [&System; 2]) -> Vec<usize> {
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let mut boots = Vec::new();
    for found in target.esps[0].entries().unwrap() {
        let FoundEntry::Entry(_, entry) = found else { continue };
        let Some(file) = entry.get("efi") else { continue };
        let path = root.join("esp").join(file.trim_start_matches('/'));
        // As a boot loader does: an entry that names no file (its last line is torn) is none.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let place = systems.iter().position(|(_, uki)| *uki == bytes).expect("a torn image");
        let addon = format!("{}.extra.d/console.addon.efi", path.display());
        assert!(std::fs::metadata(addon).unwrap().len() > 4096, "an addon is torn");
        let etc = root.join(format!("sysroot/state/deploy/{}/etc/version", systems[place].0.image));
        assert!(etc.is_file(), "no state");
        boots.push(place);
    }
    boots.sort_unstable();
    boots.dedup();
    boots
}

#[test]
fn an_update_of_a_sealed_system_fails_at_any_call_and_the_old_one_boots() {
    for new in news() {
        let (machine, old, new) = updatable(new);
        let verb = |target: &Target| deploy_on(target, &new.0).map(drop);
        let failures = fail_at_every_call(&machine, Failure::KILLED, verb, |machine, what| {
            let boots = bootable(machine.root(), [&old, &new]);
            assert!(boots.contains(&0), "the old system is gone: {what}");
            machine.deploy(&new.0);
            assert_eq!(bootable(machine.root(), [&old, &new]), [0, 1], "a rerun: {what}");
        });
        assert!(failures > 25, "{failures}");
    }
}

#[test]
fn an_update_of_a_sealed_system_loses_power_at_any_point_and_the_old_one_boots() {
    for new in news() {
        let (machine, old, new) = updatable(new);
        let verb = |target: &Target| deploy_on(target, &new.0).map(drop);
        let states = cut_at_every_point(&machine, verb, |root, cut| {
            let boots = bootable(root, [&old, &new]);
            assert!(boots.contains(&0), "the old system is gone: {cut}");
            assert!(!cut.is_after || boots.contains(&1), "what was acknowledged is lost: {cut}");
            let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
            deploy_on(&target, &new.0).unwrap();
            assert_eq!(bootable(root, [&old, &new]), [0, 1], "a rerun: {cut}");
            assert!(plan_reconcile(&target, None).unwrap().is_empty(), "{cut}");
        });
        assert!(states > 75, "{states}");
    }
}
