//! QEMU's own tool as the oracle: what `qemu-img` writes in any of its ways is read as it reads it.

use std::{fs, path::Path, process::Command};

use sealstone_import::ImportError;

use crate::kit::{decode, options};

/// Runs `qemu-img`; none where it is not installed.
fn qemu_img(folder: &Path, args: &[&str]) -> Option<()> {
    for _ in 0..20 {
        let output = Command::new("qemu-img").args(args).current_dir(folder).output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // It measures how fast it derives keys, which a busy machine may spoil.
        if said.contains("Unable to get accurate CPU usage") {
            continue;
        }
        assert!(output.status.success(), "{args:?}: {said}");
        return Some(());
    }
    panic!("{args:?}: qemu-img measures nothing on this machine")
}

/// A disk with data, noise, zeros and repetition, whose size is no multiple of a cluster.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; (40 << 20) + 512 * 3];
    let mut state = 7_u64;
    for (number, block) in disk.chunks_mut(4096).enumerate() {
        match number / 100 % 4 {
            0 => {
                for word in block.chunks_exact_mut(8) {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    word.copy_from_slice(&state.to_be_bytes());
                }
            }
            1 => block.fill(number as u8),
            _ => {}
        }
    }
    disk
}

#[test]
fn what_qemu_img_writes_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk();
    fs::write(folder.path().join("disk.raw"), &disk).unwrap();
    let convert = ["convert", "-f", "raw", "-O", "qcow2"];
    for more in [
        &[][..],
        &["-o", "compat=0.10"],
        &["-o", "cluster_size=512"],
        &["-o", "cluster_size=2M"],
        &["-o", "preallocation=metadata"],
        &["-o", "preallocation=full"],
        &["-o", "lazy_refcounts=on"],
        &["-c"],
        &["-c", "-o", "compat=0.10"],
        &["-c", "-o", "cluster_size=4k"],
        &["-c", "-o", "cluster_size=2M"],
        &["-c", "-o", "compression_type=zstd"],
        &["-c", "-m", "16", "-W"],
        &["-m", "16", "-W", "-o", "cluster_size=4k"],
    ] {
        let args = [&convert[..], more, &["disk.raw", "disk.qcow2"]].concat();
        if qemu_img(folder.path(), &args).is_none() {
            println!("skipped: no qemu-img here");
            return;
        }
        let image = fs::read(folder.path().join("disk.qcow2")).unwrap();
        for piece in [10_007, 256 << 10] {
            let made =
                decode(&image, piece, options(64 << 20)).unwrap_or_else(|error| panic!("{more:?}: {error}"));
            assert!(made.bytes == disk, "{more:?} in pieces of {piece}");
        }
    }
}

#[test]
fn an_image_that_was_used_resized_and_snapshotted_is_read_as_qemu_img_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| qemu_img(folder.path(), args);
    fs::write(folder.path().join("disk.raw"), disk()).unwrap();
    if run(&["convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", "disk.raw", "disk.qcow2"])
        .is_none()
    {
        println!("skipped: no qemu-img here");
        return;
    }
    run(&["snapshot", "-c", "before", "disk.qcow2"]).unwrap();
    // The first table grows, and moves to the end.
    run(&["resize", "-q", "disk.qcow2", "700M"]).unwrap();
    let writes = [
        "write -P 0x5a 1M 300k",
        "write -z 3M 1M",
        "discard 5M 1M",
        "write -P 0x11 699M 64k",
        "write -c 600M 4k",
    ];
    let commands: Vec<&str> = writes.iter().flat_map(|write| ["-c", *write]).collect();
    let mut io = Command::new("qemu-io");
    let io = io
        .args(["-f", "qcow2"])
        .args(commands)
        .arg("disk.qcow2")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(io.status.success(), "{}", String::from_utf8_lossy(&io.stderr));
    run(&["convert", "-O", "raw", "disk.qcow2", "as-qemu.raw"]).unwrap();
    let image = fs::read(folder.path().join("disk.qcow2")).unwrap();
    let made = decode(&image, 256 << 10, options(256 << 20)).unwrap();
    assert!(made.bytes == fs::read(folder.path().join("as-qemu.raw")).unwrap());
}

#[test]
fn an_image_over_another_is_refused_and_so_is_an_encrypted_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| qemu_img(folder.path(), args);
    fs::write(folder.path().join("base.raw"), vec![1; 1 << 20]).unwrap();
    if run(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "over.qcow2"]).is_none() {
        println!("skipped: no qemu-img here");
        return;
    }
    run(&["create", "-q", "-f", "qcow2", "-o", "data_file=data.raw", "outside.qcow2", "1M"]).unwrap();
    run(&["create", "-q", "-f", "qcow2", "-o", "extended_l2=on", "sub.qcow2", "1M"]).unwrap();
    let secret = ["--object", "secret,id=s,data=secret", "-o", "encrypt.format=luks,encrypt.key-secret=s"];
    run(&[&["create", "-q", "-f", "qcow2"][..], &secret, &["locked.qcow2", "1M"]].concat()).unwrap();
    for (name, reason) in [
        ("over.qcow2", "backing file"),
        ("outside.qcow2", "in another file"),
        ("sub.qcow2", "subclusters"),
        ("locked.qcow2", "encrypted"),
    ] {
        let image = fs::read(folder.path().join(name)).unwrap();
        let refused = decode(&image, 1 << 16, options(1 << 20)).err().unwrap();
        assert!(matches!(&refused, ImportError::Unsupported { .. }), "{refused:?}");
        assert!(refused.to_string().contains(reason), "{name}: {refused}");
    }
}
