//! Freezing real file systems on loop devices, and dying meanwhile. Needs root, and says so.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use rustix::process::{Signal, kill_process, kill_process_group};

use super::*;

/// Tells a process of these tests what to freeze, and what to die of then.
const VICTIM: &str = "SEALSTONE_TEST_FREEZE";

/// A small file system of its own; thawed, unmounted and gone when dropped.
struct Mounted {
    folder: tempfile::TempDir,
    /// Open for as long as it is mounted: how else would it be thawed?
    root: Option<File>,
}

impl Mounted {
    /// Or a word why that cannot be had here.
    fn new(kind: &str, megabytes: u64) -> Option<Self> {
        let made = Self::make(kind, megabytes);
        made.inspect_err(|why| println!("skipped: no {kind} can be mounted here: {why}")).ok()
    }

    fn make(kind: &str, megabytes: u64) -> std::result::Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        let folder = tempfile::tempdir().unwrap();
        let (image, mount) = (folder.path().join("disk"), folder.path().join("mnt"));
        File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        std::fs::create_dir(&mount).unwrap();
        run(&format!("mkfs.{kind}"), &["-q".as_ref(), &image])?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &mount])?;
        let root = Some(File::open(&mount).unwrap());
        Ok(Self { folder, root })
    }

    fn mount(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    fn root(&self) -> BorrowedFd<'_> {
        self.root.as_ref().unwrap().as_fd()
    }

    /// Whether writers would wait.
    fn is_frozen(&self) -> bool {
        match freeze(self.root()) {
            Ok(()) => {
                thaw(self.root()).unwrap();
                false
            }
            Err(Errno::BUSY) => true,
            Err(error) => panic!("{error}"),
        }
    }

    fn thaws_within(&self, limit: Duration) -> bool {
        let begin = Instant::now();
        while self.is_frozen() {
            if begin.elapsed() > limit {
                return false;
            }
            sleep(Duration::from_millis(10));
        }
        true
    }

    /// Makes a file and its name durable, and nothing more.
    fn write(&self, name: &str) {
        let path = self.mount().join(name);
        std::fs::write(&path, b"text").unwrap();
        File::open(path).unwrap().sync_all().unwrap();
        self.root.as_ref().unwrap().sync_all().unwrap();
    }

    /// The names in the root of an ext4, as somebody sees them who replays no journal.
    fn names_on_the_device(&self) -> Option<String> {
        let copy = self.folder.path().join("copy");
        std::fs::copy(self.folder.path().join("disk"), &copy).unwrap();
        let output = program("debugfs").args(["-c", "-R", "ls -p /"]).arg(&copy).output();
        output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A test that failed may have left it frozen.
        let _ = thaw(self.root());
        self.root = None;
        let _ = run("umount", &[&self.mount()]);
    }
}

fn program(name: &str) -> Command {
    let mut program = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    program.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    program
}

fn run(name: &str, args: &[&Path]) -> std::result::Result<(), String> {
    let output = program(name).args(args).output().map_err(|error| format!("{name}: {error}"))?;
    let told = || format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(told)
}

/// ext4 and xfs, as far as they can be had.
fn both() -> impl Iterator<Item = Mounted> {
    [("ext4", 16), ("xfs", 300)].into_iter().filter_map(|(kind, megabytes)| Mounted::new(kind, megabytes))
}

#[test]
fn the_ioctl_numbers_are_those_of_the_kernels_headers() {
    // From <linux/fs.h> and fs/ext4/ext4.h on x86_64, arm64 and all others with the generic ioctl encoding.
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        assert_eq!((CHECKPOINT, FREEZE, THAW), (0x4004_662b, 0xc004_5877, 0xc004_5878));
    }
}

#[test]
fn what_is_durable_in_the_journal_alone_is_on_the_device_once_the_journal_is_empty() {
    for way in [checkpoint as fn(BorrowedFd<'_>) -> Result<()>, |root| while_frozen(root, LIMIT, || ())] {
        let Some(disk) = Mounted::new("ext4", 16) else { return };
        disk.write("entry.conf");
        let Some(names) = disk.names_on_the_device() else {
            return println!("skipped: the command debugfs is not installed");
        };
        assert!(names.contains("lost+found"), "{names}");
        assert!(
            !names.contains("entry.conf"),
            "a sync of the file is enough, and this shows nothing: {names}"
        );
        match way(disk.root()) {
            Err(Errno::NOTTY) => println!("skipped: this kernel is older than the call"),
            done => {
                done.unwrap();
                let names = disk.names_on_the_device().unwrap();
                assert!(names.contains("entry.conf"), "{names}");
            }
        }
        assert!(!disk.is_frozen());
    }
}

#[test]
fn a_file_system_is_writable_after_its_journal_was_emptied() {
    for disk in both() {
        for name in ["a", "b"] {
            empty_journal(disk.root()).unwrap();
            assert!(!disk.is_frozen());
            disk.write(name);
        }
    }
}

/// Does nothing in a run of the tests: it is what the next one kills.
#[test]
fn a_process_that_is_to_die_while_a_file_system_is_frozen() {
    let Ok(told) = std::env::var(VICTIM) else { return };
    let (way, mount) = told.split_once(' ').unwrap();
    let root = File::open(mount).unwrap();
    let me = rustix::process::getpid();
    while_frozen(root.as_fd(), LIMIT, || {
        assert_eq!(freeze(root.as_fd()), Err(Errno::BUSY), "it is frozen");
        match way {
            "killed" => kill_process(me, Signal::KILL).unwrap(),
            "interrupted" => kill_process_group(me, Signal::INT).unwrap(),
            "terminated" => kill_process_group(me, Signal::TERM).unwrap(),
            _ => std::process::exit(3),
        }
        sleep(Duration::from_mins(1));
    })
    .unwrap();
}

#[test]
fn a_process_that_dies_in_whatever_way_leaves_the_file_system_thawed() {
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    for disk in both() {
        for (way, signal) in
            [("killed", Some(9)), ("interrupted", Some(2)), ("terminated", Some(15)), ("ends", None)]
        {
            let test = "raw::freeze::tests::a_process_that_is_to_die_while_a_file_system_is_frozen";
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", test, "--nocapture"])
                .env(VICTIM, format!("{way} {}", disk.mount().display()))
                .process_group(0)
                .status()
                .unwrap();
            assert_eq!((status.signal(), status.code()), (signal, signal.is_none().then_some(3)), "{way}");
            assert!(disk.thaws_within(Duration::from_secs(10)), "{way}: still frozen");
            disk.write(way);
        }
    }
}

#[test]
fn a_process_that_hangs_leaves_the_file_system_thawed() {
    for disk in both() {
        let mut was_frozen = false;
        while_frozen(disk.root(), 200, || {
            was_frozen = disk.is_frozen();
            assert!(disk.thaws_within(Duration::from_secs(20)), "nobody thawed it");
        })
        .unwrap();
        assert!(was_frozen);
        disk.write("file");
    }
}

#[test]
fn what_somebody_else_froze_is_waited_for_and_not_thawed() {
    for disk in both() {
        freeze(disk.root()).unwrap();
        let begin = Instant::now();
        assert_eq!(while_frozen(disk.root(), LIMIT, || panic!("it is not ours")), Err(Errno::BUSY));
        assert!(begin.elapsed() >= PAUSE * (TRIES - 1));
        assert!(disk.is_frozen(), "it was thawed for another");
        // Soon it is not frozen any more.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_millis(100));
                thaw(disk.root()).unwrap();
            });
            while_frozen(disk.root(), LIMIT, || ()).unwrap();
        });
        assert!(!disk.is_frozen());
    }
}

#[test]
fn the_watchdog_is_gone_when_all_went_well_and_when_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    for is_well in [true, false] {
        let watchdog = Watchdog::start(root.as_fd(), LIMIT).unwrap();
        let child = watchdog.child;
        let begin = Instant::now();
        if is_well {
            watchdog.dismiss();
        } else {
            drop(watchdog);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it waited for its limit");
        assert_eq!(waitpid(Some(child), WaitOptions::empty()).unwrap_err(), Errno::CHILD);
    }
}

#[test]
fn the_watchdog_keeps_no_lock_of_its_parent() {
    use rustix::fs::{FlockOperation, flock};

    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    let locked = File::open(folder.path()).unwrap();
    flock(&locked, FlockOperation::LockExclusive).unwrap();
    let watchdog = Watchdog::start(root.as_fd(), LIMIT).unwrap();
    drop(locked);
    let other = File::open(folder.path()).unwrap();
    let free = || flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok();
    let is_free = (0..200).any(|_| {
        free() || {
            sleep(PAUSE);
            false
        }
    });
    watchdog.dismiss();
    assert!(is_free, "or the kernel is older than close_range(2)");
}

#[test]
fn a_folder_of_a_file_system_without_a_journal_says_that_it_cannot() {
    let shm = Path::new("/dev/shm");
    if !shm.is_dir() {
        return println!("skipped: there is no tmpfs at /dev/shm");
    }
    let root = File::open(shm).unwrap();
    let refused = empty_journal(&root).unwrap_err();
    assert!(matches!(refused, Errno::OPNOTSUPP | Errno::NOTTY | Errno::PERM), "{refused}");
}
