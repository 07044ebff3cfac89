//! The kernel arguments by which a booting system finds its root and its `/boot`.
//!
//! What lives here: who decides them, and the UUID of a file system that is mounted. What does not: other arguments.
//! Rule, the first that speaks decides: the caller; `root-mount-spec` of the image's install configuration; its
//! `discoverable-partitions`, which leaves `root=` to the initramfs; the UUID of the file system. An empty text means that
//! there shall be no argument. Source: bootc's `install to-filesystem`.

use std::path::Path;

use sealstone_boot::Karg;
use sealstone_store::{Optional, disk::Dir};

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
    /// What opens the volume that the root is in, for an initramfs that is told where the root is. One that finds it by its
    /// type opens the volume by itself.
    pub luks: Vec<Karg>,
}

/// The source of the arguments that open the root's volume.
const LUKS: &str = "luks";

impl MountSpecs {
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

    /// The arguments, and what the caller should know.
    pub(super) fn kargs(&self, image: &InstallConfig) -> Result<(Vec<Karg>, Option<String>), DeployError> {
        let mut warning = None;
        let of_image = || match (&image.root_mount_spec, image.discoverable_partitions) {
            (Some(spec), _) => Some(spec.clone()),
            (None, Some(true)) => Some(String::new()),
            _ => None,
        };
        let own = || self.uuid.as_ref().map(|uuid| format!("UUID={uuid}"));
        let root = self.root.clone().or_else(of_image).or_else(own).unwrap_or_else(|| {
            let text = "the root's UUID is not known here, so no root= is set: the initramfs has to find the partition \
                        by its type, or --root-mount-spec says which it is";
            warning = Some(text.to_owned());
            String::new()
        });
        let mut kargs = Vec::new();
        if !root.is_empty() {
            kargs.push(Karg::new("root", Some(&root))?);
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

/// The UUID of the file system that `root` is on, as `by_uuid` (`/dev/disk/by-uuid`) has it; `None` when it has none, as for
/// btrfs, which has no device of its own.
///
/// # Errors
/// When the disk fails.
pub fn uuid_of(root: &Dir, by_uuid: &Path) -> Result<Option<String>, DeployError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(specs: &MountSpecs, image: &InstallConfig) -> Vec<String> {
        specs.kargs(image).unwrap().0.iter().map(ToString::to_string).collect()
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
        let opening = specs.opening(&specs.kargs(&image).unwrap().0);
        assert_eq!(opening[0].karg.as_str(), "luks.uuid=ef");
        assert_eq!(opening[0].origin, KargOrigin::Source { name: "luks".into() });
        image.discoverable_partitions = Some(true);
        assert_eq!(specs.opening(&specs.kargs(&image).unwrap().0), []);
    }

    #[test]
    fn a_root_that_nobody_can_name_is_warned_about() {
        let (kargs, warning) = MountSpecs::default().kargs(&InstallConfig::default()).unwrap();
        assert_eq!(kargs.len(), 1);
        assert!(warning.unwrap().contains("--root-mount-spec"));
    }
}
