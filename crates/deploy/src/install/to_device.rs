//! Installing onto a device: partitioned, formatted and written in place, from the source to the target's file system.
//!
//! What lives here: the order of it. What does not: the installation itself, which works on the mounted root as on any other.
//! Order: what was there is made unreadable; the root's file system is made and mounted, on a part of a disk that has no
//! partitions yet; the image comes onto it; the ESP is written; the partition table comes last. Invariants: killed at any
//! point, the device holds no system that could be started, old or new; nothing is staged but the ESP's files, on the
//! target's own root.

use std::{path::Path, sync::Arc};

use sealstone_boot::Esp;
use sealstone_store::{
    Control, DetachedMount, DiskPart,
    disk::{Dir, Disk, File, Located, RealDisk},
    reread_partitions,
};

use super::{
    device::measures,
    fat,
    layout::{ALIGNMENT, DiskLayout, LayoutRequest},
    luks::{LuksRequest, LuksRoot},
    prepare::{SysrootOptions, prepare_sysroot},
    programs::Programs,
    signatures::signatures,
    to_file::{DiskFormat, DiskRequest, MadeDisk, write_table},
};
use crate::{DeployError, Target, adopt::architecture, kargs::RootFileSystem};

/// The ESP's files until it is written, in the root.
const STAGED_ESP: &str = ".installing-esp";

/// The ESP of a device when nobody says how large: the kernel is not known yet when it gets its place.
const ESP_SIZE: u64 = 1 << 30;

/// The least size of a root.
const ROOT_LEAST: u64 = 512 << 20;

/// A device that is being installed onto. The fields go in their order.
pub struct DeviceDisk<'a> {
    target: Target,
    mount: DetachedMount,
    luks: Option<LuksRoot<'a>>,
    part: DiskPart,
    device: File,
    layout: DiskLayout,
    request: DiskRequest,
    filesystem: RootFileSystem,
}

impl<'a> DeviceDisk<'a> {
    /// Begins: takes the device for itself, looks at what is there, makes the root's file system, in a LUKS2 volume if one is
    /// asked for, and a sysroot on it.
    ///
    /// # Errors
    /// [`sealstone_store::Error::Busy`] when the device is mounted or otherwise in use, [`DeployError::Occupied`] when
    /// something is on it that may not go, [`sealstone_boot::BootError::NoSpace`] when it is too small,
    /// [`DeployError::Program`], and those of the disk.
    pub fn begin(
        path: &Path,
        reference: &str,
        request: DiskRequest,
        (filesystem, luks): (RootFileSystem, Option<LuksRequest>),
        programs: &'a dyn Programs,
    ) -> Result<Self, DeployError> {
        let disk: Arc<dyn Disk> = RealDisk::shared();
        let device = Located::find(&disk, path)?.open_device()?;
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
        let luks = luks.map(|luks| LuksRoot::make(programs, part.path(), luks, &request.seed));
        let mut luks = luks.transpose()?;
        let place = luks.as_ref().map_or(part.path(), LuksRoot::device).to_owned();
        make(&place, &request, filesystem, programs)?;
        let mount = DetachedMount::new(&place, name_of(filesystem), &[])?;
        if let Some(luks) = &mut luks {
            luks.close_with_its_mount()?;
        }
        let root = mount.path();
        Dir::open(&disk, &root)?.create_dir(STAGED_ESP, 0o700)?;
        let options = SysrootOptions::default();
        let esp = Esp::new(Dir::open(&disk, root.join(STAGED_ESP))?);
        let target = prepare_sysroot(&disk, &root, vec![esp], reference, options)?;
        Ok(Self { target, mount, luks, part, device, layout, request, filesystem })
    }

    /// Where to install to.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Ends: writes the ESP, unmounts the root, binds its volume to the TPM, and writes the partition table, each durable before
    /// the next.
    ///
    /// # Errors
    /// [`sealstone_store::Error::NoSpace`] when the ESP is too small, [`DeployError::Program`], and the disk's.
    pub fn finish(self, control: &Control) -> Result<MadeDisk, DeployError> {
        let Self { target, mount, luks, part, device, layout, request, filesystem } = self;
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
        let luks = luks.map(LuksRoot::finish).transpose()?;
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
            luks,
        })
    }
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
