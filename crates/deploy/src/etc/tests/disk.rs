//! The merge with a folder of the disk: what is scanned, and what is written, is the same.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use sealstone_store::{
    Algorithm, Control,
    disk::{Dir, RealDisk, Timestamp},
};

use super::{
    super::{
        EtcPolicy, Ignored, Sides, merge,
        scan::{Scan, Specials, scan},
    },
    model,
};
use crate::populate::{Contents, populate};
use crate::testing::Machine;

fn open(path: &Path) -> Dir {
    Dir::open(&RealDisk::shared(), path).unwrap()
}

fn scanned(path: &Path) -> Scan {
    scan(&open(path), Algorithm::Sha512, Specials::Ignore, &Control::new()).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder with everything that an `/etc` may have.
fn furnish(folder: &Path) {
    let dir = open(folder);
    fs::create_dir_all(folder.join("deep/er/still")).unwrap();
    fs::write(folder.join("deep/er/still/long"), "line\n".repeat(90_000)).unwrap();
    fs::write(folder.join("short"), "x").unwrap();
    fs::hard_link(folder.join("deep/er/still/long"), folder.join("also long")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.join("link")).unwrap();
    for name in [&b"\xff\xfe"[..], b"with\nnewline", b"-rf", b"a\\b", &[b'n'; 255]] {
        fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
    }
    dir.set_mode("short", 0o640).unwrap();
    dir.set_mtime("short", Timestamp { sec: -5, nsec: 7 }).unwrap();
    if is_root() {
        dir.set_owner("deep/er", 7, 8).unwrap();
        dir.set_xattr("short", b"security.selinux", b"system_u:object_r:etc_t:s0\0").unwrap();
        dir.set_mode("deep/er", 0o2775).unwrap();
    }
}

#[test]
fn a_folder_written_from_its_scan_is_the_same_folder() {
    let machine = Machine::new();
    let (from, to) = (machine.path("from"), machine.path("to"));
    fs::create_dir(&from).unwrap();
    furnish(&from);
    let scan = scanned(&from);
    assert!(scan.ignored.is_empty());
    let empty = model::tree(&model::Entries::new());
    let (strategies, asked) = (EtcPolicy::default(), [].into());
    let sides = Sides {
        pristine: (&empty, Some(empty.root())),
        current: (&scan.tree, Some(scan.tree.root())),
        new: (&empty, Some(empty.root())),
        ignored: &scan.ignored,
        asked: &asked,
        strategies: &strategies,
        is_root: true,
    };
    let merged = merge(&sides).unwrap();
    let folder = open(&from);
    let target = machine.target();
    let contents = Contents { repository: &target.repository, local: Some((&folder, &merged.local)) };
    let root = open(machine.root());
    let done = populate(&merged.tree, merged.tree.root(), contents, (&root, "to"), &Control::new()).unwrap();
    assert!(done.is_complete(), "{done:?}");
    // The root's own attributes are the image's, which did not change.
    let left: Vec<_> = scan.tree.diff(&scanned(&to).tree).filter(|d| d.path != b"/").collect();
    assert_eq!(left, []);
    let links = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(to.join(name)).unwrap());
    assert_eq!(links("also long"), links("deep/er/still/long"));
}

#[test]
fn sockets_and_fifos_are_told_and_take_no_part() {
    let machine = Machine::new();
    let folder = machine.path("etc");
    fs::create_dir(&folder).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    open(&folder).make_node("fifo", sealstone_store::disk::Node::Fifo, 0o600).unwrap();
    let scan = scanned(&folder);
    assert_eq!(scan.tree.entries(scan.tree.root()).count(), 0);
    let expected = [b"/fifo".to_vec(), b"/socket".to_vec()].map(|path| (path, Ignored::Special));
    assert_eq!(scan.ignored, expected.into());
}

#[test]
fn folders_in_folders_without_end_are_refused_and_many_files_are_not() {
    let machine = Machine::new();
    let folder = machine.path("etc");
    fs::create_dir(&folder).unwrap();
    for number in 0..3000 {
        fs::write(folder.join(format!("{number}")), "").unwrap();
    }
    assert_eq!(scanned(&folder).tree.entries(scanned(&folder).tree.root()).count(), 3000);
    fs::create_dir_all(folder.join("d/".repeat(300))).unwrap();
    let error =
        scan(&open(&folder), Algorithm::Sha256, Specials::Ignore, &Control::new()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("folders in each other"), "{error}");
}
