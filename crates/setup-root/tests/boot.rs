//! Whole boots in QEMU: an initramfs of each kind in `contrib/` finds the physical root on a disk, runs the program, and the
//! image's own init sees the root that was promised; and a wrong digest stops with the message on the console.
//!
//! `make test-initramfs` makes the initramfs images with Debian's tools and names their folder in `SEALSTONE_INITRAMFS`.
//! Without it, each test says that it skips.
#![allow(clippy::disallowed_methods, reason = "a test, with ordinary files")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod kit;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kit::Machine;
use sealstone_store::{Algorithm, ObjectId, Verity};

/// A loaded machine without KVM takes its time.
const LIMIT: Duration = Duration::from_mins(5);

/// The image's init: says what it sees, and switches the machine off.
const INIT: &str = "#!/bin/busybox sh\nexec >/dev/console 2>&1\n\
    b=/bin/busybox\n$b echo; $b echo \"SEEN name=$($b cat /usr/name) etc=$($b cat /etc/of-state)\"\n\
    $b echo kept > /etc/new && $b echo \"SEEN etc takes writes\"\n\
    $b echo x 2>/dev/null > /usr/new || $b echo \"SEEN usr takes none\"\n\
    $b grep ' / ' /proc/mounts | $b tail -n 1 | $b sed 's/ .*//; s/^/SEEN /'\n\
    $b ls /sysroot/composefs/meta.json && $b echo 'SEEN all'\n$b sync; $b poweroff -f\n";

fn folder(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SEALSTONE_INITRAMFS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped {test}: make test-initramfs runs it");
    }
    folder
}

/// A machine with one deployment whose init is busybox'.
fn machine() -> (Machine, ObjectId) {
    let machine = Machine::new(Algorithm::Sha512, Verity::Computed);
    let busybox = fs::read("/bin/busybox").unwrap();
    let folders = ["etc", "var", "sysroot", "proc", "sys", "dev", "run", "root"];
    let files: [(&str, &[u8]); 3] =
        [("bin/busybox", &busybox), ("sbin/init", INIT.as_bytes()), ("usr/lib/os-release", b"ID=example\n")];
    let image = machine.image_of("one", &folders, &files);
    machine.state(&image.to_hex());
    (machine, image)
}

/// The physical root as a disk.
fn disk(machine: &Machine) -> PathBuf {
    let disk = machine.path("disk");
    let of = ["-q", "-F", "-L", "physical", "-U", "11111111-2222-3333-4444-555555555555", "-d"];
    let output = Command::new("mkfs.ext4")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(of)
        .args([&machine.path("physical"), &disk])
        .arg("64M")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    disk
}

/// Boots a kernel with an initramfs and this disk until it is switched off or a text is seen; gives what the console said.
fn boot(folder: &Path, kind: &str, disk: &Path, arguments: &str, until: &str) -> String {
    let log = disk.with_extension("log");
    let console = format!("file:{}", log.display());
    let drive = format!("if=virtio,format=raw,file={},cache=unsafe", disk.display());
    let line = format!("console=ttyS0 panic=-1 {arguments}");
    let mut qemu = Command::new("qemu-system-x86_64")
        // Without cmpxchg16b, which old QEMUs emulate wrongly at times.
        .args([
            "-accel",
            "tcg,thread=multi",
            "-machine",
            "q35",
            "-cpu",
            "max,-cx16",
            "-m",
            "1024",
            "-smp",
            "1",
        ])
        .args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", &console, "-drive", &drive])
        .arg("-kernel")
        .arg(folder.join("vmlinuz"))
        .arg("-initrd")
        .arg(folder.join(kind))
        .args(["-append", &line])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    loop {
        let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).replace('\r', "");
        let has_ended = qemu.try_wait().unwrap().is_some();
        if has_ended || said.contains(until) || begin.elapsed() > LIMIT {
            let _ = qemu.kill();
            let _ = qemu.wait();
            println!("{kind}: {} s", begin.elapsed().as_secs());
            return said;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The kinds of initramfs in a folder.
const KINDS: [&str; 3] = ["cpio.img", "initramfs-tools.img", "dracut.img"];

#[test]
fn an_initramfs_of_each_kind_boots_a_deployment() {
    let Some(folder) = folder("an_initramfs_of_each_kind_boots_a_deployment") else { return };
    for kind in KINDS {
        let (machine, image) = machine();
        let disk = disk(&machine);
        let arguments = format!("root=UUID=11111111-2222-3333-4444-555555555555 rw composefs=?{image}");
        let said = boot(&folder, kind, &disk, &arguments, "SEEN all");
        for line in [
            format!("SEEN name=one etc={image}\n"),
            "SEEN etc takes writes\n".to_owned(),
            "SEEN usr takes none\n".to_owned(),
            format!("SEEN composefs:{image}\n"),
            "SEEN all\n".to_owned(),
        ] {
            assert!(said.contains(&line), "{kind}: no {line:?} in\n{said}");
        }
    }
}

#[test]
fn a_wrong_digest_stops_each_of_them_with_what_is_there() {
    let Some(folder) = folder("a_wrong_digest_stops_each_of_them_with_what_is_there") else { return };
    let (machine, image) = machine();
    let disk = disk(&machine);
    for kind in KINDS {
        let absent = "0".repeat(128);
        let arguments = format!("root=LABEL=physical rw composefs={absent}");
        let said = boot(&folder, kind, &disk, &arguments, "what to do: boot another entry");
        for text in
            [format!("told to boot: composefs={absent}"), format!("  {image}"), "what to do:".to_owned()]
        {
            assert!(said.contains(&text), "{kind}: no {text:?} in\n{said}");
        }
        assert!(!said.contains("SEEN"), "{kind}: it does not boot\n{said}");
    }
}
