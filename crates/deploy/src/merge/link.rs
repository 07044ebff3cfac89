//! Where a hardlink into lower layers leads.
//!
//! What lives here: the walk of a path through the layers below one, without merging them. What does not: links inside
//! a layer, which its tree resolved. Invariants: a path never leaves the root; symlinks on the way are followed (40 at
//! most, as Linux does), one at the end is linked itself; the work of all links of an image is bounded.

use sealstone_import::layer_tree::{LayerInode, LayerTree};
use sealstone_store::tree::Content;

use super::decide::{Candidate, Decision, decide};
use crate::DeployError;

/// Linux's limit on symbolic links in one resolution (`MAXSYMLINKS`).
const SYMLINKS_MAX: usize = 40;

/// How many entries may be looked at for all links of an image: some seconds' work.
const ENTRIES_MAX: u64 = 1 << 30;

/// What is left of the work that an image's links may make.
pub(super) struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(ENTRIES_MAX)
    }
}

/// The roots of the layers below a layer (of all, below the number of layers), the top one first.
pub(super) fn roots<'t>(layers: &[&'t LayerTree], below: usize) -> Vec<Candidate<'t>> {
    let candidate = |(layer, tree): (usize, &&'t LayerTree)| Candidate { layer, entry: tree.root() };
    layers.iter().enumerate().take(below).rev().map(candidate).collect()
}

/// The inode that a hardlink of a layer names, with its layer.
pub(super) fn resolve<'t>(
    layers: &[&'t LayerTree],
    layer: usize,
    target: &'t [u8],
    budget: &mut Budget,
) -> Result<(usize, LayerInode<'t>), DeployError> {
    let refuse = |reason: &str| DeployError::Layer {
        layer,
        path: target.escape_ascii().to_string(),
        reason: format!("a hardlink's target {reason}"),
    };
    follow(layers, layer, target, budget).map_err(refuse)
}

/// The same for a link that may itself lead to one: each leads to layers further below, so this ends.
fn follow<'t>(
    layers: &[&'t LayerTree],
    below: usize,
    path: &'t [u8],
    budget: &mut Budget,
) -> Result<(usize, LayerInode<'t>), &'static str> {
    let (mut below, mut path) = (below, path);
    loop {
        match walk(layers, below, path, budget)? {
            Decision::Leaf(leaf) => return Ok((leaf.layer, leaf.entry.inode().ok_or("is missing")?)),
            Decision::Link { layer, target } => (below, path) = (layer, target),
            Decision::Directory { .. } => return Err("is a directory"),
            Decision::Nothing => return Err("is missing"),
        }
    }
}

/// What is at a path of the layers below one.
fn walk<'t>(
    layers: &[&'t LayerTree],
    below: usize,
    path: &'t [u8],
    budget: &mut Budget,
) -> Result<Decision<'t>, &'static str> {
    // The directories from the root to where we are, and what is still to walk, last first.
    let mut way = vec![sources(decide(&roots(layers, below)))];
    let mut to_walk: Vec<&'t [u8]> = components(path).rev().collect();
    let mut symlinks = 0;
    while let Some(name) = to_walk.pop() {
        if name == b".." {
            way.truncate(way.len().saturating_sub(1).max(1));
            continue;
        }
        let here = way.last().map(Vec::as_slice).unwrap_or_default();
        let found = child(here, name, budget)?;
        if to_walk.is_empty() {
            return Ok(found);
        }
        let inode = match found {
            Decision::Directory { sources, .. } => {
                way.push(sources);
                continue;
            }
            Decision::Leaf(leaf) => leaf.entry.inode().ok_or("is missing")?,
            Decision::Link { layer, target } => follow(layers, layer, target, budget)?.1,
            Decision::Nothing => return Err("is missing"),
        };
        let Content::Symlink(text) = inode.content() else {
            return Err("goes through a file that is no directory");
        };
        symlinks += 1;
        if symlinks > SYMLINKS_MAX {
            return Err("goes through too many symbolic links");
        }
        if text.starts_with(b"/") {
            way.truncate(1);
        }
        to_walk.extend(components(text).rev());
    }
    Err("is a directory")
}

/// What a directory has of a name.
fn child<'t>(here: &[Candidate<'t>], name: &[u8], budget: &mut Budget) -> Result<Decision<'t>, &'static str> {
    let mut same = Vec::new();
    for source in here {
        for entry in source.entry.children().take_while(|entry| entry.name() <= name) {
            budget.0 =
                budget.0.checked_sub(1).ok_or("takes more work to find than an image's links may make")?;
            if entry.name() == name {
                same.push(Candidate { layer: source.layer, entry });
            }
        }
    }
    Ok(decide(&same))
}

fn sources(decision: Decision<'_>) -> Vec<Candidate<'_>> {
    match decision {
        Decision::Directory { sources, .. } => sources,
        _ => Vec::new(),
    }
}

/// The parts of a path that mean a step.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}
