//! The `/etc` of a new deployment: the image's, with overlays, and with what the machine changed in an older one's.
//!
//! What lives here: reading the three trees, the merge, labels, what the plan tells of it, and writing the result into an
//! empty place. What does not: where that place is, and how it comes to count (`apply.rs`).
//! Invariants: computing writes nothing; the same is computed again before it is written, so that what the machine changed
//! between plan and apply is not lost.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use sealstone_store::{
    Control, Optional, Repository,
    disk::Dir,
    tree::{InodeId, Metadata, Timestamp, Tree},
};
use serde::{Deserialize, Serialize};

use super::{EtcMerge, EtcPolicy, Merged, Sides, Specials, carve, changes, folder_of, merge, scan};
use crate::{
    DeployError, DeploymentId, ImageTrees, MountKind, Overlay, OverlayName, Populated, Record, RootConf,
    Target,
    image_tree::{own_folders, read_text},
    overlay::{Furnished, furnish},
    populate::{Contents, measure, populate},
    selinux::{self, Policy, SELINUX_XATTR},
    sysroot::DEPLOY,
};

const ETC: &[u8] = b"etc";
const VAR: &[u8] = b"var";

/// What a plan says of `/etc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcSection {
    /// What the system will see as `/etc`: with anything but `bind`, nothing of the machine's is carried over.
    pub mount: MountKind,
    /// The deployment whose changes are carried over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DeploymentId>,
    /// The merge.
    #[serde(flatten)]
    pub merge: EtcMerge,
    /// Overlays that have files in `/etc` which the system will not see, since it mounts something else there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused_overlays: Vec<OverlayName>,
}

impl EtcSection {
    /// Whether every conflict is decided.
    ///
    /// # Errors
    /// [`DeployError::EtcConflict`] when one is not.
    pub fn check(&self) -> Result<(), DeployError> {
        let paths: Vec<_> = self.merge.unresolved().map(|conflict| conflict.path.clone()).collect();
        if paths.is_empty() { Ok(()) } else { Err(DeployError::EtcConflict { paths }) }
    }
}

/// What a plan says of `/var`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VarSection {
    /// What the system will see as `/var`: with anything but `bind`, nothing that is written there is kept.
    pub mount: MountKind,
    /// Whether it is made, from the image and the overlays: otherwise it is there, and stays as it is.
    pub is_made: bool,
    /// New overlays whose files in `/var` are not written, since it is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused_overlays: Vec<OverlayName>,
}

/// What an `/etc` is made of.
#[derive(Clone, Copy)]
pub(crate) struct Renewal<'a> {
    pub image: &'a Tree,
    /// The overlays of the new deployment.
    pub overlays: &'a [Overlay],
    /// The deployment whose local changes are carried over.
    pub from: Option<&'a Record>,
    pub policy: &'a EtcPolicy,
    pub trees: &'a ImageTrees,
}

/// A new `/etc`, and the `/var` that would go with it, not written yet.
pub(crate) struct NewEtc {
    etc: Tree,
    /// Files whose content is in `current`.
    local: HashMap<InodeId, PathBuf>,
    current: Option<Dir>,
    /// Image and overlays.
    furnished: Furnished,
    root_conf: RootConf,
    pub section: EtcSection,
}

impl NewEtc {
    /// Computes it. Conflicts that nobody decided are in the section; [`EtcSection::check`] says whether it may be written.
    pub(crate) fn compute(
        target: &Target,
        renewal: &Renewal<'_>,
        control: &Control,
    ) -> Result<Self, DeployError> {
        let Renewal { image, overlays, from, policy, trees } = *renewal;
        let repository = &target.repository;
        let root_conf = read_root_conf(repository, image)?;
        let mut furnished = furnish(repository, carve(image)?, overlays, trees)?;
        let mut section = EtcSection { mount: root_conf.etc, ..EtcSection::default() };
        if !root_conf.etc.is_own() {
            let touches_etc = |paths: &BTreeSet<Vec<u8>>| paths.iter().any(|path| path.starts_with(b"/etc"));
            section.unused_overlays = names(overlays, &furnished.paths, touches_etc);
        }
        let from = from.filter(|_| root_conf.etc.is_own());
        let current = match from {
            Some(from) => {
                target.sysroot.dir().open_dir(format!("{DEPLOY}/{}/etc", from.state_id())).optional()?
            }
            None => None,
        };
        let merged = if let (Some(from), Some(current)) = (from, &current) {
            section.from = Some(from.id);
            let known = |overlay: &&Overlay| from.overlays.iter().any(|old| old.diff_id == overlay.diff_id);
            let asked = overlays.iter().zip(&furnished.paths).filter(|(overlay, _)| !known(overlay));
            let asked = asked.flat_map(|(_, paths)| paths.iter().cloned()).collect();
            let old = Tree::clone(&*trees.own_folders(repository, &from.image.id)?);
            let old = furnish(repository, old, &from.overlays, trees)?.tree;
            merge_from(target, &old, current, (&furnished.tree, &asked), policy, control)?
        } else {
            whole(&furnished.tree)?
        };
        let Merged { tree: mut etc, local, report } = merged;
        section.merge = report;
        let top = etc.root();
        let var = folder_of(&furnished.tree, VAR);
        let var = var.filter(|_| !overlays.is_empty());
        label(repository, image, &mut [(&mut etc, Some(top), b"/etc"), (&mut furnished.tree, var, b"/var")])?;
        Ok(Self { etc, local, current, furnished, root_conf, section })
    }

    /// What the plan says of `/var`, which is there or not.
    pub(crate) fn var_section(
        &self,
        has_var: bool,
        overlays: &[Overlay],
        from: Option<&Record>,
    ) -> VarSection {
        let known = |overlay: &Overlay| {
            from.is_some_and(|from| from.overlays.iter().any(|old| old.diff_id == overlay.diff_id))
        };
        let touches_var = |paths: &BTreeSet<Vec<u8>>| paths.iter().any(|path| path.starts_with(b"/var"));
        let mut unused_overlays = names(overlays, &self.furnished.paths, touches_var);
        unused_overlays.retain(|name| {
            has_var && !overlays.iter().any(|overlay| overlay.name == *name && known(overlay))
        });
        VarSection { mount: self.root_conf.var(), is_made: !has_var, unused_overlays }
    }

    /// Files and bytes that [`write`](Self::write) needs.
    pub(crate) fn measure(&self, block: u64) -> (u64, u64) {
        measure(&self.etc, self.etc.root(), block)
    }

    /// Files and bytes that [`write_var`](Self::write_var) needs.
    pub(crate) fn measure_var(&self, block: u64) -> (u64, u64) {
        let tree = &self.furnished.tree;
        folder_of(tree, VAR).map_or((1, block), |var| measure(tree, var, block))
    }

    /// Writes it into a directory, under a name that is free. Nothing is synced.
    ///
    /// # Errors
    /// As [`EtcSection::check`], and the disk's.
    pub(crate) fn write(
        &self,
        repository: &Repository,
        place: (&Dir, &str),
        control: &Control,
    ) -> Result<Populated, DeployError> {
        self.section.check()?;
        let local = self.current.as_ref().map(|current| (current, &self.local));
        populate(&self.etc, self.etc.root(), Contents { repository, local }, place, control)
    }

    /// Writes the `/var` of image and overlays into a directory, under a name that is free. Nothing is synced.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write_var(
        &self,
        repository: &Repository,
        (parent, name): (&Dir, &str),
        control: &Control,
    ) -> Result<Populated, DeployError> {
        let tree = &self.furnished.tree;
        let Some(var) = folder_of(tree, VAR) else {
            parent.create_dir(name, 0o755)?;
            parent.set_mode(name, 0o755)?;
            return Ok(Populated { files: 1, ..Populated::default() });
        };
        populate(tree, var, Contents { repository, local: None }, (parent, name), control)
    }
}

/// What was changed in a deployment's `/etc` since it was made.
///
/// # Errors
/// When its image, an overlay or the folder cannot be read.
pub(crate) fn changes_since(
    target: &Target,
    record: &Record,
    control: &Control,
) -> Result<Vec<super::EtcChange>, DeployError> {
    let folder = format!("{DEPLOY}/{}/etc", record.state_id());
    let Some(current) = target.sysroot.dir().open_dir(folder).optional()? else {
        return Ok(Vec::new());
    };
    let repository = &target.repository;
    let (own, trees) = (own_folders(repository, &record.image.id)?, ImageTrees::default());
    let pristine = furnish(repository, own, &record.overlays, &trees)?.tree;
    let scan = scan(&current, repository.algorithm(), Specials::Ignore, control)?;
    let top = (&pristine, folder_of(&pristine, ETC));
    changes(&Sides {
        pristine: top,
        current: (&scan.tree, Some(scan.tree.root())),
        new: top,
        ignored: &scan.ignored,
        asked: &BTreeSet::new(),
        strategies: &EtcPolicy::default(),
        is_root: is_root(),
    })
}

fn merge_from(
    target: &Target,
    pristine: &Tree,
    current: &Dir,
    (new, asked): (&Tree, &BTreeSet<Vec<u8>>),
    policy: &EtcPolicy,
    control: &Control,
) -> Result<Merged, DeployError> {
    let scan = scan(current, target.repository.algorithm(), Specials::Ignore, control)?;
    merge(&Sides {
        pristine: (pristine, folder_of(pristine, ETC)),
        current: (&scan.tree, Some(scan.tree.root())),
        new: (new, folder_of(new, ETC)),
        ignored: &scan.ignored,
        asked,
        strategies: policy,
        is_root: is_root(),
    })
}

/// The new tree as it is: a merge where there was nothing before.
fn whole(new: &Tree) -> Result<Merged, DeployError> {
    let mtime = Timestamp { sec: 0, nsec: 0 };
    let empty = Tree::new(Metadata { mode: 0o755, uid: 0, gid: 0, mtime });
    merge(&Sides {
        pristine: (&empty, None),
        current: (&empty, None),
        new: (new, folder_of(new, ETC)),
        ignored: &std::collections::BTreeMap::new(),
        asked: &BTreeSet::new(),
        strategies: &EtcPolicy::default(),
        is_root: true,
    })
}

fn names(
    overlays: &[Overlay],
    paths: &[BTreeSet<Vec<u8>>],
    touches: impl Fn(&BTreeSet<Vec<u8>>) -> bool,
) -> Vec<OverlayName> {
    let touching = overlays.iter().zip(paths).filter(|(_, paths)| touches(paths));
    touching.map(|(overlay, _)| overlay.name.clone()).collect()
}

/// Labels what has none by the image's own policy, if it has one. Reading that takes time, so it is read only then.
fn label(
    repository: &Repository,
    image: &Tree,
    folders: &mut [(&mut Tree, Option<InodeId>, &[u8])],
) -> Result<(), DeployError> {
    let is_bare = |tree: &Tree, inode| tree.xattrs(inode).get(SELINUX_XATTR).is_none();
    let needs = folders.iter().any(|(tree, top, path)| {
        let Some(top) = *top else { return false };
        let mut walk = tree.walk_from(top, path);
        std::iter::from_fn(|| walk.next_entry().map(|(_, inode)| is_bare(tree, inode))).any(|bare| bare)
    });
    if !needs {
        return Ok(());
    }
    let read = |object: &_, limit| Ok(repository.read_object(object, limit)?);
    let Some(files) = selinux::read_policy(image, &read)? else { return Ok(()) };
    let mut policy = Policy::new(&files)?;
    for (tree, top, path) in folders {
        if let Some(top) = *top {
            selinux::label_missing(tree, (top, path), &mut policy)?;
        }
    }
    Ok(())
}

/// Whether owners and privileged attributes were set when a folder was written.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What an image says of how its initramfs puts the root together.
fn read_root_conf(repository: &Repository, image: &Tree) -> Result<RootConf, DeployError> {
    for file in RootConf::FILES {
        if let Some(text) = read_text(repository, image, file, RootConf::FILE_MAX)? {
            let unfit = |error: sealstone_boot::BootError| DeployError::Unfit {
                profile: "bootable",
                reason: error.to_string(),
            };
            return RootConf::parse(file, &text).map_err(unfit);
        }
    }
    Ok(RootConf::default())
}
