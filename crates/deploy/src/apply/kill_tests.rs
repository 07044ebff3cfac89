//! Every verb killed, failing or losing power at any call: what ran boots, and a rerun comes to the same end.
//!
//! Each case runs a verb on a machine whose disk fails at the Nth call, for N from 0 until the verb comes through; or cuts
//! the power at each point of the verb's writes. The counts are in `docs/proof.md`.

use std::path::Path;

use sealstone_boot::{FoundEntry, SIDE_BY_SIDE};
use sealstone_store::{Control, GcOptions, disk::RealDisk};

use crate::{
    DeployError, DeployRequest, DeploymentId, Finalise, ImageId, Plan, Retention, StagedWish, Target, apply,
    kargs::{KargsEdit, KargsOwner},
    plan_deploy, plan_finalize, plan_kargs, plan_pin, plan_prune, plan_reconcile, plan_remove, plan_rollback,
    testing::{
        Entry, Failure, LARGE, Machine, System, bootable, cut_at_every_point, end_state, fail_at_every_call,
        file,
    },
};

/// A machine with three systems, one of which runs; a fourth that is imported; perhaps one that is staged.
pub(super) struct Case {
    pub(super) machine: Machine,
    pub(super) systems: [DeployRequest; 4],
    /// The newest runs, but where it waits for its first boot.
    running: usize,
}

impl Case {
    pub(super) fn new(is_staged: bool) -> Self {
        Self::of(is_staged, Vec::new())
    }

    /// The fourth system has an initramfs that is written beside its state.
    fn large() -> Self {
        let initramfs = "initramfs 4 ".repeat(LARGE);
        assert!(initramfs.len() as u64 > SIDE_BY_SIDE);
        Self::of(false, vec![file("usr/lib/modules/6.12/initramfs.img", &initramfs)])
    }

    /// The second system runs, and the third waits for its first boot. All say the same version, so that their entries want
    /// each other's names.
    pub(super) fn waiting() -> Self {
        let machine = Machine::new();
        let systems = ["1", "2", "3", "4"]
            .map(|version| machine.import(&System { os_version: "13", ..System::new(version) }));
        let case = Self { machine, systems, running: 1 };
        for system in &case.systems[..2] {
            case.machine.deploy(system);
        }
        let request = DeployRequest { running: Some(case.id(1)), ..case.systems[2].clone() };
        case.machine.deploy(&request);
        case
    }

    fn of(is_staged: bool, more: Vec<Entry>) -> Self {
        let machine = Machine::new();
        let [one, two, three] = ["1", "2", "3"].map(|version| machine.import(&System::new(version)));
        let systems = [one, two, three, machine.import(&System { more, ..System::new("4") })];
        for system in &systems[..3] {
            machine.deploy(system);
        }
        let case = Self { machine, systems, running: 2 };
        if is_staged {
            case.stage(&case.machine.target()).unwrap();
        }
        case
    }

    fn id(&self, number: usize) -> DeploymentId {
        DeploymentId::new(self.systems[number].image, 0)
    }

    fn running(&self) -> DeploymentId {
        self.id(self.running)
    }

    /// What may boot by default once a verb was begun that leaves this.
    pub(super) fn defaults(&self, end: &Path) -> [ImageId; 2] {
        [self.machine.root(), end].map(|root| bootable(root)[0])
    }

    pub(super) fn stage(&self, target: &Target) -> Result<(), DeployError> {
        let finalise = Finalise::AtShutdown { locked: false };
        let request = DeployRequest { finalise, running: Some(self.running()), ..self.systems[3].clone() };
        run(target, &plan_deploy(target, &request)?)
    }

    pub(super) fn deploy(&self, target: &Target) -> Result<(), DeployError> {
        let retention = Retention { count: Some(3), ..Retention::default() };
        let request = DeployRequest { retention, running: Some(self.running()), ..self.systems[3].clone() };
        run(target, &plan_deploy(target, &request)?)
    }

    pub(super) fn finalize(&self, target: &Target) -> Result<(), DeployError> {
        run(target, &plan_finalize(target, Some(&self.running()), &StagedWish::default())?)
    }

    /// To the second system; once that boots first, another rollback would lead back.
    pub(super) fn rollback(&self, target: &Target) -> Result<(), DeployError> {
        let is_done = target.esps[0].entries()?.iter().any(|found| {
            let FoundEntry::Entry(name, entry) = found else { return false };
            name.as_str() == "bootc_debian-2-1.conf" && entry.is_bootable()
        });
        if is_done {
            return run(target, &plan_reconcile(target, Some(&self.running()))?);
        }
        run(target, &plan_rollback(target, Some(&self.running()))?)
    }

    /// Other arguments for the system that boots next: its entry is rewritten.
    pub(super) fn kargs(&self, target: &Target) -> Result<(), DeployError> {
        let edit = KargsEdit::Set(vec!["debug".parse().unwrap()]);
        run(target, &plan_kargs(target, &KargsOwner::Caller, &edit, Some(&self.running()))?)
    }

    fn pin(&self, target: &Target) -> Result<(), DeployError> {
        run(target, &plan_pin(target, &self.id(0), true, Some(&self.running()))?)
    }

    pub(super) fn prune(&self, target: &Target) -> Result<(), DeployError> {
        let retention = Retention { count: Some(2), ..Retention::default() };
        run(target, &plan_prune(target, &retention, Some(&self.running()), 1_700_000_000)?)
    }

    /// A removal and the collection of what only it needed.
    pub(super) fn gc(&self, target: &Target) -> Result<(), DeployError> {
        if target.sysroot.records()?.0.iter().any(|record| record.id == self.id(0)) {
            run(target, &plan_remove(target, &self.id(0), Some(&self.running()))?)?;
        }
        target.repository.gc(&GcOptions::default(), &Control::new())?;
        Ok(())
    }
}

pub(super) type Verb = fn(&Case, &Target) -> Result<(), DeployError>;

fn run(target: &Target, plan: &Plan) -> Result<(), DeployError> {
    apply(target, plan, &Control::new()).map(drop)
}

/// What must boot after a verb, whatever became of it: the running system and the one beside it.
pub(super) fn lost(case: &Case, root: &Path) -> Option<String> {
    let boots = bootable(root);
    let missing = [1, 2].into_iter().find(|number| !boots.contains(&case.systems[*number].image));
    missing.map(|number| format!("system {} does not boot", number + 1))
}

/// Fails a verb at each call in turn; the system that ran boots, and a rerun comes to the end of an undisturbed run.
fn fail_everywhere(name: &str, is_staged: bool, verb: Verb) {
    fail_everywhere_in(name, &Case::new(is_staged), verb);
}

fn fail_everywhere_in(name: &str, case: &Case, verb: Verb) {
    let (expected, defaults) = {
        let whole = case.machine.copy();
        verb(case, &whole.target()).unwrap();
        (end_state(whole.root()), case.defaults(whole.root()))
    };
    for failure in Failure::ALL {
        let points = fail_at_every_call(
            &case.machine,
            failure,
            |target| verb(case, target),
            |machine, place| {
                let place = format!("{name}, {place}");
                assert_eq!(lost(case, machine.root()), None, "{place}");
                assert!(defaults.contains(&bootable(machine.root())[0]), "a third system boots: {place}");
                verb(case, &machine.target()).unwrap_or_else(|error| panic!("a rerun of {place}: {error}"));
                let end = end_state(machine.root());
                let differs = expected.iter().find(|(path, text)| end.get(*path) != Some(*text));
                assert!(differs.is_none() && end.len() == expected.len(), "a rerun of {place}: {differs:?}");
            },
        );
        println!("{name}: {}: {points} points", failure.name);
        assert!(points > 5, "{name} failed only {points} times");
    }
}

/// Cuts the power at each point of a verb's writes: the system that ran boots, a rerun succeeds, all comes to rest.
fn cut_everywhere(name: &str, is_staged: bool, verb: Verb) {
    cut_everywhere_in(name, &Case::new(is_staged), verb);
}

fn cut_everywhere_in(name: &str, case: &Case, verb: Verb) {
    let whole = case.machine.copy();
    verb(case, &whole.target()).unwrap();
    let defaults = case.defaults(whole.root());
    let states = cut_at_every_point(
        &case.machine,
        |target| verb(case, target),
        |root, cut| {
            let place = format!("{name}, {cut}");
            assert_eq!(lost(case, root), None, "{place}");
            assert!(defaults.contains(&bootable(root)[0]), "a third system boots: {place}");
            if cut.is_after {
                assert_eq!(bootable(root), bootable(whole.root()), "what was acknowledged is lost: {place}");
            }
            let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
            verb(case, &target).unwrap_or_else(|error| panic!("a rerun of {place}: {error}"));
            assert_eq!(lost(case, root), None, "a rerun of {place}");
            assert!(plan_reconcile(&target, Some(&case.running())).unwrap().is_empty(), "{place}");
        },
    );
    println!("{name}: power cut: {states} states");
    assert!(states > 10, "{name} has only {states} states");
}

#[test]
fn a_deploy_that_prunes_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("deploy", false, Case::deploy);
}

#[test]
fn a_deploy_that_writes_a_kernel_beside_a_state_fails_at_any_call_and_the_old_system_boots() {
    fail_everywhere_in("deploy, large kernel", &Case::large(), Case::deploy);
}

#[test]
fn a_deploy_that_writes_a_kernel_beside_a_state_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere_in("deploy, large kernel", &Case::large(), Case::deploy);
}

#[test]
fn a_deploy_in_place_of_what_waits_fails_at_any_call_and_no_third_system_boots() {
    fail_everywhere_in("deploy, one waits", &Case::waiting(), Case::deploy);
}

#[test]
fn a_deploy_in_place_of_what_waits_loses_power_at_any_point_and_no_third_system_boots() {
    cut_everywhere_in("deploy, one waits", &Case::waiting(), Case::deploy);
}

#[test]
fn an_update_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("update", false, Case::stage);
}

#[test]
fn a_finalisation_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("finalize", true, Case::finalize);
}

#[test]
fn a_rollback_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("rollback", true, Case::rollback);
}

#[test]
fn a_pin_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("pin", false, Case::pin);
}

#[test]
fn a_change_of_kernel_arguments_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("kargs", false, Case::kargs);
}

#[test]
fn a_change_of_kernel_arguments_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("kargs", false, Case::kargs);
}

#[test]
fn a_prune_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("prune", false, Case::prune);
}

#[test]
fn a_removal_with_gc_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("gc", false, Case::gc);
}

#[test]
fn a_deploy_that_prunes_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("deploy", false, Case::deploy);
}

#[test]
fn an_update_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("update", false, Case::stage);
}

#[test]
fn a_finalisation_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("finalize", true, Case::finalize);
}

#[test]
fn a_rollback_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("rollback", true, Case::rollback);
}

#[test]
fn a_prune_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("prune", false, Case::prune);
}

#[test]
fn a_removal_with_gc_loses_power_at_any_point_and_the_old_system_boots() {
    cut_everywhere("gc", false, Case::gc);
}
