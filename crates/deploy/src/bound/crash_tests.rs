//! Deploys with bound images, with the fetching of those, that are killed, find the disk full or lose power at any call: the old
//! system boots with all that it binds, nothing boots without what it binds, a rerun ends the same. The counts are in
//! `docs/proof.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use sealstone_store::{Control, FsckDepth, GcOptions, disk::RealDisk};

use super::{
    checked_bound_condition,
    testing::{Shelf, fetch, fetched},
};
use crate::{
    DeployError, DeployRequest, DeploymentId, ImageId, Target, plan_reconcile,
    testing::{
        Entry, Failure, Machine, System, bootable, cut_at_every_point, deploy_on, end_state,
        fail_at_every_call, file, whiteout,
    },
};

/// A machine with an old system, which binds one image; and a new system, which binds another that has files in common with it.
struct Case {
    machine: Machine,
    shelf: Shelf,
    old: DeployRequest,
    new: DeployRequest,
}

impl Case {
    fn new() -> Self {
        let (machine, mut shelf) = (Machine::new(), Shelf::new());
        let base: Vec<Entry> = vec![file("base", &"base ".repeat(40)), file("gone", "x")];
        let top = |text: &str| vec![whiteout(".wh.gone"), file("app", &format!("{text} ").repeat(40))];
        shelf.put("q.io/a:1", &[base.clone(), top("old")]);
        shelf.put("q.io/b:1", &[base, top("new")]);
        let bound = fetched(&machine.target().repository, &shelf, &["q.io/a:1"]);
        let old = DeployRequest { bound, ..machine.import(&System::new("1")) };
        machine.deploy(&old);
        let new = machine.import(&System::new("2"));
        Self { machine, shelf, old, new }
    }

    /// Fetches what the new system binds, and deploys it.
    fn deploy(&self, target: &Target) -> Result<(), DeployError> {
        let fetched = fetch(&target.repository, &self.shelf, &["q.io/b:1"])?;
        // Held until the deployment refers to them.
        let request = DeployRequest { bound: fetched.images.clone(), ..self.new.clone() };
        deploy_on(target, &request).map(drop)
    }

    fn images(&self) -> BTreeSet<ImageId> {
        [self.old.image, self.new.image].into()
    }

    /// What boots, as a boot loader and an initramfs see it: the old system does. Each that does has all that it binds, every
    /// object of it in the repository and every file of its image store as `expected` has it.
    fn check(&self, root: &Path, expected: &BTreeMap<String, String>, place: &str) -> BTreeSet<ImageId> {
        let boots: BTreeSet<ImageId> = bootable(root).into_iter().collect();
        assert!(boots.contains(&self.old.image), "the old system does not boot, {place}");
        let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
        let records = target.sysroot.records().unwrap().0;
        let now = end_state(root);
        for image in &boots {
            let id = DeploymentId::new(*image, 0);
            let record = records.iter().find(|record| record.id == id).unwrap();
            let condition =
                checked_bound_condition(&target.sysroot, &target.repository, record, &Control::new())
                    .unwrap();
            let condition = condition.expect("it binds an image");
            assert!(condition.is_complete(), "{id} may boot without {condition:?}, {place}");
            let folder = format!("sysroot/state/deploy/{id}/bound/");
            let of = |state: &BTreeMap<String, String>| -> BTreeMap<String, String> {
                let files = state.iter().filter(|(path, _)| path.starts_with(&folder));
                files.map(|(path, text)| (path.clone(), text.clone())).collect()
            };
            assert!(!of(expected).is_empty(), "{folder}");
            assert_eq!(of(&now), of(expected), "the image store of {id}, {place}");
        }
        boots
    }

    /// Runs the deploy again, to its end.
    fn again(&self, root: &Path, expected: &BTreeMap<String, String>, place: &str) -> Target {
        let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
        self.deploy(&target).unwrap_or_else(|error| panic!("a rerun, {place}: {error}"));
        assert_eq!(self.check(root, expected, place), self.images(), "a rerun, {place}");
        target
    }

    /// The state of an undisturbed run.
    fn expected(&self) -> BTreeMap<String, String> {
        let whole = self.machine.copy();
        self.deploy(&whole.target()).unwrap();
        end_state(whole.root())
    }
}

fn fail_everywhere(failure: Failure) {
    let case = Case::new();
    let expected = case.expected();
    let mut seen = 0;
    let points = fail_at_every_call(
        &case.machine,
        failure,
        |target| case.deploy(target),
        |machine, place| {
            case.check(machine.root(), &expected, place);
            let target = case.again(machine.root(), &expected, place);
            // Nothing that a deployment needs goes, and all that is left is whole. It is the same after most calls.
            seen += 1;
            if seen % 16 == 1 {
                target.repository.gc(&GcOptions::default(), &Control::new()).unwrap();
                assert_eq!(case.check(machine.root(), &expected, place), case.images(), "gc, {place}");
            }
        },
    );
    println!("deploy with bound images: {}: {points} points", failure.name);
    assert!(points > 10, "{points}");
}

#[test]
fn a_deploy_with_bound_images_killed_at_any_change_leaves_the_old_system_and_ends_the_same() {
    fail_everywhere(Failure::KILLED);
}

#[test]
fn a_deploy_with_bound_images_that_fails_at_any_call_goes_on_to_the_same_end() {
    fail_everywhere(Failure::EIO_ONCE);
}

#[test]
fn a_full_disk_at_any_write_leaves_the_old_system_with_what_it_binds() {
    fail_everywhere(Failure::NO_SPACE);
}

#[test]
fn a_deploy_with_bound_images_loses_power_at_any_point_and_nothing_boots_without_what_it_binds() {
    let case = Case::new();
    let expected = case.expected();
    let mut with_new = 0;
    let states = cut_at_every_point(
        &case.machine,
        |target| case.deploy(target),
        |root, cut| {
            let place = cut.to_string();
            let boots = case.check(root, &expected, &place);
            with_new += usize::from(boots.len() == 2);
            assert!(boots.len() == 2 || !cut.is_after, "what was acknowledged is lost: {place}");
            let target = case.again(root, &expected, &place);
            assert!(plan_reconcile(&target, None).unwrap().is_empty(), "{place}");
            let damage = target.repository.fsck(FsckDepth::Everything, &Control::new()).unwrap().damage;
            assert!(damage.is_empty(), "{place}: {damage:?}");
        },
    );
    println!("deploy with bound images: power cut: {states} states, the new system boots in {with_new}");
    assert!(states > 100 && with_new > 0 && with_new < states, "{states}, {with_new}");
}

#[test]
fn what_a_removed_deployment_bound_goes_with_the_next_gc() {
    let case = Case::new();
    let expected = case.expected();
    let target = case.machine.target();
    case.deploy(&target).unwrap();
    let bound = |id: &DeploymentId| {
        let records = target.sysroot.records().unwrap().0;
        records.into_iter().find(|record| record.id == *id).unwrap().bound
    };
    let (old, new) = (DeploymentId::new(case.old.image, 0), DeploymentId::new(case.new.image, 0));
    let (of_old, of_new) = (bound(&old), bound(&new));
    let plan = crate::plan_remove(&target, &old, None).unwrap();
    crate::apply(&target, &plan, &Control::new()).unwrap();
    target.repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    assert!(!of_old[0].is_stored(&target.repository).unwrap());
    assert!(of_new[0].is_stored(&target.repository).unwrap());
    assert!(!case.machine.path(&format!("sysroot/state/deploy/{old}")).exists());
    let kept = end_state(case.machine.root());
    let image_store = format!("sysroot/state/deploy/{new}/bound/");
    let files = |state: &BTreeMap<String, String>| {
        state
            .iter()
            .filter(|(path, _)| path.starts_with(&image_store))
            .map(|(_, text)| text.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(files(&kept), files(&expected));
}
