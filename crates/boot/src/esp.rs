//! A boot partition: the ESP (or XBOOTLDR) as a directory, and every write to it.
//!
//! What lives here: where kernels and entries are, and the durable steps of rule D9. What does not: which of them are
//! wanted, whose entries are whose, mounting.
//! Invariants: nothing is overwritten; a file counts only after it was synced, its directory was, and its bytes were
//! read back; an entry fits one cluster; no name is longer or stranger than FAT takes.

mod bootc_files;
mod folder;
mod journal;
mod loader;
#[cfg(test)]
mod loader_power_tests;
#[cfg(test)]
mod power_tests;
mod remove;
mod role;
#[cfg(test)]
mod tests;
mod uki_files;
mod write;

pub use journal::Visibility;
pub use role::BootRole;

use sealstone_store::{
    Optional,
    disk::{Dir, FileType, Space},
};

use crate::{
    Blob, BlsEntry, BootDigest, BootError, BootPair, ENTRY_MAX, EntryName, KernelSizes,
    entry_name::has_conf_suffix,
};
use folder::{ensure_dir, ensure_top};
use remove::{remove_all, remove_file};
use write::{put_file, put_files};

/// Where boot loaders look for entries.
const ENTRIES: &str = "loader/entries";

/// Where kernels go.
const KERNELS: &str = "EFI/Linux";

/// A kernel's folder is this and the pair's digest: bootc's name for what it manages.
const KERNEL_PREFIX: &str = "bootc_composefs-";

const VMLINUZ: &str = "vmlinuz";
const INITRD: &str = "initrd";

/// What a file in `loader/entries` turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundEntry {
    /// An entry, ours or foreign.
    Entry(EntryName, BlsEntry),
    /// Something that we cannot read as an entry: reported, never touched, never fatal.
    Broken {
        /// The file's name.
        file: String,
        /// Why it is none.
        reason: String,
        /// Whether it is a regular file: one that is torn makes way for ours of the same name, nothing else does.
        is_file: bool,
    },
}

/// A boot partition.
#[derive(Clone, Debug)]
pub struct Esp {
    root: Dir,
    role: BootRole,
    name: String,
}

impl Esp {
    /// The boot partition mounted at (or built in) this directory, which has everything.
    #[must_use]
    pub fn new(root: Dir) -> Self {
        let name = root.label().display().to_string();
        Self { root, role: BootRole::Esp, name }
    }

    /// With another role.
    #[must_use]
    pub fn with_role(self, role: BootRole) -> Self {
        Self { role, ..self }
    }

    /// With another name for messages, such as that of a device that is mounted nowhere.
    #[must_use]
    pub fn with_name(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// What it is for.
    #[must_use]
    pub const fn role(&self) -> BootRole {
        self.role
    }

    /// Its folder.
    #[must_use]
    pub const fn directory(&self) -> &Dir {
        &self.root
    }

    /// The name for messages: its path, unless it has another.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The space there is; `block` is the cluster.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn space(&self) -> Result<Space, BootError> {
        Ok(self.root.space()?)
    }

    /// Everything in `loader/entries` that ends in `.conf`, sorted by name.
    ///
    /// # Errors
    /// When the directory cannot be listed. A file that cannot be read is reported as broken.
    pub fn entries(&self) -> Result<Vec<FoundEntry>, BootError> {
        let Some(folder) = self.root.open_dir(ENTRIES).optional()? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut listed = folder.read_dir()?;
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for file in listed {
            let name = file.name.to_string_lossy().into_owned();
            if !has_conf_suffix(&name) {
                continue;
            }
            let is_file = file.kind == FileType::File;
            let broken = |file, reason| FoundEntry::Broken { file, reason, is_file };
            found.push(if is_file {
                read_entry(&folder, &name).unwrap_or_else(|error| broken(name, error.to_string()))
            } else {
                broken(name, "it is no file".to_owned())
            });
        }
        Ok(found)
    }

    /// The path by which an entry names the kernel of this digest, and the one of its initramfs.
    #[must_use]
    pub fn kernel_paths(digest: &BootDigest) -> (String, String) {
        let folder = format!("/{KERNELS}/{KERNEL_PREFIX}{digest}");
        (format!("{folder}/{VMLINUZ}"), format!("{folder}/{INITRD}"))
    }

    /// The kernels in folders of our naming, whole or not.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn kernels(&self) -> Result<Vec<BootDigest>, BootError> {
        let Some(folder) = self.root.open_dir(KERNELS).optional()? else { return Ok(Vec::new()) };
        let digest = |name: &str| name.strip_prefix(KERNEL_PREFIX)?.parse().ok();
        let mut kernels: Vec<BootDigest> = folder
            .read_dir()?
            .into_iter()
            .filter(|entry| entry.kind == FileType::Directory)
            .filter_map(|entry| digest(entry.name.to_str()?))
            .collect();
        kernels.sort_unstable();
        Ok(kernels)
    }

    /// Whether a kernel and its initramfs are there, by their sizes: whole ones, since only whole ones are kept.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn has_kernel(&self, kernel: &KernelSizes) -> Result<bool, BootError> {
        let folder = self.root.open_dir(format!("{KERNELS}/{KERNEL_PREFIX}{}", kernel.digest)).optional()?;
        let Some(folder) = folder else { return Ok(false) };
        for (name, size) in [(VMLINUZ, kernel.vmlinuz), (INITRD, kernel.initramfs)] {
            if folder.metadata(name).optional()?.is_none_or(|there| there.size != size) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The size of a file that an entry names by this path, in bytes; `None` when it is not there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn file_size(&self, path: &str) -> Result<Option<u64>, BootError> {
        let there = self.root.metadata(path.trim_start_matches('/')).optional()?;
        Ok(there.filter(|there| there.kind == FileType::File).map(|there| there.size))
    }

    /// The bytes that removing a kernel's folder gives back, in whole clusters.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn kernel_bytes(&self, digest: &BootDigest) -> Result<u64, BootError> {
        let cluster = self.space()?.block.max(1);
        let folder = self.root.open_dir(format!("{KERNELS}/{KERNEL_PREFIX}{digest}")).optional()?;
        let Some(folder) = folder else { return Ok(0) };
        let mut bytes = cluster;
        for file in folder.read_dir()? {
            let there = folder.metadata(&file.name).optional()?;
            bytes += there.map_or(0, |there| there.size.next_multiple_of(cluster));
        }
        Ok(bytes)
    }

    /// The bytes that writing this kernel and one entry would take, in whole clusters: 0 for what is there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn bytes_needed(&self, kernel: &KernelSizes) -> Result<u64, BootError> {
        let cluster = self.space()?.block.max(1);
        let folder = format!("{KERNELS}/{KERNEL_PREFIX}{}", kernel.digest);
        let mut needed = cluster;
        // A new folder takes one cluster, and may make its parent grow by one; so may the new entry.
        let folders = 3 * cluster;
        let folder = self.root.open_dir(&folder).optional()?;
        for (name, size) in [(VMLINUZ, kernel.vmlinuz), (INITRD, kernel.initramfs)] {
            let there = match &folder {
                Some(folder) => folder.metadata(name).optional()?.is_some_and(|there| there.size == size),
                None => false,
            };
            if !there {
                needed += size.next_multiple_of(cluster);
            }
        }
        Ok(needed + folders)
    }

    /// Checks that so many bytes can be written, before anything is (rule D9 (6)).
    ///
    /// # Errors
    /// [`BootError::NoSpace`].
    pub fn check_space(&self, needed: u64) -> Result<(), BootError> {
        let free = self.space()?.available;
        if free < needed { Err(BootError::NoSpace { place: self.name(), needed, free }) } else { Ok(()) }
    }

    /// Writes a kernel and its initramfs, unless whole copies are there; what is there is read and compared.
    ///
    /// # Errors
    /// [`BootError::Corrupt`] when the bytes do not read back, [`sealstone_store::Error::Corrupt`] when an object is damaged,
    /// and the disk's errors.
    pub fn write_kernel(&self, pair: &BootPair) -> Result<(), BootError> {
        let linux = self.ensure_path(KERNELS)?;
        let folder = ensure_dir(&self.root, &linux, &format!("{KERNEL_PREFIX}{}", pair.sizes().digest))?;
        // D9 (1): kernels before the entry that names them.
        put_files(&folder, [(VMLINUZ, pair.vmlinuz()), (INITRD, pair.initramfs())])
    }

    /// Checks that an entry fits one cluster (rule D9 (2)), so that it is written as one.
    ///
    /// # Errors
    /// [`BootError::TooBig`].
    pub fn check_entry(&self, name: &EntryName, entry: &BlsEntry) -> Result<(), BootError> {
        let (size, limit) = (entry.to_string().len() as u64, self.space()?.block);
        if size <= limit {
            return Ok(());
        }
        let what = format!("boot entry {name} (which must fit one cluster of {})", self.name());
        Err(BootError::TooBig { what, size, limit })
    }

    /// Writes an entry under its final name, which must be free: an entry of these bytes is taken for written, and one
    /// that no boot loader would boot (torn by a power cut) makes way.
    ///
    /// # Errors
    /// [`BootError::TooBig`] when it does not fit one cluster, [`BootError::Occupied`] when another bootable entry has
    /// the name, [`BootError::Corrupt`] when it does not read back.
    pub fn write_entry(&self, name: &EntryName, entry: &BlsEntry) -> Result<(), BootError> {
        self.check_entry(name, entry)?;
        let text = entry.to_string();
        let folder = self.ensure_path(ENTRIES)?;
        if let Some(taken) = name_in(&folder, name)? {
            let there = folder.open_file(&taken)?.read_all(ENTRY_MAX as u64);
            let there = there.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let bootable = |text: &String| text.parse::<BlsEntry>().is_ok_and(|entry| entry.is_bootable());
            if there.is_ok_and(|there| there != text && bootable(&there)) {
                return Err(BootError::Occupied { name: taken });
            }
        }
        // D9 (2): under its final name from the start; the loader key is on the last line.
        put_file(&folder, name.as_str(), &Blob::Bytes(text.into_bytes()))
    }

    /// Removes an entry, if it is there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_entry(&self, name: &EntryName) -> Result<(), BootError> {
        let Some(folder) = self.root.open_dir(ENTRIES).optional()? else { return Ok(()) };
        // D9 (3): the entry is gone for good before its kernel goes.
        remove_file(&folder, name.as_str())
    }

    /// Removes a kernel's folder, if it is there. No entry may name it any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_kernel(&self, digest: &BootDigest) -> Result<(), BootError> {
        let Some(folder) = self.root.open_dir(KERNELS).optional()? else { return Ok(()) };
        remove_all(&folder, &format!("{KERNEL_PREFIX}{digest}"))
    }

    /// Opens a folder below the root; each level that is missing is made.
    fn ensure_path(&self, path: &str) -> Result<Dir, BootError> {
        let mut names = path.split('/');
        let top = ensure_top(&self.root, names.next().unwrap_or_default())?;
        names.try_fold(top, |parent, name| ensure_dir(&self.root, &parent, name))
    }
}

fn read_entry(folder: &Dir, name: &str) -> Result<FoundEntry, BootError> {
    let bytes = folder.open_file(name)?.read_all(ENTRY_MAX as u64)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        BootError::invalid("boot entry", &String::from_utf8_lossy(error.as_bytes()), "it is not UTF-8")
    })?;
    Ok(FoundEntry::Entry(EntryName::parse(name)?, text.parse()?))
}

/// The name in the folder that FAT takes for this one.
fn name_in(folder: &Dir, name: &EntryName) -> Result<Option<String>, BootError> {
    let same = |other: &str| other.eq_ignore_ascii_case(name.as_str());
    let listed = folder.read_dir()?;
    Ok(listed.iter().filter_map(|entry| entry.name.to_str()).find(|other| same(other)).map(str::to_owned))
}
