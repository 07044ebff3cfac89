//! What a deploy promises, on whole machines in temporary folders.

use std::{os::unix::fs::MetadataExt, sync::Arc};

use sealstone_boot::{BlsEntry, BootError, EntryName, FoundEntry, menu_order};
use sealstone_store::disk::{Disk, RealDisk, RecordingDisk};

use super::*;
use crate::image_tree::image_tree;
use crate::{
    DeployRequest, ImageTrees, Place, State, plan_deploy, plan_reconcile, plan_remove, status,
    testing::{Machine, System, deploy_on, file},
};
use sealstone_store::disk::Dir;

/// The entries of the boot partition, in the order of the menu.
fn menu(machine: &Machine) -> Vec<(EntryName, BlsEntry)> {
    let found = machine.target().esps[0].entries().unwrap();
    let mut entries: Vec<_> = found
        .into_iter()
        .filter_map(|found| match found {
            FoundEntry::Entry(name, entry) => Some((name, entry)),
            FoundEntry::Broken { .. } => None,
        })
        .collect();
    entries.sort_by(|a, b| menu_order((&a.0, &a.1), (&b.0, &b.1)));
    entries
}

fn id_of(request: &DeployRequest) -> String {
    request.image.to_string()
}

#[test]
fn a_first_deploy_makes_everything_that_bootc_and_a_boot_loader_look_for() {
    let machine = Machine::new();
    let request = machine.import(&System::new("13.1"));
    let done = machine.deploy(&request);
    let id = id_of(&request);

    let [(name, entry)] = &menu(&machine)[..] else { panic!("one entry") };
    assert_eq!(name.as_str(), "bootc_debian-13.1-1.conf");
    assert_eq!(entry.title(), Some("Debian 13.1"));
    assert_eq!(entry.sort_key(), Some("bootc-debian-0"));
    let options = entry.options().unwrap().to_string();
    assert_eq!(options, format!("root=UUID=1 quiet composefs=?{id}"));
    for (path, text) in entry.files().zip(["initramfs", "kernel"]) {
        assert!(machine.read(&format!("esp{path}")).starts_with(text), "{path}");
    }

    let state = format!("sysroot/state/deploy/{id}");
    let mut names = [format!("{id}.origin"), "etc".into(), "var".into()];
    names.sort();
    assert_eq!(machine.names(&state), names);
    assert_eq!(machine.read(&format!("{state}/etc/version")), "13.1");
    assert_eq!(machine.read(&format!("{state}/var/lib/seed")), "13.1", "through the link");
    let origin = machine.read(&format!("{state}/{id}.origin"));
    assert!(
        origin.contains("container-image-reference=ostree-unverified-image:docker://example.org/os:13.1\n")
    );
    assert!(origin.contains(&format!("manifest_digest={}\n", request.manifest)));
    let meta = |path: &str| std::fs::symlink_metadata(machine.path(&format!("{state}/etc/{path}"))).unwrap();
    assert_eq!(meta("private").mode() & 0o7777, 0o500);
    assert_eq!(meta("hosts").ino(), meta("hosts.bak").ino(), "hardlinks stay hardlinks");
    assert_eq!(meta("hosts").mtime(), 6);
    assert!(meta("os-release").is_symlink());
    if rustix::process::geteuid().is_root() {
        assert_eq!((meta("hosts").uid(), meta("hosts").gid()), (1, 2));
        assert!(done.populated.is_complete());
    }

    let refs = machine.names("sysroot/composefs/streams/refs/oci");
    assert_eq!(refs, [format!("localhost%2Fbootc-{}", request.manifest)]);
    let image_refs = "sysroot/composefs/images/refs/sealstone/deployments";
    assert_eq!(machine.names(image_refs), [id.as_str()]);
    assert_eq!(machine.names("sysroot/state/sealstone"), ["deployments"], "nothing half-made is left");
    let record = machine.target().sysroot.records().unwrap().0.remove(0);
    assert_eq!((record.state, record.serial, record.time), (State::Deployed, 1, 1_700_000_000));
}

#[test]
fn each_step_is_durable_before_what_names_it() {
    let machine = Machine::new();
    let request = machine.import(&System::new("13"));
    let id = id_of(&request);
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    deploy_on(&Machine::target_on(&disk, machine.root()).unwrap(), &request).unwrap();

    let log = recording.log();
    let position = |name: &str, end: &str| {
        let found = log.iter().position(|call| call.name == name && call.path.ends_with(end));
        found.unwrap_or_else(|| panic!("{name} of {end}"))
    };
    let after = |start: usize, name: &str, end: &str| {
        let found = log[start..].iter().position(|call| call.name == name && call.path.ends_with(end));
        start + found.unwrap_or_else(|| panic!("{name} of {end} after {start}"))
    };
    let kept = position("Rename", &id);
    let kept = after(kept, "SyncDir", "images/refs/sealstone/deployments");
    let staged = after(kept, "Rename", &format!("{id}.json"));
    let staged = after(staged, "SyncDir", "state/sealstone/deployments");
    let filled = after(staged, "SyncFs", "tmp/state");
    let state = after(filled, "Rename", &format!("state/deploy/{id}"));
    let state = after(state, "SyncDir", "state/deploy");
    let kernel = after(state, "CreateNew", "initrd");
    let kernel = after(kernel, "SyncFile", "initrd");
    let deployed = after(kernel, "Rename", &format!("{id}.json"));
    let deployed = after(deployed, "SyncDir", "state/sealstone/deployments");
    let entry = after(deployed, "CreateNew", "bootc_debian-13-1.conf");
    let entry = after(entry, "SyncFile", "bootc_debian-13-1.conf");
    after(entry, "SyncDir", "loader/entries");
}

#[test]
fn a_second_deploy_is_an_update_and_the_old_system_stays_bootable() {
    let machine = Machine::new();
    let (old, new) = (machine.import(&System::new("13.1")), machine.import(&System::new("13.2")));
    machine.deploy(&old);
    std::fs::write(machine.path("sysroot/state/os/default/var/lib/seed"), "used").unwrap();
    machine.deploy(&new);

    let menu = menu(&machine);
    let order: Vec<_> =
        menu.iter().map(|(name, entry)| (name.as_str(), entry.sealstone_id().unwrap())).collect();
    assert_eq!(
        order,
        [
            ("bootc_debian-13.2-1.conf", id_of(&new).as_str()),
            ("bootc_debian-13.1-0.conf", id_of(&old).as_str())
        ]
    );
    for (request, version) in [(&old, "13.1"), (&new, "13.2")] {
        let state = format!("sysroot/state/deploy/{}", request.image);
        assert_eq!(machine.read(&format!("{state}/etc/version")), version);
        assert_eq!(machine.read(&format!("{state}/var/lib/seed")), "used", "/var is shared and kept");
    }
    assert_eq!(machine.target().esps[0].kernels().unwrap().len(), 2);
    let status = status(&machine.target(), Some(&id_of(&old).parse().unwrap())).unwrap();
    let places: Vec<_> = status.deployments.iter().map(|d| (d.place, d.booted, d.health.is_good())).collect();
    assert_eq!(places, [(Some(Place::Default), false, true), (Some(Place::Rollback), true, true)]);
}

#[test]
fn updates_of_one_version_and_more_than_two_systems_keep_their_order() {
    let machine = Machine::new();
    let requests: Vec<DeployRequest> = (0..4)
        .map(|n| {
            let more = vec![file("etc/build", &n.to_string())];
            machine.import(&System { kernel: "same", more, ..System::new("13") })
        })
        .collect();
    for request in &requests {
        machine.deploy(request);
    }
    let ids: Vec<String> = menu(&machine).iter().map(|(_, e)| e.sealstone_id().unwrap().to_owned()).collect();
    let newest_first: Vec<String> = requests.iter().rev().map(id_of).collect();
    assert_eq!(ids, newest_first);
    assert_eq!(machine.target().esps[0].kernels().unwrap().len(), 1, "the same kernel is there once");
    assert_eq!(machine.names("esp/loader/entries").len(), 4);
}

#[test]
fn deploying_the_same_again_changes_nothing() {
    let machine = Machine::new();
    let request = machine.import(&System::new("13"));
    machine.deploy(&request);
    let again = plan_deploy(&machine.target(), &DeployRequest { time: 1_800_000_000, ..request }).unwrap();
    assert!(again.is_empty(), "{:?}", again.steps);
}

#[test]
fn the_same_image_with_other_arguments_is_another_deployment_with_its_own_state() {
    let machine = Machine::new();
    let request = machine.import(&System::new("13"));
    machine.deploy(&request);
    let predecessor = crate::Predecessor::None;
    machine.deploy(&DeployRequest { kargs: vec!["debug".parse().unwrap()], predecessor, ..request.clone() });
    let id = format!("{}.1", request.image);
    let options = menu(&machine)[0].1.options().unwrap();
    assert_eq!(options.to_string(), format!("debug composefs=?{} composefs.state={id}", request.image));
    assert_eq!(crate::booted(&options), Some(id.parse().unwrap()));
    assert_eq!(
        crate::booted(&menu(&machine)[1].1.options().unwrap()),
        Some(id_of(&request).parse().unwrap())
    );
    assert!(machine.path(&format!("sysroot/state/deploy/{id}/etc/version")).exists());
}

#[test]
fn removing_a_deployment_frees_all_that_only_it_needed() {
    let machine = Machine::new();
    let (old, new) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&old);
    machine.deploy(&new);
    let (old_id, new_id) = (id_of(&old).parse().unwrap(), id_of(&new).parse().unwrap());
    let target = machine.target();
    let refused = plan_remove(&target, &new_id, Some(&new_id)).unwrap_err();
    assert!(matches!(refused, DeployError::Needed { .. }), "{refused}");
    let plan = plan_remove(&target, &old_id, Some(&new_id)).unwrap();
    apply(&target, &plan, &Control::new()).unwrap();

    assert_eq!(machine.names("esp/loader/entries"), ["bootc_debian-2-1.conf"]);
    assert_eq!(machine.names("sysroot/state/deploy"), [id_of(&new)]);
    assert_eq!(machine.names("sysroot/state/sealstone/deployments"), [format!("{}.json", new.image)]);
    assert_eq!(target.esps[0].kernels().unwrap().len(), 1);
    assert_eq!(machine.names("sysroot/composefs/images/refs/sealstone/deployments"), [id_of(&new)]);
    assert_eq!(machine.names("sysroot/composefs/streams/refs/oci").len(), 1);
    let last = plan_remove(&target, &new_id, None).unwrap_err();
    assert!(matches!(last, DeployError::Needed { .. }), "the only one stays");
}

#[test]
fn a_plan_changes_nothing_and_reads_back_from_json() {
    let machine = Machine::new();
    let request = machine.import(&System::new("1"));
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let target = Machine::target_on(&disk, machine.root()).unwrap();
    recording.clear();
    let plan = plan_deploy(&target, &request).unwrap();
    let reading =
        ["Open", "Read", "Metadata", "FileMetadata", "Space", "MeasureVerity", "FsType", "List", "GetXattr"];
    for call in recording.log() {
        assert!(reading.iter().any(|name| call.name.starts_with(name)), "{call:?}");
    }
    let text = serde_json::to_string_pretty(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    assert_eq!(plan.room.len(), 2);
    assert!(plan.room.iter().all(|room| room.needed > 0 && room.free > room.needed));
}

#[test]
fn a_plan_of_yesterday_is_refused() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    let target = machine.target();
    let plan = plan_deploy(&target, &one).unwrap();
    machine.deploy(&two);
    assert!(matches!(apply(&target, &plan, &Control::new()), Err(DeployError::Changed)));
}

#[test]
fn a_plan_that_names_what_is_not_kept_is_refused() {
    let machine = Machine::new();
    let target = machine.target();
    let mut plan = plan_deploy(&target, &machine.import(&System::new("1"))).unwrap();
    plan.steps.remove(0);
    assert!(matches!(apply(&target, &plan, &Control::new()), Err(DeployError::NotKept { .. })));
    assert!(machine.names("esp/loader/entries").is_empty());
}

#[test]
fn two_runs_at_once_exclude_each_other() {
    let machine = Machine::new();
    let (target, request) = (machine.target(), machine.import(&System::new("1")));
    let plan = plan_deploy(&target, &request).unwrap();
    let lock = machine.target().sysroot.lock().unwrap();
    let refused = apply(&target, &plan, &Control::new());
    assert!(matches!(refused, Err(DeployError::Store(Error::Busy { .. }))), "{refused:?}");
    drop(lock);
    apply(&target, &plan, &Control::new()).unwrap();
}

#[test]
fn a_run_waits_for_another_one_that_ends_soon() {
    let machine = Machine::new();
    let (target, request) = (machine.target(), machine.import(&System::new("1")));
    let plan = plan_deploy(&target, &request).unwrap();
    let lock = machine.target().sysroot.lock().unwrap();
    let other = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(lock);
    });
    apply(&target, &plan, &Control::new()).unwrap();
    other.join().unwrap();
}

#[test]
fn an_image_that_cannot_boot_this_way_is_refused_with_the_reason() {
    let machine = Machine::new();
    let mut request = machine.import(&System::new("1"));
    let transaction = machine.target().repository.transaction().unwrap();
    let layer =
        crate::testing::layer(&[crate::testing::dir("usr", 0o755), crate::testing::dir("etc", 0o755)]);
    request.image = crate::make_image(&transaction, &[&layer], crate::Profile::Oci).unwrap();
    let _ = transaction.commit(()).unwrap();
    let refused = plan_deploy(&machine.target(), &request).unwrap_err().to_string();
    assert!(refused.contains("no kernel"), "{refused}");
}

#[test]
fn what_is_foreign_or_broken_is_reported_and_stops_nothing() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&one);
    std::fs::write(machine.path("esp/loader/entries/windows.conf"), "title Windows\nefi /w.efi\n").unwrap();
    std::fs::write(machine.path("esp/loader/entries/torn.conf"), [0xff; 9]).unwrap();
    let records = machine.path("sysroot/state/sealstone/deployments");
    std::fs::write(records.join("garbage.json"), "{").unwrap();
    std::fs::write(records.join("newer.json"), "{\"version\": 9}").unwrap();
    std::fs::create_dir(machine.path("sysroot/state/deploy/foreign")).unwrap();
    machine.deploy(&two);
    let id = id_of(&one);
    std::fs::remove_dir_all(machine.path(&format!("sysroot/state/deploy/{id}/etc"))).unwrap();
    std::fs::remove_file(machine.path("esp/loader/entries/bootc_debian-1-0.conf")).unwrap();

    let target = machine.target();
    let report = status(&target, None).unwrap();
    assert_eq!(report.broken_records.len(), 2);
    assert!(report.broken_records[1].reason.contains("version 9"));
    assert_eq!(report.foreign_states, ["foreign"]);
    assert_eq!(report.esps[0].foreign.len(), 2);
    assert!(report.deployments[0].health.is_good());
    let broken = serde_json::to_string(&report.deployments[1].health).unwrap();
    assert!(broken.contains("no etc") && broken.contains("no entry"), "{broken}");
    // The records are the truth: the entry comes back.
    let plan = plan_reconcile(&target, None).unwrap();
    apply(&target, &plan, &Control::new()).unwrap();
    assert!(machine.path("esp/loader/entries/bootc_debian-1-0.conf").exists());
    assert!(machine.path("esp/loader/entries/windows.conf").exists());
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}

#[test]
fn every_boot_partition_gets_the_same_and_a_new_one_is_caught_up_with() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&one);
    std::fs::create_dir(machine.path("esp2")).unwrap();
    let mut target = machine.target();
    target.esps.push(Esp::new(Dir::open(&RealDisk::shared(), machine.path("esp2")).unwrap()));
    // What an earlier run left there: the size is right, the content is not.
    let kernel = sealstone_boot::Esp::kernel_paths(&target.esps[0].kernels().unwrap()[0]).0;
    let torn = machine.path(&format!("esp2{kernel}"));
    std::fs::create_dir_all(torn.parent().unwrap()).unwrap();
    let whole = std::fs::read(machine.path(&format!("esp{kernel}"))).unwrap();
    std::fs::write(&torn, vec![0; whole.len()]).unwrap();
    deploy_on(&target, &two).unwrap();
    assert_eq!(std::fs::read(&torn).unwrap(), whole);
    let names = machine.names("esp/loader/entries");
    assert_eq!((names.len(), machine.names("esp2/loader/entries")), (2, names));
    assert_eq!(target.esps[0].kernels().unwrap(), target.esps[1].kernels().unwrap());
    assert!(status(&target, None).unwrap().deployments.iter().all(|deployment| deployment.health.is_good()));
}

#[test]
fn gc_keeps_what_a_deployment_needs_and_takes_it_after_the_removal() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&one);
    machine.deploy(&two);
    let collect = || {
        let repository = machine.target().repository;
        repository.gc(&sealstone_store::GcOptions::default(), &Control::new()).unwrap()
    };
    collect();
    let status = status(&machine.target(), None).unwrap();
    assert!(status.deployments.iter().all(|deployment| deployment.health.is_good()));
    for request in [&one, &two] {
        image_tree(&machine.target().repository, &request.image).unwrap();
    }
    let target = machine.target();
    let plan = plan_remove(&target, &id_of(&one).parse().unwrap(), None).unwrap();
    apply(&target, &plan, &Control::new()).unwrap();
    drop(target);
    collect();
    assert!(image_tree(&machine.target().repository, &one.image).is_err());
    image_tree(&machine.target().repository, &two.image).unwrap();
}

#[test]
fn an_entry_that_no_cluster_holds_is_refused_before_anything_is_written() {
    let machine = Machine::new();
    let mut request = machine.import(&System::new("1"));
    request.kargs = (0..3).map(|n| format!("long{n}={}", "x".repeat(1500)).parse().unwrap()).collect();
    let refused = plan_deploy(&machine.target(), &request).unwrap_err();
    assert!(matches!(refused, DeployError::Boot(BootError::TooBig { .. })), "{refused}");
}

#[test]
fn a_cancelled_deploy_leaves_the_old_system_and_goes_on_later() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&one);
    let target = machine.target();
    let plan = plan_deploy(&target, &two).unwrap();
    let control = Control::new();
    control.cancel_token().cancel();
    let cancelled = apply(&target, &plan, &control);
    assert!(matches!(cancelled, Err(DeployError::Store(Error::Cancelled))), "{cancelled:?}");
    assert_eq!(menu(&machine).len(), 1);
    machine.deploy(&two);
    assert_eq!(menu(&machine).len(), 2);
}

#[test]
fn what_a_plan_has_read_of_images_is_not_read_again_to_do_it() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")), machine.import(&System::new("2")));
    machine.deploy(&one);
    let opened_images = |recording: &RecordingDisk| {
        let of_image = |path: &std::path::Path, image: &ImageId| {
            let path = path.to_string_lossy();
            path.contains("objects/") && path.ends_with(&image.to_string()[2..])
        };
        let log = recording.log();
        let reads = log.iter().filter(|call| call.name == "OpenFile");
        let reads =
            reads.filter(|call| [one.image, two.image].iter().any(|image| of_image(&call.path, image)));
        reads.count()
    };
    for forgets in [false, true] {
        let machine = machine.copy();
        let recording = RecordingDisk::new(RealDisk::shared());
        let disk: Arc<dyn Disk> = recording.clone();
        let target = Machine::target_on(&disk, machine.root()).unwrap();
        let request = DeployRequest { trees: ImageTrees::default(), ..two.clone() };
        let mut plan = plan_deploy(&target, &request).unwrap();
        let planned = opened_images(&recording);
        assert!(planned > 0);
        if forgets {
            // As one that was kept as text.
            plan = serde_json::from_value(serde_json::to_value(&plan).unwrap()).unwrap();
        }
        recording.clear();
        apply(&target, &plan, &Control::new()).unwrap();
        let applied = opened_images(&recording);
        println!("images opened: {planned} times to plan, {applied} to apply; forgotten: {forgets}");
        // What is kept is looked at once, whatever is known of it.
        assert_eq!(applied, if forgets { 3 } else { 1 });
    }
}
