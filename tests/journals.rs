//! A boot partition with a journal, read by GRUB's own code, which replays none, while it is mounted: as after a power cut.
//!
//! And a command that is killed while it empties one. Needs root, loop devices, and `grub-fstest` of the package grub-common
//! or strace.
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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::loop_disk::LoopDisk;
use kit::system::System;
use kit::tools::program;
use rustix::io::Errno;
use sealstone::boot::Esp;
use sealstone::deploy::{Sysroot, Target, apply, plan_rollback};
use sealstone::store::disk::{Call, Dir, Disk, RealDisk, Reply};
use sealstone::store::{Control, Repository};

/// A system whose boot partition is a file system of its own.
struct Booted {
    system: System,
    disk: LoopDisk,
}

impl Booted {
    fn new(disk: LoopDisk, versions: &[&str]) -> Self {
        let system = System::new();
        fs::remove_dir(system.path("esp")).unwrap();
        std::os::unix::fs::symlink(disk.path(), system.path("esp")).unwrap();
        for version in versions {
            system.import(version, &System::image(version, &[]));
        }
        Self { system, disk }
    }

    /// Every file on the boot partition, by the paths that GRUB has for them.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let root = self.disk.path();
        let mut found = Vec::new();
        walk(&root, &mut found);
        let mut files: Vec<String> =
            found.iter().map(|path| format!("/{}", path.strip_prefix(&root).unwrap().display())).collect();
        files.sort();
        files
    }

    /// What is on the device, and what GRUB is asked of it.
    fn grub(&self, question: &[&str]) -> String {
        // Of a copy, since GRUB would otherwise see what the kernel writes meanwhile.
        let copy = self.system.path("as-it-is");
        assert!(
            program("cp")
                .arg("--sparse=always")
                .args([self.disk.image(), copy.clone()])
                .status()
                .unwrap()
                .success()
        );
        let output = program("grub-fstest").arg(&copy).args(question).output().unwrap();
        fs::remove_file(copy).unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// The files in a folder, as GRUB sees them.
    fn names_for_grub(&self, folder: &str) -> Vec<String> {
        let listed = self.grub(&["ls", &format!("(loop0){folder}/")]);
        assert!(!listed.contains("error"), "{folder}: {listed}");
        let mut names: Vec<String> =
            listed.split_whitespace().filter(|name| !name.ends_with('/')).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Whether the boot partition can be written to within some seconds: then it can be frozen as well.
    fn thaws_soon(&self) -> bool {
        let fsfreeze =
            |what: &str| program("fsfreeze").arg(what).arg(self.disk.path()).output().unwrap().status;
        let mut tries = (0..100).map(|_| std::thread::sleep(std::time::Duration::from_millis(50)));
        tries.any(|()| fsfreeze("--freeze").success()) && fsfreeze("--unfreeze").success()
    }

    /// GRUB sees the entries that there are, and every file with its content.
    #[track_caller]
    fn check(&self, after: &str) {
        let entries = self.names_for_grub("/loader/entries");
        assert_eq!(entries, self.system.names("esp/loader/entries"), "after {after}");
        for file in self.files() {
            let here = self.disk.path().join(file.trim_start_matches('/'));
            let told = self.grub(&["cmp", &format!("(loop0){file}"), here.to_str().unwrap()]);
            assert_eq!(told, "", "{file} after {after}");
        }
    }
}

/// A file system of each kind that GRUB reads and that can be had here, by its name.
fn disks(test: &str) -> Vec<(&'static str, LoopDisk)> {
    if !kit::has("grub-fstest", test) {
        return Vec::new();
    }
    let all = [("ext4", LoopDisk::new(32)), ("xfs", LoopDisk::xfs(300)), ("btrfs", LoopDisk::btrfs(256))];
    let made = |(kind, disk): (&'static str, Result<LoopDisk, String>)| match disk {
        Ok(disk) => Some((kind, disk)),
        Err(why) => {
            kit::skip(test, &format!("{kind}: {why}"));
            None
        }
    };
    all.into_iter().filter_map(made).collect()
}

#[test]
fn grub_which_replays_no_journal_sees_what_a_verb_did_as_soon_as_it_ends() {
    for (kind, disk) in disks("grub_which_replays_no_journal_sees_what_a_verb_did_as_soon_as_it_ends") {
        let booted = Booted::new(disk, &["1", "2", "3"]);
        let verbs: [&[&str]; 5] = [
            &["deploy", "1"],
            &["deploy", "2"],
            &["rollback"],
            &["deploy", "3", "--keep", "2"],
            &["kargs", "set", "debug"],
        ];
        for verb in verbs {
            booted.system.store(verb.iter().copied()).succeeds();
            booted.check(&format!("{kind}: store {}", verb.join(" ")));
        }
    }
}

#[test]
fn a_command_killed_at_any_ioctl_leaves_its_boot_partition_writable() {
    let test = "a_command_killed_at_any_ioctl_leaves_its_boot_partition_writable";
    if !kit::has("strace", test) {
        return;
    }
    // xfs has no other way than to be frozen.
    let disk = match LoopDisk::xfs(300) {
        Ok(disk) => disk,
        Err(why) => return kit::skip(test, &why),
    };
    let booted = Booted::new(disk, &["1", "2"]);
    for version in ["1", "2"] {
        booted.system.store(["deploy", version]).succeeds();
    }
    let log = booted.system.path("log");
    let mut kills_while_frozen = 0;
    for point in 1.. {
        let inject = format!("inject=ioctl:signal=KILL:when={point}");
        let mut strace = program("strace");
        strace.args(["-f", "-qq", "-e", "trace=ioctl", "-e", &inject, "-o"]).arg(&log);
        strace.arg(env!("CARGO_BIN_EXE_store")).args(["rollback", "--sysroot", "mnt", "--esp", "esp"]);
        let output = strace.current_dir(booted.system.path(".")).output().unwrap();
        assert!(booted.thaws_soon(), "killed at ioctl {point}, and frozen");
        fs::write(booted.disk.path().join("probe"), b"").unwrap();
        if output.status.success() {
            break;
        }
        // The command's last call was the one that thaws; the second one is its watchdog's.
        let calls = fs::read_to_string(&log).unwrap();
        kills_while_frozen +=
            usize::from(calls.matches("FITHAW").count() > calls.matches("FIFREEZE").count());
        assert!(point < 200, "it never came through: {}", String::from_utf8_lossy(&output.stderr));
    }
    println!("{test}: {kills_while_frozen} kills while it was frozen");
    assert!(kills_while_frozen > 0);
}

/// A disk that says that it made a boot partition visible, and did nothing.
struct Lazy(Arc<dyn Disk>, PathBuf);

impl Disk for Lazy {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::EmptyJournal { .. } => Ok(Reply::Done),
            Call::SyncFs { dir } if dir.label() == self.1 => Ok(Reply::Done),
            _ => self.0.call(call),
        }
    }
}

#[test]
fn control_without_an_emptied_journal_grub_does_not_see_what_is_durable() {
    for (kind, disk) in disks("control_without_an_emptied_journal_grub_does_not_see_what_is_durable") {
        let booted = Booted::new(disk, &["1", "2"]);
        for version in ["1", "2"] {
            booted.system.store(["deploy", version]).succeeds();
        }
        let entries = booted.system.path("esp/loader/entries");
        let disk: Arc<dyn Disk> = Arc::new(Lazy(RealDisk::shared(), booted.system.path("esp")));
        let target = Target {
            sysroot: Sysroot::open(&disk, booted.system.path("mnt")).unwrap(),
            repository: Repository::open(&disk, booted.system.path("mnt/composefs")).unwrap(),
            esps: vec![Esp::new(Dir::open(&disk, booted.system.path("esp")).unwrap())],
        };
        // The kernel writes a journal's content to its place when it likes, or when anybody says `sync`: perhaps just now.
        let is_unseen = (0..5).any(|_| {
            let before = booted.names_for_grub("/loader/entries");
            apply(&target, &plan_rollback(&target, None).unwrap(), &Control::new()).unwrap();
            let names = booted.system.names("esp/loader/entries");
            assert_ne!(names, before, "a rollback gives entries other names, in {}", entries.display());
            booted.names_for_grub("/loader/entries") != names
        });
        assert!(is_unseen, "{kind}");
    }
}
