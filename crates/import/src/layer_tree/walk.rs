//! Walking a path through the tree under construction: symlinks of the layer are followed, inside the root.

use super::arena::{Arena, FreeName, ROOT};
use super::{NodeKind, OPAQUE, REMOVES_LOWER};
use crate::Limits;
use crate::tar::Reason;

/// What is done where the layer has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// An implicit directory is made.
    Make,
    /// A passage is made, for a whiteout below it.
    Pass,
    /// The walk ends.
    Stop,
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At this directory (or passage).
    At(u32),
    /// At a name that the layer does not have.
    Nothing,
    /// At this node, which is neither a directory nor a symlink.
    Blocked(u32),
}

/// One walk: its bounds, and what it saw.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    absent: Absent,
    limits: &'a Limits,
    symlinks: usize,
    components: usize,
    /// Whether what lower layers have at the end of the path is hidden by a whiteout of this layer.
    pub(super) is_hidden: bool,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(absent: Absent, limits: &'a Limits) -> Self {
        Self {
            absent,
            limits,
            symlinks: limits.symlinks_followed,
            components: limits.components_visited,
            is_hidden: false,
        }
    }

    /// Follows a path from a directory on. Recurses once for a symlink, so never deeper than their bound.
    pub(super) fn follow(&mut self, arena: &mut Arena, from: u32, path: &[u8]) -> Result<End, Reason> {
        let mut at = from;
        for name in path.split(|byte| *byte == b'/') {
            match self.step(arena, at, name)? {
                End::At(next) => at = next,
                end => return Ok(end),
            }
        }
        Ok(End::At(at))
    }

    /// Goes to the directory of this name.
    pub(super) fn step(&mut self, arena: &mut Arena, at: u32, name: &[u8]) -> Result<End, Reason> {
        match name {
            b"" | b"." => return Ok(End::At(at)),
            // The root's parent is the root.
            b".." => return Ok(End::At(arena.node(at).parent)),
            _ => {}
        }
        self.components = self.components.checked_sub(1).ok_or(Reason::SymlinkLoop)?;
        let child = match arena.find(at, name) {
            Ok(child) => child,
            Err(name) => return self.absent(arena, name),
        };
        let node = arena.node(child);
        self.is_hidden |= node.flags & (OPAQUE | REMOVES_LOWER) != 0;
        match node.kind {
            NodeKind::Directory | NodeKind::Passage => Ok(End::At(child)),
            NodeKind::Whiteout => {
                self.is_hidden = true;
                Ok(if self.absent == Absent::Stop { End::Nothing } else { End::Blocked(child) })
            }
            NodeKind::Link => Ok(End::Blocked(child)),
            NodeKind::Leaf => match arena.symlink(child).map(<[u8]>::to_vec) {
                None => Ok(End::Blocked(child)),
                Some(target) => {
                    self.symlinks = self.symlinks.checked_sub(1).ok_or(Reason::SymlinkLoop)?;
                    let from = if target.starts_with(b"/") { ROOT } else { at };
                    self.follow(arena, from, &target)
                }
            },
        }
    }

    fn absent(&self, arena: &mut Arena, name: FreeName<'_>) -> Result<End, Reason> {
        match self.absent {
            Absent::Make => arena.add_implicit(name, self.limits).map(End::At),
            Absent::Pass => arena.add_node(name, NodeKind::Passage, 0, self.limits).map(End::At),
            Absent::Stop => Ok(End::Nothing),
        }
    }
}

/// The directories of the last path walked. A tar's entries come directory by directory: most walks are spared.
#[derive(Debug, Default)]
pub(super) struct Trail {
    path: Vec<u8>,
    /// For each component of `path`: where it ends, the directory it led to, and whether a symlink led there.
    steps: Vec<(usize, u32, bool)>,
}

impl Trail {
    /// The directory of a normalised path; what is missing is made. As [`Walk::follow`], but for the trail.
    pub(super) fn directory(
        &mut self,
        arena: &mut Arena,
        path: &[u8],
        limits: &Limits,
    ) -> Result<End, Reason> {
        let common = path.iter().zip(&self.path).take_while(|(a, b)| a == b).count();
        let is_shared = |end: usize| end <= common && path.get(end).is_none_or(|byte| *byte == b'/');
        while self.steps.last().is_some_and(|(end, ..)| !is_shared(*end)) {
            self.steps.pop();
        }
        let (mut end, mut at, was_followed) = self.steps.last().copied().unwrap_or((0, ROOT, false));
        self.path.truncate(common);
        self.path.extend_from_slice(path.get(common..).unwrap_or_default());
        let rest = path.get(end..).unwrap_or_default();
        let mut walk = Walk::new(Absent::Make, limits);
        for name in rest.split(|byte| *byte == b'/') {
            let start = if end == 0 { 0 } else { end + 1 };
            if name.is_empty() {
                continue;
            }
            match walk.step(arena, at, name)? {
                End::At(next) => at = next,
                other => return Ok(other),
            }
            end = start + name.len();
            let is_followed = was_followed || walk.symlinks < limits.symlinks_followed;
            self.steps.push((end, at, is_followed));
        }
        Ok(End::At(at))
    }

    /// Whether the last path led through a symlink.
    pub(super) fn is_followed(&self) -> bool {
        self.steps.last().is_some_and(|(.., is_followed)| *is_followed)
    }

    /// Forgets all: to be called when a node is replaced.
    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.steps.clear();
    }
}
