//! One emulated machine: its disk, its firmware's variables, and QEMU while it runs.
//!
//! One processor, emulated, without cmpxchg16b, which old QEMUs emulate wrongly at times. Everything is bounded by a
//! time-out (`SEALSTONE_VM_SECONDS`, 300 by default); what QEMU still runs ends with the value that stands for it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::agent::{Agent, Answer};
use super::base::target;
use super::console::Console;
use super::monitor::{Monitor, ResetWatch};
use super::plugged::{Plugged, PluggedIn};
use super::write_log::{Loss, WriteLog};

/// Which firmware a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// OVMF that takes any program.
    Open,
    /// OVMF with Secure Boot on, which trusts Debian's snakeoil key.
    SecureBoot,
}

impl Firmware {
    const fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::Open => ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
            Self::SecureBoot => {
                ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")
            }
        }
    }
}

/// What a machine's disk is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskKind {
    /// `raw` or `qcow2`.
    pub format: &'static str,
    /// Bytes of a sector.
    pub sector: u32,
}

impl Default for DiskKind {
    fn default() -> Self {
        Self { format: "raw", sector: 512 }
    }
}

/// A machine that is switched off: a folder with its disk and its firmware's variables.
pub struct Machine {
    name: String,
    folder: PathBuf,
    firmware: Firmware,
    disk: DiskKind,
    boots: AtomicU32,
}

impl Machine {
    /// A machine with a disk yet to be put at [`Machine::disk`]. A folder of that name that is there is emptied.
    pub fn new(name: &str, firmware: Firmware) -> Self {
        let folder = target().join("machines").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(firmware.files().1, folder.join("vars")).expect("the firmware's variables (package ovmf)");
        Self { name: name.to_owned(), folder, firmware, disk: DiskKind::default(), boots: AtomicU32::new(0) }
    }

    /// The same with another disk.
    pub const fn with_disk(mut self, disk: DiskKind) -> Self {
        self.disk = disk;
        self
    }

    /// What its disk is like.
    pub const fn disk_kind(&self) -> DiskKind {
        self.disk
    }

    /// Its disk.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// A place for its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Switches it on.
    pub fn start(&self) -> Running {
        self.start_plugged(&Plugged::default())
    }

    /// Switches it on with something plugged in.
    pub fn start_plugged(&self, plugged: &Plugged) -> Running {
        let disk = self.disk();
        // What the guest wrote is in this machine's page cache, which a killed QEMU does not lose.
        let format = self.disk.format;
        let drive = format!("if=none,id=disk,format={format},cache=unsafe,file={}", disk.display());
        self.start_with(&["-drive", &drive], plugged)
    }

    /// Switches it on, and keeps a log of what it writes to its disk, for [`Machine::lose_what_was_not_flushed`].
    pub fn start_logged(&self) -> Running {
        let (disk, log) = (self.disk(), self.path("writes"));
        copy_sparse(&disk, &self.path("disk-before"));
        File::create(&log).expect("a file");
        let file = |path: &Path| serde_json::json!({ "driver": "file", "filename": path, "cache": { "no-flush": true } });
        let node = serde_json::json!({
            "driver": "blklogwrites", "node-name": "disk", "file": file(&disk), "log": file(&log),
        });
        self.start_with(&["-blockdev", &node.to_string()], &Plugged::default())
    }

    /// How many writes and flushes it has asked its disk for, since it was started with a log.
    pub fn requests(&self) -> Requests {
        Requests { log: self.path("writes"), known: (0, 0) }
    }

    /// After a cut of a machine that was started with a log: of what it had not flushed, each write is lost or not.
    pub fn lose_what_was_not_flushed(&self, lands: impl FnMut() -> bool) -> Loss {
        let disk = self.disk();
        fs::rename(self.path("disk-before"), &disk).expect("the disk as it was");
        let loss = WriteLog::read(&self.path("writes")).replay(&disk, lands);
        fs::remove_file(self.path("writes")).expect("the log");
        loss
    }

    fn start_with(&self, drive: &[&str], plugged: &Plugged) -> Running {
        let count = self.boots.fetch_add(1, Ordering::Relaxed);
        let console = self.folder.join(format!("console-{count}"));
        // A socket's path may not be long.
        let sockets = tempfile::tempdir().expect("a folder");
        let socket = sockets.path().join("agent");
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg", "-cpu", "max,-cx16", "-smp", "1", "-m", "768", "-nodefaults"]);
        command.args(["-display", "none"]);
        command.args(self.firmware_options()).args(drive);
        // Merged, requests can be larger than what `blklogwrites` takes, which is an I/O error then.
        let sector = self.disk.sector;
        let sectors = format!("logical_block_size={sector},physical_block_size={sector}");
        let device = format!("virtio-blk-pci,drive=disk,bootindex=0,request-merging=off,{sectors}");
        command.args(["-device", &device]);
        command.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
        let (keyboard, monitor) = (sockets.path().join("console"), sockets.path().join("monitor"));
        command.args(["-monitor", &format!("unix:{},server=on,wait=off", monitor.display())]);
        command.args(["-chardev", &plugged.console(&console, &keyboard)]);
        command.args(["-chardev", &format!("socket,id=agent,path={},server=on,wait=off", socket.display())]);
        command.args(["-serial", "chardev:console", "-serial", "chardev:agent"]);
        let plugged = plugged.plug_in(&mut command, sockets.path());
        let errors = File::create(self.folder.join("qemu-errors")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let started = Instant::now();
        let child = command.spawn().expect("qemu-system-x86_64 starts");
        let agent = Agent::connect(&socket);
        Running {
            name: self.name.clone(),
            child,
            agent,
            console: Console::new(console),
            started,
            keyboard,
            monitor: Monitor::at(&monitor),
            _plugged: plugged,
            _sockets: sockets,
        }
    }

    fn firmware_options(&self) -> Vec<String> {
        let flash = "if=pflash,format=raw";
        let mut options = vec![
            "-drive".to_owned(),
            format!("{flash},unit=0,readonly=on,file={}", self.firmware.files().0),
            "-drive".to_owned(),
            format!("{flash},unit=1,file={}", self.path("vars").display()),
            "-machine".to_owned(),
        ];
        match self.firmware {
            Firmware::Open => options.push("q35".to_owned()),
            Firmware::SecureBoot => options.extend(
                ["q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"].map(str::to_owned),
            ),
        }
        options
    }

    /// Switches it on and waits for a system of this version.
    #[track_caller]
    pub fn boots(&self, version: &str) -> Running {
        let mut running = self.start();
        running.is_up(version);
        running
    }
}

/// What a machine asks its disk for, counted while it does so.
pub struct Requests {
    log: PathBuf,
    known: (usize, u64),
}

impl Requests {
    /// How many there are by now.
    pub fn count(&mut self) -> usize {
        self.known = WriteLog::count(&self.log, self.known);
        self.known.0
    }
}

/// A machine that is switched on. Dropped, it is cut off.
pub struct Running {
    name: String,
    child: Child,
    agent: Agent,
    console: Console,
    started: Instant,
    keyboard: PathBuf,
    monitor: Monitor,
    _plugged: PluggedIn,
    _sockets: tempfile::TempDir,
}

impl Running {
    /// Waits for a system; the version that it says.
    #[track_caller]
    pub fn greeting(&mut self) -> String {
        let Self { child, agent, console, monitor, .. } = self;
        let mut watch = ResetWatch::new(console, monitor);
        let is_alive = || {
            watch.look();
            child.try_wait().is_ok_and(|ended| ended.is_none())
        };
        let version = agent.greeting(limit(), is_alive).unwrap_or_else(|error| {
            panic!("{error}\n{}\n{}", console.tail(), monitor.registers());
        });
        println!("{}: version {version} up after {:.1} s", self.name, self.started.elapsed().as_secs_f32());
        version
    }

    /// Waits for a system of this version.
    #[track_caller]
    pub fn is_up(&mut self, version: &str) {
        let found = self.greeting();
        assert_eq!(found, version, "another version booted:\n{}", self.console.tail());
    }

    /// Runs a command in the guest.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> Answer {
        let answer = self.agent.run(command, limit());
        answer.unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.console.tail()))
    }

    /// Runs a command in the guest that has to succeed; what it printed.
    #[track_caller]
    pub fn succeeds(&mut self, command: &str) -> String {
        self.run(command).succeeds()
    }

    /// The line of `/proc/mounts` of what is mounted at a place.
    #[track_caller]
    pub fn mounted_at(&mut self, place: &str) -> String {
        let mounts = self.succeeds("cat /proc/mounts");
        let found = mounts.lines().find(|line| line.split(' ').nth(1) == Some(place));
        found.unwrap_or_else(|| panic!("nothing at {place}\n{mounts}")).to_owned()
    }

    /// The root has to be an image that the kernel verifies.
    #[track_caller]
    pub fn is_verified(&mut self) {
        let root = self.mounted_at("/");
        assert!(root.starts_with("composefs:") && root.contains(" overlay ro,"), "{root}");
        assert!(root.contains("verity=require"), "{root}");
    }

    /// Runs `store … --json` in the guest.
    #[track_caller]
    pub fn json(&mut self, command: &str) -> serde_json::Value {
        // Progress and warnings are for people.
        let text = self.succeeds(&format!("{command} 2>/dev/console"));
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{command}: {error}\n{text}"))
    }

    /// Sends a command and does not wait for its end.
    pub fn send(&mut self, command: &str) {
        self.agent.send(command);
    }

    /// What firmware, kernel and init wrote.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Types a line at the console, of a machine that has a keyboard there.
    pub fn types(&self, line: &str) {
        let mut keyboard = UnixStream::connect(&self.keyboard).expect("a keyboard");
        keyboard.write_all(format!("{line}\r").as_bytes()).expect("the machine listens");
        // The line takes a byte at a time, and loses what is not taken when nobody holds it any more.
        thread::sleep(Duration::from_secs(2));
    }

    /// Reboots by `command`, and waits for a system of this version.
    #[track_caller]
    pub fn reboots(&mut self, command: &str, version: &str) {
        self.started = Instant::now();
        self.send(command);
        self.is_up(version);
    }

    /// Switches it off by `command`, and waits until it is.
    #[track_caller]
    pub fn switch_off(mut self, command: &str) {
        self.send(command);
        let end = Instant::now() + limit();
        while self.child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < end, "it does not switch off:\n{}", self.console.tail());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Cuts it off, as a power cut does: the guest gets to do nothing more.
    pub fn cut(mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The longest that anything may take.
pub fn limit() -> Duration {
    let seconds = std::env::var("SEALSTONE_VM_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(300))
}

/// Copies a disk without its holes.
pub fn copy_sparse(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--sparse=always").args([from, to]).status();
    assert!(copied.expect("cp starts").success(), "{} cannot be copied", from.display());
}
