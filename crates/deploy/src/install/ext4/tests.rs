//! File systems that are written here are whole for e2fsck, and hold what their tree held.

use std::{path::Path, process::Command, sync::Arc};

use sealstone_store::{
    Algorithm, Control,
    disk::{Dir, Disk, File, LedgerDisk, Node, RealDisk, Timestamp},
    verity,
};

use super::*;

const TIME: Timestamp = Timestamp { sec: 1_700_000_000, nsec: 0 };

/// A staged tree, and what it is written to.
struct Stage {
    folder: tempfile::TempDir,
    ledger: Arc<LedgerDisk>,
    root: Dir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let ledger = LedgerDisk::new(TIME);
        let disk: Arc<dyn Disk> = ledger.clone();
        let root = Dir::open(&disk, folder.path().join("root")).unwrap();
        root.set_mode("", 0o755).unwrap();
        Self { folder, ledger, root }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.root.create_new(name, 0o644).unwrap().write_all_at(0, bytes).unwrap();
    }

    fn image(&self) -> std::path::PathBuf {
        self.folder.path().join("image")
    }

    fn write(&self, size: u64, seals: bool) -> Result<Written, crate::DeployError> {
        let place = Dir::open(&RealDisk::shared(), self.folder.path()).unwrap();
        let _ = place.remove_file("image");
        let file: File = place.create_new("image", 0o644).unwrap();
        file.set_len(size).unwrap();
        let sealing = Sealing { algorithm: Algorithm::Sha512, id: None };
        let nodes = Nodes::read(&self.root, &self.ledger, &|_| seals.then_some(sealing)).unwrap();
        let options = Ext4Options { uuid: [7; 16], hash_seed: [9; 16], label: "root", time: TIME };
        write(Area::new(&file, 0, size), &self.root, &nodes, &options, &Control::new())
    }

    /// What debugfs answers.
    fn debugfs(&self, request: &str) -> String {
        let output = Command::new("debugfs").args(["-R", request]).arg(self.image()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Whether e2fsprogs is there; says so when not.
fn has_tools() -> bool {
    let found = Command::new("e2fsck").arg("-V").output().is_ok();
    if !found {
        println!("skipped: e2fsck is not installed");
    }
    found
}

#[track_caller]
fn is_clean(image: &Path) {
    let output = Command::new("e2fsck").args(["-fn"]).arg(image).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(step).collect()
}

#[test]
fn an_empty_file_system_of_any_size_is_clean() {
    if !has_tools() {
        return;
    }
    let stage = Stage::new();
    for megabytes in [16, 127, 128, 129, 500, 3000, 20_000] {
        stage.write(megabytes << 20, false).unwrap();
        is_clean(&stage.image());
    }
}

#[test]
fn everything_that_a_tree_may_hold_is_written_as_it_was() {
    if !has_tools() {
        return;
    }
    let stage = Stage::new();
    let big = noise(5_000_001);
    stage.put("empty", b"");
    stage.put("small", b"text\n");
    stage.put("big", &big);
    stage.put("odd \n\"name\"", b"x");
    stage.root.set_mode("small", 0o4711).unwrap();
    stage.root.set_owner("small", 70_000, 80_000).unwrap();
    stage.root.set_mtime("small", Timestamp { sec: 5_000_000_000, nsec: 123 }).unwrap();
    stage.root.set_xattr("small", b"security.capability", &[1; 20]).unwrap();
    stage.root.set_xattr("big", b"user.long", &noise(600)).unwrap();
    stage.root.set_xattr("big", b"security.selinux", b"system_u:object_r:bin_t:s0\0").unwrap();
    stage.root.hard_link("small", &stage.root, "other").unwrap();
    stage.root.symlink("small", "fast").unwrap();
    stage.root.symlink("x".repeat(200), "slow").unwrap();
    stage.root.make_node("null", Node::CharDevice(1, 3), 0o666).unwrap();
    stage.root.make_node("large", Node::BlockDevice(259, 70_000), 0o660).unwrap();
    stage.root.make_node("fifo", Node::Fifo, 0o600).unwrap();
    let folder = stage.root.ensure_dir("folder", 0o1777).unwrap();
    for number in 0..3000 {
        folder.create_new(format!("a file with a rather long name, number {number}"), 0o600).unwrap();
    }
    folder.ensure_dir("deep", 0o700).unwrap().ensure_dir("deeper", 0o700).unwrap();
    let written = stage.write(300 << 20, false).unwrap();
    assert_eq!(written.sealed, 0);
    is_clean(&stage.image());
    let small = stage.debugfs("stat /small");
    for part in
        ["Mode:  04711", "User: 70000", "Group: 80000", "Links: 2", "Size: 5", "security.capability (20)"]
    {
        assert!(small.contains(part), "{part}: {small}");
    }
    assert!(small.contains("mtime: 0x2a05f200:000001ed"), "{small}");
    assert!(stage.debugfs("stat /large").contains("259:70000"), "{}", stage.debugfs("stat /large"));
    assert!(stage.debugfs("stat /null").contains("01:03"), "{}", stage.debugfs("stat /null"));
    assert!(stage.debugfs("ea_get /big security.selinux").contains("bin_t"));
    let out = stage.folder.path().join("out");
    stage.debugfs(&format!("dump /big {}", out.display()));
    assert!(std::fs::read(&out).unwrap() == big);
    assert!(stage.debugfs("ls -p /folder").contains("number 2999"));
}

#[test]
fn every_file_with_verity_has_its_tree_where_the_kernel_looks_for_it() {
    if !has_tools() {
        return;
    }
    let stage = Stage::new();
    for size in [0, 1, 4096, 4097, 65_536, 65_537, 300_000, 5_000_000] {
        stage.put(&format!("file-{size}"), &noise(size));
    }
    let written = stage.write(128 << 20, true).unwrap();
    assert_eq!(written.sealed, 8);
    is_clean(&stage.image());
    let bytes = std::fs::read(stage.image()).unwrap();
    for size in [0, 1, 4097, 300_000] {
        let stat = stage.debugfs(&format!("stat /file-{size}"));
        assert!(stat.contains("Flags: 0x180000") && stat.contains(&format!("Size: {size}\n")), "{stat}");
        // The last block ends with the size of the descriptor, which begins it, after a tree of whole blocks.
        let last = stage.debugfs(&format!("blocks /file-{size}"));
        let last: usize = last.split_whitespace().next_back().unwrap().parse().unwrap();
        let block = &bytes[last * 4096..(last + 1) * 4096];
        assert_eq!(block[4092..], 256u32.to_le_bytes());
        assert_eq!(block[..4], [1, 2, 12, 0]);
        let descriptor = verity::Sealer::new(Algorithm::Sha512);
        let mut sealer = descriptor;
        sealer.update(&noise(size));
        assert_eq!(block[..256], sealer.finish().descriptor);
    }
}

#[test]
fn equal_trees_give_equal_bytes_and_other_times_of_staging_do_not_matter() {
    let image = |order: [&str; 3]| {
        let stage = Stage::new();
        for name in order {
            stage.put(name, name.as_bytes());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        stage.write(64 << 20, true).unwrap();
        std::fs::read(stage.image()).unwrap()
    };
    assert!(image(["a", "b", "c"]) == image(["c", "b", "a"]));
}

#[test]
fn an_area_that_is_too_small_is_an_error_and_a_wrong_digest_too() {
    let stage = Stage::new();
    stage.put("big", &noise(20_000_000));
    let error = stage.write(16 << 20, false).unwrap_err();
    assert!(matches!(error, crate::DeployError::Store(sealstone_store::Error::NoSpace { .. })), "{error}");
    let place = Dir::open(&RealDisk::shared(), stage.folder.path()).unwrap();
    let file = place.create_new("other", 0o644).unwrap();
    let sealing =
        Sealing { algorithm: Algorithm::Sha256, id: Some(verity::digest(Algorithm::Sha256, b"other")) };
    let nodes = Nodes::read(&stage.root, &stage.ledger, &|_| Some(sealing)).unwrap();
    let options = Ext4Options { uuid: [7; 16], hash_seed: [9; 16], label: "root", time: TIME };
    let area = Area::new(&file, 0, 64 << 20);
    let error = write(area, &stage.root, &nodes, &options, &Control::new()).unwrap_err();
    assert!(matches!(error, crate::DeployError::Store(sealstone_store::Error::Corrupt { .. })), "{error}");
}
