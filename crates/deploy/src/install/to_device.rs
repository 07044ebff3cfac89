//! Installing onto a device: partitioned, formatted and written in place, from the source to the target's file system.
//!
//! What lives here: the order of it. What does not: the installation itself, which works on the mounted root as on any other.
//! Order: what was there is made unreadable; the root's file system is made and mounted, on a part of a disk that has no
//! partitions yet; the image comes onto it; the ESP is written; the partition table comes last. Invariants: killed at any
//! point, the device holds no system that could be started, old or new; nothing is staged but the ESP's files, on the
//! target's own root.

use std::{ffi::OsString, path::Path, sync::Arc};

use rustix::io::Errno;
use sealstone_store::{
    Control, DetachedMount, DiskPart, Error, Optional,
    disk::{Access, Dir, Disk, File, FileType, RealDisk, Resolve},
    reread_partitions,
};

use super::{
    fat,
    layout::{ALIGNMENT, DiskLayout, LayoutRequest},
    prepare::{SysrootOptions, prepare_sysroot},
    programs::Programs,
    signatures::signatures,
    to_file::{DiskFormat, DiskRequest, MadeDisk, write_table},
};
use crate::{DeployError, Target, adopt::architecture, kargs::RootFileSystem};

/// The kernel's view of block devices.
const SYSFS: &str = "/sys/dev/block";

/// A file of sysfs says that it has a page of bytes, however few they are.
const ATTRIBUTE_MAX: u64 = 64 << 10;

/// Symlinks followed, as by the kernel.
const LINKS: usize = 40;

/// The ESP's files until it is written, in the root.
const STAGED_ESP: &str = ".installing-esp";

/// The ESP of a device when nobody says how large: the kernel is not known yet when it gets its place.
const ESP_SIZE: u64 = 1 << 30;

/// The least size of a root.
const ROOT_LEAST: u64 = 512 << 20;

/// A device that is being installed onto. The fields go in their order.
pub struct DeviceDisk {
    target: Target,
    mount: DetachedMount,
    part: DiskPart,
    device: File,
    layout: DiskLayout,
    request: DiskRequest,
    filesystem: RootFileSystem,
}

impl DeviceDisk {
    /// Begins: takes the device for itself, looks at what is there, makes the root's file system, and a sysroot on it.
    ///
    /// # Errors
    /// [`Error::Busy`] when the device is mounted or otherwise in use, [`DeployError::Occupied`] when something is on it that
    /// may not go, [`sealstone_boot::BootError::NoSpace`] when it is too small, [`DeployError::Program`], and those of the disk.
    pub fn begin(
        path: &Path,
        reference: &str,
        request: DiskRequest,
        filesystem: RootFileSystem,
        programs: &dyn Programs,
    ) -> Result<Self, DeployError> {
        let disk: Arc<dyn Disk> = RealDisk::shared();
        let device = open(&disk, path)?;
        let (size, sector) = measures(&disk, &device)?;
        let found = signatures(&device, size)?;
        if !found.is_empty() && !request.wipe {
            return Err(DeployError::Occupied { place: path.display().to_string(), found });
        }
        let layout = LayoutRequest {
            size: request.size.unwrap_or(size).min(size),
            sector,
            esp: request.esp.unwrap_or(ESP_SIZE),
            tail: request.tail,
        };
        let layout = DiskLayout::of(layout, ROOT_LEAST)?;
        erase(&device, size, &layout)?;
        let part = DiskPart::new(&device, layout.root.start, layout.root.size, sector)?;
        make(part.path(), &request, filesystem, programs)?;
        let mount = part.mount(name_of(filesystem))?;
        let root = mount.path();
        Dir::open(&disk, &root)?.create_dir(STAGED_ESP, 0o700)?;
        let options = SysrootOptions::default();
        let target = prepare_sysroot(&disk, &root, &[root.join(STAGED_ESP)], reference, options)?;
        Ok(Self { target, mount, part, device, layout, request, filesystem })
    }

    /// Where to install to.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Ends: writes the ESP, unmounts the root, and writes the partition table, each durable before the next.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when the ESP is too small, and the disk's.
    pub fn finish(self, control: &Control) -> Result<MadeDisk, DeployError> {
        let Self { target, mount, part, device, layout, request, filesystem } = self;
        let root = target.sysroot.dir().clone();
        let (records, _) = target.sysroot.records()?;
        let record = records.first().ok_or(DeployError::Changed)?;
        let architecture = architecture(&target.repository, &record.image.manifest);
        let esp = target.esps.first().ok_or(DeployError::Changed)?;
        let volume = (request.seed.uuid("file system esp").short(), layout.sector);
        fat::write((&device, layout.esp), esp.directory(), volume, control)?;
        root.remove_dir_all(STAGED_ESP)?;
        // D2: all of the root.
        root.sync_file_system()?;
        let space = root.space()?;
        drop((target, root));
        drop(mount);
        drop(part);
        let table = layout.table(&request.seed, architecture.as_ref());
        write_table(&device, &table)?;
        // Whoever needs the partitions now can have them read; that they cannot be is no fault of the disk.
        let _ = reread_partitions(&device);
        Ok(MadeDisk {
            format: DiskFormat::Raw,
            layout,
            id: table.id.to_string(),
            root_uuid: request.root_uuid().to_string(),
            filesystem: name_of(filesystem),
            used: space.total.saturating_sub(space.free),
            sealed: None,
        })
    }
}

/// Where the symlinks from a path lead: the folder and the name at the end, and what is there.
fn follow(disk: &Arc<dyn Disk>, path: &Path) -> Result<(Dir, OsString, Option<FileType>), DeployError> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::Missing { what: format!("device {}", path.display()) }.into());
        };
        let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = Dir::open(disk, folder)?;
        let kind = dir.metadata(name).optional()?.map(|metadata| metadata.kind);
        if kind != Some(FileType::Symlink) {
            return Ok((dir, name.to_owned(), kind));
        }
        path = folder.join(dir.read_link(name)?);
    }
    Err(Error::Missing { what: format!("device {}: symlinks in a circle", path.display()) }.into())
}

/// Whether a path is that of a block device.
///
/// # Errors
/// When the folder is not there.
pub fn is_device(disk: &Arc<dyn Disk>, path: &Path) -> Result<bool, DeployError> {
    Ok(follow(disk, path)?.2 == Some(FileType::BlockDevice))
}

/// Opens a device that nobody else has.
fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<File, DeployError> {
    let (dir, name, _) = follow(disk, path)?;
    match dir.open_file_with(&name, Access::Device, Resolve::NoSymlinks) {
        Ok(device) => Ok(device),
        Err(error) if error.errno() == Some(Errno::BUSY) => {
            let holder = Some("a mount, or something else that holds it".to_owned());
            Err(Error::Busy { path: path.to_owned(), holder }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What is on a device that would be destroyed, and its size in bytes.
///
/// # Errors
/// As [`DeviceDisk::begin`], before anything is changed.
pub fn look_at_device(disk: &Arc<dyn Disk>, path: &Path) -> Result<(Vec<String>, u64), DeployError> {
    let device = open(disk, path)?;
    let (size, _) = measures(disk, &device)?;
    Ok((signatures(&device, size)?, size))
}

/// The size of a device and of its sectors, in bytes.
fn measures(disk: &Arc<dyn Disk>, device: &File) -> Result<(u64, u32), DeployError> {
    let metadata = device.metadata()?;
    let invalid = |reason: &str| DeployError::Invalid {
        what: "device",
        text: device.label().display().to_string(),
        reason: reason.to_owned(),
    };
    if metadata.kind != FileType::BlockDevice {
        return Err(invalid("it is no block device"));
    }
    let (major, minor) = metadata.rdev;
    let number = |name: &str| -> Result<u64, DeployError> {
        let file = File::open(disk, format!("{SYSFS}/{major}:{minor}/{name}"))?;
        let text = String::from_utf8_lossy(&file.read_all(ATTRIBUTE_MAX)?).trim().to_owned();
        text.parse().map_err(|_| invalid("the kernel does not tell its size"))
    };
    let sector = u32::try_from(number("queue/logical_block_size")?).unwrap_or(u32::MAX);
    // The kernel counts in 512 bytes, whatever the sectors are.
    Ok((number("size")?.saturating_mul(512), sector))
}

/// Makes what was there unreadable: the ends of the disk, and the beginnings of the partitions.
fn erase(device: &File, size: u64, layout: &DiskLayout) -> Result<(), DeployError> {
    let zeros = vec![0; 1 << 20];
    let ends = [0, layout.esp.start, layout.root.start, size.saturating_sub(ALIGNMENT)];
    for at in ends {
        let len = usize::try_from((size - at).min(ALIGNMENT)).unwrap_or_default();
        device.write_all_at(at, zeros.get(..len).unwrap_or_default())?;
    }
    // D1: the old system is gone before anything of the new one is there.
    Ok(device.sync()?)
}

/// Makes the root's file system.
fn make(
    part: &Path,
    request: &DiskRequest,
    filesystem: RootFileSystem,
    programs: &dyn Programs,
) -> Result<(), DeployError> {
    let uuid = request.root_uuid().to_string();
    let part = part.to_string_lossy();
    match filesystem {
        RootFileSystem::Ext4 => programs.run(
            "mkfs.ext4",
            &["-q", "-F", "-b", "4096", "-O", "verity", "-m", "0", "-L", "root", "-U", &uuid, &part],
        ),
        RootFileSystem::Btrfs => programs.run("mkfs.btrfs", &["-q", "-f", "-L", "root", "-U", &uuid, &part]),
        RootFileSystem::Xfs => {
            programs.run("mkfs.xfs", &["-q", "-f", "-L", "root", "-m", &format!("uuid={uuid}"), &part])
        }
    }
}

const fn name_of(filesystem: RootFileSystem) -> &'static str {
    match filesystem {
        RootFileSystem::Ext4 => "ext4",
        RootFileSystem::Btrfs => "btrfs",
        RootFileSystem::Xfs => "xfs",
    }
}
