//! Verbs on systems of bootc's, killed, failing or losing power at any call: what ran boots, and a rerun comes to the same
//! end. The verbs take over what bootc deployed. Counts: `docs/proof.md`.

use std::{collections::BTreeMap, path::Path};

use sealstone_boot::{FoundEntry, menu_order};
use sealstone_store::{Control, disk::RealDisk};

use crate::{
    DeployError, DeployRequest, DeploymentId, Finalise, ImageId, Plan, Retention, Target, apply, plan_deploy,
    plan_prune, plan_reconcile, plan_rollback,
    testing::{
        BootcBoots, Failure, Machine, System, bootable, cut_at_every_point, end_state, fail_at_every_call,
    },
};

/// A machine on which bootc deployed two systems or three, the newest of which runs, and one image more.
struct Case {
    machine: Machine,
    older: DeployRequest,
    newer: DeployRequest,
    next: DeployRequest,
}

impl Case {
    fn new(boots: BootcBoots, has_oldest: bool) -> Self {
        let machine = Machine::new();
        let import = |version| machine.import_whole(&System::new(version));
        let oldest = has_oldest.then(|| import("0"));
        let [older, newer, next] = ["1", "2", "3"].map(import);
        let deployed: Vec<&DeployRequest> = oldest.iter().chain([&older, &newer]).collect();
        for request in &deployed {
            machine.deploy(request);
        }
        machine.hand_to_bootc(&deployed, boots);
        Self { machine, older, newer, next }
    }

    /// Keeps the running system and the new one, so that all older ones go.
    fn deploy(&self, target: &Target) -> Result<(), DeployError> {
        let retention = Retention { count: Some(2), ..Retention::default() };
        let request = DeployRequest { retention, running: Some(self.running()), ..self.next.clone() };
        run(target, &plan_deploy(target, &request)?)
    }

    fn prune(&self, target: &Target) -> Result<(), DeployError> {
        let retention = Retention { count: Some(2), ..Retention::default() };
        run(target, &plan_prune(target, &retention, Some(&self.running()), 1_700_000_000)?)
    }

    fn running(&self) -> DeploymentId {
        DeploymentId::new(self.newer.image, 0)
    }

    fn stage(&self, target: &Target) -> Result<(), DeployError> {
        let finalise = Finalise::AtShutdown { locked: false };
        let request = DeployRequest { finalise, running: Some(self.running()), ..self.next.clone() };
        run(target, &plan_deploy(target, &request)?)
    }

    /// Once the older one boots first, another rollback would lead back.
    fn rollback(&self, target: &Target) -> Result<(), DeployError> {
        let older = DeploymentId::new(self.older.image, 0).to_string();
        let entries = target.esps[0].entries()?;
        let entries = entries.iter().filter_map(|found| match found {
            FoundEntry::Entry(name, entry) if entry.is_bootable() => Some((name, entry)),
            _ => None,
        });
        let first = entries.min_by(|a, b| menu_order(*a, *b));
        let running = self.running();
        if first.is_some_and(|(_, entry)| entry.sealstone_id() == Some(&older)) {
            return run(target, &plan_reconcile(target, Some(&running))?);
        }
        run(target, &plan_rollback(target, Some(&running))?)
    }
}

/// What does not boot of what has to after a verb, whatever became of it.
fn lost(root: &Path, stays: &[ImageId]) -> Vec<ImageId> {
    let boots = bootable(root);
    stays.iter().filter(|image| !boots.contains(image)).copied().collect()
}

type Verb = fn(&Case, &Target) -> Result<(), DeployError>;

fn run(target: &Target, plan: &Plan) -> Result<(), DeployError> {
    apply(target, plan, &Control::new()).map(drop)
}

/// Without the numbers of records: what was taken over before a kill and what after it have other ones than all of it taken
/// over at once. What they are for, the order of the menu, is in the entries.
fn without_numbers(mut state: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_number =
        |line: &&str| ["\"serial\":", "\"order\":"].iter().any(|key| line.trim().starts_with(key));
    for (_, text) in state.iter_mut().filter(|(path, _)| path.contains("sealstone/deployments/")) {
        *text = text.lines().filter(|line| !is_number(line)).collect::<Vec<_>>().join("\n");
    }
    state
}

/// Fails a verb, and cuts the power, everywhere: what stays boots throughout.
fn everywhere(name: &str, has_oldest: bool, stays: fn(&Case) -> Vec<ImageId>, verb: Verb) {
    for boots in [BootcBoots::Kernel, BootcBoots::Uki] {
        let case = Case::new(boots, has_oldest);
        let stays = stays(&case);
        assert_eq!(lost(case.machine.root(), &stays), [], "{boots:?}");
        let expected = {
            let whole = case.machine.copy();
            verb(&case, &whole.target()).unwrap();
            without_numbers(end_state(whole.root()))
        };
        for failure in Failure::ALL {
            let points = fail_at_every_call(
                &case.machine,
                failure,
                |target| verb(&case, target),
                |machine, place| {
                    let place = format!("{name} of {boots:?}, {place}");
                    assert_eq!(lost(machine.root(), &stays), [], "{place}");
                    verb(&case, &machine.target())
                        .unwrap_or_else(|error| panic!("a rerun of {place}: {error}"));
                    let end = without_numbers(end_state(machine.root()));
                    let differs = expected.iter().find(|(path, text)| end.get(*path) != Some(*text));
                    let more = end.keys().find(|path| !expected.contains_key(*path));
                    assert!(differs.is_none() && more.is_none(), "a rerun of {place}: {differs:?} {more:?}");
                },
            );
            println!("{name} of bootc's {boots:?}: {}: {points} points", failure.name);
            assert!(points > 5, "{name} failed only {points} times");
        }
        let states = cut_at_every_point(
            &case.machine,
            |target| verb(&case, target),
            |root, cut| {
                let place = format!("{name} of {boots:?}, {cut}");
                assert_eq!(lost(root, &stays), [], "{place}");
                let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
                verb(&case, &target).unwrap_or_else(|error| panic!("a rerun of {place}: {error}"));
                assert_eq!(lost(root, &stays), [], "a rerun of {place}");
                assert!(plan_reconcile(&target, Some(&case.running())).unwrap().is_empty(), "{place}");
            },
        );
        println!("{name} of bootc's {boots:?}: power cut: {states} states");
    }
}

/// The one that runs and the one before it.
fn both(case: &Case) -> Vec<ImageId> {
    vec![case.newer.image, case.older.image]
}

#[test]
fn an_update_that_is_staged_on_a_system_of_bootcs_leaves_both_systems_wherever_it_is_cut() {
    everywhere("update", false, both, Case::stage);
}

#[test]
fn a_rollback_of_a_system_of_bootcs_leaves_both_systems_wherever_it_is_cut() {
    everywhere("rollback", false, both, Case::rollback);
}

#[test]
fn a_deploy_that_prunes_what_bootc_deployed_leaves_what_runs_wherever_it_is_cut() {
    everywhere("deploy", true, |case| vec![case.newer.image], Case::deploy);
}

#[test]
fn a_prune_of_what_bootc_deployed_leaves_both_systems_wherever_it_is_cut() {
    everywhere("prune", true, both, Case::prune);
}
