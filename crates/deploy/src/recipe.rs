//! Recipes: what decides an image's id beside its files, and the ways in which tools are known to differ in it.
//!
//! What lives here: [`Recipe`] (a profile, departures from it, a format) and how it makes a tree of layers or of another
//! tree. What does not: which recipe a digest was made by ([`explain_digest`](crate::explain_digest)).
//! Invariant: a recipe without departures makes exactly what its [`Profile`] makes.

mod copied;
mod other_hash;

use std::{collections::HashMap, fmt};

use sealstone_import::layer_tree::LayerTree;
use sealstone_store::{
    erofs::Version,
    tree::{InodeId, Metadata, Timestamp, Tree, XattrSet},
};

use crate::{
    DeployError, Profile,
    merge::{KeptXattrs, merge_keeping},
    profile::EmptiedTime,
    selinux::{ReadObject, SELINUX_XATTR},
};
use copied::copied;
pub(crate) use other_hash::OtherHash;

/// One thing that a tool is known to do otherwise than a [`Profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Departure {
    /// Extended attributes `user.*` are kept, as by composefs' option `keep-user-xattrs`.
    UserXattrs,
    /// All extended attributes are kept, as by C `mkcomposefs` and by older releases of composefs.
    AllXattrs,
    /// There are no SELinux labels.
    NoLabels,
    /// Times have no nanoseconds, as after an unpacking that knows only the classic tar header.
    WholeSeconds,
    /// All times are 0, as ostree writes files.
    NoTimes,
    /// `/boot` and `/sysroot` keep what is in them.
    BootKept,
    /// `/run` keeps what is in it.
    RunKept,
    /// The root folder is as the layers have it, and not like `/usr`.
    RootKept,
    /// Emptied folders keep their own times.
    EmptiedTimesKept,
    /// Each name of a hardlinked file is a file of its own, as C `mkcomposefs` reads a folder.
    LinksCopied,
}

impl Departure {
    /// All that are known.
    pub const ALL: [Self; 10] = [
        Self::UserXattrs,
        Self::AllXattrs,
        Self::NoLabels,
        Self::WholeSeconds,
        Self::NoTimes,
        Self::BootKept,
        Self::RunKept,
        Self::RootKept,
        Self::EmptiedTimesKept,
        Self::LinksCopied,
    ];

    /// A word for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserXattrs => "user-xattrs",
            Self::AllXattrs => "all-xattrs",
            Self::NoLabels => "no-labels",
            Self::WholeSeconds => "whole-seconds",
            Self::NoTimes => "no-times",
            Self::BootKept => "boot-kept",
            Self::RunKept => "run-kept",
            Self::RootKept => "root-kept",
            Self::EmptiedTimesKept => "emptied-times-kept",
            Self::LinksCopied => "links-copied",
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::UserXattrs => "with extended attributes user.* kept",
            Self::AllXattrs => "with all extended attributes kept",
            Self::NoLabels => "without SELinux labels",
            Self::WholeSeconds => "with times in whole seconds",
            Self::NoTimes => "with all times 0",
            Self::BootKept => "with /boot and /sysroot not emptied",
            Self::RunKept => "with /run not emptied",
            Self::RootKept => "with the root folder not made like /usr",
            Self::EmptiedTimesKept => "with emptied folders' own times",
            Self::LinksCopied => "with hardlinks as files of their own",
        }
    }

    /// Whether it makes a difference to what a profile does.
    const fn concerns(self, profile: Option<Profile>) -> bool {
        match self {
            Self::NoLabels | Self::BootKept => matches!(profile, Some(Profile::Bootable)),
            Self::RunKept | Self::RootKept | Self::EmptiedTimesKept => {
                matches!(profile, Some(Profile::Oci | Profile::Bootable))
            }
            Self::UserXattrs | Self::AllXattrs => profile.is_some(),
            Self::WholeSeconds | Self::NoTimes | Self::LinksCopied => true,
        }
    }
}

/// How an image is made of layers or of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The profile; none leaves the layers as they are, with all attributes.
    pub profile: Option<Profile>,
    /// What is done otherwise than in the profile.
    pub departures: Vec<Departure>,
    /// The format of the image.
    pub version: Version,
}

impl Recipe {
    /// What a profile makes.
    #[must_use]
    pub const fn of(profile: Profile, version: Version) -> Self {
        Self { profile: Some(profile), departures: Vec::new(), version }
    }

    /// Whether every departure makes a difference to the profile, and none to another one.
    pub(crate) fn is_sensible(&self) -> bool {
        let has = |departure| self.departures.contains(&departure);
        self.departures.iter().all(|departure| departure.concerns(self.profile))
            && !(has(Departure::UserXattrs) && has(Departure::AllXattrs))
            && !(has(Departure::WholeSeconds) && (has(Departure::NoTimes) || self.version == Version::V2))
    }

    /// Makes the tree. `read_object` reads the files of the image's SELinux policy.
    ///
    /// # Errors
    /// As [`Profile::apply`], and those of a merge.
    pub fn make(&self, basis: Basis<'_>, read_object: &ReadObject<'_>) -> Result<Tree, DeployError> {
        let has = |departure| self.departures.contains(&departure);
        let kept = match self.profile {
            None => KeptXattrs::All,
            Some(_) if has(Departure::AllXattrs) => KeptXattrs::All,
            Some(_) if has(Departure::UserXattrs) => KeptXattrs::AndUser,
            Some(_) => KeptXattrs::Capability,
        };
        let mut tree = basis.tree(kept)?;
        match self.profile {
            Some(profile @ (Profile::Oci | Profile::Bootable)) => {
                self.apply_steps(profile, &mut tree, read_object)?;
            }
            Some(profile) => profile.apply(&mut tree, read_object)?,
            None => {}
        }
        if has(Departure::WholeSeconds) {
            change_times(&mut tree, |mtime| Timestamp { nsec: 0, ..mtime });
        }
        if has(Departure::NoTimes) {
            change_times(&mut tree, |_| Timestamp::default());
        }
        if has(Departure::LinksCopied) { copied(&tree, false, Ok) } else { Ok(tree) }
    }

    fn apply_steps(
        &self,
        profile: Profile,
        tree: &mut Tree,
        read_object: &ReadObject<'_>,
    ) -> Result<(), DeployError> {
        let has = |departure| self.departures.contains(&departure);
        let time = if has(Departure::EmptiedTimesKept) { EmptiedTime::Kept } else { EmptiedTime::OfUsr };
        if !has(Departure::RootKept) {
            profile.root_like_usr(tree)?;
        }
        if !has(Departure::RunKept) {
            profile.empty_run(tree, time)?;
        }
        if profile == Profile::Oci {
            return Ok(());
        }
        if !has(Departure::BootKept) {
            profile.empty_boot(tree, time)?;
        }
        if has(Departure::NoLabels) {
            return remove_xattr(tree, SELINUX_XATTR);
        }
        Profile::label(tree, read_object)
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.profile {
            Some(profile) => write!(f, "profile {profile}")?,
            None => f.write_str("the files as they are")?,
        }
        write!(f, ", format {}", self.version)?;
        self.departures.iter().try_for_each(|departure| write!(f, ", {}", departure.text()))
    }
}

/// What images are made of.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// The layers, the lowest first.
    Layers(&'a [&'a LayerTree]),
    /// A tree: of a folder, a dump, or another image.
    Tree(&'a Tree),
}

impl Basis<'_> {
    fn tree(self, kept: KeptXattrs) -> Result<Tree, DeployError> {
        match self {
            Self::Layers(layers) => merge_keeping(layers, kept),
            Self::Tree(tree) if kept == KeptXattrs::All => Ok(tree.clone()),
            Self::Tree(tree) => {
                let mut tree = tree.clone();
                keep_xattrs(&mut tree, |name| kept.keep(name))?;
                Ok(tree)
            }
        }
    }
}

fn remove_xattr(tree: &mut Tree, removed: &[u8]) -> Result<(), DeployError> {
    keep_xattrs(tree, |name| name != removed)
}

/// Takes away the attributes that are not to be kept.
fn keep_xattrs(tree: &mut Tree, keep: impl Fn(&[u8]) -> bool) -> Result<(), DeployError> {
    let mut known: HashMap<XattrSet, XattrSet> = HashMap::new();
    for inode in reachable(tree) {
        let set = tree.xattr_set(inode);
        let kept = if let Some(kept) = known.get(&set) {
            *kept
        } else {
            let pairs = tree.xattrs(inode).filter(|(name, _)| keep(name));
            let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            let kept = tree.intern_xattrs(&pairs)?;
            known.insert(set, kept);
            kept
        };
        tree.set_xattrs(inode, kept);
    }
    Ok(())
}

fn change_times(tree: &mut Tree, change: impl Fn(Timestamp) -> Timestamp) {
    for inode in reachable(tree) {
        let metadata = tree.metadata(inode);
        tree.set_metadata(inode, Metadata { mtime: change(metadata.mtime), ..metadata });
    }
}

/// All inodes that have a name, and the root; those with several names once.
fn reachable(tree: &Tree) -> Vec<InodeId> {
    let mut seen = vec![false; tree.inode_count()];
    let mut inodes = Vec::with_capacity(tree.inode_count());
    let mut walk = tree.walk();
    while let Some((_, inode)) = walk.next_entry() {
        let seen = seen.get_mut(inode.index());
        if !seen.is_none_or(|seen| std::mem::replace(seen, true)) {
            inodes.push(inode);
        }
    }
    inodes
}
