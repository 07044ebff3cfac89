//! What an update follows, when it is one, and what becomes of it.

use std::sync::Arc;

use sealstone_import::ImportOptions;
use sealstone_store::{
    Control, Place,
    disk::{Disk, RealDisk, RecordingDisk},
};

use super::*;
use crate::{
    StagedWish, State, apply,
    bound::BoundReference,
    import_image, plan_finalize, plan_reconcile, plan_remove, plan_restage, plan_rollback,
    testing::{Failure, Machine, Published, System, fail_at_every_call},
};

/// The reference that is followed; the place is in memory.
const REFERENCE: &str = "docker://example.org/os:stable";

fn check(machine: &Machine, running: Option<&DeploymentId>, place: &Published) -> UpdateCheck {
    let (target, options) = (machine.target(), ImportOptions::default());
    check_update(&target, &standing(machine, running), REFERENCE, place, &options).unwrap()
}

fn standing(machine: &Machine, running: Option<&DeploymentId>) -> Standing {
    Standing::read(&machine.target(), running).unwrap()
}

/// Imports, plans and applies.
fn update(
    machine: &Machine,
    running: Option<&DeploymentId>,
    place: &Published,
    finalise: Finalise,
) -> (Plan, DeploymentId) {
    let target = machine.target();
    let (options, control) = (ImportOptions::default(), Control::new());
    let imported = import_image(&target.repository, place, REFERENCE, &options, &control).unwrap();
    let request = update_request(REFERENCE, &imported, running.copied(), finalise, 1_700_000_100).unwrap();
    let plan = plan_update(&target, &request).unwrap();
    apply(&target, &plan, &control).unwrap();
    let record = plan.deployment.as_ref().or(plan.rewritten.first()).unwrap();
    let id = record.id;
    (plan, id)
}

fn run(machine: &Machine, plan: &Plan) {
    apply(&machine.target(), plan, &Control::new()).unwrap();
}

/// A machine that runs version 1 of a place.
fn running_machine() -> (Machine, Published, DeploymentId) {
    let (machine, place) = (Machine::new(), Published::of(&System::new("1")));
    let (_, id) = update(&machine, None, &place, Finalise::Now);
    (machine, place, id)
}

const STAGE: Finalise = Finalise::AtShutdown { locked: false };
const DOWNLOAD: Finalise = Finalise::AtShutdown { locked: true };

#[test]
fn nothing_new_reads_no_document() {
    let (machine, place, id) = running_machine();
    place.opened();
    for running in [None, Some(&id)] {
        let check = check(&machine, running, &place);
        assert_eq!((check.verdict, check.changed), (Verdict::Current, false));
        assert_eq!(check.deployment, Some(id));
        assert_eq!(check.bound, Some(Vec::new()));
    }
    assert_eq!(place.opened(), 0);
}

#[test]
fn an_update_of_what_runs_waits_for_the_shutdown_and_is_followed_from_then_on() {
    let (machine, mut place, one) = running_machine();
    let entries = machine.names("esp/loader/entries");
    place.push(&System::new("2"), "");
    let found = check(&machine, Some(&one), &place);
    assert_eq!((found.verdict, found.changed, found.bound), (Verdict::Available, true, None));
    assert_eq!(found.available.unwrap().version.as_deref(), Some("2"));
    let (_, two) = update(&machine, Some(&one), &place, STAGE);
    assert_eq!(machine.names("esp/loader/entries"), entries);
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Queued);
    assert_eq!(standing(&machine, Some(&one)).tracked().unwrap().id, two);

    run(&machine, &plan_finalize(&machine.target(), Some(&one), &StagedWish::default()).unwrap());
    // Until the reboot it is queued; then it is what runs.
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Queued);
    assert_eq!(check(&machine, Some(&two), &place).verdict, Verdict::Current);
    assert_eq!(check(&machine, None, &place).verdict, Verdict::Current);
}

/// Imports what a place has now under another reference, and makes it what boots next.
fn switch(machine: &Machine, running: &DeploymentId, place: &Published, reference: &str) -> DeploymentId {
    let (target, options, control) = (machine.target(), ImportOptions::default(), Control::new());
    let imported = import_image(&target.repository, place, reference, &options, &control).unwrap();
    let request = update_request(reference, &imported, Some(*running), Finalise::Now, 1_700_000_200).unwrap();
    let plan = plan_update(&target, &request).unwrap();
    apply(&target, &plan, &control).unwrap();
    plan.deployment.unwrap().id
}

#[test]
fn a_switch_that_is_queued_in_the_menu_is_what_is_followed_unless_it_did_not_boot() {
    const OTHER: &str = "docker://example.org/os:live";
    let (machine, place, one) = running_machine();
    let mut live = Published::of(&System::new("live"));
    let two = switch(&machine, &one, &live, OTHER);
    let followed = || standing(&machine, Some(&one)).tracked().unwrap().clone();
    assert_eq!((followed().id, followed().image.reference.as_str()), (two, OTHER));
    let (target, options) = (machine.target(), ImportOptions::default());
    let look = |place: &Published| {
        check_update(&target, &standing(&machine, Some(&one)), OTHER, place, &options).unwrap()
    };
    let found = look(&live);
    assert_eq!((found.verdict, found.deployment), (Verdict::Queued, Some(two)));
    live.push(&System::new("live 2"), "");
    let found = look(&live);
    assert_eq!((found.verdict, found.deployment), (Verdict::Available, Some(two)));
    assert_eq!(found.current.unwrap().version.as_deref(), Some("live"));
    // After the reboot the same, by what runs.
    assert_eq!(standing(&machine, Some(&two)).tracked().unwrap().id, two);

    // One that the boot loader gave up is not on its way any more.
    let entries = machine.path("esp/loader/entries");
    let name = machine
        .names("esp/loader/entries")
        .into_iter()
        .find(|name| machine.read(&format!("esp/loader/entries/{name}")).contains(&two.to_string()));
    let name = name.unwrap();
    std::fs::rename(entries.join(&name), entries.join(name.replace(".conf", "+0-3.conf"))).unwrap();
    assert_eq!((followed().id, followed().image.reference.as_str()), (one, REFERENCE));
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Current);
}

#[test]
fn what_is_only_downloaded_waits_until_it_is_asked_for() {
    let (machine, mut place, one) = running_machine();
    place.push(&System::new("2"), "");
    let (_, two) = update(&machine, Some(&one), &place, DOWNLOAD);
    let finalise = || plan_finalize(&machine.target(), Some(&one), &StagedWish::default()).unwrap();
    assert!(finalise().is_empty());
    run(&machine, &plan_restage(&machine.target(), &two, &StagedWish::unlocked(), Some(&one)).unwrap());
    assert!(!finalise().is_empty());
    run(&machine, &finalise());
    let (records, _) = machine.target().sysroot.records().unwrap();
    assert_eq!((records[0].id, records[0].state), (two, State::Deployed));
}

#[test]
fn a_tag_that_is_moved_back_withdraws_what_waits() {
    let (machine, mut place, one) = running_machine();
    place.push(&System::new("2"), "");
    let (_, two) = update(&machine, Some(&one), &place, STAGE);
    place.push(&System::new("1"), "");
    let found = check(&machine, Some(&one), &place);
    assert_eq!((found.verdict, found.changed, found.deployment), (Verdict::Withdrawn, true, Some(one)));
    run(&machine, &plan_remove(&machine.target(), &two, Some(&one)).unwrap());
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Current);
}

#[test]
fn a_rollback_holds_while_what_was_rolled_back_from_runs() {
    let (machine, mut place, one) = running_machine();
    place.push(&System::new("2"), "");
    let (_, two) = update(&machine, None, &place, Finalise::Now);
    run(&machine, &plan_rollback(&machine.target(), Some(&two)).unwrap());
    assert_eq!(check(&machine, Some(&two), &place).verdict, Verdict::Current);
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Available);
}

// bootc: "same fs-verity digest as the existing Booted deployment", an error of its composefs backend.
#[test]
fn the_same_content_under_another_manifest_is_the_same_deployment() {
    let (machine, mut place, one) = running_machine();
    let entries = machine.names("esp/loader/entries");
    place.push(&System::new("1"), "a rebuild");
    let found = check(&machine, Some(&one), &place);
    assert_eq!(found.verdict, Verdict::Available);
    let before = found.current.unwrap().manifest;
    let (plan, id) = update(&machine, Some(&one), &place, STAGE);
    assert!(plan.deployment.is_none());
    assert_eq!(id, one);
    let (records, _) = machine.target().sysroot.records().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].image.manifest, found.available.unwrap().manifest);
    assert_eq!(machine.names("esp/loader/entries"), entries);
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Current);
    // bootc reads the manifest's digest there, and looks for its tag.
    let origin = machine.read(&format!("sysroot/state/deploy/{one}/{one}.origin"));
    assert!(origin.contains(&format!("manifest_digest={}", records[0].image.manifest)), "{origin}");
    // The old manifest is kept by nothing any more, and the new one is.
    let refs = machine.target().repository.refs(Place::Streams).unwrap();
    let kept = |manifest: &str| refs.iter().any(|(name, _)| name.to_string().contains(manifest));
    let hex = |digest: &sealstone_import::ManifestDigest| digest.digest().to_hex();
    assert!(!kept(&hex(&before)));
    assert!(kept(&hex(&records[0].image.manifest)));
}

#[test]
fn noting_another_manifest_may_be_cut_after_any_step() {
    let (machine, mut place, one) = running_machine();
    let _ = check(&machine, Some(&one), &place);
    place.push(&System::new("1"), "a rebuild");
    let target = machine.target();
    let (options, control) = (ImportOptions::default(), Control::new());
    let imported = import_image(&target.repository, &place, REFERENCE, &options, &control).unwrap();
    let request = update_request(REFERENCE, &imported, Some(one), STAGE, 1_700_000_100).unwrap();
    let whole = plan_update(&target, &request).unwrap();
    assert!(whole.steps.len() >= 4, "{:?}", whole.steps);
    for cut in 0..whole.steps.len() {
        let machine = machine.copy();
        let mut plan = plan_update(&machine.target(), &request).unwrap();
        plan.steps.truncate(cut);
        apply(&machine.target(), &plan, &control).unwrap();
        let status = crate::status(&machine.target(), Some(&one)).unwrap();
        assert!(status.deployments.iter().all(|deployment| deployment.health.is_good()), "cut after {cut}");
        run(&machine, &plan_update(&machine.target(), &request).unwrap());
        let (records, _) = machine.target().sysroot.records().unwrap();
        assert_eq!(records[0].image.manifest, imported.manifest, "cut after {cut}");
        let origin = machine.read(&format!("sysroot/state/deploy/{one}/{one}.origin"));
        assert!(origin.contains(&imported.manifest.to_string()), "cut after {cut}");
    }
}

#[test]
fn content_that_waits_is_found_under_its_new_manifest_as_well() {
    let (machine, mut place, one) = running_machine();
    place.push(&System::new("2"), "");
    let (_, two) = update(&machine, Some(&one), &place, STAGE);
    place.push(&System::new("2"), "a rebuild");
    let (plan, id) = update(&machine, Some(&one), &place, STAGE);
    assert!(plan.deployment.is_none());
    assert_eq!(id, two);
    assert_eq!(check(&machine, Some(&one), &place).verdict, Verdict::Queued);
    let (records, _) = machine.target().sysroot.records().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records.iter().filter(|record| record.state == State::Staged).count(), 1);
}

#[test]
fn a_check_that_had_to_read_is_remembered() {
    let (machine, place) = (Machine::new(), Published::of(&System::new("1")));
    let target = machine.target();
    let (options, control) = (ImportOptions::default(), Control::new());
    let imported = import_image(&target.repository, &place, REFERENCE, &options, &control).unwrap();
    let mut request = update_request(REFERENCE, &imported, None, Finalise::Now, 0).unwrap();
    // As of a deployment by name, of which nobody knows what the reference named.
    request.resolved = None;
    run(&machine, &plan_update(&target, &request).unwrap());
    place.opened();
    let found = check(&machine, None, &place);
    assert_eq!(found.verdict, Verdict::Current);
    assert!(place.opened() > 0);
    run(&machine, &plan_unchanged(&target, &standing(&machine, None), &found, None).unwrap().unwrap());
    let found = check(&machine, None, &place);
    assert_eq!((found.verdict, place.opened()), (Verdict::Current, 0));
    assert_eq!(plan_unchanged(&target, &standing(&machine, None), &found, None).unwrap(), None);
}

#[test]
fn an_update_is_planned_without_an_import_when_its_content_is_there() {
    let (machine, mut place, one) = running_machine();
    place.push(&System::new("2"), "");
    let known =
        |check: &UpdateCheck| known_update_request(&machine.target(), check, Some(one), STAGE, 0).unwrap();
    assert_eq!(known(&check(&machine, Some(&one), &place)), None);
    let (options, control) = (ImportOptions::default(), Control::new());
    let _ = import_image(&machine.target().repository, &place, "elsewhere", &options, &control).unwrap();
    let found = check(&machine, Some(&one), &place);
    assert_eq!((found.verdict, found.bytes_to_fetch), (Verdict::Available, 0));
    let plan = plan_update(&machine.target(), &known(&found).unwrap()).unwrap();
    assert_eq!(plan.deployment.unwrap().image.manifest, found.available.unwrap().manifest);
}

#[test]
fn a_name_that_says_of_no_place_is_no_place_to_update_from() {
    let (machine, _, _) = running_machine();
    let mut record = standing(&machine, None).tracked().unwrap().clone();
    assert!(place_of_updates(&record).is_ok());
    record.image.reference = "os:1".to_owned();
    let refused = place_of_updates(&record).unwrap_err();
    assert!(matches!(&refused, DeployError::Invalid { .. }) && refused.to_string().contains("store switch"));
    assert_eq!(standing(&Machine::new(), None).tracked(), None);
}

#[test]
fn a_same_content_update_that_is_killed_anywhere_keeps_no_ref_too_many_after_a_reconcile() {
    let (machine, mut place, id) = running_machine();
    place.push(&System::new("1"), "rebuilt");
    let verb = |target: &Target| -> Result<(), DeployError> {
        let (options, control) = (ImportOptions::default(), Control::new());
        let imported = import_image(&target.repository, &place, REFERENCE, &options, &control)?;
        let request = update_request(REFERENCE, &imported, Some(id), STAGE, 1_700_000_100)?;
        apply(target, &plan_update(target, &request)?, &control).map(drop)
    };
    let tags = |machine: &Machine| {
        let refs = machine.target().repository.refs(Place::Streams).unwrap();
        let tags = refs.iter().filter_map(|(name, _)| name.to_oci());
        tags.filter(|name| name.starts_with("localhost/bootc-")).collect::<Vec<_>>()
    };
    let expected = {
        let whole = machine.copy();
        verb(&whole.target()).unwrap();
        assert!(plan_reconcile(&whole.target(), Some(&id)).unwrap().is_empty());
        tags(&whole)
    };
    let mut left = 0;
    let points = fail_at_every_call(&machine, Failure::KILLED, verb, |machine, place| {
        verb(&machine.target()).unwrap_or_else(|error| panic!("a rerun, {place}: {error}"));
        left += usize::from(tags(machine) != expected);
        run(machine, &plan_reconcile(&machine.target(), Some(&id)).unwrap());
        assert_eq!(tags(machine), expected, "{place}");
    });
    assert!(points > 30 && left > 0, "{points} points, {left} of which left a ref");
}

#[test]
fn an_update_that_was_cut_before_its_entry_is_ended_by_the_next_though_nothing_is_new() {
    let (machine, place, _) = running_machine();
    let next = Published::of(&System::new("2"));
    let (_, id) = update(&machine, None, &next, Finalise::Now);
    let target = machine.target();
    let entry_of = |id: &DeploymentId| {
        let entries = target.esps[0].entries().unwrap();
        entries.into_iter().find_map(|found| match found {
            sealstone_boot::FoundEntry::Entry(name, entry) => {
                (entry.sealstone_id() == Some(&id.to_string())).then_some(name)
            }
            sealstone_boot::FoundEntry::Broken { .. } => None,
        })
    };
    let unchanged = || {
        let found = check(&machine, None, &next);
        assert_eq!(found.verdict, Verdict::Current);
        plan_unchanged(&machine.target(), &standing(&machine, None), &found, None).unwrap()
    };
    assert_eq!(unchanged(), None);
    target.esps[0].remove_entry(&entry_of(&id).unwrap()).unwrap();
    run(&machine, &unchanged().unwrap());
    assert!(entry_of(&id).is_some());
    assert_eq!(unchanged(), None);
    drop(place);
}

#[test]
fn an_update_without_anything_new_looks_at_the_machine_once() {
    let (machine, place, id) = running_machine();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let target = Machine::target_on(&disk, machine.root()).unwrap();
    recording.clear();
    let standing = Standing::read(&target, Some(&id)).unwrap();
    assert_eq!((standing.tracked().map(|record| record.id), standing.fallback()), (Some(id), None));
    let (options, control) = (ImportOptions::default(), Control::new());
    let mut check = check_update(&target, &standing, REFERENCE, &place, &options).unwrap();
    let nobody = |_: &BoundReference| panic!("nothing is bound");
    check_bound(&target, &standing, &mut check, &place, &nobody, &options, &control).unwrap();
    assert_eq!(
        (check.verdict, plan_unchanged(&target, &standing, &check, Some(&id)).unwrap()),
        (Verdict::Current, None)
    );
    let calls = recording.log().len();
    println!("{calls} calls for an update without anything new");
    let lists = |name: &str| {
        let log = recording.log();
        log.iter().filter(|call| call.name == "ReadDir" && call.path.ends_with(name)).count()
    };
    assert_eq!((lists("deployments"), lists("entries")), (1, 1));
    recording.clear();
    Standing::read(&target, Some(&id)).unwrap();
    assert_eq!(recording.log().len(), calls, "nothing but that look");
}
