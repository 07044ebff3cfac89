//! Boot counting from the first entry to the blessing or the fallback, with a boot loader that counts as systemd-boot does.

use std::{path::Path, sync::Arc};

use sealstone_boot::{BlsEntry, EntryName, FoundEntry, Tries, menu_order};
use sealstone_store::{
    Control,
    disk::{Disk, Fate, PowerCutDisk, RealDisk},
};

use crate::{
    DeployRequest, DeploymentId, apply, plan_bless, plan_deploy, plan_reconcile, plan_rollback, status,
    testing::{Machine, System, file},
};

const EFI: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const BLESS: &str = "usr/lib/systemd/system-generators/systemd-bless-boot-generator";

/// An image with systemd-boot, and with what blesses.
fn system(version: &str) -> System<'_> {
    let mut system = System::new(version);
    system.more = vec![file(EFI, "#### LoaderInfo: systemd-boot 257 ####"), file(BLESS, "")];
    system
}

fn entries(root: &Path) -> Vec<(EntryName, BlsEntry)> {
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let found = target.esps[0].entries().unwrap();
    let mut entries: Vec<_> = found
        .into_iter()
        .filter_map(|found| match found {
            FoundEntry::Entry(name, entry) if entry.is_bootable() => Some((name, entry)),
            _ => None,
        })
        .collect();
    entries.sort_by(|a, b| menu_order((&a.0, &a.1), (&b.0, &b.1)));
    entries
}

fn names(machine: &Machine) -> Vec<String> {
    entries(machine.root()).into_iter().map(|(name, _)| name.to_string()).collect()
}

/// What a boot loader does: takes the first of the menu, counts it down, and says which deployment that is.
fn boot(machine: &Machine) -> DeploymentId {
    let (name, entry) = entries(machine.root()).remove(0);
    if let Some(tries) = name.tries() {
        let after = Tries { left: tries.left.saturating_sub(1), done: tries.done + 1 };
        let folder = machine.path("esp/loader/entries");
        let counted = name.counted(after).unwrap();
        std::fs::rename(folder.join(name.as_str()), folder.join(counted.as_str())).unwrap();
    }
    entry.sealstone_id().unwrap().parse().unwrap()
}

/// A machine that runs version 1, and the request to update it.
fn running() -> (Machine, DeploymentId, DeployRequest) {
    let machine = Machine::new();
    machine.deploy(&machine.import(&system("1")));
    let running = boot(&machine);
    let update = DeployRequest { running: Some(running), ..machine.import(&system("2")) };
    (machine, running, update)
}

fn is_in_order(machine: &Machine, running: &DeploymentId) {
    let target = machine.target();
    let plan = plan_reconcile(&target, Some(running)).unwrap();
    assert!(plan.is_empty(), "{:?}", plan.steps);
    let report = status(&target, Some(running)).unwrap();
    assert!(report.esps[0].entries.iter().all(|entry| entry.wrong.is_none()), "{:?}", report.esps);
    assert_eq!(report.esps[0].drift, Vec::<String>::new());
}

#[test]
fn an_update_is_counted_from_the_start_and_not_any_more_once_it_is_blessed() {
    let (machine, old, update) = running();
    assert_eq!(names(&machine), ["bootc_debian-1-1.conf"], "there was nothing to fall back to");
    machine.deploy(&update);
    assert_eq!(names(&machine), ["bootc_debian-2-1+3-0.conf", "bootc_debian-1-0.conf"]);
    is_in_order(&machine, &old);
    let new = boot(&machine);
    assert_ne!(new, old);
    // What the boot loader counted is neither foreign nor wrong, and no plan counts it anew.
    is_in_order(&machine, &new);
    assert_eq!(names(&machine)[0], "bootc_debian-2-1+2-1.conf");
    assert_eq!(
        status(&machine.target(), Some(&new)).unwrap().esps[0].entries[1].tries,
        Some(Tries { left: 2, done: 1 })
    );
    let target = machine.target();
    apply(&target, &plan_bless(&target, &new).unwrap(), &Control::new()).unwrap();
    assert_eq!(names(&machine), ["bootc_debian-2-1.conf", "bootc_debian-1-0.conf"]);
    assert!(plan_bless(&target, &new).unwrap().is_empty(), "blessed twice is blessed once");
    is_in_order(&machine, &new);
}

#[test]
fn what_does_not_boot_is_given_up_and_marked_by_what_boots_instead() {
    let (machine, old, update) = running();
    machine.deploy(&update);
    let new: DeploymentId = entries(machine.root())[0].1.sealstone_id().unwrap().parse().unwrap();
    assert_eq!([boot(&machine), boot(&machine), boot(&machine)], [new; 3]);
    assert_eq!(boot(&machine), old, "the boot loader falls back");
    let target = machine.target();
    let told = status(&target, Some(&old)).unwrap().fallback.unwrap();
    assert_eq!((told.deployment, told.reason.as_str()), (new, "the boot loader gave it up after 3 tries"));
    is_in_order(&machine, &old);
    apply(&target, &plan_bless(&target, &old).unwrap(), &Control::new()).unwrap();
    assert_eq!(names(&machine), ["bootc_debian-1-1.conf"]);
    let told = status(&target, Some(&old)).unwrap();
    assert_eq!(told.fallback.unwrap().reason, "the boot loader gave it up after 3 tries");
    assert_eq!(told.deployments.iter().find(|found| found.record.id == new).unwrap().place, None);
    is_in_order(&machine, &old);
    // Asked for again, it is tried again.
    machine.deploy(&update);
    assert_eq!(names(&machine), ["bootc_debian-2-1+3-0.conf", "bootc_debian-1-0.conf"]);
    assert_eq!(status(&target, Some(&old)).unwrap().fallback, None);
}

#[test]
fn a_counter_stays_with_its_deployment_when_the_menu_changes() {
    let (machine, old, update) = running();
    machine.deploy(&update);
    boot(&machine);
    let target = machine.target();
    apply(&target, &plan_rollback(&target, Some(&old)).unwrap(), &Control::new()).unwrap();
    assert_eq!(names(&machine), ["bootc_debian-1-1.conf", "bootc_debian-2-0+2-1.conf"]);
    is_in_order(&machine, &old);
}

#[test]
fn an_entry_that_systemd_blessed_by_a_rename_is_blessed() {
    let (machine, _, update) = running();
    machine.deploy(&update);
    let new = boot(&machine);
    let folder = machine.path("esp/loader/entries");
    std::fs::rename(folder.join("bootc_debian-2-1+2-1.conf"), folder.join("bootc_debian-2-1.conf")).unwrap();
    is_in_order(&machine, &new);
}

#[test]
fn nothing_is_counted_where_nothing_blesses_or_nothing_counts() {
    for without in [EFI, BLESS] {
        let lacking = |version: &'static str| {
            let mut system = system(version);
            system.more.retain(|entry| !format!("{entry:?}").contains(without));
            system
        };
        let machine = Machine::new();
        machine.deploy(&machine.import(&lacking("1")));
        machine.deploy(&machine.import(&lacking("2")));
        assert_eq!(names(&machine), ["bootc_debian-2-1.conf", "bootc_debian-1-0.conf"], "without {without}");
        // Asked for, it is counted where that can be.
        let asked = DeployRequest { tries: Some(5), ..machine.import(&lacking("3")) };
        let plan = plan_deploy(&machine.target(), &asked).unwrap();
        assert_eq!(plan.warnings.len(), usize::from(without == EFI), "{:?}", plan.warnings);
        machine.deploy(&asked);
        let counted = if without == EFI { "bootc_debian-3-1.conf" } else { "bootc_debian-3-1+5-0.conf" };
        assert_eq!(names(&machine)[0], counted);
    }
}

#[test]
fn a_power_cut_while_blessing_leaves_the_running_system_first_in_the_menu() {
    let (machine, _, update) = running();
    machine.deploy(&update);
    let new = boot(&machine);
    let power = PowerCutDisk::on_fat(RealDisk::shared(), machine.root());
    let disk: Arc<dyn Disk> = power.clone();
    let target = Machine::target_on(&disk, machine.root()).unwrap();
    apply(&target, &plan_bless(&target, &new).unwrap(), &Control::new()).unwrap();
    let after = tempfile::tempdir_in(machine.root().parent().unwrap()).unwrap();
    let mut states = 0;
    for point in 0..=power.len() {
        let seeds = (0..4).map(|seed| Fate::Seeded(seed * 1000 + point as u64));
        for fate in [Fate::AllLand, Fate::NoneLands].into_iter().chain(seeds) {
            let root = after.path().join(format!("{states}"));
            power.materialise(point, fate, &root);
            // The sysroot is no FAT: its own rules are tested elsewhere, and what it has is what it had.
            let first = entries(&root).remove(0).1.sealstone_id().unwrap().to_owned();
            assert_eq!(first, new.to_string(), "point {point}, {fate:?}");
            std::fs::remove_dir_all(&root).unwrap();
            states += 1;
        }
    }
    assert!(states > 50, "{states}");
}
