//! Loop devices, and a small file system of its own on one, for tests that fill it up. Needs root.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::tools::program;

/// A loop device over a file; gone when dropped.
pub struct LoopDevice {
    /// Its path.
    pub path: String,
}

impl LoopDevice {
    /// Over this file, with further options of losetup. None, and a word about `test`, where that cannot be had.
    pub fn of(file: &Path, more: &[&str], test: &str) -> Option<Self> {
        let output = program("losetup").args(["--find", "--show"]).args(more).arg(file).output();
        match output {
            Ok(output) if super::is_root() && output.status.success() => {
                Some(Self { path: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
            }
            _ => {
                super::skip(test, "no loop device can be made here");
                None
            }
        }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = program("losetup").args(["--detach", &self.path]).status();
    }
}

/// A mounted file system of a chosen size; unmounted and gone when dropped.
pub struct LoopDisk {
    folder: TempDir,
}

impl LoopDisk {
    /// Makes and mounts an ext4 of `megabytes`, or says why that cannot be done here.
    pub fn new(megabytes: u32) -> Result<Self, String> {
        Self::made_by("mkfs.ext4", &["-q", "-m", "0"], megabytes)
    }

    /// The same of a btrfs, whose files can share blocks.
    pub fn btrfs(megabytes: u32) -> Result<Self, String> {
        Self::made_by("mkfs.btrfs", &["-q"], megabytes)
    }

    /// The same of an xfs, which has to have 300 at least.
    pub fn xfs(megabytes: u32) -> Result<Self, String> {
        Self::made_by("mkfs.xfs", &["-q"], megabytes)
    }

    fn made_by(maker: &str, options: &[&str], megabytes: u32) -> Result<Self, String> {
        if !super::is_root() {
            return Err("needs root".to_owned());
        }
        let folder = TempDir::new().expect("a temporary folder");
        let image = folder.path().join("disk");
        let mount = folder.path().join("mnt");
        std::fs::create_dir(&mount).expect("a mount point");
        run("truncate", &["-s", &format!("{megabytes}M"), &text(&image)])?;
        run(maker, &[options, &[&text(&image)]].concat())?;
        run("mount", &["-o", "loop", &text(&image), &text(&mount)])?;
        Ok(Self { folder })
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    /// The file that it is in, as the kernel has written it so far.
    pub fn image(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Mounts it again, read-only.
    pub fn make_read_only(&self) -> Result<(), String> {
        run("mount", &["-o", "remount,ro", &text(&self.path())])
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &text(&self.path())]);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn run(name: &str, args: &[&str]) -> Result<(), String> {
    let output = program(name).args(args).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
