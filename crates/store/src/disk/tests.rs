//! The handles against the real file system, and the wrappers against the handles.

use std::sync::Arc;

use rustix::io::Errno;

use super::*;
use crate::error::Optional;

fn scratch() -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
    (folder, dir)
}

#[test]
fn what_is_written_reads_back_at_its_offset() {
    let (_folder, dir) = scratch();
    let file = dir.create_new("a", 0o644).unwrap();
    file.write_all_at(0, b"hello world").unwrap();
    file.write_all_at(6, b"there").unwrap();
    assert_eq!(dir.open_file("a").unwrap().read_all(100).unwrap(), b"hello there");
    assert!(matches!(file.read_all(10), Err(Error::TooBig { limit: 10, .. })));
    let mut past = [0; 4];
    assert!(matches!(file.read_exact_at(9, &mut past), Err(Error::Corrupt { .. })));
}

#[test]
fn a_path_that_a_user_names_is_followed_through_symlinks_but_not_in_a_circle() {
    use std::os::unix::fs::symlink;
    let (folder, dir) = scratch();
    let at = |name: &str| folder.path().join(name);
    dir.create_new("file", 0o644).unwrap().write_all_at(0, b"x").unwrap();
    symlink("file", at("near")).unwrap();
    symlink(at("near"), at("far")).unwrap();
    symlink("circle", at("circle")).unwrap();
    symlink("gone", at("dangling")).unwrap();
    let open = |name: &str| File::open(&RealDisk::shared(), at(name));
    assert_eq!(open("far").unwrap().read_all(10).unwrap(), b"x");
    assert_eq!(open("circle").unwrap_err().errno(), Some(Errno::LOOP));
    assert!(open("dangling").unwrap_err().is_missing());
    assert_eq!(open("..").unwrap_err().errno(), Some(Errno::ISDIR));
}

#[test]
fn an_unnamed_file_appears_when_linked_and_never_over_another() {
    let (_folder, dir) = scratch();
    let file = dir.create_temp(0o644).unwrap();
    file.write_all_at(0, b"x").unwrap();
    assert!(dir.read_dir().unwrap().is_empty());
    dir.link(&file, "named").unwrap();
    assert_eq!(dir.metadata("named").unwrap().size, 1);
    let error = dir.link(&file, "named").unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EXIST));
    assert!(
        error.to_string().starts_with("cannot link ") && error.to_string().contains("/named: "),
        "{error}"
    );
}

#[test]
fn no_symlink_is_followed_unless_asked() {
    let (_folder, dir) = scratch();
    dir.create_dir("d", 0o755).unwrap();
    dir.create_new("d/file", 0o644).unwrap();
    dir.symlink("d/file", "inside").unwrap();
    dir.symlink("/etc/passwd", "outside").unwrap();
    assert_eq!(dir.open_file("inside").unwrap_err().errno(), Some(Errno::LOOP));
    assert!(dir.open_file_with("inside", Access::Read, Resolve::Beneath).is_ok());
    assert_eq!(
        dir.open_file_with("outside", Access::Read, Resolve::Beneath).unwrap_err().errno(),
        Some(Errno::XDEV)
    );
    assert!(dir.open_file_with("outside", Access::Read, Resolve::InRoot).unwrap_err().is_missing());
    assert_eq!(dir.open_dir("..").unwrap_err().errno(), Some(Errno::XDEV));
    assert_eq!(dir.create_new("outside", 0o644).unwrap_err().errno(), Some(Errno::EXIST));
    assert_eq!(dir.read_link("outside").unwrap().as_os_str(), "/etc/passwd");
    assert_eq!(dir.set_mode("outside", 0o600).unwrap_err().errno(), Some(Errno::OPNOTSUPP));
}

#[test]
fn renames_replace_refuse_or_exchange() {
    let (_folder, dir) = scratch();
    for (name, text) in [("a", b"a"), ("b", b"b")] {
        dir.create_new(name, 0o644).unwrap().write_all_at(0, text).unwrap();
    }
    assert_eq!(dir.rename("a", &dir, "b", Rename::NoReplace).unwrap_err().errno(), Some(Errno::EXIST));
    dir.rename("a", &dir, "b", Rename::Exchange).unwrap();
    assert_eq!(dir.open_file("a").unwrap().read_all(9).unwrap(), b"b");
    dir.rename("a", &dir, "b", Rename::Replace).unwrap();
    assert_eq!(dir.open_file("b").unwrap().read_all(9).unwrap(), b"b");
    assert!(dir.metadata("a").optional().unwrap().is_none());
}

#[test]
fn attributes_are_set_and_told() {
    let (_folder, dir) = scratch();
    dir.create_new("f", 0o600).unwrap();
    dir.set_mode("f", 0o4711).unwrap();
    dir.set_mtime("f", Timestamp { sec: -5, nsec: 7 }).unwrap();
    let metadata = dir.metadata("f").unwrap();
    assert_eq!((metadata.mode, metadata.mtime), (0o4711, Timestamp { sec: -5, nsec: 7 }));
    dir.set_owner("f", metadata.uid, metadata.gid).unwrap();
    dir.make_node("pipe", Node::Fifo, 0o644).unwrap();
    assert_eq!(dir.metadata("pipe").unwrap().kind, FileType::Fifo);
    if let Err(error) = dir.set_xattr("f", b"user.k", b"value") {
        assert_eq!(error.errno(), Some(Errno::OPNOTSUPP), "only a file system without attributes may refuse");
        return;
    }
    assert_eq!(dir.xattr("f", b"user.k").unwrap(), b"value");
    assert!(dir.xattr_keys("f").unwrap().contains(&b"user.k".to_vec()));
    dir.remove_xattr("f", b"user.k").unwrap();
    assert_eq!(dir.xattr("f", b"user.k").unwrap_err().errno(), Some(Errno::NODATA));
}

#[test]
fn a_whole_tree_is_removed_but_nothing_behind_its_symlinks() {
    let (_folder, dir) = scratch();
    dir.create_dir("keep", 0o755).unwrap();
    dir.create_new("keep/file", 0o644).unwrap();
    dir.create_dir("tree", 0o755).unwrap();
    let mut deep = dir.open_dir("tree").unwrap();
    for level in 0..50 {
        deep.symlink("../keep", format!("link{level}")).unwrap();
        deep.create_new("file", 0o644).unwrap();
        deep = deep.ensure_dir("d", 0o755).unwrap();
    }
    dir.remove_dir_all("tree").unwrap();
    let names: Vec<_> = dir.read_dir().unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["keep"]);
    assert!(dir.exists("keep/file").unwrap());
}

#[test]
fn a_lock_excludes_another_open_directory() {
    let (folder, first) = scratch();
    let second = Dir::open(first.disk(), folder.path()).unwrap();
    first.lock(Lock::Shared, Wait::Block).unwrap();
    second.lock(Lock::Shared, Wait::Try).unwrap();
    assert_eq!(second.lock(Lock::Exclusive, Wait::Try).unwrap_err().errno(), Some(Errno::WOULDBLOCK));
    drop(first);
    second.lock(Lock::Exclusive, Wait::Try).unwrap();
}

#[test]
fn a_copy_is_equal_and_the_space_adds_up() {
    let (_folder, dir) = scratch();
    let from = dir.create_new("from", 0o644).unwrap();
    let content: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 251) as u8).collect();
    from.write_all_at(0, &content).unwrap();
    let to = dir.create_temp(0o644).unwrap();
    assert_eq!(to.copy_from(&from).unwrap(), 1_000_003);
    to.start_writeback(0, 1_000_003).unwrap();
    to.start_reading(0, 1_000_003).unwrap();
    assert_eq!(to.reopen_read_only().unwrap().read_all(u64::MAX).unwrap(), content);
    let space = dir.space().unwrap();
    assert!(space.available <= space.free && space.free <= space.total);
}

#[test]
fn a_recording_disk_tells_calls_in_order_with_their_errors() {
    let folder = tempfile::tempdir().unwrap();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let dir = Dir::open(&disk, folder.path()).unwrap();
    recording.clear();
    dir.create_dir("a", 0o755).unwrap();
    dir.create_dir("a", 0o755).unwrap_err();
    dir.rename("a", &dir, "b", Rename::Replace).unwrap();
    dir.sync().unwrap();
    let log = recording.log();
    let names: Vec<_> = log.iter().map(|call| call.name).collect();
    assert_eq!(names, ["CreateDir", "CreateDir", "Rename", "SyncDir"]);
    assert_eq!(log[1].error, Some(Errno::EXIST));
    assert_eq!(log[2].other, Some(folder.path().join("a")));
    assert_eq!(recording.position("Rename", "b"), Some(2));
}

#[test]
fn a_failing_disk_fails_the_nth_call_once_or_for_good() {
    for sticky in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let failing = FailingDisk::new(RealDisk::shared(), 1, sticky, Errno::NOSPC, |call| {
            matches!(call, Call::CreateDir { .. })
        });
        let disk: Arc<dyn Disk> = failing.clone();
        let dir = Dir::open(&disk, folder.path()).unwrap();
        dir.create_dir("0", 0o755).unwrap();
        assert!(!failing.has_failed());
        assert!(matches!(dir.create_dir("1", 0o755), Err(Error::NoSpace { .. })));
        assert!(failing.has_failed());
        assert_eq!(dir.create_dir("2", 0o755).is_ok(), !sticky);
    }
}

/// Watches a folder, lets `write` change it, and gives every folder that a power cut could leave.
fn states(fat: bool, write: impl Fn(&Dir), mut look: impl FnMut(usize, &std::path::Path)) -> usize {
    // Thousands of small folders: in memory, where there is such a place.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let power_cut = if fat {
        PowerCutDisk::on_fat(RealDisk::shared(), &root)
    } else {
        PowerCutDisk::new(RealDisk::shared(), &root)
    };
    let disk: Arc<dyn Disk> = power_cut.clone();
    write(&Dir::open(&disk, &root).unwrap());
    let mut count = 0;
    for point in 0..=power_cut.len() {
        for fate in [Fate::AllLand, Fate::NoneLands].into_iter().chain((0..20).map(Fate::Seeded)) {
            let into = folder.path().join(format!("state{count}"));
            power_cut.materialise(point, fate, &into);
            look(point, &into);
            std::fs::remove_dir_all(&into).unwrap();
            count += 1;
        }
    }
    count
}

/// The usual atomic write, with or without its two syncs.
fn atomic_write(dir: &Dir, sync_file: bool, sync_dir: bool) {
    let file = dir.create_new("temporary", 0o644).unwrap();
    file.write_all_at(0, &[7; 2000]).unwrap();
    if sync_file {
        file.sync().unwrap();
    }
    dir.rename("temporary", dir, "record", Rename::Replace).unwrap();
    if sync_dir {
        dir.sync().unwrap();
    }
}

/// How many states show a broken record, and how many have lost one that was acknowledged.
fn broken_and_lost(fat: bool, write: impl Fn(&Dir)) -> (usize, usize) {
    let (mut broken, mut lost) = (0, 0);
    let mut end = 0;
    let mut records = Vec::new();
    states(fat, write, |point, path| {
        let record = std::fs::read(path.join("record")).ok();
        broken += usize::from(record.as_deref().is_some_and(|content| content != [7; 2000]));
        end = end.max(point);
        records.push((point, record.is_none() || record.as_deref() == Some(&[])));
    });
    lost += records.iter().filter(|(point, gone)| *point == end && *gone).count();
    (broken, lost)
}

#[test]
fn a_power_cut_breaks_every_protocol_that_leaves_a_sync_out_and_not_the_right_one() {
    assert_eq!(broken_and_lost(false, |dir| atomic_write(dir, true, true)), (0, 0));
    let (broken, _) = broken_and_lost(false, |dir| atomic_write(dir, false, true));
    assert!(broken > 0, "without a sync of the file");
    let (broken, lost) = broken_and_lost(false, |dir| atomic_write(dir, true, false));
    assert!(broken == 0 && lost > 0, "without a sync of the directory");
}

#[test]
fn a_power_cut_takes_what_was_copied_as_it_takes_what_was_written() {
    let copy = |dir: &Dir, is_synced: bool| {
        let from = dir.create_new("from", 0o644).unwrap();
        from.write_all_at(0, &[7; 2000]).unwrap();
        let record = dir.create_new("record", 0o644).unwrap();
        record.copy_from(&from).unwrap();
        if is_synced {
            record.sync().unwrap();
        }
        dir.sync().unwrap();
    };
    let at_the_end = |is_synced: bool| {
        let (mut end, mut torn) = (0, Vec::new());
        states(
            false,
            |dir| copy(dir, is_synced),
            |point, path| {
                end = end.max(point);
                let whole = std::fs::read(path.join("record")).is_ok_and(|content| content == [7; 2000]);
                torn.push((point, !whole));
            },
        );
        torn.iter().filter(|(point, torn)| *point == end && *torn).count()
    };
    assert_eq!(at_the_end(true), 0);
    assert!(at_the_end(false) > 0);
}

#[test]
fn on_fat_only_a_sync_of_the_file_after_its_name_keeps_it() {
    let (broken, lost) = broken_and_lost(true, |dir| atomic_write(dir, true, true));
    assert!(broken > 0 && lost > 0, "the usual atomic write loses on FAT");
    let (_, lost) = broken_and_lost(true, |dir| {
        atomic_write(dir, true, true);
        dir.sync_file_system().unwrap();
    });
    assert!(lost > 0, "syncfs reaches no FAT");
    let (_, lost) = broken_and_lost(true, |dir| {
        let file = dir.create_new("record", 0o644).unwrap();
        file.write_all_at(0, &[7; 2000]).unwrap();
        file.sync().unwrap();
        dir.sync().unwrap();
    });
    assert_eq!(lost, 0, "the final name first, then the file, then the directory");
}

#[test]
fn an_unnamed_file_never_survives_and_a_synced_file_system_always_does() {
    let write = |dir: &Dir| {
        dir.create_dir("d", 0o755).unwrap();
        let file = dir.create_temp(0o644).unwrap();
        file.write_all_at(0, b"content").unwrap();
        dir.open_dir("d").unwrap().link(&file, "file").unwrap();
        dir.symlink("d/file", "link").unwrap();
        let gone = dir.create_temp(0o644).unwrap();
        gone.write_all_at(0, b"gone").unwrap();
        dir.sync_file_system().unwrap();
    };
    let mut whole = 0;
    let count = states(false, write, |_, path| {
        let names = std::fs::read_dir(path).unwrap().count();
        assert!(names <= 2, "the unnamed file has a name");
        whole += usize::from(std::fs::read(path.join("link")).is_ok_and(|content| content == b"content"));
    });
    assert!(whole >= 22 && whole < count, "all states after the sync, and not all before");
}

#[test]
fn a_path_with_dots_opens_while_others_rename() {
    let (_folder, dir) = scratch();
    dir.create_dir("a", 0o755).unwrap();
    dir.create_dir("a/b", 0o755).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let [one, two] = ["one", "two"].map(|name| elsewhere.path().join(name));
            std::fs::create_dir(&one).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&one, &two).unwrap();
                std::fs::rename(&two, &one).unwrap();
            }
        });
        let dots = "a/b/../b/../b/../b/../b/../b";
        let failed = (0..20_000).find_map(|_| dir.open_dir_with(dots, Resolve::Beneath).err());
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(failed.is_none(), "{failed:?}");
    });
}
