//! What is foreign, torn, garbage, double or lost is reported, and every verb goes on working: each damage, each verb.

use std::{fs, path::PathBuf};

use sealstone_boot::{BlsEntry, FoundEntry};
use sealstone_store::{Control, tree::Content};

use super::*;
use crate::{
    DeployError, DeploymentId, Health, ImageTrees, Retention, Status, Target, add_losses, apply,
    image_tree::image_tree,
    status,
    testing::{Machine, System},
};

/// A machine with three systems, of which the oldest is damaged.
struct Damaged<'a> {
    machine: &'a Machine,
    oldest: DeploymentId,
    manifest: String,
}

impl Damaged<'_> {
    fn entry(&self) -> (PathBuf, String) {
        let path = self.machine.path("esp/loader/entries/archived_debian-1-1.conf");
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    }

    fn add_entry(&self, name: &str, content: &[u8]) {
        fs::write(self.machine.path(&format!("esp/loader/entries/{name}")), content).unwrap();
    }

    /// Removes the object of a file that only the oldest has.
    fn lose_file(&self, path: &str) {
        let tree = image_tree(&self.machine.target().repository, self.oldest.image()).unwrap();
        let inode = tree.resolve(path.as_bytes()).unwrap();
        let Content::External { object, .. } = tree.content(inode) else { panic!("{path} has no object") };
        let hex = object.to_hex();
        let (head, tail) = hex.split_at(2);
        fs::remove_file(self.machine.path(&format!("sysroot/composefs/objects/{head}/{tail}"))).unwrap();
    }

    fn record(&self) -> PathBuf {
        self.machine.path(&format!("sysroot/state/sealstone/deployments/{}.json", self.oldest))
    }
}

type Damage = (&'static str, fn(&Damaged<'_>));

const DAMAGES: [Damage; 17] = [
    ("a foreign entry", |on| on.add_entry("windows.conf", b"title Windows\nefi /w.efi\n")),
    ("a foreign entry with a name that we want", |on| {
        on.add_entry("bootc_debian-4-1.conf", b"title Mine\nlinux /mine\n");
    }),
    ("garbage", |on| on.add_entry("garbage.conf", &[0xff, 0xfe, 0])),
    ("an empty entry with a name that we want", |on| on.add_entry("bootc_debian-4-1.conf", b"")),
    ("a folder with a name that we want", |on| {
        fs::create_dir(on.machine.path("esp/loader/entries/bootc_debian-4-1.conf")).unwrap();
    }),
    ("a truncated entry", |on| {
        let (path, text) = on.entry();
        fs::write(path, &text[..text.len() / 2]).unwrap();
    }),
    ("an entry that was changed", |on| {
        let (path, text) = on.entry();
        fs::write(path, text.replace("quiet", "loud")).unwrap();
    }),
    ("a duplicate entry", |on| on.add_entry("bootc_debian-9-1.conf", on.entry().1.as_bytes())),
    ("a lost entry", |on| fs::remove_file(on.entry().0).unwrap()),
    ("a lost image", |on| {
        let image = format!("sysroot/composefs/images/{}", on.oldest.image());
        fs::remove_file(on.machine.path(&image)).unwrap();
    }),
    ("a lost object of an image", |on| {
        let hex = on.oldest.image().to_string();
        let (head, tail) = hex.split_at(2);
        fs::remove_file(on.machine.path(&format!("sysroot/composefs/objects/{head}/{tail}"))).unwrap();
    }),
    ("a lost file of an image", |on| on.lose_file("usr/lib/modules/6.12/vmlinuz")),
    ("a lost manifest", |on| {
        let stream = format!("sysroot/composefs/streams/oci-manifest-{}", on.manifest);
        fs::remove_file(on.machine.path(&stream)).unwrap();
    }),
    ("a lost record", |on| fs::remove_file(on.record()).unwrap()),
    ("a record of garbage", |on| fs::write(on.record(), "{").unwrap()),
    ("a record of a newer version", |on| fs::write(on.record(), "{\"version\": 9}").unwrap()),
    ("a lost state folder", |on| {
        let state = on.machine.path(&format!("sysroot/state/deploy/{}", on.oldest));
        fs::remove_dir_all(state).unwrap();
    }),
];

/// What a verb needs to know.
struct Case<'a> {
    target: &'a Target,
    new: &'a DeployRequest,
    default: DeploymentId,
}

type Verb = (&'static str, fn(&Case<'_>) -> Result<(), DeployError>);

fn done(case: &Case<'_>, plan: &Plan) -> Result<(), DeployError> {
    apply(case.target, plan, &Control::new()).map(drop)
}

const VERBS: [Verb; 7] = [
    ("deploy", |case| done(case, &plan_deploy(case.target, case.new)?)),
    ("stage and finalise", |case| {
        let finalise = Finalise::AtShutdown { locked: false };
        done(case, &plan_deploy(case.target, &DeployRequest { finalise, ..case.new.clone() })?)?;
        done(case, &plan_finalize(case.target, Some(&case.default), &StagedWish::default())?)
    }),
    ("rollback", |case| done(case, &plan_rollback(case.target, Some(&case.default))?)),
    ("pin", |case| done(case, &plan_pin(case.target, &case.default, true, None)?)),
    ("prune", |case| {
        let retention = Retention { count: Some(2), ..Retention::default() };
        done(case, &plan_prune(case.target, &retention, Some(&case.default), 1_700_000_000)?)
    }),
    ("remove", |case| {
        let (records, _) = case.target.sysroot.records()?;
        let Some(oldest) = records.iter().find(|record| record.serial == 1) else { return Ok(()) };
        done(case, &plan_remove(case.target, &oldest.id, Some(&case.default))?)
    }),
    ("reconcile", |case| done(case, &plan_reconcile(case.target, Some(&case.default))?)),
];

/// Whether the report tells of anything that is not as it should be.
fn tells(status: &Status) -> bool {
    let broken = |health: &Health| !health.is_good();
    let esp = &status.esps[0];
    status.deployments.iter().any(|deployment| broken(&deployment.health))
        || !status.broken_records.is_empty()
        || !status.foreign_states.is_empty()
        || !esp.foreign.is_empty()
        || esp.entries.iter().any(|entry| entry.wrong.is_some())
}

/// The report with what costs a look at every object, as `store status` gives it.
fn whole_status(target: &Target) -> Status {
    let mut report = status(target, None).unwrap();
    add_losses(target, &mut report, &ImageTrees::default(), &Control::new()).unwrap();
    report
}

/// The deployments whose entries a boot loader would boot.
fn bootable(target: &Target) -> Vec<String> {
    let is_there = |entry: &BlsEntry| entry.is_bootable();
    let found = target.esps[0].entries().unwrap();
    let ids = found.into_iter().filter_map(|found| match found {
        FoundEntry::Entry(_, entry) if is_there(&entry) => entry.sealstone_id().map(str::to_owned),
        _ => None,
    });
    ids.collect()
}

#[test]
fn each_damage_is_reported_and_leaves_every_verb_working() {
    let machine = Machine::new();
    let requests = ["1", "2", "3"].map(|version| machine.import(&System::new(version)));
    for request in &requests {
        machine.deploy(request);
    }
    let new = machine.import(&System::new("4"));
    let of = |number: usize| DeploymentId::new(requests[number].image, 0);
    for (what, damage) in DAMAGES {
        let damaged = machine.copy();
        damage(&Damaged { machine: &damaged, oldest: of(0), manifest: requests[0].manifest.to_string() });
        let report = whole_status(&damaged.target());
        let needs_telling = what != "a lost manifest";
        assert!(tells(&report) || !needs_telling, "{what} is not reported: {report:#?}");
        for (name, verb) in VERBS {
            let machine = damaged.copy();
            let target = machine.target();
            let case = Case { target: &target, new: &new, default: of(2) };
            verb(&case).unwrap_or_else(|error| panic!("{name} with {what}: {error}"));
            let boots = bootable(&target);
            for number in [1, 2] {
                assert!(boots.contains(&of(number).to_string()), "{name} with {what} lost {number}");
            }
            apply(&target, &plan_reconcile(&target, None).unwrap(), &Control::new()).unwrap();
            let again = plan_reconcile(&target, None).unwrap();
            assert!(again.is_empty(), "{name} with {what} does not come to rest: {:?}", again.steps);
            let report = status(&target, None).unwrap();
            let good = report.deployments.iter().filter(|deployment| deployment.health.is_good()).count();
            assert!(good >= 2, "{name} with {what}: {report:#?}");
        }
    }
}

#[test]
fn a_deployment_whose_image_is_lost_leaves_the_menu_and_comes_back_with_it() {
    let machine = Machine::new();
    let requests = ["1", "2"].map(|version| machine.import(&System::new(version)));
    for request in &requests {
        machine.deploy(request);
    }
    let lost = machine.path(&format!("sysroot/composefs/images/{}", requests[1].image));
    let link = fs::read_link(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let target = machine.target();
    let reconcile = || {
        let plan = plan_reconcile(&target, None).unwrap();
        apply(&target, &plan, &Control::new()).unwrap();
        plan
    };
    let plan = reconcile();
    assert!(plan.warnings.iter().any(|warning| warning.contains("cannot boot")), "{:?}", plan.warnings);
    assert_eq!(bootable(&target), [requests[0].image.to_string()], "what boots is what is left");
    std::os::unix::fs::symlink(link, &lost).unwrap();
    reconcile();
    assert_eq!(bootable(&target).len(), 2);
    assert!(status(&target, None).unwrap().deployments.iter().all(|deployment| deployment.health.is_good()));
}

#[test]
fn where_all_images_are_lost_the_entries_stay_as_they_are() {
    let machine = Machine::new();
    machine.deploy(&machine.import(&System::new("1")));
    let before = machine.names("esp/loader/entries");
    fs::remove_dir_all(machine.path("sysroot/composefs/images")).unwrap();
    let target = machine.target();
    let plan = plan_reconcile(&target, None).unwrap();
    apply(&target, &plan, &Control::new()).unwrap();
    assert_eq!(machine.names("esp/loader/entries"), before);
}

#[test]
fn a_lost_file_is_told_by_name_with_the_way_to_mend_it_and_leaves_the_deployment_in_the_menu() {
    let machine = Machine::new();
    let requests = ["1", "2"].map(|version| machine.import(&System::new(version)));
    for request in &requests {
        machine.deploy(request);
    }
    let oldest = DeploymentId::new(requests[0].image, 0);
    let damaged = Damaged { machine: &machine, oldest, manifest: String::new() };
    damaged.lose_file("usr/lib/modules/6.12/vmlinuz");
    let report = whole_status(&machine.target());
    let of = |id: DeploymentId| report.deployments.iter().find(|one| one.record.id == id).unwrap();
    let Health::Broken(reasons) = &of(oldest).health else { panic!("{report:#?}") };
    assert!(reasons[0].contains("/usr/lib/modules/6.12/vmlinuz"), "{reasons:?}");
    assert!(reasons[0].contains("--verify-existing"), "{reasons:?}");
    assert!(of(DeploymentId::new(requests[1].image, 0)).health.is_good());
    let plan = plan_reconcile(&machine.target(), None).unwrap();
    assert!(plan.is_empty(), "{:?}", plan.steps);
    assert!(plan.warnings.iter().any(|text| text.contains("lost files")), "{:?}", plan.warnings);
    assert_eq!(bootable(&machine.target()).len(), 2);
}

#[test]
fn an_empty_entry_with_a_name_of_ours_goes_with_reconcile_and_a_foreign_one_stays() {
    let machine = Machine::new();
    machine.deploy(&machine.import(&System::new("1")));
    let entries = "esp/loader/entries";
    for name in ["bootc_debian-9-1.conf", "archived_debian-8-3.conf", "bootc_other-1-1.conf", "mine.conf"] {
        fs::write(machine.path(&format!("{entries}/{name}")), "").unwrap();
    }
    let target = machine.target();
    apply(&target, &plan_reconcile(&target, None).unwrap(), &Control::new()).unwrap();
    assert_eq!(machine.names(entries), ["bootc_debian-1-1.conf", "bootc_other-1-1.conf", "mine.conf"]);
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}
