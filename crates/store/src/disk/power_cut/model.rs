//! The states that a power cut can leave: the log of changes, what of it is durable at a point, and a folder of it.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "for tests, where a panic is a failure")]

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, major, minor};

use super::{super::real::make_node, Fate, Node};

/// The unit that a torn write keeps or loses, in bytes.
const SECTOR: usize = 512;

/// A file, directory or symlink, through all its names. 0 is the watched folder.
pub(super) type NodeId = usize;

/// A name in a directory.
pub(super) type At = (NodeId, OsString);

/// What a node is made as.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    File {
        mode: u16,
    },
    Directory {
        mode: u16,
    },
    Symlink(PathBuf),
    /// A device, such as a whiteout of overlayfs is one.
    Node {
        node: Node,
        mode: u16,
    },
}

/// A change or a sync.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Link {
        at: At,
        node: NodeId,
    },
    Unlink {
        at: At,
    },
    /// `replaced` is what had the name, and whether it was open.
    Rename {
        from: At,
        to: At,
        node: NodeId,
        exchanged: Option<NodeId>,
        replaced: Option<(NodeId, bool)>,
    },
    Write {
        node: NodeId,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        node: NodeId,
        len: u64,
    },
    SyncFile {
        node: NodeId,
    },
    SyncDir {
        dir: NodeId,
    },
    SyncFs,
}

/// Everything that happened, and what was there before.
pub(super) struct Log {
    nodes: Vec<(Payload, Vec<u8>)>,
    names: BTreeMap<At, NodeId>,
    inodes: HashMap<u64, NodeId>,
    pub(super) ops: Vec<Op>,
    fat: bool,
}

/// `SplitMix64`: a seed gives the same states on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or_default() % bound.max(1)
    }
}

impl Log {
    pub(super) fn new(root: &Path, fat: bool) -> Self {
        let mut log =
            Self { nodes: Vec::new(), names: BTreeMap::new(), inodes: HashMap::new(), ops: Vec::new(), fat };
        log.snapshot(root).expect("the watched folder can be read");
        log
    }

    fn snapshot(&mut self, path: &Path) -> std::io::Result<NodeId> {
        let metadata = fs::symlink_metadata(path)?;
        let mode = u16::try_from(metadata.mode() & 0o7777).unwrap_or_default();
        let kind = metadata.file_type();
        let (payload, content) = if kind.is_dir() {
            (Payload::Directory { mode }, Vec::new())
        } else if kind.is_symlink() {
            (Payload::Symlink(fs::read_link(path)?), Vec::new())
        } else if kind.is_char_device() {
            let node = Node::CharDevice(major(metadata.rdev()), minor(metadata.rdev()));
            (Payload::Node { node, mode }, Vec::new())
        } else {
            (Payload::File { mode }, fs::read(path)?)
        };
        let node = self.create(metadata.ino(), payload);
        self.nodes[node].1 = content;
        if kind.is_dir() {
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let child = self.snapshot(&entry.path())?;
                self.names.insert((node, entry.file_name()), child);
            }
        }
        Ok(node)
    }

    /// A new node with this inode number; an older one with the same number is gone.
    pub(super) fn create(&mut self, inode: u64, payload: Payload) -> NodeId {
        self.nodes.push((payload, Vec::new()));
        self.inodes.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The node with this inode number; what was never seen gets a directory outside of the watched folder.
    pub(super) fn node(&mut self, inode: u64) -> NodeId {
        match self.inodes.get(&inode) {
            Some(node) => *node,
            None => self.create(inode, Payload::Directory { mode: 0o755 }),
        }
    }

    /// Whether a sync among the ops from `index` to `point` covers content of the node, or names in the directory.
    fn is_synced(&self, index: usize, point: usize, node: Option<NodeId>, dir: Option<NodeId>) -> bool {
        self.ops[index..point].iter().any(|op| match op {
            Op::SyncFs => !self.fat,
            Op::SyncFile { node: synced } => node == Some(*synced),
            Op::SyncDir { dir: synced } => dir == Some(*synced),
            _ => false,
        })
    }

    pub(super) fn materialise(&self, point: usize, fate: Fate, into: &Path) {
        let mut state = State {
            contents: self.nodes.iter().map(|(_, content)| content.clone()).collect(),
            names: self.names.clone(),
            named_at: HashMap::new(),
            chance: Chance(if let Fate::Seeded(seed) = fate { seed } else { 0 }),
            fate,
        };
        for (index, op) in self.ops[..point].iter().enumerate() {
            self.apply(&mut state, index, op, point);
        }
        if self.fat {
            self.empty_unsynced(&mut state, point);
        }
        self.write_out(&state, 0, into).expect("the folder can be made");
    }

    fn apply(&self, state: &mut State, index: usize, op: &Op, point: usize) {
        match op {
            Op::Link { at, node } => {
                if self.is_synced(index, point, None, Some(at.0)) || state.lands() {
                    state.set(at, *node, index);
                }
            }
            Op::Unlink { at } => {
                if self.is_synced(index, point, None, Some(at.0)) || state.lands() {
                    state.names.remove(at);
                }
            }
            Op::Rename { from, to, node, replaced: Some((old, is_open)), .. } if self.fat => {
                if self.is_synced(index, point, Some(*node), None) || state.lands() {
                    state.names.insert(to.clone(), *node);
                } else if !is_open && state.is_freed() {
                    state.contents[*old].truncate(SECTOR);
                }
                if self.is_synced(index, point, None, Some(from.0)) || state.lands() {
                    state.names.remove(from);
                }
            }
            Op::Rename { from, to, node, exchanged, .. } => {
                let arrived = self.is_synced(index, point, None, Some(to.0));
                let left = self.is_synced(index, point, None, Some(from.0));
                if !(arrived || left || state.lands()) {
                    return;
                }
                state.set(to, *node, index);
                match exchanged {
                    Some(other) => state.set(from, *other, index),
                    // It may have arrived without having left, never the other way round.
                    None if left || state.lands() => drop(state.names.remove(from)),
                    None => {}
                }
            }
            Op::Write { node, offset, bytes } => {
                let keep = if self.is_synced(index, point, Some(*node), None) {
                    bytes.len()
                } else {
                    state.part_of(bytes.len())
                };
                let start = usize::try_from(*offset).unwrap_or(usize::MAX);
                let content = &mut state.contents[*node];
                if keep > 0 && content.len() < start + keep {
                    content.resize(start + keep, 0);
                }
                if keep > 0 {
                    content[start..start + keep].copy_from_slice(&bytes[..keep]);
                }
            }
            Op::SetLen { node, len } => {
                if self.is_synced(index, point, Some(*node), None) || state.lands() {
                    state.contents[*node].resize(usize::try_from(*len).unwrap_or_default(), 0);
                }
            }
            Op::SyncFile { .. } | Op::SyncDir { .. } | Op::SyncFs => {}
        }
    }

    /// FAT: where the size is in the name's entry, a name without a later sync of the file can show an empty file.
    fn empty_unsynced(&self, state: &mut State, point: usize) {
        let named: Vec<_> = state.named_at.iter().map(|(node, index)| (*node, *index)).collect();
        for (node, index) in named {
            if !self.is_synced(index, point, Some(node), None) && !state.lands() {
                state.contents[node].clear();
            }
        }
    }

    fn write_out(&self, state: &State, node: NodeId, path: &Path) -> std::io::Result<()> {
        let mode = match &self.nodes[node].0 {
            Payload::Symlink(target) => return symlink(target, path),
            Payload::Node { node, mode } => {
                return Ok(make_node(CWD, path, *node, Mode::from_raw_mode(u32::from(*mode)))?);
            }
            Payload::File { mode } => {
                fs::write(path, &state.contents[node])?;
                mode
            }
            Payload::Directory { mode } => {
                fs::create_dir(path)?;
                let first = (node, OsString::new());
                for ((dir, name), child) in state.names.range(first..) {
                    if *dir != node {
                        break;
                    }
                    self.write_out(state, *child, &path.join(name))?;
                }
                mode
            }
        };
        fs::set_permissions(path, fs::Permissions::from_mode(u32::from(*mode)))
    }
}

/// The disk as it is found.
struct State {
    contents: Vec<Vec<u8>>,
    names: BTreeMap<At, NodeId>,
    /// When each node got its latest name.
    named_at: HashMap<NodeId, usize>,
    chance: Chance,
    fate: Fate,
}

impl State {
    fn set(&mut self, at: &At, node: NodeId, index: usize) {
        self.names.insert(at.clone(), node);
        self.named_at.insert(node, index);
    }

    /// Whether a change that no sync covers is on the disk.
    fn lands(&mut self) -> bool {
        match self.fate {
            Fate::AllLand => true,
            Fate::NoneLands => false,
            Fate::Seeded(_) => self.chance.below(2) == 0,
        }
    }

    /// Whether clusters that nobody needs any more are free on the disk, though the entry still names them.
    fn is_freed(&mut self) -> bool {
        matches!(self.fate, Fate::Seeded(_)) && self.chance.below(2) == 0
    }

    /// How much of a write that no sync covers is on the disk, in bytes.
    fn part_of(&mut self, len: usize) -> usize {
        match self.fate {
            Fate::AllLand => len,
            Fate::NoneLands => 0,
            Fate::Seeded(_) => match self.chance.below(3) {
                0 => 0,
                1 => len,
                _ => self.chance.below(len / SECTOR + 1) * SECTOR,
            },
        }
    }
}
