//! A layer's tree as bytes, to be kept beside the splitstream.
//!
//! All numbers are little-endian. A header of 32 bytes: `SEALTREE`, version (u16), algorithm (u8: 1 SHA-256, 2 SHA-512), a
//! zero byte, the counts of nodes, inodes and digests (u32 each), the length of the heap (u32), four zero bytes. Then the
//! nodes (16 bytes each), the inodes (40), the digests, the heap; at the end XXH3-128 of all before, against accidents: a
//! tree is a cache that its splitstream can rebuild, and each lookup of a layer reads it.

use std::io::{self, Write};

use sealstone_store::Algorithm;
use twox_hash::XxHash3_128;

use super::heap::Inode;
use super::{LayerTree, Node};

pub(super) const MAGIC: &[u8; 8] = b"SEALTREE";
pub(super) const VERSION: u16 = 2;
pub(super) const HEADER_LEN: usize = 32;
pub(super) const NODE_LEN: usize = 16;
pub(super) const INODE_LEN: usize = 40;
pub(super) const CHECKSUM_LEN: usize = 16;

/// Nodes or inodes encoded at a time, so that no second copy of the tree is held.
const BATCH: usize = 512;

impl LayerTree {
    /// Bytes of the encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN
            + self.nodes.len() * NODE_LEN
            + self.inodes.len() * INODE_LEN
            + self.heap.digests.len()
            + self.heap.bytes.len()
            + CHECKSUM_LEN
    }

    /// Writes the encoding, in pieces of some kilobytes.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode_to(&self, writer: impl Write) -> io::Result<()> {
        let mut writer = Hashing { writer, hasher: XxHash3_128::new() };
        writer.write_all(&self.encode_header())?;
        let mut buffer = Vec::with_capacity(BATCH * INODE_LEN);
        for nodes in self.nodes.chunks(BATCH) {
            buffer.clear();
            buffer.extend(nodes.iter().flat_map(encode_node));
            writer.write_all(&buffer)?;
        }
        for inodes in self.inodes.chunks(BATCH) {
            buffer.clear();
            buffer.extend(inodes.iter().flat_map(encode_inode));
            writer.write_all(&buffer)?;
        }
        writer.write_all(&self.heap.digests)?;
        writer.write_all(&self.heap.bytes)?;
        let checksum = writer.hasher.finish_128();
        writer.writer.write_all(&checksum.to_le_bytes())
    }

    /// The encoding in memory.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        // Writing to memory does not fail.
        let _ = self.encode_to(&mut bytes);
        bytes
    }

    fn encode_header(&self) -> [u8; HEADER_LEN] {
        // Trees are built and decoded with counts of 32 bits.
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10] = match self.algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        };
        header[12..16].copy_from_slice(&count(self.nodes.len()));
        header[16..20].copy_from_slice(&count(self.inodes.len()));
        header[20..24].copy_from_slice(&count(self.heap.digests.len() / self.algorithm.digest_len()));
        header[24..28].copy_from_slice(&count(self.heap.bytes.len()));
        header
    }
}

fn encode_node(node: &Node) -> [u8; NODE_LEN] {
    let mut bytes = [0; NODE_LEN];
    bytes[..4].copy_from_slice(&node.name.to_le_bytes());
    bytes[4..8].copy_from_slice(&node.end.to_le_bytes());
    bytes[8..12].copy_from_slice(&node.data.to_le_bytes());
    bytes[12] = node.name_len;
    bytes[13] = node.kind as u8;
    bytes[14] = node.flags;
    bytes
}

fn encode_inode(inode: &Inode) -> [u8; INODE_LEN] {
    let mut bytes = [0; INODE_LEN];
    bytes[..8].copy_from_slice(&inode.seconds.to_le_bytes());
    bytes[8..16].copy_from_slice(&inode.size.to_le_bytes());
    bytes[16..20].copy_from_slice(&inode.nanoseconds.to_le_bytes());
    bytes[20..24].copy_from_slice(&inode.uid.to_le_bytes());
    bytes[24..28].copy_from_slice(&inode.gid.to_le_bytes());
    bytes[28..32].copy_from_slice(&inode.data.to_le_bytes());
    bytes[32..36].copy_from_slice(&inode.xattrs.to_le_bytes());
    bytes[36..38].copy_from_slice(&inode.mode.to_le_bytes());
    bytes[38] = inode.kind as u8;
    bytes
}

struct Hashing<W> {
    writer: W,
    hasher: XxHash3_128,
}

impl<W: Write> Hashing<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.write(bytes);
        self.writer.write_all(bytes)
    }
}
