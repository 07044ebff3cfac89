//! What one name becomes, of what each layer has of it.
//!
//! What lives here: the rules of whiteouts, opaque and implicit directories, as one fold from the top layer down. What
//! does not: the walk. Source: OCI image-spec "Image Layer Filesystem Changeset"; where it is silent, what overlayfs
//! shows: an upper directory replaces a lower file or symlink of its name, two directories merge.

use sealstone_import::layer_tree::{EntryKind, LayerEntry};

/// What a layer has of a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'t> {
    /// The layer's number, 0 the lowest.
    pub layer: usize,
    pub entry: LayerEntry<'t>,
}

/// What a name becomes.
#[derive(Debug)]
pub(super) enum Decision<'t> {
    /// It is not there.
    Nothing,
    /// A file that has an inode in its layer.
    Leaf(Candidate<'t>),
    /// A hardlink from this layer to a path of those below.
    Link { layer: usize, target: &'t [u8] },
    /// A directory.
    Directory {
        /// The entry that says mode, owner, time and attributes.
        owner: Candidate<'t>,
        /// Whose entries are seen in it, the top layer first.
        sources: Vec<Candidate<'t>>,
    },
}

/// Decides on a name by its candidates, the top layer first.
pub(super) fn decide<'t>(candidates: &[Candidate<'t>]) -> Decision<'t> {
    // Most names are of one layer, and most are files.
    let mut owner: Option<Candidate<'t>> = None;
    let mut sources: Vec<Candidate<'t>> = Vec::new();
    // An opaque directory was met: lower ones may still describe it, but show nothing.
    let mut opaque = false;
    for candidate in candidates {
        match candidate.entry.kind() {
            EntryKind::Leaf if owner.is_none() => return Decision::Leaf(*candidate),
            EntryKind::Link(target) if owner.is_none() => {
                return Decision::Link { layer: candidate.layer, target };
            }
            EntryKind::Leaf | EntryKind::Link(_) | EntryKind::Whiteout => break,
            EntryKind::Directory => {
                // An implicit directory is described by the first explicit one below, else by itself: the uppermost.
                let described = owner.is_some_and(|owner| !owner.entry.is_implicit());
                if !described && (owner.is_none() || !candidate.entry.is_implicit()) {
                    owner = Some(*candidate);
                }
            }
            // It says nothing of itself; its whiteouts work on what is below.
            EntryKind::Passage => {}
        }
        if !opaque {
            sources.push(*candidate);
        }
        if candidate.entry.removes_lower() {
            break;
        }
        opaque |= candidate.entry.is_opaque();
        let described = owner.is_some_and(|owner| !owner.entry.is_implicit());
        if opaque && described {
            break;
        }
    }
    match owner {
        Some(owner) => Decision::Directory { owner, sources },
        None => Decision::Nothing,
    }
}
