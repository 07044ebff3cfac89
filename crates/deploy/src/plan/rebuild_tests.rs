//! A record that is lost or unreadable comes back, or what is left of its deployment goes.

use std::fs;

use super::*;
use crate::{
    DeployError, DeploymentId, Record, Target, apply, find_deployment, status,
    testing::{Machine, System},
};
use sealstone_store::{Control, Place};

/// A machine with three systems, imported whole; the oldest first.
fn machine() -> (Machine, Vec<DeploymentId>) {
    let machine = Machine::new();
    let deploy = |version| {
        let request = machine.import_whole(&System::new(version));
        let kargs = vec!["root=UUID=1".parse().unwrap(), "quiet".parse().unwrap()];
        let reference = format!("docker://example.org/os:{version}");
        machine.deploy(&DeployRequest { reference, kargs, ..request.clone() });
        DeploymentId::new(request.image, 0)
    };
    let ids = ["1", "2", "3"].map(deploy).to_vec();
    (machine, ids)
}

fn path(machine: &Machine, id: &DeploymentId) -> std::path::PathBuf {
    machine.path(&format!("sysroot/state/sealstone/deployments/{id}.json"))
}

fn records(target: &Target) -> Vec<Record> {
    target.sysroot.records().unwrap().0
}

fn run(target: &Target, plan: &Plan) {
    apply(target, plan, &Control::new()).unwrap();
}

/// A record without what one that is made again cannot know: it is asked for again.
fn comparable(record: &Record) -> Record {
    let image = crate::DeployedImage { resolved: None, ..record.image.clone() };
    Record { time: 0, image, ..record.clone() }
}

#[test]
fn a_lost_or_unreadable_record_of_any_place_is_made_again_of_entry_and_origin() {
    let (machine, ids) = machine();
    let before = records(&machine.target());
    for id in &ids {
        for content in [None, Some("{"), Some("")] {
            let damaged = machine.copy();
            let target = damaged.target();
            match content {
                None => fs::remove_file(path(&damaged, id)).unwrap(),
                Some(text) => fs::write(path(&damaged, id), text).unwrap(),
            }
            let plan = plan_reconcile(&target, None).unwrap();
            assert!(plan.warnings.iter().any(|text| text.contains("made again")), "{:?}", plan.warnings);
            run(&target, &plan);
            let after: Vec<Record> = records(&target).iter().map(comparable).collect();
            assert_eq!(after, before.iter().map(comparable).collect::<Vec<_>>(), "{content:?}");
            let report = status(&target, None).unwrap();
            assert!(report.deployments.iter().all(|one| one.health.is_good()), "{report:#?}");
            assert!(report.broken_records.is_empty() && report.foreign_states.is_empty());
            assert!(plan_reconcile(&target, None).unwrap().is_empty());
        }
    }
}

#[test]
fn a_copy_of_a_deployment_gets_its_own_record_again() {
    let (machine, ids) = machine();
    let request = machine.import_whole(&System::new("3"));
    machine.deploy(&DeployRequest { kargs: vec!["debug".parse().unwrap()], ..request });
    let target = machine.target();
    let copy = DeploymentId::new(*ids[2].image(), 1);
    let before = records(&target);
    assert_eq!(before[0].id, copy);
    fs::remove_file(path(&machine, &copy)).unwrap();
    run(&target, &plan_reconcile(&target, None).unwrap());
    let after = records(&target);
    assert_eq!((after[0].id, &after[0].kargs, after[0].order), (copy, &before[0].kargs, before[0].order));
    assert_eq!(after.len(), 4);
}

#[test]
fn a_record_of_a_newer_version_is_left_alone() {
    let (machine, ids) = machine();
    let target = machine.target();
    fs::write(path(&machine, &ids[0]), "{\"version\": 9}").unwrap();
    run(&target, &plan_reconcile(&target, None).unwrap());
    let refused = plan_remove(&target, &ids[0], None);
    assert!(matches!(refused, Err(DeployError::Needed { .. })), "{refused:?}");
    assert_eq!(fs::read_to_string(path(&machine, &ids[0])).unwrap(), "{\"version\": 9}");
}

#[test]
fn what_is_left_of_a_deployment_without_a_record_goes_by_name_with_all_that_kept_it() {
    let (machine, ids) = machine();
    let text = ids[0].to_string();
    for is_whole in [true, false] {
        for content in [None, Some("{")] {
            let damaged = machine.copy();
            let target = damaged.target();
            match content {
                None => fs::remove_file(path(&damaged, &ids[0])).unwrap(),
                Some(text) => fs::write(path(&damaged, &ids[0]), text).unwrap(),
            }
            if !is_whole {
                // Then no record can be made of it.
                fs::remove_file(damaged.path(&format!("sysroot/composefs/images/{}", ids[0].image())))
                    .unwrap();
            }
            let found = find_deployment(&target, &text[..12], None).unwrap();
            assert_eq!(found, ids[0]);
            let plan = plan_remove(&target, &found, Some(&ids[2])).unwrap();
            assert!(!plan.is_empty());
            assert_eq!(
                fs::read_dir(damaged.path("sysroot/state/deploy")).unwrap().count(),
                3,
                "a plan does nothing"
            );
            run(&target, &plan);
            let ids_left: Vec<DeploymentId> = records(&target).iter().map(|record| record.id).collect();
            assert_eq!(ids_left, [ids[2], ids[1]]);
            let report = status(&target, None).unwrap();
            assert!(report.broken_records.is_empty() && report.foreign_states.is_empty(), "{report:#?}");
            assert_eq!(damaged.names("esp/loader/entries").len(), 2);
            assert_eq!(damaged.names("esp/EFI/Linux").len(), 2, "its kernel went too");
            let refs = target.repository.refs(Place::Images).unwrap();
            assert!(!refs.iter().any(|(name, _)| name.to_string().contains(&text)), "{refs:?}");
            let tags = target.repository.refs(Place::Streams).unwrap();
            let of_deployments = tags
                .iter()
                .filter(|(name, _)| name.to_oci().is_some_and(|name| name.starts_with("localhost/bootc-")));
            assert_eq!(of_deployments.count(), 2);
            assert!(plan_reconcile(&target, None).unwrap().is_empty(), "whole: {is_whole}, {content:?}");
        }
    }
}

#[test]
fn what_runs_or_is_all_that_boots_does_not_go_without_its_record() {
    let (machine, ids) = machine();
    let target = machine.target();
    for id in &ids {
        fs::write(path(&machine, id), "{").unwrap();
        fs::remove_file(machine.path(&format!("sysroot/composefs/images/{}", id.image()))).unwrap();
    }
    for running in [Some(&ids[0]), None] {
        let refused = plan_remove(&target, &ids[0], running);
        assert!(matches!(refused, Err(DeployError::Needed { .. })), "{refused:?}");
    }
    assert_eq!(machine.names("esp/loader/entries").len(), 3);
}
