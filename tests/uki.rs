//! Unified kernel images, from an image's parts to a boot partition.
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

use kit::deployed::Deployed;
use kit::{Sandbox, run, skip, stub};
use serde_json::Value;

/// The folders and files of a boot partition by name.
fn names(deployed: &Deployed, path: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(deployed.sandbox.path(path)) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn bootable(deployed: &Deployed, image: &str) -> String {
    deployed.store(&["inspect", image, "--json"]).json()["bootable"].as_str().unwrap().to_owned()
}

// bootc#1498 asks for it: to seal an image in one step, and to sign it elsewhere.
#[test]
fn an_image_is_built_of_an_imports_own_parts_the_same_each_time_and_seals_its_id() {
    let deployed = Deployed::new();
    let base = deployed.import_unsealed("1");
    let built = deployed.build_uki(&base, "one.efi", &["--karg", "console=ttyS0", "--json"]).json();
    deployed.build_uki(&base, "two.efi", &["--karg", "console=ttyS0"]).succeeds();
    let read = |name: &str| fs::read(deployed.sandbox.path(name)).unwrap();
    assert_eq!(read("one.efi"), read("two.efi"));
    let id = bootable(&deployed, &base);
    assert_eq!(built["image"], Value::from(id.clone()));
    let shown = deployed.store(&["uki", "inspect", "one.efi", "--json"]).json();
    assert_eq!(shown["images"], serde_json::json!([id]));
    let cmdline = shown["cmdline"].as_str().unwrap();
    assert!(cmdline.starts_with("quiet ro console=ttyS0 composefs"), "{cmdline}");
    assert_eq!((&shown["uname"], &shown["architecture"]), (&"6.1.0".into(), &"x64".into()));
    assert!(shown["os_release"].as_str().unwrap().contains("Example 1"));
    // The layer that has it on top changes nothing of what boots.
    deployed.import_with_uki("1", &read("one.efi"));
    assert_eq!(bootable(&deployed, "1"), id);
    let human = deployed.store(&["uki", "inspect", "one.efi"]).succeeds();
    assert!(human.contains("Example 1") && human.contains(".linux"), "{human}");
}

#[test]
fn a_sealed_image_is_deployed_updated_and_rolled_back() {
    let deployed = Deployed::new();
    let (one, two) = (deployed.import_sealed("1"), deployed.import_sealed("2"));
    deployed.deploy("1", &[]).succeeds();
    deployed.deploy("2", &[]).succeeds();
    let file = |image: &str| {
        let id = bootable(&deployed, image);
        deployed.sandbox.path(&format!("esp/EFI/Linux/bootc/bootc_composefs-{id}.efi"))
    };
    assert_eq!((fs::read(file("1")).unwrap(), fs::read(file("2")).unwrap()), (one, two));
    let found = deployed.deployments();
    assert!(found.iter().all(|one| one["health"]["is"] == "good"), "{found:?}");
    assert_eq!(found[0]["id"], bootable(&deployed, "2").as_str());
    let target = ["--sysroot", "sysroot", "--esp", "esp"];
    deployed.store(&[&["rollback"][..], &target].concat()).succeeds();
    assert_eq!(deployed.deployments()[0]["id"], bootable(&deployed, "1").as_str());
    // One that is lost comes back, and one that goes takes its file along.
    fs::remove_file(file("1")).unwrap();
    deployed.store(&[&["reconcile"][..], &target].concat()).succeeds();
    assert!(file("1").is_file());
    deployed.import_sealed("3");
    deployed.deploy("3", &["--keep", "2"]).succeeds();
    assert_eq!(names(&deployed, "esp/EFI/Linux/bootc").len(), 2);
}

#[test]
fn a_command_line_of_another_image_is_refused_before_anything_is_written() {
    let deployed = Deployed::new();
    let base = deployed.import_unsealed("1");
    deployed.build_uki(&base, "one.efi", &[]).succeeds();
    deployed.import_with_uki("2", &fs::read(deployed.sandbox.path("one.efi")).unwrap());
    let told = deployed.deploy("2", &[]).fails(3);
    for id in [bootable(&deployed, &base), bootable(&deployed, "2")] {
        assert!(told.contains(&id), "{told}");
    }
    assert!(names(&deployed, "esp").is_empty());
}

#[test]
fn arguments_for_a_sealed_image_are_refused_with_the_way_out() {
    let deployed = Deployed::new();
    deployed.import_sealed("1");
    let told = deployed.deploy("1", &["--karg", "debug"]).fails(1);
    assert!(told.contains("addon"), "{told}");
    assert!(names(&deployed, "esp").is_empty());
}

#[test]
fn an_addon_is_built_and_told_from_an_image() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("stub"), stub::pe(&[(".text", b"\xc3", 0x6000_0020)])).unwrap();
    let args = ["uki", "addon", "--stub", "stub", "--karg", "console=ttyS0", "--output", "c.addon.efi"];
    sandbox.store(args).succeeds();
    let shown = sandbox.store(["uki", "inspect", "c.addon.efi", "--json"]).json();
    assert_eq!((&shown["kind"], &shown["cmdline"]), (&"addon".into(), &"console=ttyS0".into()));
}

#[test]
fn what_is_no_image_is_told_and_a_file_that_fails_is_not_left_half() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("text"), "MZ".repeat(100)).unwrap();
    let told = sandbox.store(["uki", "inspect", "text"]).fails(3);
    assert!(told.contains("no valid boot image"), "{told}");
    let args = ["uki", "build", "--stub", "text", "--linux", "text", "--output", "out.efi"];
    sandbox.store(args).fails(3);
    let left: Vec<_> =
        fs::read_dir(sandbox.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["text"]);
}

/// `SEALSTONE_UKIFY` is a folder with Debian's ukify and systemd's stubs, as `tests/tools/fetch-forky` fills one.
#[test]
fn of_the_same_parts_ukify_makes_the_same_bytes() {
    let test = "of_the_same_parts_ukify_makes_the_same_bytes";
    let Some(folder) = std::env::var_os("SEALSTONE_UKIFY").map(std::path::PathBuf::from) else {
        return skip(test, "SEALSTONE_UKIFY names no folder");
    };
    let sandbox = Sandbox::new();
    let stub = folder.join("usr/lib/systemd/boot/efi/linuxx64.efi.stub").display().to_string();
    let write = |name: &str, body: &[u8]| fs::write(sandbox.path(name), body).unwrap();
    let sbat = b"sbat,1,SBAT Version,sbat,1,url\nlinux,1,Kernel,linux,1,url\n";
    write("pe", &stub::pe(&[(".text", b"\xc3", 0x6000_0020), (".sbat", sbat, 0x4000_0040)]));
    write("raw", &kit::layer::noise(70_001, 1));
    write("initrd", &kit::layer::noise(50_003, 2));
    write("more", &kit::layer::noise(1_001, 3));
    write("os-release", b"ID=example\nVERSION_ID=1\n");
    for (linux, initrds) in [("pe", &["initrd"][..]), ("raw", &["initrd", "more"])] {
        let parts = ["build", "--stub", &stub, "--uname", "6.1.0", "--cmdline", "quiet ro", "--linux", linux];
        let initrds: Vec<&str> = initrds.iter().flat_map(|initrd| ["--initrd", *initrd]).collect();
        let ours =
            [&["uki"][..], &parts, &initrds, &["--os-release", "os-release", "--output", "ours"]].concat();
        sandbox.store(ours).succeeds();
        let theirs =
            [&parts[..], &initrds, &["--os-release", "@os-release", "--hwids", "", "--output", "theirs"]]
                .concat();
        run(&sandbox, &folder.join("ukify").display().to_string(), &theirs);
        let read = |name: &str| fs::read(sandbox.path(name)).unwrap();
        assert!(read("ours") == read("theirs"), "{linux} {initrds:?}");
    }
}
