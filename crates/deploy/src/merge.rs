//! From the trees of an image's layers to one tree.
//!
//! What lives here: the walk over all layers at once, the top one first; what a name becomes is decided in `decide.rs`,
//! where a hardlink into lower layers leads in `link.rs`. What does not: tars, and what makes the result canonical
//! ([`Profile`](crate::Profile)).
//! Invariants: a layer's whiteouts hide only what is below it; a directory's attributes are those of the uppermost layer
//! that describes it; equal layers give an equal tree. Memory: the tree, four bytes for each inode of the layers, and
//! what is open on the way down.

mod decide;
mod link;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use sealstone_import::layer_tree::{Children, LayerEntry, LayerInode, LayerTree};
use sealstone_store::tree::{Content, InodeId, Metadata, Timestamp, Tree, TreeError, XattrSet};

use crate::{DeployError, profile::KEPT_XATTR};
use decide::{Candidate, Decision, decide};

/// What a root that no layer describes is like.
const PLAIN_ROOT: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };

/// Which extended attributes of its layers a tree keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KeptXattrs {
    /// Only `security.capability`: what every profile wants.
    #[default]
    Capability,
    /// `user.*` as well.
    AndUser,
    /// All.
    All,
}

impl KeptXattrs {
    pub(crate) fn keep(self, name: &[u8]) -> bool {
        match self {
            Self::Capability => name == KEPT_XATTR,
            Self::AndUser => name == KEPT_XATTR || name.starts_with(b"user."),
            Self::All => true,
        }
    }
}

/// Merges layers, the lowest first (the order of an OCI manifest), into the tree that a container would see. Of the
/// extended attributes only `security.capability` is kept, as every profile wants it.
///
/// # Errors
/// [`DeployError::Layer`] when a hardlink leads nowhere, [`DeployError::Tree`] when the result outgrows its tables.
pub fn merge(layers: &[&LayerTree]) -> Result<Tree, DeployError> {
    merge_keeping(layers, KeptXattrs::Capability)
}

/// The same with more of the extended attributes.
pub(crate) fn merge_keeping(layers: &[&LayerTree], kept: KeptXattrs) -> Result<Tree, DeployError> {
    Merge::new(layers, kept).run()
}

struct Merge<'t, 'l> {
    layers: &'l [&'t LayerTree],
    kept: KeptXattrs,
    tree: Tree,
    /// For each layer, the inodes of the result by those of the layer.
    inodes: Vec<Vec<Option<InodeId>>>,
    /// For each layer, its sets of extended attributes that were met.
    xattrs: Vec<HashMap<u32, XattrSet>>,
    links: link::Budget,
}

/// A directory of the result whose entries are being merged.
struct Open<'t> {
    directory: InodeId,
    /// What each layer has in it, the top layer first.
    heads: Vec<Head<'t>>,
}

struct Head<'t> {
    layer: usize,
    next: Option<LayerEntry<'t>>,
    rest: Children<'t>,
}

impl<'t> Open<'t> {
    fn new(directory: InodeId, sources: &[Candidate<'t>]) -> Self {
        let head = |source: &Candidate<'t>| {
            let mut rest = source.entry.children();
            Head { layer: source.layer, next: rest.next(), rest }
        };
        Self { directory, heads: sources.iter().map(head).collect() }
    }

    /// The next name, with what each layer has of it, the top layer first; `same` is emptied and filled.
    fn next_name(&mut self, same: &mut Vec<Candidate<'t>>) -> Option<&'t [u8]> {
        same.clear();
        let smallest = self.heads.iter().filter_map(|head| head.next.map(LayerEntry::name)).min()?;
        for head in &mut self.heads {
            if let Some(entry) = head.next.filter(|entry| entry.name() == smallest) {
                same.push(Candidate { layer: head.layer, entry });
                head.next = head.rest.next();
            }
        }
        Some(smallest)
    }
}

impl<'t, 'l> Merge<'t, 'l> {
    fn new(layers: &'l [&'t LayerTree], kept: KeptXattrs) -> Self {
        let most = layers.iter().map(|layer| layer.inode_count()).max().unwrap_or_default();
        Self {
            layers,
            kept,
            tree: Tree::with_capacity(PLAIN_ROOT, most),
            inodes: layers.iter().map(|layer| vec![None; layer.inode_count()]).collect(),
            xattrs: vec![HashMap::new(); layers.len()],
            links: link::Budget::default(),
        }
    }

    fn run(mut self) -> Result<Tree, DeployError> {
        let mut open = Vec::new();
        let roots = link::roots(self.layers, self.layers.len());
        if let Decision::Directory { owner, sources } = decide(&roots) {
            if let Some(inode) = owner.entry.inode() {
                let xattrs = self.xattrs(owner.layer, inode)?;
                self.tree.set_metadata(self.tree.root(), inode.metadata());
                self.tree.set_xattrs(self.tree.root(), xattrs);
            }
            open.push(Open::new(self.tree.root(), &sources));
        }
        let mut same = Vec::with_capacity(self.layers.len());
        while let Some(frame) = open.last_mut() {
            let directory = frame.directory;
            match frame.next_name(&mut same) {
                None => drop(open.pop()),
                Some(name) => open.extend(self.place(directory, name, &same)?),
            }
        }
        Ok(self.tree)
    }

    /// Puts a name into a directory, and returns it if there is something to merge in it.
    fn place(
        &mut self,
        directory: InodeId,
        name: &[u8],
        same: &[Candidate<'t>],
    ) -> Result<Option<Open<'t>>, DeployError> {
        match decide(same) {
            Decision::Nothing => Ok(None),
            Decision::Leaf(leaf) => {
                let Some(inode) = leaf.entry.inode() else { return Ok(None) };
                let inode = self.inode(leaf.layer, inode)?;
                self.tree.link(directory, name, inode)?;
                Ok(None)
            }
            Decision::Link { layer, target } => {
                let (layer, inode) = link::resolve(self.layers, layer, target, &mut self.links)?;
                let inode = self.inode(layer, inode)?;
                self.tree.link(directory, name, inode)?;
                Ok(None)
            }
            Decision::Directory { owner, sources } => {
                let Some(inode) = owner.entry.inode() else { return Ok(None) };
                let xattrs = self.xattrs(owner.layer, inode)?;
                let made = self.tree.add(inode.metadata(), Content::Directory, xattrs)?;
                self.tree.link(directory, name, made)?;
                Ok(Some(Open::new(made, &sources)))
            }
        }
    }

    /// The inode of the result for a leaf's: made at the first of its names.
    fn inode(&mut self, layer: usize, inode: LayerInode<'t>) -> Result<InodeId, DeployError> {
        let place = self.inodes.get(layer).and_then(|inodes| inodes.get(inode.index())).copied().flatten();
        if let Some(made) = place {
            return Ok(made);
        }
        let xattrs = self.xattrs(layer, inode)?;
        let made = self.tree.add(inode.metadata(), inode.content(), xattrs)?;
        if let Some(place) = self.inodes.get_mut(layer).and_then(|inodes| inodes.get_mut(inode.index())) {
            *place = Some(made);
        }
        Ok(made)
    }

    /// The set for what is kept of an inode's extended attributes.
    fn xattrs(&mut self, layer: usize, inode: LayerInode<'t>) -> Result<XattrSet, TreeError> {
        let Some(key) = inode.xattrs_key() else { return Ok(XattrSet::EMPTY) };
        let Self { xattrs, tree, .. } = self;
        let Some(known) = xattrs.get_mut(layer) else { return Ok(XattrSet::EMPTY) };
        if let Some(set) = known.get(&key) {
            return Ok(*set);
        }
        let kept: Vec<_> = inode.xattrs().filter(|(name, _)| self.kept.keep(name)).collect();
        let set = tree.intern_xattrs(&kept)?;
        known.insert(key, set);
        Ok(set)
    }
}
