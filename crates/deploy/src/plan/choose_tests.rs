//! Any deployment that is kept can be chosen to boot next.

use super::*;
use crate::{
    DeployError, DeploymentId, State, Target, apply, status,
    testing::{Machine, System},
};
use sealstone_store::Control;

fn machine(versions: &[&str]) -> (Machine, Vec<DeploymentId>) {
    let machine = Machine::new();
    let deploy = |version: &&str| {
        let request = machine.import(&System::new(version));
        machine.deploy(&request);
        DeploymentId::new(request.image, 0)
    };
    let ids = versions.iter().map(deploy).collect();
    (machine, ids)
}

fn menu(target: &Target) -> Vec<DeploymentId> {
    status(target, None).unwrap().deployments.iter().map(|deployment| deployment.record.id).collect()
}

fn choose(target: &Target, id: &DeploymentId, running: Option<&DeploymentId>) -> Plan {
    let plan = plan_choose(target, id, running).unwrap();
    apply(target, &plan, &Control::new()).unwrap();
    plan
}

#[test]
fn the_oldest_of_several_boots_next_with_its_own_etc_and_what_runs_after_it() {
    let (machine, ids) = machine(&["1", "2", "3", "4"]);
    let target = machine.target();
    let etc = |id: &DeploymentId| format!("sysroot/state/deploy/{id}/etc/mine");
    std::fs::write(machine.path(&etc(&ids[0])), "old").unwrap();
    std::fs::write(machine.path(&etc(&ids[3])), "new").unwrap();
    let plan = choose(&target, &ids[0], Some(&ids[2]));
    assert_eq!(menu(&target), [ids[0], ids[2], ids[3], ids[1]]);
    assert!(plan.deployments.added.is_empty(), "no copy is made");
    assert_eq!(machine.read(&etc(&ids[0])), "old");
    assert!(choose(&target, &ids[0], Some(&ids[2])).is_empty(), "the second time changes nothing");
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}

#[test]
fn what_is_staged_is_discarded_by_a_choice_and_cannot_be_chosen_itself() {
    let (machine, ids) = machine(&["1", "2"]);
    let target = machine.target();
    let staged = DeployRequest {
        finalise: Finalise::AtShutdown { locked: false },
        running: Some(ids[1]),
        ..machine.import(&System::new("3"))
    };
    machine.deploy(&staged);
    let waiting = DeploymentId::new(staged.image, 0);
    assert!(matches!(plan_choose(&target, &waiting, None), Err(DeployError::Invalid { .. })));
    let plan = choose(&target, &ids[0], Some(&ids[1]));
    assert_eq!(plan.deployments.pruned.iter().map(|pruned| pruned.id).collect::<Vec<_>>(), [waiting]);
    assert_eq!(menu(&target), [ids[0], ids[1]]);
}

#[test]
fn what_lost_its_image_is_not_chosen_and_what_was_given_up_is_tried_again() {
    let (machine, ids) = machine(&["1", "2", "3"]);
    let target = machine.target();
    let lost = machine.path(&format!("sysroot/composefs/images/{}", ids[0].image()));
    std::fs::remove_file(lost).unwrap();
    let refused = plan_choose(&target, &ids[0], None).unwrap_err();
    assert!(refused.to_string().contains("its image is lost"), "{refused}");
    let path = machine.path(&format!("sysroot/state/sealstone/deployments/{}.json", ids[1]));
    let text = std::fs::read_to_string(&path).unwrap();
    let given_up = "\"broken\": \"the boot loader gave it up after 3 tries\",\n  \"serial\"";
    std::fs::write(&path, text.replacen("\"serial\"", given_up, 1)).unwrap();
    choose(&target, &ids[1], Some(&ids[2]));
    let record = target.sysroot.records().unwrap().0.into_iter().find(|record| record.id == ids[1]).unwrap();
    assert_eq!((record.broken, record.state), (None, State::Deployed));
    assert_eq!(menu(&target)[..2], [ids[1], ids[2]]);
}
