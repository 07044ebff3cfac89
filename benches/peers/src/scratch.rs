//! A freshly made ext4 on a direct-I/O loop device, and the mount namespace that keeps it private.
//!
//! Invariants: nothing stays mounted or attached when the value is dropped; the image file is reused, so that every
//! run finds the same blocks of the machine's disk allocated.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::corpus::debian::run;

/// The size of the file system in bytes: the largest run leaves 2 GB.
const SIZE: u64 = 6 << 30;

/// How often unmounting and detaching are tried, and the pause between.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A mounted scratch file system.
pub struct Scratch {
    device: String,
    mount: PathBuf,
}

impl Scratch {
    /// Makes the file system anew and mounts it at `folder/mnt`.
    pub fn fresh(folder: &Path) -> Result<Self> {
        let (image, mount) = (folder.join("disk.img"), folder.join("mnt"));
        fs::create_dir_all(&mount).with_context(|| format!("create {}", mount.display()))?;
        allocate(&image)?;
        let arguments = ["--direct-io=on", "--sector-size=4096", "--find", "--show"];
        let output = Command::new("losetup").args(arguments).arg(&image).output().context("start losetup")?;
        ensure!(output.status.success(), "losetup: {}", String::from_utf8_lossy(&output.stderr));
        let device = String::from_utf8(output.stdout)?.trim().to_owned();
        let scratch = Self { device, mount };
        let options = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", options, &scratch.device]))?;
        run(Command::new("mount").arg(&scratch.device).arg(&scratch.mount))?;
        Ok(scratch)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> Result<()> {
        let root = File::open(&self.mount).context("open the scratch file system")?;
        rustix::fs::syncfs(&root).context("sync the scratch file system")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run reuses the image file: nothing of this one may still write to it. What cannot be undone here
        // shows when the next run starts.
        let name = self.device.trim_start_matches("/dev/");
        let attached = PathBuf::from(format!("/sys/block/{name}/loop/backing_file"));
        for _ in 0..TRIES {
            let quiet =
                |command: &mut Command| command.stderr(Stdio::null()).status().is_ok_and(|s| s.success());
            let is_unmounted = quiet(Command::new("umount").arg(&self.mount));
            if is_unmounted || !is_mounted(&self.device) {
                quiet(Command::new("losetup").args(["--detach", &self.device]));
            }
            if !attached.exists() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

fn is_mounted(device: &str) -> bool {
    fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.lines().any(|line| line.starts_with(device)))
}

/// Writes the image file once, with zeros, so that its blocks exist.
fn allocate(image: &Path) -> Result<()> {
    if fs::metadata(image).is_ok_and(|metadata| metadata.len() == SIZE) {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(image)?;
    let zeros = vec![0; 1 << 20];
    (0..SIZE >> 20).try_for_each(|_| file.write_all(&zeros)).context("write the scratch image")?;
    file.sync_all().context("sync the scratch image")
}
