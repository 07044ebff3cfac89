//! The same system with a unified kernel image that was made or signed anew: a deployment of its own, whose state is that of the
//! one before it. And boot counting of what boots by such images.

use super::*;
use crate::{
    DeploymentId, Record, Retention, State, apply,
    status::status,
    testing::{Machine, Sealed, System, file},
    update::plan_update,
};
use sealstone_boot::{EntryName, FoundEntry, Tries};
use sealstone_store::Control;

const EFI: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const BLESS: &str = "usr/lib/systemd/system-generators/systemd-bless-boot-generator";

/// A system whose image has systemd-boot, and what blesses.
fn sealed(version: &'static str, kargs: &'static str) -> Sealed<'static> {
    let more = vec![file(EFI, "#### LoaderInfo: systemd-boot 257 ####"), file(BLESS, "")];
    Sealed { kargs, system: System { more, ..System::new(version) }, ..Sealed::new(version) }
}

/// A machine with a sealed system, and the requests for that and for the same signed anew.
fn machine() -> (Machine, DeployRequest, DeployRequest) {
    let machine = Machine::new();
    let (old, new) =
        (machine.import_sealed(&sealed("1", "quiet")).0, machine.import_sealed(&sealed("1", "loud")).0);
    assert_eq!(old.image, new.image);
    machine.deploy(&DeployRequest { tries: Some(0), ..old.clone() });
    (machine, old, DeployRequest { tries: Some(0), ..new })
}

fn records(machine: &Machine) -> Vec<Record> {
    let mut records = machine.target().sysroot.records().unwrap().0;
    records.sort_by_key(|record| std::cmp::Reverse(record.order));
    records
}

fn ids(machine: &Machine) -> Vec<String> {
    let short = |record: &Record| format!("{}.{}", &record.id.to_string()[..4], record.id.copy());
    records(machine).iter().map(short).collect()
}

fn ukis(machine: &Machine) -> Vec<String> {
    machine.names("esp/EFI/Linux/bootc")
}

fn is_whole(machine: &Machine) {
    let target = machine.target();
    let status = status(&target, None).unwrap();
    assert!(status.deployments.iter().all(|deployment| deployment.health.is_good()), "{status:#?}");
    assert_eq!(status.foreign_states, Vec::<String>::new());
    let plan = plan_reconcile(&target, None).unwrap();
    assert!(plan.is_empty(), "{:?}", plan.steps);
}

fn refusal(machine: &Machine, request: &DeployRequest) -> String {
    plan_deploy(&machine.target(), request).unwrap_err().to_string()
}

#[test]
fn what_was_signed_anew_gets_files_and_an_entry_of_its_own_and_the_same_etc() {
    let (machine, old, new) = machine();
    let (id, file) = (old.image, format!("bootc_composefs-{}", old.image));
    let before = std::fs::read(machine.path(&format!("esp/EFI/Linux/bootc/{file}.efi"))).unwrap();
    std::fs::write(machine.path(&format!("sysroot/state/deploy/{id}/etc/mine")), "mine").unwrap();
    machine.deploy(&new);
    assert_eq!(ukis(&machine), [format!("{file}.1.efi"), format!("{file}.efi")]);
    let now = std::fs::read(machine.path(&format!("esp/EFI/Linux/bootc/{file}.efi"))).unwrap();
    assert!(before == now, "the old one was written over");
    assert_eq!(machine.names("sysroot/state/deploy"), [id.to_string()]);
    assert_eq!(machine.read(&format!("sysroot/state/deploy/{id}/etc/mine")), "mine");
    let target = machine.target();
    let entries = target.esps[0].entries().unwrap();
    let files: Vec<String> = entries
        .iter()
        .map(|found| match found {
            FoundEntry::Entry(_, entry) => entry.get("efi").unwrap().to_owned(),
            FoundEntry::Broken { .. } => panic!("{found:?}"),
        })
        .collect();
    assert!(files.len() == 2 && files.iter().any(|path| path.ends_with(&format!("{id}.1.efi"))), "{files:?}");
    is_whole(&machine);
    assert!(plan_deploy(&target, &new).unwrap().is_empty());
    apply(&target, &plan_rollback(&target, None).unwrap(), &Control::new()).unwrap();
    assert_eq!(records(&machine)[0].id, DeploymentId::new(id, 0));
    is_whole(&machine);
}

#[test]
fn an_update_to_it_is_no_change_of_names_alone() {
    let (machine, old, new) = machine();
    let target = machine.target();
    let plan = plan_update(&target, &new).unwrap();
    assert_eq!(plan.deployment.as_ref().unwrap().id, DeploymentId::new(old.image, 1));
    let plan = plan_update(&target, &old).unwrap();
    assert!(plan.is_empty(), "{:?}", plan.steps);
}

#[test]
fn the_state_that_several_share_goes_with_the_last_of_them() {
    let (machine, old, new) = machine();
    let retention = Retention { count: Some(2), ..Retention::default() };
    let third = machine.import_sealed(&sealed("1", "third")).0;
    let keeping = |request: &DeployRequest| DeployRequest { retention, tries: Some(0), ..request.clone() };
    machine.deploy(&new);
    machine.deploy(&keeping(&third));
    let file = format!("bootc_composefs-{}", old.image);
    assert_eq!(ukis(&machine), [format!("{file}.1.efi"), format!("{file}.2.efi")]);
    assert_eq!(machine.names("sysroot/state/deploy"), [old.image.to_string()]);
    is_whole(&machine);
    for (version, states) in [("2", 2), ("3", 2), ("4", 2)] {
        machine.deploy(&keeping(&machine.import_sealed(&sealed(version, "quiet")).0));
        assert_eq!(machine.names("sysroot/state/deploy").len(), states);
        is_whole(&machine);
    }
    assert!(!machine.names("sysroot/state/deploy").contains(&old.image.to_string()));
    assert!(!ukis(&machine).iter().any(|name| name.starts_with(&file)), "{:?}", ukis(&machine));
}

#[test]
fn a_state_that_somebody_else_would_meet_is_not_shared() {
    let (machine, _, new) = machine();
    let other = machine.import_sealed(&sealed("2", "quiet")).0;
    machine.deploy(&other);
    assert!(refusal(&machine, &new).contains("one deployment alone"));
    let fresh = DeployRequest { predecessor: Predecessor::None, ..new };
    assert!(refusal(&machine, &fresh).contains("one deployment alone"));
}

#[test]
fn one_that_is_staged_leaves_the_state_alone_when_it_is_finalised() {
    let (machine, old, new) = machine();
    let running = Some(DeploymentId::new(old.image, 0));
    let finalise = Finalise::AtShutdown { locked: false };
    machine.deploy(&DeployRequest { running, finalise, ..new });
    assert_eq!(records(&machine)[0].state, State::Staged);
    std::fs::write(machine.path(&format!("sysroot/state/deploy/{}/etc/late", old.image)), "late").unwrap();
    let target = machine.target();
    let plan = plan_finalize(&target, running.as_ref(), &StagedWish::default()).unwrap();
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::MergeEtc { .. } | Step::MakeState { .. })));
    apply(&target, &plan, &Control::new()).unwrap();
    assert_eq!(machine.read(&format!("sysroot/state/deploy/{}/etc/late", old.image)), "late");
    assert_eq!(ids(&machine).len(), 2);
    is_whole(&machine);
}

#[test]
fn what_is_staged_is_replaced_by_the_same_signed_anew() {
    let (machine, old, _) = machine();
    let running = Some(DeploymentId::new(old.image, 0));
    let finalise = Finalise::AtShutdown { locked: false };
    for kargs in ["first", "second"] {
        let request = machine.import_sealed(&sealed("2", kargs)).0;
        machine.deploy(&DeployRequest { running, finalise, ..request });
        assert_eq!(records(&machine).len(), 2);
    }
    std::fs::write(machine.path(&format!("sysroot/state/deploy/{}/etc/late", old.image)), "late").unwrap();
    let target = machine.target();
    apply(
        &target,
        &plan_finalize(&target, running.as_ref(), &StagedWish::default()).unwrap(),
        &Control::new(),
    )
    .unwrap();
    let first = &records(&machine)[0];
    assert_eq!((first.id.copy(), first.state), (1, State::Deployed));
    assert_eq!(machine.read(&format!("sysroot/state/deploy/{}/etc/late", first.image.id)), "late");
    is_whole(&machine);
}

#[test]
fn a_system_that_follows_on_one_of_several_gets_the_etc_that_they_share() {
    let (machine, old, new) = machine();
    machine.deploy(&new);
    std::fs::write(machine.path(&format!("sysroot/state/deploy/{}/etc/mine", old.image)), "mine").unwrap();
    let next = machine.import_sealed(&sealed("2", "quiet")).0;
    machine.deploy(&DeployRequest { tries: Some(0), ..next.clone() });
    assert_eq!(machine.read(&format!("sysroot/state/deploy/{}/etc/mine", next.image)), "mine");
    is_whole(&machine);
}

/// The entries' names, the first of the menu first.
fn names(machine: &Machine) -> Vec<String> {
    let mut found = machine.names("esp/loader/entries");
    found.sort_by_key(|name| !name.contains("-1"));
    found
}

/// What systemd-boot does with a counted entry.
fn count_down(machine: &Machine, name: &str) {
    let parsed = EntryName::parse(name).unwrap();
    let tries = parsed.tries().unwrap();
    let next = parsed.counted(Tries { left: tries.left - 1, done: tries.done + 1 }).unwrap();
    let folder = machine.path("esp/loader/entries");
    std::fs::rename(folder.join(name), folder.join(next.as_str())).unwrap();
}

#[test]
fn a_sealed_update_is_counted_blessed_and_given_up_as_any_other() {
    for (version, kargs, name) in [("2", "quiet", "bootc_debian-2-1"), ("1", "loud", "bootc_debian-1-1")] {
        let (machine, old, _) = machine();
        let running = DeploymentId::new(old.image, 0);
        let update =
            DeployRequest { running: Some(running), ..machine.import_sealed(&sealed(version, kargs)).0 };
        machine.deploy(&update);
        let new = records(&machine)[0].id;
        let first = |machine: &Machine| {
            let with = |found: &String| found.starts_with(name);
            names(machine).into_iter().find(with).unwrap_or_default()
        };
        assert_eq!(first(&machine), format!("{name}+3-0.conf"));
        count_down(&machine, &first(&machine));
        is_whole(&machine);
        let blessed = machine.copy();
        let target = blessed.target();
        apply(&target, &plan_bless(&target, &new).unwrap(), &Control::new()).unwrap();
        assert_eq!(first(&blessed), format!("{name}.conf"));
        is_whole(&blessed);
        count_down(&machine, &first(&machine));
        count_down(&machine, &first(&machine));
        let target = machine.target();
        let told = status(&target, Some(&running)).unwrap().fallback.unwrap();
        assert_eq!(
            (told.deployment, told.reason.as_str()),
            (new, "the boot loader gave it up after 3 tries")
        );
        apply(&target, &plan_bless(&target, &running).unwrap(), &Control::new()).unwrap();
        assert_eq!(machine.names("esp/loader/entries").len(), 1);
        let first = records(&machine).into_iter().find(|record| record.broken.is_none()).unwrap();
        assert_eq!(first.id, running);
    }
}
