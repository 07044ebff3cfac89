//! Decoding a layer's tree: every offset, order and value is checked, so that reading the tree afterwards cannot fail.

use sealstone_store::Algorithm;
use twox_hash::XxHash3_128;

use super::encode::{CHECKSUM_LEN, HEADER_LEN, INODE_LEN, MAGIC, NODE_LEN, VERSION};
use super::heap::{EncodedXattrs, Heap, Inode, InodeKind};
use super::whiteout::is_reserved;
use super::{IMPLICIT, LayerTree, Node, NodeKind, OPAQUE, REMOVES_LOWER};
use crate::Limits;

/// Why bytes are not a layer's tree. All are answered by building it again from the splitstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Another version's.
    #[error("the layer tree has version {0}, this program reads version {VERSION}")]
    Version(u16),
    /// The checksum differs, or what is encoded is no tree.
    #[error("the layer tree is damaged: {0}")]
    Damaged(&'static str),
    /// Over [`Limits::tree_record_bytes`] or [`Limits::entries`].
    #[error("the layer tree has more than {limit} {what}")]
    TooBig {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
}

use RecordError::Damaged;

impl LayerTree {
    /// Decodes what [`encode`](Self::encode) made.
    ///
    /// # Errors
    /// [`RecordError`], for any bytes that are not exactly that.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, RecordError> {
        if bytes.len() > limits.tree_record_bytes {
            return Err(RecordError::TooBig { what: "bytes", limit: limits.tree_record_bytes as u64 });
        }
        let sections = Sections::split(bytes)?;
        let nodes_count = sections.nodes.len();
        if nodes_count > limits.entries as usize + 1 {
            return Err(RecordError::TooBig { what: "entries", limit: u64::from(limits.entries) });
        }
        let heap = Heap { bytes: sections.heap.to_vec(), digests: sections.digests.to_vec() };
        let mut checker = Checker { algorithm: sections.algorithm, heap: &heap, digests: 0 };
        let inodes: Result<Vec<_>, _> = sections.inodes.iter().map(|bytes| checker.inode(bytes)).collect();
        let inodes = inodes?;
        checker.all_digests_used()?;
        let nodes: Result<Vec<_>, _> = sections.nodes.iter().map(decode_node).collect();
        let nodes = nodes?;
        check_nodes(&nodes, &inodes, &heap)?;
        Ok(Self { algorithm: sections.algorithm, nodes, inodes, heap })
    }
}

/// The parts of an encoding whose checksum is right.
struct Sections<'a> {
    algorithm: Algorithm,
    nodes: &'a [[u8; NODE_LEN]],
    inodes: &'a [[u8; INODE_LEN]],
    digests: &'a [u8],
    heap: &'a [u8],
}

impl<'a> Sections<'a> {
    fn split(bytes: &'a [u8]) -> Result<Self, RecordError> {
        const SHORT: RecordError = Damaged("it is not as long as it says");
        let (all, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(SHORT)?;
        let (header, rest) = all.split_first_chunk::<HEADER_LEN>().ok_or(SHORT)?;
        if !header.starts_with(MAGIC) {
            return Err(Damaged("it does not start as one"));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        if XxHash3_128::oneshot(all).to_le_bytes() != *checksum {
            return Err(Damaged("the checksum differs"));
        }
        let algorithm = match header[10..12] {
            [1, 0] => Algorithm::Sha256,
            [2, 0] => Algorithm::Sha512,
            _ => return Err(Damaged("unknown algorithm")),
        };
        let count = |at: usize| {
            let field = header.get(at..at + 4).and_then(<[u8]>::first_chunk);
            field.map_or(0, |field| u32::from_le_bytes(*field)) as usize
        };
        let sized = |count: usize, len: usize| count.checked_mul(len).ok_or(SHORT);
        let (nodes, rest) = rest.split_at_checked(sized(count(12), NODE_LEN)?).ok_or(SHORT)?;
        let (inodes, rest) = rest.split_at_checked(sized(count(16), INODE_LEN)?).ok_or(SHORT)?;
        let (digests, heap) =
            rest.split_at_checked(sized(count(20), algorithm.digest_len())?).ok_or(SHORT)?;
        if heap.len() != count(24) || header[28..] != [0; 4] {
            return Err(SHORT);
        }
        Ok(Self { algorithm, nodes: nodes.as_chunks().0, inodes: inodes.as_chunks().0, digests, heap })
    }
}

fn decode_node(bytes: &[u8; NODE_LEN]) -> Result<Node, RecordError> {
    let [n0, n1, n2, n3, e0, e1, e2, e3, d0, d1, d2, d3, name_len, kind, flags, 0] = *bytes else {
        return Err(Damaged("a node's padding is not zero"));
    };
    let kind = match kind {
        1 => NodeKind::Directory,
        2 => NodeKind::Leaf,
        3 => NodeKind::Link,
        4 => NodeKind::Whiteout,
        5 => NodeKind::Passage,
        _ => return Err(Damaged("a node of unknown kind")),
    };
    let allowed = match kind {
        NodeKind::Directory => IMPLICIT | OPAQUE | REMOVES_LOWER,
        NodeKind::Leaf | NodeKind::Link => REMOVES_LOWER,
        NodeKind::Whiteout => 0,
        NodeKind::Passage => OPAQUE,
    };
    if flags & !allowed != 0 {
        return Err(Damaged("a node has flags that its kind has not"));
    }
    Ok(Node {
        name: u32::from_le_bytes([n0, n1, n2, n3]),
        end: u32::from_le_bytes([e0, e1, e2, e3]),
        data: u32::from_le_bytes([d0, d1, d2, d3]),
        name_len,
        kind,
        flags,
    })
}

/// Checks inodes one after another.
struct Checker<'a> {
    algorithm: Algorithm,
    heap: &'a Heap,
    /// How many digests the inodes so far have.
    digests: u32,
}

impl Checker<'_> {
    fn inode(&mut self, bytes: &[u8; INODE_LEN]) -> Result<Inode, RecordError> {
        let u32_at = |at: usize| {
            let field = bytes.get(at..at + 4).and_then(<[u8]>::first_chunk);
            field.map_or(0, |field| u32::from_le_bytes(*field))
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let kind = match bytes[38..] {
            [1, 0] => InodeKind::Directory,
            [2, 0] => InodeKind::Inline,
            [3, 0] => InodeKind::External,
            [4, 0] => InodeKind::Symlink,
            [5, 0] => InodeKind::CharDevice,
            [6, 0] => InodeKind::BlockDevice,
            [7, 0] => InodeKind::Fifo,
            _ => return Err(Damaged("an inode of unknown kind")),
        };
        let inode = Inode {
            seconds: u64_at(0).cast_signed(),
            size: u64_at(8),
            nanoseconds: u32_at(16),
            uid: u32_at(20),
            gid: u32_at(24),
            data: u32_at(28),
            xattrs: u32_at(32),
            mode: u16::from_le_bytes([bytes[36], bytes[37]]),
            kind,
        };
        if inode.mode > 0o7777 || inode.nanoseconds >= 1_000_000_000 {
            return Err(Damaged("an inode's mode or time is out of range"));
        }
        self.content(&inode)?;
        self.xattrs(&inode)?;
        Ok(inode)
    }

    fn content(&mut self, inode: &Inode) -> Result<(), RecordError> {
        let is_right = match inode.kind {
            InodeKind::Directory | InodeKind::Fifo => inode.size == 0 && inode.data == 0,
            InodeKind::CharDevice | InodeKind::BlockDevice => inode.size == 0,
            InodeKind::Inline | InodeKind::Symlink => {
                let end = inode.size.checked_add(u64::from(inode.data));
                let is_target = inode.kind == InodeKind::Inline || inode.size > 0;
                is_target && end.is_some_and(|end| end <= self.heap.bytes.len() as u64)
            }
            InodeKind::External => {
                let index = self.digests;
                self.digests = index.saturating_add(1);
                inode.data == index && self.heap.object(self.algorithm, index).is_some()
            }
            InodeKind::Unresolved => false,
        };
        if is_right { Ok(()) } else { Err(Damaged("an inode's content is out of range")) }
    }

    fn xattrs(&self, inode: &Inode) -> Result<(), RecordError> {
        const WRONG: RecordError = Damaged("an inode's extended attributes are not in order");
        let Some(start) = inode.xattrs.checked_sub(1) else { return Ok(()) };
        let bytes = self.heap.bytes.get(start as usize..).ok_or(WRONG)?;
        let mut xattrs = EncodedXattrs::new(bytes);
        let mut last: &[u8] = &[];
        for (name, _) in xattrs.by_ref() {
            if name <= last || name.contains(&0) {
                return Err(WRONG);
            }
            last = name;
        }
        // At least one, and all that were announced.
        if last.is_empty() || xattrs.rest().is_none() { Err(WRONG) } else { Ok(()) }
    }

    fn all_digests_used(&self) -> Result<(), RecordError> {
        if self.heap.digests.len() == self.digests as usize * self.algorithm.digest_len() {
            Ok(())
        } else {
            Err(Damaged("there are digests without a file"))
        }
    }
}

/// Checks that the nodes are a tree in preorder, children sorted, inodes in the order of their first node.
fn check_nodes(nodes: &[Node], inodes: &[Inode], heap: &Heap) -> Result<(), RecordError> {
    let mut inodes_seen: u32 = 0;
    // The directories that the walk is in: where each ends, and the last name in it.
    let mut open: Vec<(usize, NodeKind, &[u8])> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let (name, end) = (heap.get(node.name, usize::from(node.name_len)), node.end as usize);
        while open.last().is_some_and(|(end, ..)| *end <= index) {
            open.pop();
        }
        match open.last_mut() {
            None if index == 0 && node.kind == NodeKind::Directory && node.name_len == 0 => {
                if end != nodes.len() || node.flags & REMOVES_LOWER != 0 {
                    return Err(Damaged("the root is not the root of all"));
                }
            }
            None => return Err(Damaged("it does not start with the root")),
            Some((parent_end, parent, last)) => {
                if end <= index || end > *parent_end {
                    return Err(Damaged("a subtree does not lie in its parent's"));
                }
                if !is_name(name) || name <= *last {
                    return Err(Damaged("names are not valid, sorted and unique"));
                }
                if *parent == NodeKind::Passage
                    && !matches!(node.kind, NodeKind::Passage | NodeKind::Whiteout)
                {
                    return Err(Damaged("a passage leads to something else than whiteouts"));
                }
                *last = name;
            }
        }
        check_data(node, inodes, heap, &mut inodes_seen)?;
        match node.kind {
            NodeKind::Directory | NodeKind::Passage => open.push((end, node.kind, &[])),
            _ if end != index + 1 => return Err(Damaged("something that is no directory has children")),
            _ => {}
        }
    }
    if nodes.is_empty() || inodes_seen as usize != inodes.len() {
        return Err(Damaged("there is no root, or an inode without a name"));
    }
    Ok(())
}

fn check_data(node: &Node, inodes: &[Inode], heap: &Heap, inodes_seen: &mut u32) -> Result<(), RecordError> {
    let is_right = match node.kind {
        NodeKind::Whiteout | NodeKind::Passage => node.data == 0,
        NodeKind::Link => is_path(heap.get_counted(node.data)),
        NodeKind::Directory | NodeKind::Leaf => {
            let is_new = node.data == *inodes_seen;
            *inodes_seen = inodes_seen.saturating_add(u32::from(is_new));
            inodes.get(node.data as usize).is_some_and(|inode| {
                let is_directory = inode.kind == InodeKind::Directory;
                // Leaves may share an inode, directories do not.
                is_directory == (node.kind == NodeKind::Directory)
                    && (is_new || !is_directory && node.data < *inodes_seen)
            })
        }
    };
    if is_right { Ok(()) } else { Err(Damaged("a node points to what it cannot have")) }
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && !is_reserved(name)
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

fn is_path(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(is_name)
}
