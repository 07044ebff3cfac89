//! Profiles: how a merged tree is made canonical before it becomes an image, so that every tool gets the same id.
//!
//! What lives here: the transforms of composefs, attribute by attribute, and their names. What does not: the merge, the
//! EROFS format. Source: composefs 0.9.4, `transform_for_oci` and `transform_for_boot`. A profile's name is recorded
//! wherever its image's id is; no profile may ever change, only another be added.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use sealstone_store::tree::{FileType, InodeId, Metadata, Timestamp, Tree, XattrSet};

use crate::{
    DeployError,
    selinux::{self, Policy, ReadObject},
};

/// The one extended attribute that an image keeps of its layers: others come from the build host more often than not.
pub(crate) const KEPT_XATTR: &[u8] = b"security.capability";

/// The folders of which a bootable image keeps only the mount points.
const EMPTIED_FOR_BOOT: [&[u8]; 2] = [b"boot", b"sysroot"];

/// How a merged tree is made canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// As composefs does for any image: the root is like `/usr`, `/run` is empty, of the extended attributes only
    /// `security.capability` stays.
    Oci,
    /// And as composefs does for one that boots: `/boot` and `/sysroot` are empty, SELinux labels are those of the
    /// image's own policy.
    Bootable,
    /// For an image without a `/usr` folder, which composefs refuses: the root is 0755, 0:0, of 1970.
    OciPlain,
}

impl Profile {
    /// The name that is recorded: `oci`, `bootable` or `oci-plain`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Bootable => "bootable",
            Self::OciPlain => "oci-plain",
        }
    }

    /// The profile of the image as it is: [`Oci`](Self::Oci), or without a `/usr` folder [`OciPlain`](Self::OciPlain).
    #[must_use]
    pub fn of(merged: &Tree) -> Self {
        if folder(merged, b"usr").is_some() { Self::Oci } else { Self::OciPlain }
    }

    /// Makes a merged tree canonical. `read_object` reads the files of the image's SELinux policy.
    ///
    /// # Errors
    /// [`DeployError::Unfit`] when the image lacks what the profile needs, [`DeployError::Policy`] when its policy
    /// cannot be read.
    pub fn apply(self, tree: &mut Tree, read_object: &ReadObject<'_>) -> Result<(), DeployError> {
        match self {
            Self::Oci => {
                self.root_like_usr(tree)?;
                self.empty_run(tree, EmptiedTime::OfUsr)
            }
            Self::Bootable => {
                self.root_like_usr(tree)?;
                self.empty_run(tree, EmptiedTime::OfUsr)?;
                self.empty_boot(tree, EmptiedTime::OfUsr)?;
                Self::label(tree, read_object)
            }
            Self::OciPlain => {
                let mtime = Timestamp { sec: 0, nsec: 0 };
                tree.set_metadata(tree.root(), Metadata { mode: 0o755, uid: 0, gid: 0, mtime });
                tree.set_xattrs(tree.root(), XattrSet::EMPTY);
                Ok(())
            }
        }
    }

    /// A step of `oci`: the root is like `/usr`.
    pub(crate) fn root_like_usr(self, tree: &mut Tree) -> Result<(), DeployError> {
        let usr = self.folder(tree, b"usr")?;
        let (metadata, xattrs) = (tree.metadata(usr), tree.xattr_set(usr));
        tree.set_metadata(tree.root(), metadata);
        tree.set_xattrs(tree.root(), xattrs);
        Ok(())
    }

    /// A step of `oci`: nothing is in `/run`.
    pub(crate) fn empty_run(self, tree: &mut Tree, time: EmptiedTime) -> Result<(), DeployError> {
        let usr = self.folder(tree, b"usr")?;
        if let Some(run) = folder(tree, b"run") {
            empty(tree, run, (time, usr));
        }
        Ok(())
    }

    /// A step of `bootable`: nothing is in `/boot` and `/sysroot`.
    pub(crate) fn empty_boot(self, tree: &mut Tree, time: EmptiedTime) -> Result<(), DeployError> {
        let usr = self.folder(tree, b"usr")?;
        for name in EMPTIED_FOR_BOOT {
            let emptied = self.folder(tree, name)?;
            empty(tree, emptied, (time, usr));
        }
        Ok(())
    }

    /// A step of `bootable`: labels by the image's own policy. Without one there is nothing to strip: the merge keeps no
    /// label of a build host.
    pub(crate) fn label(tree: &mut Tree, read_object: &ReadObject<'_>) -> Result<(), DeployError> {
        match selinux::read_policy(tree, read_object)? {
            Some(files) => selinux::label(tree, &mut Policy::new(&files)?),
            None => Ok(()),
        }
    }

    /// A folder in the root that the profile needs.
    fn folder(self, tree: &Tree, name: &[u8]) -> Result<InodeId, DeployError> {
        folder(tree, name).ok_or_else(|| DeployError::Unfit {
            profile: self.name(),
            reason: format!("it has no folder /{}", String::from_utf8_lossy(name)),
        })
    }
}

fn folder(tree: &Tree, name: &[u8]) -> Option<InodeId> {
    tree.lookup(tree.root(), name).filter(|inode| tree.file_type(*inode) == FileType::Directory)
}

/// The time that a folder has once it is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmptiedTime {
    /// That of `/usr`, as every profile wants it.
    OfUsr,
    /// Its own.
    Kept,
}

fn empty(tree: &mut Tree, folder: InodeId, (time, usr): (EmptiedTime, InodeId)) {
    tree.clear(folder);
    if time == EmptiedTime::OfUsr {
        let mtime = tree.metadata(usr).mtime;
        tree.set_metadata(folder, Metadata { mtime, ..tree.metadata(folder) });
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = DeployError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known =
            [Self::Oci, Self::Bootable, Self::OciPlain].into_iter().find(|profile| profile.name() == name);
        known.ok_or_else(|| DeployError::Invalid {
            what: "profile",
            text: name.to_owned(),
            reason: "oci, bootable or oci-plain".into(),
        })
    }
}

impl serde::Serialize for Profile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Profile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
