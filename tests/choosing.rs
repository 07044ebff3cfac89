//! Deployments by name: any of them boots next, one named by its content keeps its place, and what lost its record or its
//! files is told, comes back or goes.
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

use kit::system::{System, field};
use kit::{Image, Layer};

/// A system with these versions deployed, one after the other; their ids.
fn with_versions(versions: &[&str]) -> (System, Vec<String>) {
    let system = System::new();
    for version in versions {
        system.import(version, &image(version));
        system.store(["deploy", version]).succeeds();
    }
    let ids = versions.iter().map(|version| system.bootable_id(version)).collect();
    (system, ids)
}

fn image(version: &str) -> Image {
    System::image(version, &[("usr/bin/own", &format!("only in {version} ").repeat(100))])
}

fn menu(system: &System) -> Vec<String> {
    system.menu().iter().map(|(_, text)| field(text, "x-sealstone-id")).collect()
}

/// Removes the object of a file that only one image has.
fn lose_file(system: &System, version: &str) {
    let content = format!("only in {version} ").repeat(100);
    for folder in system.names("mnt/composefs/objects") {
        for name in system.names(&format!("mnt/composefs/objects/{folder}")) {
            let path = system.path(&format!("mnt/composefs/objects/{folder}/{name}"));
            if fs::read(&path).unwrap() == content.as_bytes() {
                return fs::remove_file(path).unwrap();
            }
        }
    }
    panic!("no object of {version}");
}

#[test]
fn any_deployment_boots_next_when_it_is_named_with_its_own_etc() {
    let (system, ids) = with_versions(&["1", "2", "3"]);
    system.write(&format!("mnt/state/deploy/{}/etc/mine", ids[0]), "old");
    let dry = system.store(["rollback", &ids[0][..8], "--dry-run", "--json"]).json();
    assert_eq!(dry["deployments"]["added"].as_array().unwrap().len(), 0, "{dry:#}");
    assert_eq!(menu(&system)[0], ids[2]);
    system.store(["rollback", &ids[0][..8]]).succeeds();
    assert_eq!(menu(&system)[0], ids[0]);
    assert_eq!(system.names("mnt/state/deploy").len(), 3, "no copy was made");
    assert_eq!(system.read(&format!("mnt/state/deploy/{}/etc/mine", ids[0])), "old");
    let unknown = system.store(["rollback", "zzz"]);
    assert_eq!(unknown.code, 5);
    assert!(unknown.stderr.contains("store status"), "{}", unknown.stderr);
}

#[test]
fn an_image_that_only_a_deployment_keeps_is_deployed_again_by_its_id_and_keeps_its_place() {
    let (system, ids) = with_versions(&["system", "other"]);
    let status = system.status();
    let of = |id: &str, status: &serde_json::Value| {
        let deployments = status["deployments"].as_array().unwrap().clone();
        let found = deployments.into_iter().find(|one| one["image"]["id"] == id).unwrap();
        found["image"]["reference"].as_str().unwrap().to_owned()
    };
    let place = of(&ids[0], &status);
    assert!(place.starts_with("oci:"), "{place}");
    // A name behind `localhost/` in the alphabet is the user's all the same.
    let told = system.store(["deploy", &ids[0][..12], "--karg", "again"]).succeeds();
    assert!(!told.contains("localhost/bootc-"), "{told}");
    system.repository(["rm", "system"]).succeeds();
    let told = system.store(["deploy", &ids[0][..12], "--karg", "more"]).succeeds();
    assert!(!told.contains("localhost/bootc-"), "{told}");
    let status = system.status();
    for deployment in status["deployments"].as_array().unwrap() {
        let reference = deployment["image"]["reference"].as_str().unwrap();
        assert!(reference.starts_with("oci:"), "{reference}");
        let id = deployment["id"].as_str().unwrap();
        let origin = system.read(&format!("mnt/state/deploy/{id}/{id}.origin"));
        assert!(!origin.contains("localhost/bootc-"), "{origin}");
    }
    assert_eq!(of(&ids[0], &status), place);
}

#[test]
fn a_lost_file_is_told_by_status_and_reconcile_until_its_image_is_read_again() {
    let (system, ids) = with_versions(&["1", "2"]);
    lose_file(&system, "1");
    let status = system.store(["status"]);
    assert_eq!(status.code, 1);
    assert!(status.stdout.contains("/usr/bin/own"), "{}", status.stdout);
    let document = system.status();
    let broken: Vec<_> = document["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["health"]["is"] == "broken")
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(broken, [ids[0].clone()]);
    let told = system.store(["reconcile"]).succeeds();
    assert!(told.contains("/usr/bin/own") && told.contains("--verify-existing"), "{told}");
    let layout = format!("oci:{}", system.path("layout-1").display());
    system.repository(["import", "--verify-existing", "--name", "1", &layout]).succeeds();
    assert_eq!(system.store(["status"]).code, 0);
    assert_eq!(system.store(["reconcile"]).succeeds().lines().next(), Some("nothing to do"));
}

#[test]
fn a_lost_record_comes_back_with_reconcile_and_an_unreadable_one_goes_by_name() {
    let (system, ids) = with_versions(&["1", "2", "3"]);
    let record = |id: &str| format!("mnt/state/sealstone/deployments/{id}.json");
    fs::remove_file(system.path(&record(&ids[1]))).unwrap();
    system.store(["reconcile"]).succeeds();
    assert_eq!(menu(&system), [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
    assert_eq!(system.store(["status"]).code, 0);
    system.store(["pin", &ids[1][..12]]).succeeds();
    system.write(&record(&ids[0]), "{");
    system.store(["prune", &ids[0][..12], "--dry-run"]).succeeds();
    assert_eq!(menu(&system).len(), 3);
    system.store(["prune", &ids[0][..12]]).succeeds();
    assert_eq!(menu(&system), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(system.names("mnt/state/deploy").len(), 2);
    assert_eq!(system.store(["status"]).code, 0);
    assert_eq!(system.store(["reconcile"]).succeeds().lines().next(), Some("nothing to do"));
}

#[test]
fn what_a_verb_could_not_do_is_told() {
    let (system, _) = with_versions(&["1", "2"]);
    let told = system.store(["kargs", "unset", "nothere"]).succeeds();
    assert!(told.contains("there is no argument nothere"), "{told}");
    let short = system.store(["prune", "--esp-free", "900T"]);
    assert_eq!(short.code, 4, "{}", short.stderr);
    assert!(short.stdout.contains("every deployment that is left is needed"), "{}", short.stdout);
    assert_eq!(menu(&system).len(), 2);
    let without = Layer::new().whiteout("usr/lib/modules/6.1.0/initramfs.img");
    system.import("kernel-only", &Image::new().layer(Layer::system("6.1.0")).layer(without));
    let refused = system.store(["deploy", "kernel-only"]);
    assert!(refused.stderr.contains("initramfs"), "{}", refused.stderr);
}

#[test]
fn status_tells_versions_times_and_who_wants_which_argument() {
    let system = System::new();
    let files = [("usr/lib/bootc/kargs.d/10.toml", "kargs = [\"quiet\"]\n")];
    system.import("1", &System::image("1", &files));
    system.store(["deploy", "1", "--karg", "mine"]).succeeds();
    system.store(["kargs", "--source", "tuned", "set", "isolcpus=1"]).succeeds();
    let told = system.store(["status", "-v"]).succeeds();
    for text in ["version", "deployed", "(image, ", "mine (given)", "isolcpus=1 (set by tuned)", "DEPLOYED"] {
        assert!(told.contains(text), "{text} in {told}");
    }
}
