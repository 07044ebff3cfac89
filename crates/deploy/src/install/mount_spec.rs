//! The kernel arguments by which a booting system finds its root and its `/boot`.
//!
//! What lives here: who decides them, and what can be seen of a root that is mounted. What does not: other arguments.
//! Rule, the first that speaks decides: the caller; `root-mount-spec` of the image's install configuration; its
//! `discoverable-partitions`, which leaves `root=` to the initramfs; the UUID of the file system. An empty text means that
//! there shall be no argument. Source: bootc's `install to-filesystem`. A root on a subvolume of btrfs is one to its initramfs
//! however it is found, so `rootflags=` is the caller's or says which.

use std::path::Path;

use sealstone_boot::Karg;
use sealstone_store::{
    MountEntry, Optional,
    disk::{Dir, FsType},
};

use super::Uuid;
use crate::{DeployError, KargOrigin, RecordedKarg, kargs::InstallConfig};

/// The most that a link in `/dev/disk/by-uuid` leads through.
const DEVICES: &str = "/dev";

/// What is known of where the root and `/boot` are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountSpecs {
    /// What the caller wants for the root, as in `UUID=…`, `LABEL=root` or `/dev/vda2`; empty: no argument.
    pub root: Option<String>,
    /// What the caller wants for a `/boot` of its own; empty: no argument.
    pub boot: Option<String>,
    /// The UUID of the root's file system, for when nobody says anything.
    pub uuid: Option<String>,
    /// What the root's file system has to be mounted with, as in `subvol=root`, for when the caller's arguments have no
    /// `rootflags=`.
    pub flags: Option<String>,
    /// What opens the volume that the root is in, for an initramfs that is told where the root is. One that finds it by its
    /// type opens the volume by itself.
    pub luks: Vec<Karg>,
}

/// The source of the arguments that open the root's volume.
const LUKS: &str = "luks";

impl MountSpecs {
    /// What can be seen of a root that is mounted: the UUID of its file system, as the kernel or `by_uuid` (`/dev/disk/by-uuid`)
    /// has it, and which subvolume it is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn of(root: &Dir, by_uuid: &Path) -> Result<Self, DeployError> {
        let uuid = uuid_of(root, by_uuid)?;
        let is_btrfs = root.fs_type()? == FsType::Btrfs;
        let mount = if is_btrfs { MountEntry::of(root)? } else { None };
        Ok(Self { uuid, flags: mount.and_then(|mount| subvolume_flags(&mount.options)), ..Self::default() })
    }

    /// The arguments that open the root's volume, where these find the root.
    pub(super) fn opening(&self, finding: &[Karg]) -> Vec<RecordedKarg> {
        let origin = KargOrigin::Source { name: LUKS.to_owned() };
        let finds = finding.iter().any(|karg| karg.key() == "root");
        let opening = self.luks.iter().filter(|_| finds);
        opening.map(|karg| RecordedKarg { karg: karg.clone(), origin: origin.clone() }).collect()
    }

    /// The arguments that the caller asks for, and none that an installation adds by itself.
    pub(super) fn asked(&self) -> Result<Vec<Karg>, DeployError> {
        let mut kargs = Vec::new();
        if let Some(root) = self.root.as_ref().filter(|spec| !spec.is_empty()) {
            kargs.push(Karg::new("root", Some(root))?);
        }
        if let Some(boot) = self.boot.as_ref().filter(|spec| !spec.is_empty()) {
            kargs.push(boot_karg(boot)?);
        }
        Ok(kargs)
    }

    /// The arguments beside those of the caller, and what he should know.
    pub(super) fn kargs(
        &self,
        image: &InstallConfig,
        own: &[Karg],
    ) -> Result<(Vec<Karg>, Option<String>), DeployError> {
        let mut warning = None;
        let of_image = || match (&image.root_mount_spec, image.discoverable_partitions) {
            (Some(spec), _) => Some(spec.clone()),
            (None, Some(true)) => Some(String::new()),
            _ => None,
        };
        let by_uuid = || self.uuid.as_ref().map(|uuid| format!("UUID={uuid}"));
        let root = self.root.clone().or_else(of_image).or_else(by_uuid).unwrap_or_else(|| {
            let text = "the root's UUID is not known here, so no root= is set: the initramfs has to find the partition \
                        by its type, or --root-mount-spec says which it is";
            warning = Some(text.to_owned());
            String::new()
        });
        let mut kargs = Vec::new();
        if !root.is_empty() {
            kargs.push(Karg::new("root", Some(&root))?);
        }
        let has_flags = own.iter().any(|karg| karg.key() == "rootflags");
        if let Some(flags) = self.flags.as_ref().filter(|_| !has_flags) {
            kargs.push(Karg::new("rootflags", Some(flags))?);
        }
        // The state of deployments is on the root's file system, which the initramfs else mounts read-only.
        kargs.push("rw".parse()?);
        let boot = self.boot.as_ref().or(image.boot_mount_spec.as_ref()).filter(|spec| !spec.is_empty());
        if let Some(boot) = boot {
            kargs.push(boot_karg(boot)?);
        }
        Ok((kargs, warning))
    }
}

/// What mounts the boot partition on `/boot`.
fn boot_karg(spec: &str) -> Result<Karg, DeployError> {
    Ok(Karg::new("systemd.mount-extra", Some(&format!("{spec}:/boot")))?)
}

/// The UUID of the file system that `root` is on: the kernel tells, or `by_uuid` (`/dev/disk/by-uuid`) has it.
fn uuid_of(root: &Dir, by_uuid: &Path) -> Result<Option<String>, DeployError> {
    if let Some(uuid) = root.fs_uuid()? {
        return Ok(Some(Uuid(uuid).to_string()));
    }
    let device = root.own_metadata()?.device;
    let Some(links) = Dir::open(root.disk(), by_uuid).optional()? else { return Ok(None) };
    let devices = Dir::open(root.disk(), DEVICES)?;
    for link in links.read_dir()? {
        let Some(target) = links.read_link(&link.name).optional().ok().flatten() else { continue };
        let Some(name) = target.file_name() else { continue };
        let is_it = devices.metadata(name).optional()?.is_some_and(|found| found.rdev == device);
        if is_it && let Some(uuid) = link.name.to_str() {
            return Ok(Some(uuid.to_owned()));
        }
    }
    Ok(None)
}

/// What mounts the subvolume that is mounted with these options of a btrfs; `None` for the whole file system.
///
/// Source: `btrfs_show_options` of Linux: `…,subvolid=256,subvol=/root`, last, and with blanks and backslashes as `\040`. A
/// comma is there as it is, and could not be in `rootflags=`: such a subvolume goes by its number.
fn subvolume_flags(options: &str) -> Option<String> {
    let (_, of_subvolume) = options.split_once("subvolid=")?;
    let (number, name) = of_subvolume.split_once(",subvol=/")?;
    if name.is_empty() {
        return None;
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",\\\"'".contains(&byte);
    Some(if name.bytes().all(is_plain) { format!("subvol={name}") } else { format!("subvolid={number}") })
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::fs::symlink, sync::Arc};

    use rustix::io::Errno;
    use sealstone_store::disk::{Call, Disk, RealDisk, Reply};

    use super::*;

    fn texts(specs: &MountSpecs, image: &InstallConfig) -> Vec<String> {
        specs.kargs(image, &[]).unwrap().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_caller_decides_then_the_image_then_the_uuid() {
        let mut specs = MountSpecs { uuid: Some("abcd".into()), ..MountSpecs::default() };
        let mut image = InstallConfig::default();
        assert_eq!(texts(&specs, &image), ["root=UUID=abcd", "rw"]);
        image.discoverable_partitions = Some(true);
        assert_eq!(texts(&specs, &image), ["rw"]);
        image.root_mount_spec = Some("LABEL=sys".into());
        assert_eq!(texts(&specs, &image), ["root=LABEL=sys", "rw"]);
        specs.root = Some(String::new());
        assert_eq!(texts(&specs, &image), ["rw"]);
        specs.root = Some("/dev/vda2".into());
        specs.boot = Some("UUID=ef01".into());
        assert_eq!(texts(&specs, &image), ["root=/dev/vda2", "rw", "systemd.mount-extra=UUID=ef01:/boot"]);
    }

    #[test]
    fn what_opens_the_roots_volume_is_told_where_the_root_is_named() {
        let specs = MountSpecs {
            uuid: Some("abcd".into()),
            luks: vec!["luks.uuid=ef".parse().unwrap()],
            ..MountSpecs::default()
        };
        let mut image = InstallConfig::default();
        let opening = specs.opening(&specs.kargs(&image, &[]).unwrap().0);
        assert_eq!(opening[0].karg.as_str(), "luks.uuid=ef");
        assert_eq!(opening[0].origin, KargOrigin::Source { name: "luks".into() });
        image.discoverable_partitions = Some(true);
        assert_eq!(specs.opening(&specs.kargs(&image, &[]).unwrap().0), []);
    }

    #[test]
    fn a_root_that_nobody_can_name_is_warned_about() {
        let (kargs, warning) = MountSpecs::default().kargs(&InstallConfig::default(), &[]).unwrap();
        assert_eq!(kargs.len(), 1);
        assert!(warning.unwrap().contains("--root-mount-spec"));
    }

    #[test]
    fn a_root_on_a_subvolume_is_mounted_as_such_unless_the_caller_says_how() {
        let specs = MountSpecs {
            uuid: Some("abcd".into()),
            flags: Some("subvol=root".into()),
            ..MountSpecs::default()
        };
        let mut image = InstallConfig::default();
        image.discoverable_partitions = Some(true);
        assert_eq!(
            texts(&specs, &InstallConfig::default()),
            ["root=UUID=abcd", "rootflags=subvol=root", "rw"]
        );
        assert_eq!(texts(&specs, &image), ["rootflags=subvol=root", "rw"]);
        let own = ["rootflags=compress=zstd,subvol=other".parse().unwrap()];
        let (kargs, _) = specs.kargs(&InstallConfig::default(), &own).unwrap();
        assert_eq!(kargs.len(), 2);
    }

    #[test]
    fn a_subvolume_goes_by_its_name_or_else_by_its_number() {
        let flags =
            |name: &str| subvolume_flags(&format!("rw,relatime,space_cache=v2,subvolid=256,subvol={name}"));
        assert_eq!(flags("/root").as_deref(), Some("subvol=root"));
        assert_eq!(flags("/@/snapshots/1").as_deref(), Some("subvol=@/snapshots/1"));
        for odd in ["/a,ro", "/with\\040blank", "/with\"quote", "/größe"] {
            assert_eq!(flags(odd).as_deref(), Some("subvolid=256"), "{odd}");
        }
        assert_eq!(flags("/"), None);
        assert_eq!(subvolume_flags("rw,relatime"), None);
    }

    /// A kernel that does not tell the UUID of a file system.
    struct Older;

    impl Disk for Older {
        fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
            match call {
                Call::FsUuid { .. } => Ok(Reply::Bytes(Vec::new())),
                _ => RealDisk::shared().call(call),
            }
        }
    }

    #[test]
    fn the_uuid_of_a_root_is_told_by_the_kernel_or_else_by_the_links_of_udev() {
        let folder = tempfile::tempdir().unwrap();
        let links = folder.path().join("by-uuid");
        let told_by = |disk: &Arc<dyn Disk>| {
            MountSpecs::of(&Dir::open(disk, folder.path()).unwrap(), &links).unwrap().uuid
        };
        let root = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
        let uuid = root.fs_uuid().unwrap().map(|uuid| Uuid(uuid).to_string());
        assert_eq!(told_by(&RealDisk::shared()), uuid);

        let older: Arc<dyn Disk> = Arc::new(Older);
        assert_eq!(told_by(&older), None);
        std::fs::create_dir(&links).unwrap();
        symlink("../../null", links.join("other")).unwrap();
        assert_eq!(told_by(&older), None);
        let device = root.own_metadata().unwrap().device;
        let devices = Dir::open(root.disk(), DEVICES).unwrap();
        let is_it = |name: &OsStr| devices.metadata(name).is_ok_and(|found| found.rdev == device);
        let mut nodes = devices.read_dir().unwrap().into_iter();
        if let Some(node) = nodes.find(|node| is_it(&node.name)) {
            symlink(Path::new("../..").join(node.name), links.join("0a-b1")).unwrap();
            assert_eq!(told_by(&older).as_deref(), Some("0a-b1"));
        }
    }
}
