//! `store install from-artifact`: whole-disk images, raw and qcow2, packed or not, onto files and devices. QEMU's and
//! sgdisk's tools say what is right; what goes wrong leaves nothing that could be started.
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
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use kit::artifact::write_layout;
use kit::disk::{checked_gpt, gpt_disk, mbr_disk};
use kit::layer::noise;
use kit::loop_disk::LoopDevice;
use kit::memory_group::MemoryGroup;
use kit::tools::tool;
use kit::{Outcome, Sandbox, gzip, skip};

const OCTETS: &str = "application/octet-stream";

/// A loop device over a file `device` of so many bytes, all of them 0xee.
fn loop_device(sandbox: &Sandbox, bytes: usize, more: &[&str], test: &str) -> Option<LoopDevice> {
    let file = sandbox.path("device");
    fs::write(&file, vec![0xee; bytes]).unwrap();
    LoopDevice::of(&file, more, test)
}

fn install(sandbox: &Sandbox, more: &[&str]) -> Outcome {
    sandbox.store([&["install", "from-artifact", "--json", "oci:layout"], more].concat())
}

#[test]
fn a_disk_image_of_any_format_and_packing_becomes_the_same_file() {
    let sandbox = Sandbox::new();
    let test = "a_disk_image_of_any_format_and_packing_becomes_the_same_file";
    let Some(disk) = gpt_disk(&sandbox) else { return skip(test, "no sgdisk") };
    let folder = sandbox.path(".");
    let mut images = vec![("raw", disk.clone())];
    for (name, more) in
        [("plain", &[][..]), ("packed", &["-c"]), ("zstd", &["-c", "-o", "compression_type=zstd"])]
    {
        let args = [&["convert", "-f", "raw", "-O", "qcow2"], more, &["gpt.raw", "disk.qcow2"]].concat();
        if tool(&folder, "qemu-img", &args).is_none() {
            return skip(test, "no qemu-img");
        }
        images.push((name, fs::read(sandbox.path("disk.qcow2")).unwrap()));
    }
    for (name, image) in images {
        for (kind, packed) in [
            (OCTETS, image.clone()),
            ("application/gzip", gzip(&image)),
            ("application/vnd.example.disk+zstd", zstd::encode_all(&image[..], 1).unwrap()),
        ] {
            let _ = fs::remove_dir_all(sandbox.path("layout"));
            write_layout(&sandbox.path("layout"), &[(&packed, kind, "disk")]);
            let done = install(&sandbox, &["disk.raw", "--wipe"]).json();
            assert!(fs::read(sandbox.path("disk.raw")).unwrap() == disk, "{name} {kind}");
            assert_eq!(done["format"], if name == "raw" { "raw" } else { "qcow2" });
            assert_eq!((&done["disk_bytes"], &done["sector_bytes"]), (&disk.len().into(), &512.into()));
            assert_eq!(done["partitions"][1]["name"], "root");
            let blocks = fs::metadata(sandbox.path("disk.raw")).unwrap().blocks();
            assert!(blocks * 512 < 9 << 20, "{name} {kind}: {blocks} blocks");
        }
    }
    tool(&folder, "qemu-img", &["compare", "-f", "raw", "-F", "qcow2", "disk.raw", "disk.qcow2"]).unwrap();
    checked_gpt(&sandbox, "disk.raw").unwrap();
}

#[test]
fn what_is_on_the_target_goes_only_when_that_is_said() {
    let sandbox = Sandbox::new();
    let disk = mbr_disk(6 << 20);
    write_layout(&sandbox.path("layout"), &[(&disk, OCTETS, "disk")]);
    install(&sandbox, &["disk.raw"]).succeeds();
    let told = install(&sandbox, &["disk.raw"]).fails(1);
    assert!(
        told.contains("in use") && told.contains("an MBR partition table with 1 partition (0x83)"),
        "{told}"
    );
    install(&sandbox, &["--wipe", "disk.raw"]).succeeds();
    fs::write(sandbox.path("notes"), "precious").unwrap();
    assert!(install(&sandbox, &["notes"]).fails(1).contains("8 bytes of something"));
    assert_eq!(fs::read(sandbox.path("notes")).unwrap(), b"precious");
    install(&sandbox, &["."]).fails(2);
}

#[test]
fn what_is_no_disk_image_or_not_what_was_promised_leaves_no_file() {
    let sandbox = Sandbox::new();
    let disk = mbr_disk(6 << 20);
    let mut other = disk.clone();
    other[5_000_000] ^= 1;
    let blob =
        |bytes: &[u8]| sandbox.path("layout/blobs/sha256").join(&kit::http::sha256(bytes)["sha256:".len()..]);
    write_layout(&sandbox.path("layout"), &[(&disk, OCTETS, "disk")]);
    fs::write(blob(&disk), &other).unwrap();
    install(&sandbox, &["disk.raw"]).fails(3);
    for (bytes, code, reason) in [
        (noise(3 << 20, 1), 1, "no partition table"),
        (Vec::from(*b"QFI\xfb\0\0\0\x03"), 3, "header is cut off"),
        (Vec::new(), 1, "no partition table"),
    ] {
        let _ = fs::remove_dir_all(sandbox.path("layout"));
        write_layout(&sandbox.path("layout"), &[(&bytes, OCTETS, "disk")]);
        let told = install(&sandbox, &["disk.raw"]).fails(code);
        assert!(told.contains(reason), "{told}");
    }
    let left: Vec<_> =
        fs::read_dir(sandbox.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("disk.raw")), "{left:?}");
}

#[test]
fn on_a_larger_device_the_second_table_is_at_its_end_and_what_was_there_does_not_show_through() {
    let sandbox = Sandbox::new();
    let test = "on_a_larger_device_the_second_table_is_at_its_end_and_what_was_there_does_not_show_through";
    let Some(disk) = gpt_disk(&sandbox) else { return skip(test, "no sgdisk") };
    let folder = sandbox.path(".");
    if tool(&folder, "qemu-img", &["convert", "-f", "raw", "-O", "qcow2", "gpt.raw", "disk.qcow2"]).is_none()
    {
        return skip(test, "no qemu-img");
    }
    for image in [disk.clone(), fs::read(sandbox.path("disk.qcow2")).unwrap()] {
        let Some(device) = loop_device(&sandbox, 40 << 20, &[], test) else { return };
        let _ = fs::remove_dir_all(sandbox.path("layout"));
        write_layout(&sandbox.path("layout"), &[(&image, OCTETS, "disk")]);
        assert!(install(&sandbox, &[&device.path]).fails(1).contains("something"));
        let done = install(&sandbox, &[&device.path, "--wipe"]).json();
        assert_eq!((&done["disk_bytes"], &done["target_bytes"]), (&(24 << 20).into(), &(40 << 20).into()));
        let written = fs::read(sandbox.path("device")).unwrap();
        // Between the head and the image's own second table all is as it was.
        assert!(written[1 << 20..(24 << 20) - 33 * 512] == disk[1 << 20..(24 << 20) - 33 * 512]);
        let listed = checked_gpt(&sandbox, &device.path).unwrap();
        assert!(listed.contains("root") && listed.contains("last usable sector is 81886"), "{listed}");
    }
}

#[test]
fn a_device_whose_image_was_wrong_or_does_not_fit_starts_nothing() {
    let sandbox = Sandbox::new();
    let test = "a_device_whose_image_was_wrong_or_does_not_fit_starts_nothing";
    let Some(device) = loop_device(&sandbox, 8 << 20, &[], test) else { return };
    let disk = mbr_disk(6 << 20);
    let mut other = disk.clone();
    other[5_000_000] ^= 1;
    write_layout(&sandbox.path("layout"), &[(&disk, OCTETS, "disk")]);
    let blob = sandbox.path("layout/blobs/sha256").join(&kit::http::sha256(&disk)["sha256:".len()..]);
    fs::write(&blob, &other).unwrap();
    install(&sandbox, &[&device.path, "--wipe"]).fails(3);
    let written = fs::read(sandbox.path("device")).unwrap();
    assert!(written[..1 << 20].iter().all(|byte| *byte == 0), "it has a partition table");
    assert!(written[7 << 20..].iter().all(|byte| *byte == 0), "an old second table would be there");
    fs::write(&blob, &disk).unwrap();
    install(&sandbox, &[&device.path, "--wipe"]).succeeds();
    assert!(fs::read(sandbox.path("device")).unwrap()[..disk.len()] == disk);

    let mut large = disk;
    large.resize(9 << 20, 0);
    let _ = fs::remove_dir_all(sandbox.path("layout"));
    write_layout(&sandbox.path("layout"), &[(&gzip(&large), "application/gzip", "disk")]);
    let told = install(&sandbox, &[&device.path, "--wipe"]).fails(4);
    assert!(told.contains("too little space"), "{told}");
    let written = fs::read(sandbox.path("device")).unwrap();
    assert!(written[..1 << 20].iter().all(|byte| *byte == 0));
}

#[test]
fn an_image_for_other_sectors_and_a_device_that_is_mounted_are_refused() {
    let sandbox = Sandbox::new();
    let test = "an_image_for_other_sectors_and_a_device_that_is_mounted_are_refused";
    let Some(disk) = gpt_disk(&sandbox) else { return skip(test, "no sgdisk") };
    write_layout(&sandbox.path("layout"), &[(&disk, OCTETS, "disk")]);
    let Some(device) = loop_device(&sandbox, 40 << 20, &["--sector-size", "4096"], test) else { return };
    let told = install(&sandbox, &[&device.path, "--wipe"]).fails(1);
    assert!(told.contains("for sectors of 512 bytes, and the disk has 4096"), "{told}");
    assert!(fs::read(sandbox.path("device")).unwrap()[..1 << 20].iter().all(|byte| *byte == 0));
    drop(device);
    let Some(device) = loop_device(&sandbox, 40 << 20, &[], test) else { return };
    tool(&sandbox.path("."), "mkfs.ext4", &["-q", &device.path]).unwrap();
    fs::create_dir(sandbox.path("mnt")).unwrap();
    let mount = Command::new("mount").arg(&device.path).arg(sandbox.path("mnt")).status().unwrap();
    let told =
        [&["--wipe"][..], &[]].map(|more| install(&sandbox, &[&[device.path.as_str()], more].concat()));
    let _ = Command::new("umount").arg(sandbox.path("mnt")).status();
    assert!(mount.success());
    for told in told {
        told.fails(6);
    }
}

#[test]
fn a_large_image_needs_no_more_than_64_mebibytes() {
    let test = "a_large_image_needs_no_more_than_64_mebibytes";
    // With the page cache, of which the kernel lets go.
    let group = match MemoryGroup::of(64 << 20) {
        Ok(group) => group,
        Err(why) => return skip(test, &why),
    };
    let sandbox = Sandbox::new();
    let mut disk = mbr_disk(6 << 20);
    disk.resize(160 << 20, 0);
    disk[8 << 20..].copy_from_slice(&noise(152 << 20, 5));
    fs::write(sandbox.path("large.raw"), &disk).unwrap();
    let args = ["convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", "large.raw", "large.qcow2"];
    if tool(&sandbox.path("."), "qemu-img", &args).is_none() {
        return skip(test, "no qemu-img");
    }
    let image = fs::read(sandbox.path("large.qcow2")).unwrap();
    let packed = zstd::encode_all(&image[..], 1).unwrap();
    drop(image);
    write_layout(&sandbox.path("layout"), &[(&packed, "application/zstd", "disk")]);
    let command = sandbox.command(["install", "from-artifact", "oci:layout", "disk.raw"]);
    Outcome::of(&mut group.run(&command)).succeeds();
    assert!(fs::read(sandbox.path("disk.raw")).unwrap() == disk);
    assert!(group.peak() <= 64 << 20 && group.peak() > 4 << 20, "{} bytes", group.peak());
}
