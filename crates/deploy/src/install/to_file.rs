//! Installing into a disk image: a plain file, made without root, without loop devices and without any program.
//!
//! What lives here: staging, then putting the disk together. What does not: partitions (`layout.rs`), file systems (`ext4.rs`,
//! `fat.rs`), the installation itself, which works on the staged sysroot as on any other.
//! Invariants: the file has its name when it is whole, never before; equal images, seeds and times give equal bytes; every
//! object has fs-verity, so the system boots with no less.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use sealstone_boot::Esp;
use sealstone_store::{
    Control, Error, ObjectId, Optional, Verity,
    disk::{Dir, Disk, File, FileType, LedgerDisk, Lock, Rename, Timestamp, Wait},
};

use super::{
    ext4::{self, Area, Ext4Options, Nodes, Sealing},
    fat,
    gpt::Gpt,
    ids::{Seed, Uuid},
    layout::{DiskLayout, LayoutRequest, esp_size_for},
    luks::MadeLuks,
    prepare::{SysrootOptions, prepare_sysroot},
    qcow2,
    signatures::signatures_of_file,
};
use crate::{DeployError, REPOSITORY, Record, Target, adopt::architecture};

/// The form of a disk image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFormat {
    /// The disk's bytes, with holes where there are zeros.
    #[default]
    Raw,
    /// qcow2, version 3.
    Qcow2,
}

/// What a disk shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRequest {
    /// What its UUIDs are derived from.
    pub seed: Seed,
    /// Its time, in seconds since 1970 UTC.
    pub time: i64,
    /// Its size in bytes; without one, what the image needs, as much again, and a GiB.
    pub size: Option<u64>,
    /// The size of its sectors: 512 or 4,096.
    pub sector: u32,
    /// The size of the ESP; without one, by the kernel's, and 512 MiB at least.
    pub esp: Option<u64>,
    /// So many bytes at the end belong to no partition.
    pub tail: u64,
    /// The form of the file.
    pub format: DiskFormat,
    /// Whether what is in the file's place may go.
    pub wipe: bool,
}

impl DiskRequest {
    /// A disk that is chosen by what the image needs.
    #[must_use]
    pub const fn new(seed: Seed, time: i64) -> Self {
        Self { seed, time, size: None, sector: 512, esp: None, tail: 0, format: DiskFormat::Raw, wipe: false }
    }

    /// The UUID of the root's file system.
    #[must_use]
    pub fn root_uuid(&self) -> Uuid {
        self.seed.uuid("file system root")
    }
}

/// A disk that was made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MadeDisk {
    /// Its form.
    pub format: DiskFormat,
    /// Where its partitions are.
    #[serde(flatten)]
    pub layout: DiskLayout,
    /// The id of the disk.
    pub id: String,
    /// The UUID of the root's file system.
    pub root_uuid: String,
    /// The file system of the root.
    pub filesystem: &'static str,
    /// What of the root is in use, in bytes.
    pub used: u64,
    /// Files with fs-verity, if they were sealed here and not by the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<u64>,
    /// The volume that the root is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub luks: Option<MadeLuks>,
}

/// A disk image in the making.
#[derive(Debug)]
pub struct FileDisk {
    request: DiskRequest,
    /// The folder that the file will be in.
    folder: Dir,
    name: String,
    staging: Dir,
    ledger: Arc<LedgerDisk>,
    target: Target,
}

const ROOT: &str = "root";
const ESP: &str = "esp";
const IMAGE: &str = "image";
const QCOW2: &str = "qcow2";

/// What a root has beside what is put in it, at least: journal, tables, room for the first update's state.
const MARGIN: u64 = 128 << 20;

/// A root that nobody sized has so much free, at least.
const FREE: u64 = 1 << 30;

impl FileDisk {
    /// Begins a disk image at `path`: looks at what is there, and makes a sysroot to install into, staged beside it. What a
    /// run that was cut off left is removed.
    ///
    /// # Errors
    /// [`DeployError::Occupied`] when a file with anything in it is there and may not go, [`Error::Busy`] while another run
    /// makes the same file, and the disk's.
    pub fn begin(path: &Path, reference: &str, request: DiskRequest) -> Result<Self, DeployError> {
        let real: Arc<dyn Disk> = sealstone_store::disk::RealDisk::shared();
        let (folder_path, name) = split(path)?;
        let folder = Dir::open(&real, &folder_path)?;
        let mut request = request;
        if let Some(size) = existing(&folder, &name, path, request.wipe)? {
            request.size = request.size.or(Some(size));
        }
        let staging_name = staging_name(&name);
        let staging = folder.ensure_dir(&staging_name, 0o700)?;
        if let Err(error) = staging.lock(Lock::Exclusive, Wait::Try) {
            let busy = Error::Busy { path: path.to_owned(), holder: Some("another installation".to_owned()) };
            return Err(if error.errno() == Some(Errno::AGAIN) { busy.into() } else { error.into() });
        }
        clear(&staging)?;
        for part in [ROOT, ESP] {
            staging.create_dir(part, 0o700)?;
        }
        let ledger = LedgerDisk::new(Timestamp { sec: request.time, nsec: 0 });
        let disk: Arc<dyn Disk> = ledger.clone();
        let staged = folder_path.join(staging_name);
        let options = SysrootOptions { verity: Some(Verity::Offline), ..SysrootOptions::default() };
        let esp = Esp::new(Dir::open(&disk, staged.join(ESP))?);
        let target = prepare_sysroot(&disk, &staged.join(ROOT), vec![esp], reference, options)?;
        target.sysroot.dir().set_mode("", 0o755)?;
        Ok(Self { request, folder, name, staging, ledger, target })
    }

    /// Where to install to.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// What the disk will be like.
    #[must_use]
    pub const fn request(&self) -> &DiskRequest {
        &self.request
    }

    /// Puts the disk together of what was installed, and gives it its name.
    ///
    /// # Errors
    /// [`sealstone_boot::BootError::NoSpace`] or [`Error::NoSpace`] when it does not fit, [`Error::Corrupt`] when an object is not what its
    /// name says, and the disk's. The file's place is as it was then.
    pub fn finish(self, control: &Control) -> Result<MadeDisk, DeployError> {
        let done = self.assemble(control);
        // What is staged is of no use to anybody, whole or not.
        let removed =
            clear(&self.staging).and_then(|()| Ok(self.folder.remove_dir(staging_name(&self.name))?));
        let done = done?;
        removed.map(|()| done)
    }

    /// Gives up: removes what was staged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn abandon(self) -> Result<(), DeployError> {
        clear(&self.staging)?;
        Ok(self.folder.remove_dir(staging_name(&self.name))?)
    }

    fn assemble(&self, control: &Control) -> Result<MadeDisk, DeployError> {
        let (records, _) = self.target.sysroot.records()?;
        let record = records.first().ok_or(DeployError::Changed)?;
        let algorithm = self.target.repository.algorithm();
        let seals = |path: &[u8]| {
            Some(Sealing { algorithm, id: None })
                .filter(|_| is_meta(path))
                .or_else(|| object_of(path).map(|id| Sealing { algorithm, id: Some(id) }))
        };
        let root = self.target.sysroot.dir();
        let nodes = Nodes::read(root, &self.ledger, &seals)?;
        let esp = self.target.esps.first().ok_or(DeployError::Changed)?;
        let layout = self.layout(&nodes, (record, fat::measure(esp.directory())?))?;
        let image = self.staging.create_new(IMAGE, 0o644)?;
        image.set_len(layout.size)?;
        let options = Ext4Options {
            uuid: self.request.root_uuid().0,
            hash_seed: self.request.seed.uuid("hash seed").0,
            label: ROOT,
            time: Timestamp { sec: self.request.time, nsec: 0 },
        };
        let area = Area::new(&image, layout.root.start, layout.root.size);
        let written = ext4::write(area, root, &nodes, &options, control)?;
        let volume = (self.request.seed.uuid("file system esp").short(), layout.sector);
        fat::write((&image, layout.esp), esp.directory(), volume, control)?;
        let table = layout.table(
            &self.request.seed,
            architecture(&self.target.repository, &record.image.manifest).as_ref(),
        );
        write_table(&image, &table)?;
        self.publish(&image, layout.size, control)?;
        Ok(MadeDisk {
            format: self.request.format,
            layout,
            id: table.id.to_string(),
            root_uuid: self.request.root_uuid().to_string(),
            filesystem: "ext4",
            used: written.used,
            sealed: Some(written.sealed),
            luks: None,
        })
    }

    fn layout(&self, nodes: &Nodes, (record, on_esp): (&Record, u64)) -> Result<DiskLayout, DeployError> {
        let (blocks, inodes) = ext4::blocks_needed(nodes);
        // Each inode is there twice, since as many stay free.
        let least = blocks * 4096 + inodes * 2 * 256 + MARGIN;
        let esp = self.request.esp.unwrap_or_else(|| esp_size_for(&record.kernel.sizes).max(2 * on_esp));
        let tail = self.request.tail;
        let wanted = || DiskLayout::size_for(least.saturating_mul(2).saturating_add(FREE), esp, tail);
        let size = self.request.size.unwrap_or_else(wanted);
        DiskLayout::of(LayoutRequest { size, sector: self.request.sector, esp, tail }, least)
    }

    /// Gives the file its form, makes it durable, and moves it to its place.
    fn publish(&self, image: &File, size: u64, control: &Control) -> Result<(), DeployError> {
        let from = match self.request.format {
            DiskFormat::Raw => {
                image.sync()?;
                IMAGE
            }
            DiskFormat::Qcow2 => {
                let file = self.staging.create_new(QCOW2, 0o644)?;
                qcow2::write(image, size, &file, control)?;
                file.sync()?;
                QCOW2
            }
        };
        // D3: whole and durable before it has its name. What was there may go, or was empty.
        let how = if self.folder.exists(&self.name)? { Rename::Replace } else { Rename::NoReplace };
        self.staging.rename(from, &self.folder, &self.name, how)?;
        Ok(self.folder.sync()?)
    }
}

/// Writes a partition table: the copy, then the one that counts, each durable before the next.
pub(super) fn write_table(disk: &File, table: &Gpt) -> Result<(), DeployError> {
    for (at, bytes) in table.encode() {
        // D1: what a table names is durable before the table is.
        disk.sync()?;
        disk.write_all_at(at, &bytes)?;
    }
    Ok(disk.sync()?)
}

/// The folder and the name of a file to be.
fn split(path: &Path) -> Result<(PathBuf, String), DeployError> {
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let invalid = || DeployError::Invalid {
        what: "disk image",
        text: path.display().to_string(),
        reason: "it names no file, or not in UTF-8".to_owned(),
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), name.ok_or_else(invalid)?))
}

fn staging_name(name: &str) -> String {
    format!(".{name}.installing")
}

/// What is in the file's place: refused unless it is empty or may go; the size of an empty one is wanted again.
fn existing(folder: &Dir, name: &str, path: &Path, wipe: bool) -> Result<Option<u64>, DeployError> {
    let Some(metadata) = folder.metadata(name).optional()? else { return Ok(None) };
    let occupied = |found: Vec<String>| DeployError::Occupied { place: path.display().to_string(), found };
    if metadata.kind != FileType::File {
        return Err(occupied(vec!["it is no regular file".to_owned()]));
    }
    if metadata.allocated == 0 {
        return Ok((metadata.size > 0).then_some(metadata.size));
    }
    if wipe {
        return Ok(None);
    }
    Err(occupied(signatures_of_file(&folder.open_file(name)?)?))
}

/// Removes what is in the staging folder.
fn clear(staging: &Dir) -> Result<(), DeployError> {
    for entry in staging.read_dir()? {
        if entry.kind == FileType::Directory {
            staging.remove_dir_all(&entry.name)?;
        } else {
            staging.remove_file(&entry.name)?;
        }
    }
    Ok(())
}

fn is_meta(path: &[u8]) -> bool {
    path == format!("{REPOSITORY}/meta.json").as_bytes()
}

/// The object that a path of the repository is, by its name.
fn object_of(path: &[u8]) -> Option<ObjectId> {
    let path = std::str::from_utf8(path).ok()?;
    let rest = path.strip_prefix(REPOSITORY)?.strip_prefix("/objects/")?;
    let (first, others) = rest.split_once('/')?;
    format!("{first}{others}").parse().ok()
}
