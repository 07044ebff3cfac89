//! Installing onto a device whose root is in a LUKS2 volume. Needs root, loop devices and cryptsetup, and says so.
//!
//! `systemd-cryptenroll` is a program of the test's, since there is no TPM. Where the kernel has no device mapper, so is what
//! opens a volume: a loop device over its data, not decrypted; the header is cryptsetup's own in any case.
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
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kit::loop_disk::LoopDevice;
use kit::system::System;
use kit::tools::{program, tool};
use kit::{Outcome, Sandbox, skip};
use serde_json::{Value, json};

/// Where cryptsetup puts what is encrypted, unless it is told otherwise.
const DATA: u64 = 16 << 20;

/// Notes what is asked of cryptsetup; opens a volume without decrypting it.
const CRYPTSETUP: &str = r#"#!/bin/sh
PATH=$PATH:/usr/sbin:/sbin
echo "cryptsetup $*" | sed 's#/proc/[0-9]*/fd/[0-9]*#KEY#' >> LOG
case "$1" in
luksFormat) exec REAL "$@" ;;
open)
  REAL open --test-passphrase --type luks2 --key-file "$5" -- "$7" || exit
  ln -s "$(losetup --find --show --offset 16777216 "$7")" "/dev/mapper/$8" ;;
close)
  for name; do :; done
  losetup --detach "$(readlink "/dev/mapper/$name")" && rm "/dev/mapper/$name" ;;
esac
"#;

/// Takes the key away, as it is asked to; the TPM's stays out of it.
const CRYPTENROLL: &str = r#"#!/bin/sh
PATH=$PATH:/usr/sbin:/sbin
echo "systemd-cryptenroll $*" | sed 's#/proc/[0-9]*/fd/[0-9]*#KEY#' >> LOG
for device; do :; done
REAL open --test-passphrase --key-file "${1#--unlock-key-file=}" -- "$device" || exit
case "$*" in *--wipe-slot=all*) REAL erase --batch-mode -- "$device" ;; esac
"#;

/// A disk of 3 GiB as a loop device, an image to install, and programs.
struct Device {
    device: LoopDevice,
    sandbox: Sandbox,
}

impl Device {
    fn new(test: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let real =
            std::env::split_paths(&path).map(|folder| folder.join("cryptsetup")).find(|file| file.exists());
        let (Some(real), true) = (real, Path::new("/dev/mapper").exists()) else {
            skip(test, "there is no cryptsetup, or no /dev/mapper");
            return None;
        };
        System::image("1", &[]).write(&sandbox.path("os"));
        fs::File::create(sandbox.path("disk")).and_then(|file| file.set_len(3 << 30)).expect("a file");
        let device = LoopDevice::of(&sandbox.path("disk"), &[], test)?;
        fs::create_dir(sandbox.path("tools")).expect("a folder");
        let device = Self { device, sandbox };
        for (name, text) in [("cryptsetup", CRYPTSETUP), ("systemd-cryptenroll", CRYPTENROLL)] {
            device.program(name, &text.replace("REAL", &real.display().to_string()));
        }
        Some(device)
    }

    /// Puts a program in the place of the machine's.
    fn program(&self, name: &str, text: &str) {
        let path = self.sandbox.path("tools").join(name);
        let text = text.replace("LOG", &self.sandbox.path("log").display().to_string());
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn install(&self, more: &[&str]) -> Outcome {
        let args = ["install", "to-disk", &self.device.path, "oci:os", "--esp-size", "260M"];
        let mut command = self.sandbox.command([&args[..], more].concat());
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.sandbox.path("tools").display());
        Outcome::of(command.env_remove("SEALSTONE_REPO").env("PATH", path))
    }

    /// The programs that were run, without the key.
    fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.sandbox.path("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn has_table(&self) -> bool {
        use std::os::unix::fs::FileExt;
        let mut bytes = [0; 8];
        let file = fs::File::open(self.sandbox.path("disk")).expect("a disk");
        file.read_exact_at(&mut bytes, 512).expect("bytes");
        &bytes == b"EFI PART"
    }

    /// A loop device over the root's partition, from an offset in it on.
    fn root(&self, disk: &Value, offset: u64) -> LoopDevice {
        let number = |key: &str| disk["root"][key].as_u64().expect("bytes");
        let (start, size) = (number("start") + offset, number("size") - offset);
        let (start, size) = (start.to_string(), size.to_string());
        let more = ["--offset", &start, "--sizelimit", &size];
        LoopDevice::of(&self.sandbox.path("disk"), &more, "root").expect("a loop device")
    }

    /// The boot entry.
    fn entry(&self, disk: &Value) -> String {
        let esp = format!("{}@@{}", self.sandbox.path("disk").display(), disk["esp"]["start"]);
        run("mtype", &["-i", &esp, "::/loader/entries/*.conf"])
    }
}

#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    tool(Path::new("."), program, args).expect(program)
}

#[test]
fn the_root_of_a_device_is_a_volume_that_the_tpm_alone_opens() {
    let Some(device) = Device::new("the_root_of_a_device_is_a_volume_that_the_tpm_alone_opens") else {
        return;
    };
    let planned = device.install(&["--luks", "tpm2", "--dry-run", "--json"]).json();
    assert_eq!(planned["target"]["luks"], "tpm2");
    assert!(device.ran().is_empty(), "a dry run runs nothing");
    let document = device.install(&["--luks", "tpm2", "--tpm2-pcrs", "7", "--seed", "a", "--json"]).json();
    let disk = &document["disk"];
    let uuid = disk["luks"]["uuid"].as_str().expect("a UUID");
    assert_eq!((&disk["luks"]["unlock"], &disk["filesystem"]), (&json!("tpm2"), &json!("ext4")));
    let root = device.root(disk, 0);
    let ran = device.ran();
    let name = format!("install-{uuid}");
    assert_eq!(ran.len(), 4, "{ran:?}");
    assert!(
        ran[0].starts_with("cryptsetup luksFormat --type luks2 --batch-mode --key-file KEY"),
        "{}",
        ran[0]
    );
    assert!(ran[1].starts_with("cryptsetup open --type luks2 --key-file KEY -- /dev/loop"), "{}", ran[1]);
    assert!(ran[1].ends_with(&name), "{}", ran[1]);
    assert_eq!(ran[2], format!("cryptsetup close --deferred -- {name}"));
    let enrolled = "systemd-cryptenroll --unlock-key-file=KEY --tpm2-device=auto --wipe-slot=all --tpm2-pcrs=7 /dev/loop";
    assert!(ran[3].starts_with(enrolled), "{}", ran[3]);
    assert!(!Path::new("/dev/mapper").join(&name).exists());

    // The header is cryptsetup's; nothing but what the TPM has opens it; what is in it is whole.
    assert_eq!(run("cryptsetup", &["luksUUID", &root.path]).trim(), uuid);
    let dump = run("cryptsetup", &["luksDump", &root.path]);
    assert!(
        dump.contains("Version:       \t2") && dump.contains(&format!("offset: {DATA} [bytes]")),
        "{dump}"
    );
    assert!(dump.contains("Keyslots:\nTokens:"), "{dump}");
    let inner = device.root(disk, DATA);
    run("e2fsck", &["-fn", &inner.path]);

    // What opens it is recorded with its source, and in the entry.
    let kargs = document["deployment"]["kargs"].as_array().expect("kernel arguments");
    for karg in [format!("luks.uuid={uuid}"), "luks.options=tpm2-device=auto,headless=true".to_owned()] {
        assert!(kargs.contains(&json!({"karg": karg, "origin": "source", "name": "luks"})), "{kargs:#?}");
    }
    let entry = device.entry(disk);
    let root_uuid = disk["root_uuid"].as_str().expect("a UUID");
    assert!(
        entry.contains(&format!("luks.uuid={uuid}")) && entry.contains(&format!("root=UUID={root_uuid}"))
    );
}

#[test]
fn a_key_of_the_callers_opens_the_root_beside_the_tpm() {
    let Some(device) = Device::new("a_key_of_the_callers_opens_the_root_beside_the_tpm") else { return };
    fs::write(device.sandbox.path("key"), b"a passphrase").unwrap();
    let key = device.sandbox.path("key").display().to_string();
    let asked = ["--luks", "key-file+tpm2", "--luks-key-file", "key", "--json"];
    let document = device.install(&asked).json();
    let root = device.root(&document["disk"], 0);
    run("cryptsetup", &["open", "--test-passphrase", "--key-file", &key, "--", &root.path]);
    // A passphrase needs Argon2, which takes its time.
    let dump = run("cryptsetup", &["luksDump", &root.path]);
    assert!(dump.contains("argon2id"), "{dump}");
    let enrolled = device.ran().pop().unwrap();
    assert!(enrolled.starts_with("systemd-cryptenroll --unlock-key-file=KEY --tpm2-device=auto /dev/loop"));
    let entry = device.entry(&document["disk"]);
    assert!(entry.contains("luks.options=tpm2-device=auto") && !entry.contains("headless"), "{entry}");
}

#[test]
fn a_device_whose_volume_could_not_be_bound_to_the_tpm_boots_nothing() {
    let test = "a_device_whose_volume_could_not_be_bound_to_the_tpm_boots_nothing";
    let Some(device) = Device::new(test) else { return };
    device.program("systemd-cryptenroll", "#!/bin/sh\necho no TPM2 here >&2\nexit 1\n");
    let failed = device.install(&["--luks", "tpm2"]);
    assert!(failed.code != 0 && failed.stderr.contains("no TPM2 here"), "{}", failed.stderr);
    assert!(!device.has_table());
    // A file system that cannot be made leaves no volume open.
    device.program("mkfs.ext4", "#!/bin/sh\nexit 1\n");
    device.install(&["--luks", "tpm2"]).fails(1);
    let last = device.ran().pop().unwrap();
    assert!(last.starts_with("cryptsetup close -- install-"), "{last}");
    assert!(!device.has_table());
}

#[test]
fn a_file_gets_no_volume_and_the_reason_is_said() {
    let sandbox = Sandbox::new();
    System::image("1", &[]).write(&sandbox.path("os"));
    let install = |more: &[&str]| {
        let args = [&["install", "to-disk", "disk.raw", "oci:os"], more].concat();
        Outcome::of(sandbox.command(args).env_remove("SEALSTONE_REPO"))
    };
    let error = install(&["--luks", "tpm2"]).fails(2);
    assert!(error.contains("opened by this machine's kernel") && error.contains("losetup"), "{error}");
    install(&["--luks", "tpm2", "--dry-run"]).fails(2);
    for wrong in [
        &["--luks", "key-file"][..],
        &["--luks", "tpm2", "--luks-key-file", "os/index.json"],
        &["--luks", "key-file", "--luks-key-file", "os/index.json", "--tpm2-pcrs", "7"],
        &["--luks", "tpm2", "--tpm2-pcrs", "7 --wipe-slot=tpm2"],
        &["--tpm2-pcrs", "7"],
    ] {
        install(wrong).fails(2);
    }
    assert!(!sandbox.path("disk.raw").exists());
}

#[test]
fn what_is_installed_into_a_volume_is_encrypted_and_opens_with_its_key() {
    let test = "what_is_installed_into_a_volume_is_encrypted_and_opens_with_its_key";
    let Some(device) = Device::new(test) else { return };
    if !program("dmsetup").arg("version").output().is_ok_and(|output| output.status.success()) {
        return skip(test, "this kernel has no device mapper");
    }
    fs::remove_file(device.sandbox.path("tools/cryptsetup")).unwrap();
    fs::write(device.sandbox.path("key"), b"a passphrase").unwrap();
    let document = device.install(&["--luks", "key-file", "--luks-key-file", "key", "--json"]).json();
    let root = device.root(&document["disk"], 0);
    let key = device.sandbox.path("key").display().to_string();
    let name = format!("sealstone-test-{}", std::process::id());
    run("cryptsetup", &["open", "--key-file", &key, "--", &root.path, &name]);
    let checked = program("e2fsck").args(["-fn", &format!("/dev/mapper/{name}")]).status();
    run("cryptsetup", &["close", "--", &name]);
    assert!(checked.unwrap().success());
}
