//! Every verb killed, failing or losing power at any call: what ran boots, and a rerun comes to the same end.
//!
//! Each case runs a verb on a machine whose disk fails at the Nth call, for N from 0 until the verb comes through; or cuts
//! the power at each point of the verb's writes. The counts are in `docs/proof.md`.

use std::{path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_boot::FoundEntry;
use sealstone_store::{
    Control, GcOptions,
    disk::{Call, Disk, FailingDisk, Fate, PowerCutDisk, RealDisk},
};

use super::crash_tests::{bootable, end_state};
use crate::{
    DeployError, DeployRequest, DeploymentId, Finalise, Plan, Retention, Target, apply, plan_deploy,
    plan_finalize, plan_pin, plan_prune, plan_reconcile, plan_remove, plan_rollback,
    testing::{Machine, System},
};

/// A machine with three systems, the newest of which runs; a fourth that is imported; perhaps one that is staged.
struct Case {
    machine: Machine,
    systems: [DeployRequest; 4],
}

impl Case {
    fn new(is_staged: bool) -> Self {
        let machine = Machine::new();
        let systems = ["1", "2", "3", "4"].map(|version| machine.import(&System::new(version)));
        for system in &systems[..3] {
            machine.deploy(system);
        }
        let case = Self { machine, systems };
        if is_staged {
            case.stage(&case.machine.target()).unwrap();
        }
        case
    }

    fn id(&self, number: usize) -> DeploymentId {
        DeploymentId::new(self.systems[number].image, 0)
    }

    fn stage(&self, target: &Target) -> Result<(), DeployError> {
        let finalise = Finalise::AtShutdown { locked: false };
        let request = DeployRequest { finalise, running: Some(self.id(2)), ..self.systems[3].clone() };
        run(target, &plan_deploy(target, &request)?)
    }

    fn deploy(&self, target: &Target) -> Result<(), DeployError> {
        let retention = Retention { count: Some(3), ..Retention::default() };
        let request = DeployRequest { retention, running: Some(self.id(2)), ..self.systems[3].clone() };
        run(target, &plan_deploy(target, &request)?)
    }

    fn finalize(&self, target: &Target) -> Result<(), DeployError> {
        run(target, &plan_finalize(target, Some(&self.id(2)), false)?)
    }

    /// To the second system; once that boots first, another rollback would lead back.
    fn rollback(&self, target: &Target) -> Result<(), DeployError> {
        let is_done = target.esps[0].entries()?.iter().any(|found| {
            let FoundEntry::Entry(name, entry) = found else { return false };
            name.as_str() == "bootc_debian-2-1.conf" && entry.is_bootable()
        });
        if is_done {
            return run(target, &plan_reconcile(target, Some(&self.id(2)))?);
        }
        run(target, &plan_rollback(target, Some(&self.id(2)))?)
    }

    fn pin(&self, target: &Target) -> Result<(), DeployError> {
        run(target, &plan_pin(target, &self.id(0), true, Some(&self.id(2)))?)
    }

    fn prune(&self, target: &Target) -> Result<(), DeployError> {
        let retention = Retention { count: Some(2), ..Retention::default() };
        run(target, &plan_prune(target, &retention, Some(&self.id(2)), 1_700_000_000)?)
    }

    /// A removal and the collection of what only it needed.
    fn gc(&self, target: &Target) -> Result<(), DeployError> {
        if target.sysroot.records()?.0.iter().any(|record| record.id == self.id(0)) {
            run(target, &plan_remove(target, &self.id(0), Some(&self.id(2)))?)?;
        }
        target.repository.gc(&GcOptions::default(), &Control::new())?;
        Ok(())
    }
}

type Verb = fn(&Case, &Target) -> Result<(), DeployError>;

fn run(target: &Target, plan: &Plan) -> Result<(), DeployError> {
    apply(target, plan, &Control::new()).map(drop)
}

/// What must boot after a verb, whatever became of it: the running system and the one before.
fn lost(case: &Case, root: &Path) -> Option<String> {
    let boots = bootable(root);
    let missing = [1, 2].into_iter().find(|number| !boots.contains(&case.systems[*number].image));
    missing.map(|number| format!("system {} does not boot", number + 1))
}

fn reads(call: &Call<'_>) -> bool {
    matches!(
        call,
        Call::OpenAmbient { .. }
            | Call::OpenDir { .. }
            | Call::OpenFile { .. }
            | Call::Read { .. }
            | Call::ReadDir { .. }
            | Call::ReadLink { .. }
            | Call::Metadata { .. }
            | Call::FileMetadata { .. }
    )
}

fn takes_space(call: &Call<'_>) -> bool {
    matches!(
        call,
        Call::Write { .. }
            | Call::CreateNew { .. }
            | Call::CreateTemp { .. }
            | Call::CreateDir { .. }
            | Call::Symlink { .. }
            | Call::Rename { .. }
    )
}

/// A kind of failure: its name, whether it stays, the error, and the calls that it may hit.
type Failure = (&'static str, bool, Errno, fn(&Call<'_>) -> bool);

const FAILURES: [Failure; 3] = [
    ("killed", true, Errno::IO, |call| !reads(call)),
    ("EIO once", false, Errno::IO, |_| true),
    ("no space", true, Errno::NOSPC, takes_space),
];

/// Fails a verb at each call in turn; the system that ran boots, and a rerun comes to the end of an undisturbed run.
fn fail_everywhere(name: &str, is_staged: bool, verb: Verb) {
    let case = Case::new(is_staged);
    let expected = {
        let whole = case.machine.copy();
        verb(&case, &whole.target()).unwrap();
        end_state(whole.root())
    };
    for (failure, sticky, errno, picks) in FAILURES {
        let mut points = 0;
        loop {
            let machine = case.machine.copy();
            let failing = FailingDisk::new(RealDisk::shared(), points, sticky, errno, picks);
            let disk: Arc<dyn Disk> = failing.clone();
            let result = Machine::target_on(&disk, machine.root()).and_then(|target| verb(&case, &target));
            drop(disk);
            if !failing.has_failed() {
                result.unwrap();
                break;
            }
            let place = format!("{name}, {failure} at call {points}: {result:?}");
            assert_eq!(lost(&case, machine.root()), None, "{place}");
            verb(&case, &machine.target()).unwrap_or_else(|error| panic!("a rerun of {place}: {error}"));
            let end = end_state(machine.root());
            let differs = expected.iter().find(|(path, text)| end.get(*path) != Some(*text));
            assert!(differs.is_none() && end.len() == expected.len(), "a rerun of {place}: {differs:?}");
            points += 1;
        }
        println!("{name}: {failure}: {points} points");
        assert!(points > 5, "{name} failed only {points} times");
    }
}

/// Cuts the power at each point of a verb's writes: the system that ran boots, a rerun succeeds, all comes to rest.
fn cut_everywhere(name: &str, is_staged: bool, verb: Verb) {
    let case = Case::new(is_staged);
    let power = PowerCutDisk::new(RealDisk::shared(), case.machine.root());
    let disk: Arc<dyn Disk> = power.clone();
    verb(&case, &Machine::target_on(&disk, case.machine.root()).unwrap()).unwrap();
    let after = tempfile::tempdir_in(case.machine.root().parent().unwrap()).unwrap();
    let mut states = 0;
    for point in 0..=power.len() {
        for fate in [Fate::AllLand, Fate::NoneLands, Fate::Seeded(point as u64)] {
            let root = after.path().join(format!("{point}-{states}"));
            power.materialise(point, fate, &root);
            let place = format!("{name}, cut at {point}, {fate:?}");
            assert_eq!(lost(&case, &root), None, "{place}");
            let target = Machine::target_on(&RealDisk::shared(), &root).unwrap();
            verb(&case, &target).unwrap_or_else(|error| panic!("a rerun of {place}: {error}"));
            assert_eq!(lost(&case, &root), None, "a rerun of {place}");
            assert!(plan_reconcile(&target, Some(&case.id(2))).unwrap().is_empty(), "{place}");
            std::fs::remove_dir_all(&root).unwrap();
            states += 1;
        }
    }
    println!("{name}: power cut: {states} states");
    assert!(states > 10, "{name} has only {states} states");
}

#[test]
fn a_deploy_that_prunes_fails_at_any_call_and_the_old_system_boots_and_a_rerun_converges() {
    fail_everywhere("deploy", false, Case::deploy);
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
