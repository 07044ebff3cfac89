//! What the verbs promise, on whole machines in temporary folders.

use sealstone_boot::{FoundEntry, menu_order};
use sealstone_store::Control;

use super::*;
use crate::{
    Applied, DeployError, DeploymentId, Retention, State, Target, apply, find_deployment,
    kargs::{KargsEdit, KargsOwner},
    status,
    testing::{Machine, SmallEsp, System},
};

const DAY: i64 = 86_400;

/// The ids in the boot menu, as a boot loader orders them.
fn menu(machine: &Machine) -> Vec<String> {
    let found = machine.target().esps[0].entries().unwrap();
    let mut entries: Vec<_> = found
        .into_iter()
        .filter_map(|found| match found {
            FoundEntry::Entry(name, entry) if entry.sealstone_id().is_some() => Some((name, entry)),
            _ => None,
        })
        .collect();
    entries.sort_by(|a, b| menu_order((&a.0, &a.1), (&b.0, &b.1)));
    entries.iter().map(|(_, entry)| entry.sealstone_id().unwrap().to_owned()).collect()
}

fn run(target: &Target, plan: Result<Plan, DeployError>) -> Applied {
    apply(target, &plan.unwrap(), &Control::new()).unwrap()
}

fn id(request: &DeployRequest) -> DeploymentId {
    DeploymentId::new(request.image, 0)
}

fn ids(requests: &[&DeployRequest]) -> Vec<String> {
    requests.iter().map(|request| id(request).to_string()).collect()
}

/// A machine with as many systems as versions, the last of which boots by default; made a day apart.
fn machine(versions: &[&str]) -> (Machine, Vec<DeployRequest>) {
    let machine = Machine::new();
    let mut requests = Vec::new();
    for (day, version) in (0..).zip(versions) {
        let request = machine.import(&System::new(version));
        let request = DeployRequest { time: 1_700_000_000 + day * DAY, ..request };
        machine.deploy(&request);
        requests.push(request);
    }
    (machine, requests)
}

fn staged(request: &DeployRequest, locked: bool, running: Option<DeploymentId>) -> DeployRequest {
    DeployRequest { finalise: Finalise::AtShutdown { locked }, running, ..request.clone() }
}

#[test]
fn a_rollback_swaps_the_first_two_moves_nothing_else_and_leads_back() {
    let (machine, requests) = machine(&["1", "2", "3"]);
    let [one, two, three] = &requests[..] else { panic!() };
    let target = machine.target();
    run(&target, plan_rollback(&target, Some(&id(three))));
    assert_eq!(menu(&machine), ids(&[two, three, one]));
    run(&target, plan_rollback(&target, Some(&id(three))));
    assert_eq!(menu(&machine), ids(&[three, two, one]));
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}

// bootc#1469: with an overlay on /etc there was one of it for all deployments, and none of an older one to go back to.
#[test]
fn a_rollback_brings_back_the_etc_that_its_system_had() {
    let (machine, requests) = machine(&["1", "2"]);
    let etc = |request: &DeployRequest| format!("sysroot/state/deploy/{}/etc/mine", id(request));
    std::fs::write(machine.path(&etc(&requests[0])), "old").unwrap();
    std::fs::write(machine.path(&etc(&requests[1])), "new").unwrap();
    let target = machine.target();
    run(&target, plan_rollback(&target, None));
    assert_eq!(machine.read(&etc(&requests[0])), "old");
    assert_eq!(machine.read(&etc(&requests[1])), "new");
}

#[test]
fn without_another_system_there_is_nothing_to_roll_back_to() {
    let (machine, _) = machine(&["1"]);
    let refused = plan_rollback(&machine.target(), None).unwrap_err();
    assert!(matches!(refused, DeployError::Store(sealstone_store::Error::Missing { .. })), "{refused}");
}

#[test]
fn what_is_staged_has_all_but_its_entry_until_it_is_finalised() {
    let (machine, requests) = machine(&["1"]);
    let (one, two) = (&requests[0], machine.import(&System::new("2")));
    let target = machine.target();
    let running = Some(id(one));
    run(&target, plan_deploy(&target, &staged(&two, false, running)));
    assert_eq!(menu(&machine), ids(&[one]));
    assert_eq!(target.esps[0].kernels().unwrap().len(), 2);
    assert!(machine.path(&format!("sysroot/state/deploy/{}/etc/version", id(&two))).exists());
    let report = status(&target, running.as_ref()).unwrap();
    assert_eq!(report.deployments[1].record.state, State::Staged);
    assert!(report.deployments[1].health.is_good(), "{report:?}");
    let again = plan_deploy(&target, &staged(&two, false, running)).unwrap();
    assert!(again.is_empty(), "{:?}", again.steps);

    run(&target, plan_finalize(&target, running.as_ref(), &StagedWish::default()));
    assert_eq!(menu(&machine), ids(&[&two, one]));
    assert!(plan_finalize(&target, running.as_ref(), &StagedWish::default()).unwrap().is_empty());
    assert!(plan_reconcile(&target, running.as_ref()).unwrap().is_empty());
}

#[test]
fn what_was_only_downloaded_waits_until_it_is_asked_for() {
    let (machine, requests) = machine(&["1"]);
    let two = machine.import(&System::new("2"));
    let target = machine.target();
    let running = Some(id(&requests[0]));
    run(&target, plan_deploy(&target, &staged(&two, true, running)));
    assert!(plan_finalize(&target, running.as_ref(), &StagedWish::default()).unwrap().is_empty());
    run(&target, plan_finalize(&target, running.as_ref(), &StagedWish::unlocked()));
    assert_eq!(menu(&machine), ids(&[&two, &requests[0]]));
}

#[test]
fn a_newer_stage_takes_the_place_of_an_older_one_and_a_rollback_discards_it() {
    let (machine, requests) = machine(&["1", "2"]);
    let [one, two] = &requests[..] else { panic!() };
    let (three, four) = (machine.import(&System::new("3")), machine.import(&System::new("4")));
    let target = machine.target();
    let running = Some(id(two));
    run(&target, plan_deploy(&target, &staged(&three, false, running)));
    let plan = plan_deploy(&target, &staged(&four, false, running)).unwrap();
    assert_eq!(plan.deployments.pruned[0].id, id(&three));
    apply(&target, &plan, &Control::new()).unwrap();
    assert!(!machine.path(&format!("sysroot/state/deploy/{}", id(&three))).exists());
    let plan = plan_rollback(&target, running.as_ref()).unwrap();
    assert!(plan.deployments.pruned[0].reason.contains("discards"), "{:?}", plan.deployments);
    apply(&target, &plan, &Control::new()).unwrap();
    assert_eq!(menu(&machine), ids(&[one, two]));
    assert_eq!(target.esps[0].kernels().unwrap().len(), 2);
}

#[test]
fn an_update_from_an_older_system_rolls_back_to_the_one_that_ran() {
    let (machine, requests) = machine(&["1", "2", "3"]);
    let [one, two, three] = &requests[..] else { panic!() };
    let four = DeployRequest { running: Some(id(one)), ..machine.import(&System::new("4")) };
    machine.deploy(&four);
    assert_eq!(menu(&machine), ids(&[&four, one, three, two]));
    assert!(plan_reconcile(&machine.target(), None).unwrap().is_empty());
}

#[test]
fn an_update_takes_over_the_local_arguments_and_a_fresh_deploy_does_not() {
    let (machine, _) = machine(&["1"]);
    let two = DeployRequest { kargs: vec!["debug".parse().unwrap()], ..machine.import(&System::new("2")) };
    let plan = plan_deploy(&machine.target(), &two).unwrap();
    assert_eq!(plan.kargs.before, ["root=UUID=1", "quiet"]);
    assert_eq!(plan.kargs.after, ["root=UUID=1", "quiet", "debug"]);
    let fresh = DeployRequest { predecessor: Predecessor::None, ..two };
    assert_eq!(plan_deploy(&machine.target(), &fresh).unwrap().kargs.after, ["debug"]);
}

#[test]
fn an_update_takes_over_the_arguments_of_what_boots_next_though_it_has_never_booted() {
    let (machine, requests) = machine(&["1", "2"]);
    // The second waits for its boot; what is set now is its.
    let running = Some(id(&requests[0]));
    let target = machine.target();
    let late = KargsEdit::Set(vec!["late=1".parse().unwrap()]);
    run(&target, plan_kargs(&target, &KargsOwner::Caller, &late, running.as_ref()));
    let of = |request: &DeployRequest| {
        let request = DeployRequest { kargs: Vec::new(), running, ..request.clone() };
        plan_deploy(&target, &request).unwrap()
    };
    assert!(of(&requests[1]).is_empty(), "it is there already, with the argument");
    let three = machine.import(&System::new("3"));
    let plan = of(&three);
    assert_eq!(plan.kargs.after, ["root=UUID=1", "quiet", "late=1"]);
    let kept = target.sysroot.records().unwrap().0.into_iter().find(|record| Some(record.id) == running);
    assert_eq!(kept.unwrap().kargs.len(), 2, "what runs stays as it is");
    // A boot loader that gave it up, perhaps for that argument, leaves those of what booted in its place.
    let entries = machine.path("esp/loader/entries");
    std::fs::rename(entries.join("bootc_debian-2-1.conf"), entries.join("bootc_debian-2-1+0-3.conf"))
        .unwrap();
    assert_eq!(of(&three).kargs.after, ["root=UUID=1", "quiet"]);
    std::fs::rename(entries.join("bootc_debian-2-1+0-3.conf"), entries.join("bootc_debian-2-1.conf"))
        .unwrap();
    run(&target, Ok(plan));
    assert_eq!(menu(&machine), ids(&[&three, &requests[0], &requests[1]]));
}

// bootc#904, rpm-ostree#577, ostree#1922 and #1960 ask for it: keep so many, the last one of a version, what is pinned.
#[test]
fn retention_takes_the_oldest_by_count_age_and_version_and_never_what_is_needed() {
    let (machine, requests) = machine(&["1", "2", "3", "4", "5"]);
    let target = machine.target();
    let now = requests[4].time + DAY;
    let pruned = |retention: Retention, running: Option<usize>| -> Vec<usize> {
        let running = running.map(|number| id(&requests[number]));
        let plan = plan_prune(&target, &retention, running.as_ref(), now).unwrap();
        let ids: Vec<_> = plan.deployments.pruned.iter().map(|pruned| pruned.id).collect();
        (0..5).filter(|number| ids.contains(&id(&requests[*number]))).collect()
    };
    let none = Retention::default();
    assert!(pruned(none, None).is_empty());
    assert_eq!(pruned(Retention { count: Some(3), ..none }, None), [0, 1]);
    assert_eq!(pruned(Retention { count: Some(0), ..none }, None), [0, 1, 2]);
    assert_eq!(pruned(Retention { count: Some(0), ..none }, Some(1)), [0, 2]);
    assert_eq!(pruned(Retention { age: Some(3 * 86_400), ..none }, None), [0, 1]);
    assert_eq!(pruned(Retention { versions: Some(4), ..none }, None), [0]);
    assert_eq!(pruned(Retention { esp_free: Some(u64::MAX / 2), ..none }, None), [0, 1, 2]);
    run(&target, plan_pin(&target, &id(&requests[0]), true, None));
    assert_eq!(pruned(Retention { count: Some(0), ..none }, Some(1)), [2]);
    assert!(plan_remove(&target, &id(&requests[0]), None).is_err(), "it is pinned");

    run(&target, plan_prune(&target, &Retention { count: Some(2), ..none }, None, now));
    assert_eq!(menu(&machine), ids(&[&requests[4], &requests[3], &requests[0]]));
    assert_eq!(target.esps[0].kernels().unwrap().len(), 3);
    assert_eq!(machine.names("sysroot/state/deploy").len(), 3);
    assert_eq!(machine.names("sysroot/composefs/images/refs/sealstone/deployments").len(), 3);
    run(&target, plan_pin(&target, &id(&requests[0]), false, None));
    assert_eq!(pruned(Retention { count: Some(2), ..none }, None), [0]);
}

// fedora-coreos-tracker#1465: see below.
#[test]
fn a_full_boot_partition_loses_its_oldest_system_before_the_new_kernel_is_written() {
    let (machine, requests) = machine(&["1", "2", "3"]);
    let four = machine.import(&System::new("4"));
    let disk = SmallEsp::with_little_room(&machine);
    let target = Machine::target_on(&disk, machine.root()).unwrap();
    let refused =
        DeployRequest { retention: Retention { make_room: false, ..Retention::default() }, ..four.clone() };
    let plan = plan_deploy(&target, &refused).unwrap();
    assert!(!plan.room[1].suffices(), "{:?}", plan.room);
    let full = apply(&target, &plan, &Control::new());
    assert!(matches!(full, Err(DeployError::Boot(sealstone_boot::BootError::NoSpace { .. }))), "{full:?}");
    assert_eq!(menu(&machine).len(), 3, "nothing was removed for nothing");

    let plan = plan_deploy(&target, &four).unwrap();
    assert_eq!(plan.deployments.pruned[0].id, id(&requests[0]));
    assert!(plan.room[1].suffices() && plan.room[1].freed > 0, "{:?}", plan.room);
    let position = |picks: &dyn Fn(&Step) -> bool| plan.steps.iter().position(picks).unwrap();
    let entry = position(&|step| matches!(step, Step::RemoveEntry { .. }));
    let kernel = position(&|step| matches!(step, Step::RemoveKernel { .. }));
    let write = position(&|step| matches!(step, Step::WriteKernel { .. }));
    assert!(entry < kernel && kernel < write, "{:?}", plan.steps);
    apply(&target, &plan, &Control::new()).unwrap();
    assert_eq!(menu(&machine), ids(&[&four, &requests[2], &requests[1]]));
}

// fedora-coreos-tracker#1465: on boot partitions that are small for what is kept, updates failed when the kernel was half
// written; with a system pinned there was no update any more.
#[test]
fn a_boot_partition_that_pins_fill_is_told_before_anything_is_written_and_unpinning_helps() {
    let (machine, requests) = machine(&["1", "2"]);
    let pin = |is_pinned| plan_pin(&machine.target(), &id(&requests[0]), is_pinned, None);
    run(&machine.target(), pin(true));
    let three = machine.import(&System::new("3"));
    let disk = SmallEsp::with_little_room(&machine);
    let target = Machine::target_on(&disk, machine.root()).unwrap();
    let before = machine.names("esp/EFI/Linux");
    let plan = plan_deploy(&target, &three).unwrap();
    assert!(plan.deployments.pruned.is_empty() && !plan.room[1].suffices(), "{:?}", plan.room);
    let full = apply(&target, &plan, &Control::new());
    assert!(matches!(full, Err(DeployError::Boot(sealstone_boot::BootError::NoSpace { .. }))), "{full:?}");
    assert_eq!((menu(&machine).len(), machine.names("esp/EFI/Linux")), (2, before));
    run(&target, pin(false));
    run(&target, plan_deploy(&target, &three));
    assert_eq!(menu(&machine), ids(&[&three, &requests[1]]));
}

#[test]
fn a_removal_that_was_cut_short_ends_with_the_next_run() {
    let (machine, requests) = machine(&["1", "2", "3"]);
    let target = machine.target();
    let mut plan = plan_remove(&target, &id(&requests[0]), None).unwrap();
    let record = plan.steps.iter().position(|step| matches!(step, Step::RemoveEntry { .. })).unwrap();
    plan.steps.truncate(record);
    apply(&target, &plan, &Control::new()).unwrap();
    assert_eq!(target.sysroot.records().unwrap().0.len(), 3, "it is only marked");
    run(&target, plan_pin(&target, &id(&requests[2]), true, None));
    assert_eq!(menu(&machine), ids(&[&requests[2], &requests[1]]));
    assert_eq!(target.sysroot.records().unwrap().0.len(), 2);
    assert_eq!(machine.names("sysroot/state/deploy").len(), 2);
    assert_eq!(target.esps[0].kernels().unwrap().len(), 2);
}

#[test]
fn a_deployment_is_found_by_its_place_and_by_the_beginning_of_its_id() {
    let (machine, requests) = machine(&["1", "2"]);
    let again = DeployRequest { kargs: vec!["debug".parse().unwrap()], ..requests[1].clone() };
    machine.deploy(&again);
    let target = machine.target();
    let find = |text: &str| find_deployment(&target, text, Some(&id(&requests[0])));
    let hex = requests[1].image.to_string();
    assert_eq!(find("default").unwrap().to_string(), format!("{hex}.1"));
    assert_eq!(find("rollback").unwrap(), id(&requests[1]));
    assert_eq!(find("running").unwrap(), id(&requests[0]));
    assert!(find("staged").is_err() && find("nothing").is_err() && find("").is_err());
    assert!(matches!(find(&hex[..12]), Err(DeployError::Invalid { .. })), "two copies begin so");
    assert_eq!(find(&format!("{}.1", &hex[..12])).unwrap().to_string(), format!("{hex}.1"));
    assert_eq!(find(&hex).unwrap(), id(&requests[1]));
}

#[test]
fn a_second_deployment_of_an_image_says_what_it_needs_of_the_initramfs() {
    let (machine, requests) = machine(&["1"]);
    let plan = plan_deploy(&machine.target(), &requests[0]).unwrap();
    assert_eq!(plan.warnings, Vec::<String>::new());
    let again = DeployRequest { kargs: vec!["debug".parse().unwrap()], ..requests[0].clone() };
    let plan = plan_deploy(&machine.target(), &again).unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("composefs.state=")), "{:?}", plan.warnings);
}
