//! A sysroot: the physical root of a system, in bootc's layout, and the records in it.
//!
//! What lives here: its paths, reading and writing records, the lock. What does not: what is in the folders of state
//! (`populate.rs`), the repository, boot partitions.
//! Layout: `composefs/` the repository; `ostree/bootc` a link to `composefs/bootc`, for bootc; `state/deploy/<id>/` one
//! deployment's `etc/`, `var` (a symlink) and origin; `state/os/default/var/` shared by all;
//! `state/sealstone/deployments/<id>.json` our records.

use std::{path::Path, sync::Arc, time::Duration};

use sealstone_store::{
    Durable, Optional,
    disk::{Dir, Disk, FileType, Lock, Rename, Wait},
    lock_within,
};

use crate::{DeployError, DeploymentId, RECORD_VERSION, Record, keep::Kept, record::RECORD_MAX};

/// Where the repository is, below a sysroot.
pub const REPOSITORY: &str = "composefs";

pub(crate) const DEPLOY: &str = "state/deploy";
pub(crate) const OS: &str = "state/os/default";
pub(crate) const VAR: &str = "var";
const OWN: &str = "state/sealstone";
const RECORDS: &str = "state/sealstone/deployments";

/// bootc's storage for bound images, and the link by which its own path (`/usr/lib/bootc/storage`) leads there.
const BOOTC_STORAGE: &str = "composefs/bootc/storage";
const OSTREE: &str = "ostree";
const BOOTC_LINK: &str = "bootc";
const BOOTC_TARGET: &str = "../composefs/bootc";

const TEMPORARY: &str = "state/sealstone/tmp";

/// How long it is waited for another run to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The physical root of a system.
#[derive(Clone, Debug)]
pub struct Sysroot {
    root: Dir,
}

/// A file among the records that is none, or none that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BrokenRecord {
    /// The file's name.
    pub file: String,
    /// Why it cannot be read.
    pub reason: String,
    /// Whether a newer version wrote it: then it is whole, and not to be replaced.
    #[serde(skip)]
    pub is_newer: bool,
}

impl BrokenRecord {
    /// Whether it has the name of this deployment's record.
    pub(crate) fn is_of(&self, id: &DeploymentId) -> bool {
        self.file.strip_suffix(".json") == Some(&id.to_string())
    }
}

/// The lock of a sysroot: one plan or apply at a time.
#[must_use = "it is held as long as this lives"]
#[derive(Debug)]
pub struct SysrootLock(Dir);

impl Drop for SysrootLock {
    fn drop(&mut self) {
        // The last descriptor's end would release it as well.
        let _ = self.0.lock(Lock::Unlock, Wait::Try);
    }
}

impl Sysroot {
    /// The sysroot at this path, which must be a directory.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(disk: &Arc<dyn Disk>, path: impl AsRef<Path>) -> Result<Self, DeployError> {
        Ok(Self { root: Dir::open(disk, path)? })
    }

    /// Its directory.
    #[must_use]
    pub const fn dir(&self) -> &Dir {
        &self.root
    }

    /// Locks the sysroot against other runs. They take moments: one is waited for, up to two
    /// seconds.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Busy`] when another one still has it then.
    pub fn lock(&self) -> Result<SysrootLock, DeployError> {
        let own = self.ensure(OWN)?;
        lock_within(&own, Lock::Exclusive, PATIENCE)?;
        Ok(SysrootLock(own))
    }

    /// All records, the newest first, and what among them is none.
    ///
    /// # Errors
    /// When the folder cannot be listed: a single file that cannot be read is reported.
    pub fn records(&self) -> Result<(Vec<Record>, Vec<BrokenRecord>), DeployError> {
        let (mut records, mut broken) = (Vec::new(), Vec::new());
        let Some(folder) = self.root.open_dir(RECORDS).optional()? else { return Ok((records, broken)) };
        for entry in folder.read_dir()? {
            let file = entry.name.to_string_lossy().into_owned();
            let Some(stem) = file.strip_suffix(".json").filter(|_| entry.kind == FileType::File) else {
                broken.push(BrokenRecord { file, reason: "it is no record".into(), is_newer: false });
                continue;
            };
            match read_record(&folder, &file, stem) {
                Ok(record) => records.push(record),
                Err((reason, is_newer)) => broken.push(BrokenRecord { file, reason, is_newer }),
            }
        }
        records.sort_by_key(|record| std::cmp::Reverse((record.order, record.serial)));
        broken.sort_by(|a, b| a.file.cmp(&b.file));
        Ok((records, broken))
    }

    /// Writes a record, in the place of an older one of its deployment. What it needs is durable, says `kept`; after
    /// this the record is.
    ///
    /// # Errors
    /// [`DeployError::NotKept`] when the deployment is not among those kept, unless it is known to be broken, so that
    /// nothing boots it; and the disk's.
    pub fn write_record(&self, record: &Record, kept: &Durable<Kept>) -> Result<(), DeployError> {
        if !kept.has(&record.id) && record.broken.is_none() {
            return Err(DeployError::NotKept { id: record.id.to_string() });
        }
        let mut text = serde_json::to_vec_pretty(record).map_err(|error| DeployError::Invalid {
            what: "record",
            text: record.id.to_string(),
            reason: error.to_string(),
        })?;
        text.push(b'\n');
        self.replace_file(RECORDS, &format!("{}.json", record.id), &text)
    }

    /// Removes a record. From here on, the deployment is not.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_record(&self, id: &DeploymentId) -> Result<(), DeployError> {
        let Some(folder) = self.root.open_dir(RECORDS).optional()? else { return Ok(()) };
        folder.remove_file(format!("{id}.json")).optional()?;
        // D1: the name is gone for good before the content goes.
        Ok(folder.sync()?)
    }

    /// Writes a small file durably, in the place of what has its name.
    pub(crate) fn replace_file(&self, folder: &str, name: &str, content: &[u8]) -> Result<(), DeployError> {
        let folder = self.ensure(folder)?;
        let temporary = self.fresh_temporary("file")?;
        // D3: temporary file, write, sync, rename, sync of both folders.
        let file = temporary.create_new("file", 0o644)?;
        file.write_all_at(0, content)?;
        file.set_mode(0o644)?;
        file.sync()?;
        temporary.rename("file", &folder, name, Rename::Replace)?;
        folder.sync()?;
        Ok(temporary.sync()?)
    }

    /// Makes the folders in which bootc looks for its own container storage, so that it can take this sysroot over.
    pub(crate) fn ensure_bootc_storage(&self) -> Result<(), DeployError> {
        self.ensure(BOOTC_STORAGE)?;
        let ostree = self.ensure(OSTREE)?;
        if ostree.metadata(BOOTC_LINK).optional()?.is_none() {
            ostree.symlink(BOOTC_TARGET, BOOTC_LINK)?;
            // D3: the name is durable when its folder is synced.
            ostree.sync()?;
        }
        Ok(())
    }

    /// An empty folder for what is not whole yet, on the file system of the state. What an earlier run left is removed.
    pub(crate) fn fresh_temporary(&self, name: &str) -> Result<Dir, DeployError> {
        let folder = self.ensure(TEMPORARY)?;
        remove_tree(&folder, name)?;
        Ok(folder.ensure_dir(name, 0o700)?)
    }

    /// Whether an earlier run left what is not whole.
    pub(crate) fn has_temporary(&self) -> Result<bool, DeployError> {
        Ok(self.root.exists(TEMPORARY)?)
    }

    /// Removes what is not whole.
    pub(crate) fn remove_temporary(&self) -> Result<(), DeployError> {
        let Some(own) = self.root.open_dir(OWN).optional()? else { return Ok(()) };
        remove_tree(&own, "tmp")
    }

    /// Opens a folder below the root; each level that is missing is made, and its parent synced.
    pub(crate) fn ensure(&self, path: &str) -> Result<Dir, DeployError> {
        path.split('/').try_fold(self.root.clone(), |parent, name| {
            if let Some(dir) = parent.open_dir(name).optional()? {
                return Ok(dir);
            }
            let dir = parent.ensure_dir(name, 0o755)?;
            // D3: a new directory is durable when its parent is synced.
            parent.sync()?;
            Ok(dir)
        })
    }
}

/// Removes a folder with all in it, if it is there. Folders of an image may forbid that to all but root, so their modes
/// are opened first.
pub(crate) fn remove_tree(parent: &Dir, name: &str) -> Result<(), DeployError> {
    let Some(top) = parent.metadata(name).optional()? else { return Ok(()) };
    if top.kind == FileType::Directory && !rustix::process::geteuid().is_root() {
        let mut to_open = vec![(parent.clone(), std::ffi::OsString::from(name))];
        while let Some((parent, name)) = to_open.pop() {
            parent.set_mode(&name, 0o700)?;
            let dir = parent.open_dir(&name)?;
            let folders = dir.read_dir()?.into_iter().filter(|entry| entry.kind == FileType::Directory);
            to_open.extend(folders.map(|entry| (dir.clone(), entry.name)));
        }
    }
    Ok(parent.remove_dir_all(name).optional().map(drop)?)
}

/// The record in a file, or why there is none, and whether that is since a newer version wrote it.
fn read_record(folder: &Dir, file: &str, stem: &str) -> Result<Record, (String, bool)> {
    let text = folder.open_file(file).and_then(|file| file.read_all(RECORD_MAX));
    let text = text.map_err(|error| (error.to_string(), false))?;
    let no_json = |error: serde_json::Error| (error.to_string(), false);
    let version: VersionOnly = serde_json::from_slice(&text).map_err(no_json)?;
    if version.version > RECORD_VERSION {
        let reason = format!("it has version {}, and this engine reads {RECORD_VERSION}", version.version);
        return Err((reason, true));
    }
    let record: Record = serde_json::from_slice(&text).map_err(no_json)?;
    if record.id.to_string() != stem {
        return Err((format!("it is about the deployment {}", record.id), false));
    }
    Ok(record)
}

#[derive(serde::Deserialize)]
struct VersionOnly {
    version: u32,
}
