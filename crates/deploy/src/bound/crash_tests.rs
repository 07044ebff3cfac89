//! Deploys with bound images that are killed or find the disk full at any call: the old system stays, a rerun ends the same.

use std::sync::Arc;

use rustix::io::Errno;
use sealstone_store::{
    Control, GcOptions,
    disk::{Call, Disk, FailingDisk, RealDisk},
};

use super::testing::{Shelf, fetched};
use crate::{
    DeployRequest, DeploymentId, State, status,
    testing::{Entry, Machine, System, deploy_on, file, whiteout},
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

fn fail_everywhere(errno: Errno, picks: fn(&Call<'_>) -> bool) {
    let (machine, old, new) = updatable();
    let ids = [DeploymentId::new(new.image, 0), DeploymentId::new(old.image, 0)];
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
        assert!(whole(&machine).contains(&ids[1]), "the old system is gone at call {nth}: {result:?}");
        machine.deploy(&new);
        assert_eq!(whole(&machine), ids, "a rerun after call {nth}");
        // Nothing that a deployment needs goes, and all that is left is whole. It is the same after most calls.
        if nth % 16 != 0 {
            continue;
        }
        machine.target().repository.gc(&GcOptions::default(), &Control::new()).unwrap();
        assert_eq!(whole(&machine), ids, "gc after a rerun after call {nth}");
    }
}

#[test]
fn a_deploy_with_bound_images_that_is_killed_anywhere_goes_on_to_the_same_end() {
    fail_everywhere(Errno::IO, |_| true);
}

#[test]
fn a_full_disk_at_any_write_leaves_the_old_system_with_what_it_binds() {
    fail_everywhere(Errno::NOSPC, |call| {
        matches!(
            call,
            Call::Write { .. }
                | Call::CreateNew { .. }
                | Call::CreateDir { .. }
                | Call::Symlink { .. }
                | Call::Rename { .. }
        )
    });
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
