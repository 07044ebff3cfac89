//! Which deployment booted on this machine, and which one runs: the same, until a soft reboot.
//!
//! What lives here: what the kernel was told, what is mounted, and what that says together. What does not: what the boot loader
//! says. The kernel's arguments stay those of the last boot; a soft reboot (`systemd-soft-reboot.service(8)`) is seen by
//! the image that is mounted on `/`, and which of its deployments it is by whose `/etc` that is.

use std::path::Path;

use sealstone::boot::{Efivarfs, Esp, Kargs, LoaderVariables};
use sealstone::deploy::{DeploymentId, ImageId, booted_among};
use sealstone::store::MountEntry;
use sealstone::store::disk::{Dir, RealDisk};

use crate::target::EFIVARFS;

/// Where a booted system has its physical root.
pub const OF_THE_BOOTED_SYSTEM: &str = "/sysroot";

/// Where the deployments' own folders are, below a sysroot.
const STATES: &str = "state/deploy";

/// The deployment that the firmware booted, if a sysroot is that of the booted system.
#[allow(clippy::disallowed_methods, reason = "the running kernel's command line is no part of a repository")]
pub fn booted_on(sysroot: &Path) -> Option<DeploymentId> {
    if sysroot != Path::new(OF_THE_BOOTED_SYSTEM) {
        return None;
    }
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    let is_there = |id: &DeploymentId| is_there(sysroot, id);
    let booted = booted_among(&line.trim().parse::<Kargs>().ok()?, is_there)?;
    Some(of_uki(&booted).unwrap_or(booted))
}

/// The deployment that runs, if a sysroot is that of the booted system.
pub fn running_on(sysroot: &Path) -> Option<DeploymentId> {
    if sysroot != Path::new(OF_THE_BOOTED_SYSTEM) {
        return None;
    }
    let booted = booted_on(sysroot);
    let mount = |place: &str| MountEntry::of(&Dir::open(&RealDisk::shared(), place).ok()?).ok()?;
    let soft = mount("/").and_then(|root| soft_rebooted(booted.as_ref(), &root, || mount("/etc")));
    soft.filter(|id| is_there(sysroot, id)).or(booted)
}

/// The deployment that was soft-rebooted into; `None` when the one that booted runs, as far as mounts say.
fn soft_rebooted(
    booted: Option<&DeploymentId>,
    root: &MountEntry,
    etc: impl FnOnce() -> Option<MountEntry>,
) -> Option<DeploymentId> {
    let image = ImageId::new(root.image()?);
    let state = || of_state(&etc()?).filter(|id| *id.image() == image);
    match booted {
        // Of one image there may be several, and only their states differ.
        Some(booted) if *booted.image() == image => state().filter(|id| id != booted),
        _ => Some(state().unwrap_or_else(|| DeploymentId::new(image, 0))),
    }
}

/// The deployment whose folder of state is mounted, itself or as what an overlay writes to.
fn of_state(mount: &MountEntry) -> Option<DeploymentId> {
    let name = |text: &str| {
        let (_, rest) = text.split_once(STATES)?;
        rest.strip_prefix('/')?.split(['/', ',', ':']).next()?.parse().ok()
    };
    name(&mount.root).or_else(|| name(&mount.options))
}

fn is_there(sysroot: &Path, id: &DeploymentId) -> bool {
    Dir::open(&RealDisk::shared(), sysroot.join(STATES).join(id.to_string())).is_ok()
}

/// The deployment whose unified kernel image booted, if it is one of several of the same image: no command line tells them
/// apart, and the stub says which file it was.
fn of_uki(booted: &DeploymentId) -> Option<DeploymentId> {
    let variables = Efivarfs::open(&RealDisk::shared(), EFIVARFS).ok()?;
    let path = LoaderVariables::new(&variables).booted_uki().ok()??;
    let id: DeploymentId = Esp::deployment_of_uki_path(&path)?.parse().ok()?;
    (id.image() == booted.image()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: &str, copy: &str) -> DeploymentId {
        format!("{}{copy}", digit.repeat(128)).parse().unwrap()
    }

    fn mount(root: &str, source: &str, options: &str) -> MountEntry {
        MountEntry { root: root.into(), source: source.into(), options: options.into() }
    }

    fn image(digit: &str) -> MountEntry {
        mount("/", &format!("composefs:{}", digit.repeat(128)), "ro,verity=require")
    }

    fn etc(id: &DeploymentId) -> MountEntry {
        mount(&format!("/state/deploy/{id}/etc"), "/dev/vda2", "rw")
    }

    #[test]
    fn what_booted_runs_while_its_image_is_the_root_or_no_image_is() {
        let booted = id("a", "");
        assert_eq!(soft_rebooted(Some(&booted), &image("a"), || Some(etc(&booted))), None);
        // A transient /etc is nobody's.
        assert_eq!(soft_rebooted(Some(&booted), &image("a"), || Some(mount("/", "tmpfs", "rw"))), None);
        assert_eq!(soft_rebooted(Some(&booted), &mount("/", "overlay", "rw"), || None), None);
    }

    #[test]
    fn another_image_on_the_root_is_what_runs_and_its_etc_says_which_deployment_it_is() {
        let booted = id("a", "");
        let (new, second) = (id("b", ""), id("b", ".1"));
        assert_eq!(soft_rebooted(Some(&booted), &image("b"), || Some(etc(&second))), Some(second));
        assert_eq!(soft_rebooted(Some(&booted), &image("b"), || None), Some(new));
        assert_eq!(soft_rebooted(None, &image("b"), || Some(etc(&new))), Some(new));
        // Somebody else's /etc is no reason to take the root for his.
        assert_eq!(soft_rebooted(Some(&booted), &image("b"), || Some(etc(&booted))), Some(new));
        let options = format!("rw,lowerdir=/x,upperdir=/sysroot/state/deploy/{second}/etc/upper,workdir=/y");
        assert_eq!(
            soft_rebooted(Some(&booted), &image("b"), || Some(mount("/", "o", &options))),
            Some(second)
        );
    }

    #[test]
    fn another_deployment_of_the_same_image_is_known_by_its_etc() {
        let (booted, second) = (id("a", ""), id("a", ".1"));
        assert_eq!(soft_rebooted(Some(&booted), &image("a"), || Some(etc(&second))), Some(second));
    }
}
