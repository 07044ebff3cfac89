//! Bugs of other tools for bootable containers that their users reported, as promises of ours. Each test names the report;
//! numbers without a repository are of bootc-dev/bootc. What a report says of what we do not have (the ostree backend) has no
//! test. Tests of other reports are where what they are about is tested; docs/proof.md lists all of them, with what is no test.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::fs;

use kit::system::{BootcBoots, System, field};
use kit::{Compression, Image, Layer};
use sealstone::deploy::{
    BootcHost, DeployRequest, DeploymentId, Finalise, Retention, StagedWish, booted, plan_deploy,
    plan_finalize, plan_rollback, status,
};
use sealstone::import::catalogue::Catalogue;
use serde_json::Value;

/// An image of this version, with a kernel of its own.
fn with_kernel(version: &str) -> Image {
    let kernel = format!("kernel of {version} ").repeat(1000);
    System::image(version, &[("usr/lib/modules/6.1.0/vmlinuz", &kernel)])
}

fn request(system: &System, name: &str, running: Option<DeploymentId>) -> DeployRequest {
    let repository = system.target().repository;
    let stored = Catalogue::read(&repository).unwrap().find(name).unwrap().stored.unwrap();
    DeployRequest { running, ..DeployRequest::of(&repository, &stored, Vec::new(), 1_700_000_000).unwrap() }
}

/// A system with these versions deployed, one after the other; their ids, the oldest first.
fn with_versions(versions: &[&str]) -> (System, Vec<String>) {
    let system = System::new();
    for version in versions {
        system.import(version, &with_kernel(version));
        system.store(["deploy", version]).succeeds();
    }
    let ids = versions.iter().map(|version| system.bootable_id(version)).collect();
    (system, ids)
}

fn ids(status: &Value) -> Vec<String> {
    let deployments = status["deployments"].as_array().unwrap();
    deployments.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Files of state and boot partition with their texts.
fn files(system: &System) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec!["esp".to_owned(), "mnt/state".to_owned()];
    while let Some(folder) = folders.pop() {
        for name in system.names(&folder) {
            let path = format!("{folder}/{name}");
            let kind = system.path(&path).symlink_metadata().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push((path.clone(), fs::read(system.path(&path)).unwrap()));
            }
        }
    }
    found
}

/// Every verb does its work: none is stopped by what else is there.
#[track_caller]
fn every_verb_works(system: &System, next: &str) {
    assert!(!system.store(["status", "--json"]).stdout.is_empty());
    system.store(["status", "--format", "bootc"]).succeeds();
    system.store(["kargs", "set", "verb=works"]).succeeds();
    system.store(["pin", "default"]).succeeds();
    system.store(["unpin", "default"]).succeeds();
    system.store(["prune", "--keep", "9"]).succeeds();
    system.import(next, &with_kernel(next));
    system.store(["deploy", next]).succeeds();
    system.store(["rollback"]).succeeds();
    system.store(["rollback"]).succeeds();
    system.store(["reconcile"]).succeeds();
    assert_eq!(system.store(["reconcile"]).succeeds().lines().next(), Some("nothing to do"));
    assert_eq!(ids(&system.status())[0], system.bootable_id(next));
    assert!(system.default_options().contains("verb=works"));
}

// `bootc upgrade --check` on composefs staged an update whose image was in the repository already, and discarded what was
// staged before (read in bootc's code, not reported).
#[test]
fn looking_at_what_a_deployment_would_do_stages_nothing_and_discards_nothing() {
    let (system, _) = with_versions(&["1", "2"]);
    system.import("3", &with_kernel("3"));
    system.store(["deploy", "3", "--stage"]).succeeds();
    system.import("4", &with_kernel("4"));
    let before = files(&system);
    for args in [&["deploy", "4", "--dry-run"][..], &["deploy", "3", "--dry-run"], &["rollback", "--dry-run"]]
    {
        system.store(args.to_vec()).succeeds();
        assert!(files(&system) == before, "{args:?} changed something");
    }
    assert!(system.status()["deployments"].as_array().unwrap().iter().any(|one| one["state"] == "staged"));
}

// #2405: `rollbackQueued` was inverted for unified kernel images under systemd-boot.
#[test]
fn a_queued_rollback_is_told_right_for_kernels_and_for_unified_kernel_images() {
    for boots in [BootcBoots::Kernel, BootcBoots::Uki] {
        let system = System::new();
        let [older, newer] = ["1", "2"].map(|version| {
            let image =
                if boots == BootcBoots::Uki { System::uki_image(version) } else { with_kernel(version) };
            system.deploy_as_bootc(&image, boots, version == "2", "quiet")
        });
        let queued = |running: &str| {
            let running = running.parse().unwrap();
            let status = status(&system.target(), Some(&running)).unwrap();
            let host = serde_json::to_value(BootcHost::of(&status)).unwrap();
            (host["status"]["rollbackQueued"].as_bool().unwrap(), host["spec"]["bootOrder"].clone())
        };
        assert_eq!(queued(&newer), (false, "default".into()));
        assert_eq!(queued(&older), (true, "rollback".into()));
        let running: DeploymentId = newer.parse().unwrap();
        system.apply(plan_rollback(&system.target(), Some(&running)));
        assert_eq!(queued(&newer), (true, "rollback".into()));
        assert_eq!(queued(&older), (false, "default".into()));
    }
}

// An upgrade to a rebuild with identical content failed ("same fs-verity digest as the existing Booted deployment"): who builds
// reproducibly met it (read in bootc's code).
#[test]
fn a_rebuild_with_the_same_content_is_deployed_beside_the_first() {
    let system = System::new();
    let image = |compression| {
        let layer = Layer::system("6.1.0").finish();
        Image::new().tar(layer, compression)
    };
    let first = system.import("one", &image(Compression::None));
    let second = system.import("two", &image(Compression::Gzip));
    assert_ne!(first, second);
    assert_eq!(system.bootable_id("one"), system.bootable_id("two"));
    system.store(["deploy", "one"]).succeeds();
    system.store(["deploy", "two"]).succeeds();
    let status = system.status();
    let manifests: Vec<&str> = status["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["image"]["manifest"].as_str().unwrap())
        .collect();
    assert_eq!(manifests, [second.as_str(), first.as_str()]);
    assert_eq!(system.store(["status"]).code, 0);
    assert_eq!(system.menu().len(), 2);
}

// UKI addons were dropped on upgrade (read in bootc's code): what is beside an image of bootc's is not ours to touch. That an
// update takes them over, `plan/uki_tests.rs` of `crates/deploy` has.
#[test]
fn addons_beside_a_unified_kernel_image_stay_over_updates() {
    let system = System::new();
    let hex = system.deploy_as_bootc(&System::uki_image("1"), BootcBoots::Uki, true, "");
    let addon = format!("esp/EFI/Linux/bootc/bootc_composefs-{hex}.efi.extra.d/site.addon.efi");
    system.write(&addon, "an addon");
    system.import("2", &with_kernel("2"));
    system.store(["deploy", "2"]).succeeds();
    system.store(["rollback"]).succeeds();
    assert_eq!(system.read(&addon), "an addon");
    assert!(field(&system.menu()[0].1, "uki").contains(&hex));
}

// A unified kernel image with the newer argument `composefs.digest=` was not taken for booted (read in bootc's code).
#[test]
fn what_runs_is_found_by_either_spelling_of_the_argument() {
    let hex = "ab".repeat(64);
    for line in [
        format!("quiet composefs={hex}"),
        format!("composefs=?{hex} quiet"),
        format!("composefs.digest=v2-sha512-12:{hex}"),
        format!("composefs=00 composefs.digest=?v1-sha512-12:{hex}").replace("composefs=00 ", ""),
    ] {
        assert_eq!(booted(&line.parse().unwrap()).unwrap().to_string(), hex, "{line}");
    }
}

// #1887, and the `user.cfg.staged` of GRUB with unified kernel images: after an upgrade from the second entry, the deployment
// that ran was dropped, and status failed from then on.
#[test]
fn an_update_from_the_second_entry_keeps_what_runs() {
    for boots in [None, Some(BootcBoots::Kernel), Some(BootcBoots::Uki)] {
        let (system, older, newer) = match boots {
            None => {
                let (system, ids) = with_versions(&["1", "2"]);
                (system, ids[0].clone(), ids[1].clone())
            }
            Some(boots) => {
                let system = System::new();
                let image = |version| {
                    if boots == BootcBoots::Uki { System::uki_image(version) } else { with_kernel(version) }
                };
                let older = system.deploy_as_bootc(&image("1"), boots, false, "quiet");
                let newer = system.deploy_as_bootc(&image("2"), boots, true, "quiet");
                (system, older, newer)
            }
        };
        system.import("3", &with_kernel("3"));
        let running: DeploymentId = older.parse().unwrap();
        let retention = Retention { count: Some(2), ..Retention::default() };
        let request = DeployRequest { retention, ..request(&system, "3", Some(running)) };
        system.apply(plan_deploy(&system.target(), &request));
        let menu = system.menu();
        let found: Vec<String> = menu.iter().map(|(_, text)| field(text, "x-sealstone-id")).collect();
        assert_eq!(found, [system.bootable_id("3"), older.clone()], "{newer} goes: two may stay");
        assert_eq!(system.store(["status"]).code, 0);
        every_verb_works(&system, "4");
    }
}

// #1808, projectbluefin/dakota#1273: a kernel that was half written to a full boot partition stopped every verb ("Opening
// vmlinuz: No such file").
#[test]
fn a_half_written_kernel_stops_no_verb_and_is_written_again() {
    let (system, _) = with_versions(&["1", "2"]);
    let kernel = format!("esp{}", field(&system.menu()[0].1, "linux"));
    let whole = fs::read(system.path(&kernel)).unwrap();
    fs::write(system.path(&kernel), &whole[..100]).unwrap();
    // And one of a run that was cut short, whose deployment is not there.
    system.write(&format!("esp/EFI/Linux/bootc_composefs-{}/vmlinuz", "0".repeat(64)), "half");
    assert_eq!(system.store(["status"]).code, 1);
    system.store(["reconcile"]).succeeds();
    assert_eq!(fs::read(system.path(&kernel)).unwrap(), whole);
    assert_eq!(system.names("esp/EFI/Linux").len(), 2, "what nobody needs went");
    assert_eq!(system.store(["status"]).code, 0);
    fs::remove_dir_all(system.path(&kernel).parent().unwrap()).unwrap();
    every_verb_works(&system, "3");
}

// #1808, #2132: the boot partition filled up with kernels of deployments that were gone.
#[test]
fn kernels_that_nobody_needs_leave_the_boot_partition() {
    let (system, _) = with_versions(&["1", "2", "3"]);
    assert_eq!(system.names("esp/EFI/Linux").len(), 3);
    system.import("4", &with_kernel("4"));
    system.store(["deploy", "4", "--keep", "2"]).succeeds();
    assert_eq!(system.names("esp/EFI/Linux").len(), 2);
    assert_eq!(system.names("esp/loader/entries").len(), 2);
    assert_eq!(system.names("mnt/state/deploy").len(), 2);
}

// #2102: the kernel of one deployment was removed with another that had the same.
#[test]
fn a_kernel_that_two_deployments_share_stays_while_one_needs_it() {
    let system = System::new();
    for version in ["1", "2", "3"] {
        system.import(version, &System::image(version, &[]));
        system.store(["deploy", version]).succeeds();
        assert_eq!(system.names("esp/EFI/Linux").len(), 1, "one kernel for all");
    }
    system.store(["prune", "--keep", "2"]).succeeds();
    assert_eq!(system.menu().len(), 2);
    assert_eq!(system.names("esp/EFI/Linux").len(), 1);
    assert_eq!(system.store(["status"]).code, 0);
}

// The space check counted compressed layers, those that were there already too, and never the boot partition (read in bootc's
// code; #2132, #1214: an installer that ran out of space on the way).
#[test]
fn space_is_counted_on_the_boot_partition_too_and_only_for_what_is_missing() {
    let (system, _) = with_versions(&["1"]);
    let needed = |name: &str, image: &Image| {
        system.import(name, image);
        let plan = system.store(["deploy", name, "--dry-run", "--json"]).json();
        plan["room"][1]["needed"].as_u64().unwrap()
    };
    let kernel = 70_000;
    assert!(needed("other", &with_kernel("other")) > kernel);
    let same = "kernel of 1 ".repeat(1000);
    let sharing = needed("sharing", &System::image("2", &[("usr/lib/modules/6.1.0/vmlinuz", &same)]));
    assert!(sharing < kernel, "an entry alone needs {sharing}");
}

// #2208, #2224, projectbluefin/dakota#531 and #665: after a switch between variants, entries with two kinds of sort keys, one
// of them a duplicate, stopped status and every other verb.
#[test]
fn entries_of_two_variants_and_a_duplicate_stop_no_verb() {
    let system = System::new();
    let hex = ["1", "2", "3"].map(|version| {
        system.deploy_as_bootc(&with_kernel(version), BootcBoots::Kernel, version == "3", "quiet")
    });
    let text = |hex: &str, version: &str, key: &str| {
        format!(
            "title Variant\nversion {version}\nlinux /EFI/Linux/bootc_composefs-{hex}/vmlinuz\n\
             initrd /EFI/Linux/bootc_composefs-{hex}/initrd\noptions quiet composefs=?{hex}\nsort-key {key}\n"
        )
    };
    fs::remove_dir_all(system.path("esp/loader/entries")).unwrap();
    for (file, hex, version, key) in [
        ("bootc_example_variant-20260528-0.conf", &hex[1], "20260528", "bootc-example-variant-1"),
        ("bootc_example_variant-20260530-1.conf", &hex[2], "20260530", "bootc-example-variant-0"),
        ("bootc_bootc-20260527-1.conf", &hex[0], "20260527", "bootc-bootc-0"),
        ("bootc_bootc-20260528-0.conf", &hex[1], "20260528", "bootc-bootc-1"),
    ] {
        system.write(&format!("esp/loader/entries/{file}"), text(hex, version, key));
    }
    let mut found = ids(&system.status());
    found.sort();
    let mut expected = hex.to_vec();
    expected.sort();
    assert_eq!(found, expected);
    every_verb_works(&system, "4");
    // Rewritten sort keys are the system's own, and no deployment has two entries.
    let menu = system.menu();
    let mut named: Vec<String> = menu.iter().map(|(_, text)| field(text, "x-sealstone-id")).collect();
    named.sort();
    named.dedup();
    assert_eq!(named.len(), menu.len(), "{menu:#?}");
    assert_eq!(field(&menu[0].1, "sort-key"), "bootc-example-0");
}

// #2208: stage, ask again for another name of the same image, roll back, reboot: from then on every verb failed.
#[test]
fn a_rollback_with_something_staged_leaves_no_trace_of_it() {
    let (system, ids_before) = with_versions(&["1", "2"]);
    let running: DeploymentId = ids_before[1].parse().unwrap();
    system.import("3", &with_kernel("3"));
    let staged = DeployRequest {
        finalise: Finalise::AtShutdown { locked: false },
        ..request(&system, "3", Some(running))
    };
    system.apply(plan_deploy(&system.target(), &staged));
    system.import("3-again", &with_kernel("3"));
    let again = DeployRequest { reference: "3-again".into(), ..staged };
    system.apply(plan_deploy(&system.target(), &again));
    system.apply(plan_rollback(&system.target(), Some(&running)));
    // The shutdown finds nothing to finalise.
    system.apply(plan_finalize(&system.target(), Some(&running), &StagedWish::default()));
    assert_eq!(ids(&system.status()), [ids_before[0].clone(), ids_before[1].clone()]);
    assert_eq!(system.names("mnt/state/deploy").len(), 2);
    every_verb_works(&system, "4");
}

// #2224: a rollback wrote sort keys with the system's name replaced by `bootc`, which made a second group of entries.
#[test]
fn a_rollback_keeps_names_and_sort_keys_of_the_system() {
    let (system, _) = with_versions(&["1", "2"]);
    let keys = |system: &System| -> Vec<String> {
        system.menu().iter().map(|(_, text)| field(text, "sort-key")).collect()
    };
    let before = keys(&system);
    system.store(["rollback"]).succeeds();
    assert_eq!(keys(&system), before);
    assert_eq!(field(&system.menu()[0].1, "version"), "1");
    assert_eq!(system.names("esp/loader/entries").len(), 2);
    assert!(system.names("esp/loader/entries").iter().all(|name| name.starts_with("bootc_example-")));
}

// #2422: a manifest that was missing in the repository stopped every verb.
#[test]
fn a_lost_manifest_stops_no_verb() {
    for is_of_bootc in [false, true] {
        let system = System::new();
        let manifest = if is_of_bootc {
            system.deploy_as_bootc(&with_kernel("1"), BootcBoots::Kernel, false, "quiet");
            system.deploy_as_bootc(&with_kernel("2"), BootcBoots::Kernel, true, "quiet");
            let hex = &ids(&system.status())[1];
            let origin = system.read(&format!("mnt/state/deploy/{hex}/{hex}.origin"));
            origin.lines().find_map(|line| line.strip_prefix("manifest_digest=")).unwrap().to_owned()
        } else {
            let manifest = system.import("1", &with_kernel("1"));
            system.store(["deploy", "1"]).succeeds();
            system.import("2", &with_kernel("2"));
            system.store(["deploy", "2"]).succeeds();
            manifest
        };
        let name = format!("oci-manifest-{manifest}");
        for folder in ["mnt/composefs/streams", "mnt/composefs/streams/refs/oci"] {
            for link in system.names(folder) {
                let target = fs::read_link(system.path(&format!("{folder}/{link}")));
                if link == name || target.is_ok_and(|target| target.ends_with(&name)) {
                    fs::remove_file(system.path(&format!("{folder}/{link}"))).unwrap();
                }
            }
        }
        every_verb_works(&system, "3");
        if !is_of_bootc {
            assert_eq!(ids(&system.status()).len(), 3, "it boots, so it stays");
        }
    }
}

// `rollback` ended in `assert!(all_configs.len() == 2)` (read in bootc's code).
#[test]
fn one_deployment_or_many_are_no_reason_to_panic() {
    let (system, _) = with_versions(&["1"]);
    let error = system.store(["rollback"]).fails(5);
    assert!(error.contains("roll back"), "{error}");
    for version in ["2", "3", "4", "5"] {
        system.import(version, &with_kernel(version));
        system.store(["deploy", version]).succeeds();
    }
    system.store(["rollback"]).succeeds();
    let order = ["4", "5", "3", "2", "1"].map(|version| system.bootable_id(version));
    assert_eq!(ids(&system.status()), order);
    System::new().store(["rollback"]).fails(5);
}

// #2364: a verb waited for ever for a lock that its own process held.
#[test]
fn a_lock_that_somebody_holds_is_told_and_not_waited_for() {
    let (system, _) = with_versions(&["1"]);
    let target = system.target();
    let held = target.sysroot.lock().unwrap();
    for args in [&["kargs", "set", "a=1"][..], &["pin", "default"]] {
        system.store(args.to_vec()).fails(6);
    }
    system.store(["status"]).succeeds();
    drop(held);
    system.store(["kargs", "set", "a=1"]).succeeds();
}

// #1795: the name that was asked for last was shown as what runs.
#[test]
fn what_is_deployed_is_told_by_its_own_manifest_when_its_name_has_moved_on() {
    let system = System::new();
    let first = system.import("os", &with_kernel("1"));
    system.store(["deploy", "os"]).succeeds();
    fs::remove_dir_all(system.path("layout-os")).unwrap();
    let second = system.import("os", &with_kernel("2"));
    assert_ne!(first, second);
    assert_eq!(system.status()["deployments"][0]["image"]["manifest"], first.as_str());
    let host = system.store(["status", "--format", "bootc"]).json();
    assert_eq!(host["status"]["otherDeployments"][0]["image"]["imageDigest"], first.as_str());
}

// GRUB reads an entry's file name as name, version and release: dashes in a version shifted them (ostree#2961).
#[test]
fn a_version_with_dashes_keeps_the_order_of_grubs_menu() {
    let (system, _) = with_versions(&["2026-01-02-rc", "2026-01-03"]);
    let mut names = system.names("esp/loader/entries");
    names.sort_by(|a, b| b.cmp(a));
    assert_eq!(names, ["bootc_example-2026_01_03-1.conf", "bootc_example-2026_01_02_rc-0.conf"]);
}
