//! Deploys with bound images that are killed or find the disk full at any call: the old system stays, a rerun ends the same.

use sealstone_store::{Control, GcOptions};

use super::testing::{Shelf, fetched};
use crate::{
    DeployRequest, DeploymentId, State, Target, status,
    testing::{Entry, Failure, Machine, System, deploy_on, fail_at_every_call, file, whiteout},
};

/// A machine with an old system, which binds one image, and the request for a new one, which binds another.
fn updatable() -> (Machine, DeployRequest, DeployRequest) {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let base: Vec<Entry> = vec![file("base", &"base ".repeat(40)), file("gone", "x")];
    let top = |text: &str| vec![whiteout(".wh.gone"), file("app", text)];
    shelf.put("q.io/a:1", &[base.clone(), top("old")]);
    shelf.put("q.io/b:1", &[base, top("new")]);
    let bound = |request: DeployRequest, reference: &str| {
        let bound = fetched(&machine.target().repository, &shelf, &[reference]);
        DeployRequest { bound, ..request }
    };
    let old = bound(machine.import(&System::new("1")), "q.io/a:1");
    machine.deploy(&old);
    let new = bound(machine.import(&System::new("2")), "q.io/b:1");
    (machine, old, new)
}

/// The deployments that boot, each with all that it binds; one that has an entry has to have the rest.
fn whole(machine: &Machine) -> Vec<DeploymentId> {
    let status = status(&machine.target(), None).unwrap();
    let deployed = status.deployments.iter().filter(|found| found.record.state == State::Deployed);
    let ids = deployed.map(|found| {
        let bound = found.bound.as_ref().expect("it binds an image");
        assert!(bound.is_complete(), "{} may boot without {bound:?}", found.record.id);
        found.record.id
    });
    ids.collect()
}

fn fail_everywhere(failure: Failure) {
    let (machine, old, new) = updatable();
    let ids = [DeploymentId::new(new.image, 0), DeploymentId::new(old.image, 0)];
    let mut seen = 0;
    let deploy = |target: &Target| deploy_on(target, &new).map(drop);
    let points = fail_at_every_call(&machine, failure, deploy, |machine, place| {
        assert!(whole(machine).contains(&ids[1]), "the old system is gone, {place}");
        machine.deploy(&new);
        assert_eq!(whole(machine), ids, "a rerun, {place}");
        // Nothing that a deployment needs goes, and all that is left is whole. It is the same after most calls.
        seen += 1;
        if seen % 16 == 1 {
            machine.target().repository.gc(&GcOptions::default(), &Control::new()).unwrap();
            assert_eq!(whole(machine), ids, "gc after a rerun, {place}");
        }
    });
    assert!(points > 30, "{points}");
}

#[test]
fn a_deploy_with_bound_images_that_fails_at_any_call_goes_on_to_the_same_end() {
    fail_everywhere(Failure { stays: true, ..Failure::EIO_ONCE });
}

#[test]
fn a_full_disk_at_any_write_leaves_the_old_system_with_what_it_binds() {
    fail_everywhere(Failure::NO_SPACE);
}

#[test]
fn what_a_removed_deployment_bound_goes_with_the_next_gc() {
    let (machine, old, new) = updatable();
    machine.deploy(&new);
    let target = machine.target();
    let id = DeploymentId::new(old.image, 0);
    let plan = crate::plan_remove(&target, &id, None).unwrap();
    crate::apply(&target, &plan, &Control::new()).unwrap();
    target.repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    assert!(!old.bound[0].is_stored(&target.repository).unwrap());
    assert!(new.bound[0].is_stored(&target.repository).unwrap());
    assert_eq!(whole(&machine), [DeploymentId::new(new.image, 0)]);
    assert!(!machine.path(&format!("sysroot/state/deploy/{id}")).exists());
}
