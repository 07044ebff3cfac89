//! What waits and cannot be finalised: what is kept of that, what mends it, and that noting it takes no part of the failure.

use sealstone_store::Control;

use super::*;
use crate::{
    DeployError, DeployRequest, DeploymentId, EtcPolicy, Health, Target, apply, status,
    testing::{Failure, Machine, System, fail_at_every_call, file},
};

/// A machine that runs version 1 and has staged version 2, with a conflict in `/etc` that came later.
fn in_conflict(locked: bool) -> (Machine, DeploymentId, DeploymentId) {
    let machine = Machine::new();
    let one = machine.import(&System::new("1"));
    machine.deploy(&one);
    let running = DeploymentId::new(one.image, 0);
    let two = machine.import(&System { more: vec![file("etc/new/of-image", "2")], ..System::new("2") });
    let finalise = Finalise::AtShutdown { locked };
    machine.deploy(&DeployRequest { finalise, running: Some(running), ..two.clone() });
    std::fs::write(machine.path(&format!("sysroot/state/deploy/{running}/etc/new")), "of the machine")
        .unwrap();
    (machine, running, DeploymentId::new(two.image, 0))
}

fn rules(text: &str) -> StagedWish {
    StagedWish { etc: EtcPolicy { rules: vec![text.parse().unwrap()] }, ..StagedWish::default() }
}

fn run(target: &Target, plan: &Plan) {
    apply(target, plan, &Control::new()).unwrap();
}

fn note(target: &Target, reason: &str) -> Option<Plan> {
    plan_note_unfinalised(target, &StagedWish::default(), reason).unwrap()
}

#[test]
fn a_finalisation_that_fails_changes_nothing_and_its_reason_is_kept_until_it_is_mended() {
    let (machine, running, two) = in_conflict(false);
    let target = machine.target();
    let finalise = |wish: &StagedWish| plan_finalize(&target, Some(&running), wish).unwrap();
    let entries = machine.names("esp/loader/entries");
    let refused = apply(&target, &finalise(&StagedWish::default()), &Control::new()).unwrap_err();
    assert!(matches!(refused, DeployError::EtcConflict { .. }), "{refused}");
    assert_eq!(machine.names("esp/loader/entries"), entries);
    run(&target, &note(&target, &refused.to_string()).unwrap());
    assert_eq!(note(&target, &refused.to_string()), None, "that is known");
    let report = status(&target, Some(&running)).unwrap();
    let fallback = report.fallback.unwrap();
    assert_eq!(fallback.deployment, two);
    assert!(fallback.reason.contains("/etc/new"), "{}", fallback.reason);
    assert_eq!(report.deployments[1].health, Health::Broken(vec![fallback.reason]));
    assert!(report.deployments[0].health.is_good());

    // Rules of another path decide nothing, and are not written.
    let records = || target.sysroot.records().unwrap().0;
    let before = records();
    let plan = plan_restage(&target, &two, &rules("/etc/other=take-image"), Some(&running)).unwrap();
    assert!(plan.refusal().is_some());
    apply(&target, &plan, &Control::new()).unwrap_err();
    assert_eq!(records(), before);
    run(&target, &plan_restage(&target, &two, &rules("/etc/new=take-image"), Some(&running)).unwrap());
    assert_eq!(status(&target, Some(&running)).unwrap().fallback, None);
    // What is said at the end goes over what was said before.
    let plan = finalise(&rules("/etc/new=keep-local"));
    assert!(plan.refusal().is_none());
    run(&target, &plan);
    assert_eq!(machine.read(&format!("sysroot/state/deploy/{two}/etc/new")), "of the machine");
    let report = status(&target, Some(&two)).unwrap();
    assert!(report.fallback.is_none() && report.deployments.iter().all(|one| one.health.is_good()));
}

#[test]
fn what_was_only_downloaded_gets_no_reason_since_nobody_tried() {
    let (machine, running, _) = in_conflict(true);
    let target = machine.target();
    assert_eq!(note(&target, "no space left"), None);
    let unlocked = plan_note_unfinalised(&target, &StagedWish::unlocked(), "no space left").unwrap();
    assert!(unlocked.is_some());
    assert!(plan_finalize(&target, Some(&running), &StagedWish::default()).unwrap().is_empty());
}

#[test]
fn noting_a_failure_that_fails_itself_leaves_the_record_as_it_was_or_with_the_reason() {
    let (machine, ..) = in_conflict(false);
    let verb = |target: &Target| {
        let plan = plan_note_unfinalised(target, &StagedWish::default(), "no space left")?;
        plan.map_or(Ok(()), |plan| apply(target, &plan, &Control::new()).map(drop))
    };
    for failure in Failure::ALL {
        let failures = fail_at_every_call(&machine, failure, verb, |machine, what| {
            let (records, broken) = machine.target().sysroot.records().unwrap();
            assert!(broken.is_empty() && records.len() == 2, "{what}");
            let reasons: Vec<_> = records.iter().filter_map(|record| record.unfinalised.as_deref()).collect();
            assert!(reasons.is_empty() || reasons == ["no space left"], "{what}: {reasons:?}");
        });
        assert!(failures > 3, "{}", failure.name);
    }
}
