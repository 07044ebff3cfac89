//! Config drives: what `OpenStack` gives a machine to read at its first boot, behind a whole-disk image. libarchive reads what
//! we make, and makes what we take.
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

use kit::artifact::write_layout;
use kit::disk::{checked_gpt, mbr_disk};
use kit::layer::noise;
use kit::tools::tool;
use kit::{Image, Outcome, Sandbox, gzip, skip};
use serde_json::Value;

/// A disk with an MBR and one partition, as an artifact.
fn write_disk(sandbox: &Sandbox) -> Vec<u8> {
    let disk = mbr_disk(4 << 20);
    write_layout(&sandbox.path("layout"), &[(&disk, "application/octet-stream", "disk")]);
    disk
}

/// What `OpenStack` puts there, and names that need more than ISO 9660 has.
fn write_drive(sandbox: &Sandbox) -> Vec<(&'static str, Vec<u8>)> {
    let files = vec![
        ("openstack/latest/meta_data.json", br#"{"uuid": "0"}"#.to_vec()),
        ("openstack/latest/user_data", noise(70_000, 9)),
        ("openstack/content/0000", Vec::new()),
        ("ec2/2009-04-04/meta-data.json", b"{}".to_vec()),
        (
            "openstack/latest/A.Name_that-is much longer than thirty-one letters, and of both Cases",
            b"x".to_vec(),
        ),
    ];
    for (name, content) in &files {
        let path = sandbox.path("drive").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    files
}

fn install(sandbox: &Sandbox, drive: &str, target: &str) -> Outcome {
    sandbox.store(["install", "from-artifact", "--json", "oci:layout", target, "--config-drive", drive])
}

/// The bytes of the last partition.
fn drive_of(sandbox: &Sandbox, target: &str, done: &Value) -> Vec<u8> {
    let last = done["partitions"].as_array().unwrap().last().unwrap().clone();
    let number = |key: &str| usize::try_from(last[key].as_u64().unwrap()).unwrap();
    fs::read(sandbox.path(target)).unwrap()[number("offset")..][..number("bytes")].to_vec()
}

#[test]
fn a_folder_becomes_a_config_drive_that_others_read_and_is_the_same_each_time() {
    let sandbox = Sandbox::new();
    let test = "a_folder_becomes_a_config_drive_that_others_read_and_is_the_same_each_time";
    let disk = write_disk(&sandbox);
    let files = write_drive(&sandbox);
    let done = install(&sandbox, "drive", "one.raw").json();
    let again = install(&sandbox, "drive", "two.raw").json();
    let one = fs::read(sandbox.path("one.raw")).unwrap();
    assert!(one == fs::read(sandbox.path("two.raw")).unwrap());
    assert_eq!(done["partitions"], again["partitions"]);
    assert!(one[1 << 20..disk.len()] == disk[1 << 20..]);
    let drive = drive_of(&sandbox, "one.raw", &done);
    assert!(drive[32_808..].starts_with(b"config-2 "), "the label");
    fs::write(sandbox.path("drive.iso"), &drive).unwrap();
    fs::create_dir(sandbox.path("out")).unwrap();
    if tool(&sandbox.path("."), "bsdtar", &["-x", "-f", "drive.iso", "-C", "out"]).is_none() {
        return skip(test, "no bsdtar");
    }
    for (name, content) in files {
        assert!(fs::read(sandbox.path("out").join(name)).unwrap() == content, "{name}");
    }
    assert_eq!(tool(&sandbox.path("."), "bsdtar", &["-t", "-f", "drive.iso"]).unwrap().lines().count(), 11);
}

fn base64(bytes: &[u8]) -> String {
    let text = sealstone::import::encode_base64(bytes);
    let lines: Vec<_> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

#[test]
fn an_iso_is_taken_as_it_is_and_packed_as_ironic_hands_it_on() {
    let sandbox = Sandbox::new();
    let test = "an_iso_is_taken_as_it_is_and_packed_as_ironic_hands_it_on";
    write_disk(&sandbox);
    write_drive(&sandbox);
    let args =
        ["-c", "-f", "theirs.iso", "--format=iso9660", "--options=volume-id=config-2", "-C", "drive", "."];
    if tool(&sandbox.path("."), "bsdtar", &args).is_none() {
        return skip(test, "no bsdtar");
    }
    // libarchive writes labels in capitals, and no hyphens.
    let mut iso = fs::read(sandbox.path("theirs.iso")).unwrap();
    iso[32_808..32_840].copy_from_slice(b"config-2                        ");
    fs::write(sandbox.path("theirs.iso"), &iso).unwrap();
    let packed = base64(&gzip(&iso));
    fs::write(sandbox.path("packed"), &packed).unwrap();
    fs::write(sandbox.path("one-line"), packed.replace('\n', "")).unwrap();
    for drive in ["theirs.iso", "packed", "one-line"] {
        let target = format!("{drive}.raw");
        let done = install(&sandbox, drive, &target).json();
        assert!(drive_of(&sandbox, &target, &done).starts_with(&iso), "{drive}");
    }
    fs::write(sandbox.path("cut"), &packed[..packed.len() / 2]).unwrap();
    fs::write(sandbox.path("other"), noise(5_000, 1)).unwrap();
    let mut unlabelled = iso;
    unlabelled[32_808..32_816].copy_from_slice(b"whatever");
    fs::write(sandbox.path("unlabelled"), &unlabelled).unwrap();
    for drive in ["cut", "other", "unlabelled"] {
        let told = install(&sandbox, drive, "no.raw").fails(2);
        assert!(told.contains("config drive"), "{drive}: {told}");
        assert!(!sandbox.path("no.raw").exists());
    }
}

#[test]
fn in_a_gpt_the_config_drive_is_a_partition_of_its_name_and_both_tables_hold() {
    let sandbox = Sandbox::new();
    let test = "in_a_gpt_the_config_drive_is_a_partition_of_its_name_and_both_tables_hold";
    fs::write(sandbox.path("gpt.raw"), vec![0; 8 << 20]).unwrap();
    let args = ["--new=1:2048:0", "--change-name=1:root", "gpt.raw"];
    if tool(&sandbox.path("."), "sgdisk", &args).is_none() {
        return skip(test, "no sgdisk");
    }
    let disk = fs::read(sandbox.path("gpt.raw")).unwrap();
    write_layout(&sandbox.path("layout"), &[(&disk, "application/octet-stream", "disk")]);
    write_drive(&sandbox);
    let done = install(&sandbox, "drive", "disk.raw").json();
    assert_eq!(done["partitions"][1]["name"], "config-2");
    assert_eq!(done["partitions"][1]["kind"], "0fc63daf-8483-4772-8e79-3d69d8477de4");
    let listed = checked_gpt(&sandbox, "disk.raw").unwrap();
    assert!(listed.contains("config-2") && listed.contains("root"), "{listed}");
}

#[test]
fn a_disk_that_is_installed_gets_its_config_drive_at_the_end() {
    let sandbox = Sandbox::new();
    let test = "a_disk_that_is_installed_gets_its_config_drive_at_the_end";
    Image::bootable("6.1.0").write(&sandbox.path("image"));
    write_drive(&sandbox);
    let args = ["install", "to-disk", "--seed", "x", "--time", "1", "--config-drive", "drive"];
    sandbox.store([&args[..], &["disk.raw", "oci:image"]].concat()).succeeds();
    let Some(listed) = checked_gpt(&sandbox, "disk.raw") else { return skip(test, "no sgdisk") };
    assert!(["esp", "root", "config-2"].iter().all(|name| listed.contains(name)), "{listed}");
    sandbox.store([&args[..], &["--format", "qcow2", "disk.qcow2", "oci:image"]].concat()).fails(2);
}
