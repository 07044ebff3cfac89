//! The inodes of the tree: contents first, then the inode.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use sealstone_store::{
    Error,
    disk::{File, Node as Device},
    verity::{Seal, Sealer},
};

use super::{FAST_SYMLINK, Writer};
use crate::{
    DeployError,
    install::ext4::{
        dirents::{self, Dirent},
        extents::{self, RUNS_MAX, Run},
        format::{BLOCK, EXTENTS_FLAG, INODE_SIZE, LOST_AND_FOUND, VERITY_FLAG, low32, put, put32},
        inode::{Inode, crc_of},
        nodes::{Kind, Node, Nodes, Sealing},
        xattrs,
    },
};

/// The Merkle tree begins at the next multiple of this behind the content (`fs/ext4/verity.c`).
const TREE_ALIGNMENT: u64 = 65536;

/// How much of a file is copied at a time.
const CHUNK: usize = 1 << 20;

/// The most names of one inode (`EXT4_LINK_MAX`).
const LINK_MAX: u32 = 65_000;

impl Writer<'_> {
    /// Writes an inode with all that is in it.
    pub(super) fn node(&mut self, node: &Node, nodes: &Nodes) -> Result<(), DeployError> {
        let links = node.links + u32::from(node.path.is_empty());
        let links = u16::try_from(links).ok().filter(|_| links <= LINK_MAX).ok_or_else(|| {
            let what = format!("number of names of {}", String::from_utf8_lossy(&node.path));
            DeployError::TooBig { what, size: links.into(), limit: LINK_MAX.into() }
        })?;
        let mut inode = Inode {
            mode: kind_bits(&node.kind) | (node.metadata.mode & 0o7777),
            uid: node.metadata.uid,
            gid: node.metadata.gid,
            links,
            size: node.metadata.size,
            blocks: 0,
            flags: 0,
            mtime: node.metadata.mtime,
            ctime: self.options.time,
            xattr_block: 0,
            body: [0; 60],
            xattrs: Vec::new(),
        };
        match &node.kind {
            Kind::Folder(children) => self.folder(node, children, nodes, &mut inode)?,
            Kind::File(sealing) => self.file(node, *sealing, &mut inode)?,
            Kind::Symlink(text) => self.symlink(node.number, text, &mut inode)?,
            Kind::Device(device) => {
                inode.size = 0;
                put_device(&mut inode.body, *device);
            }
        }
        self.attributes(node, &mut inode)?;
        self.keep(node.number, &inode);
        Ok(())
    }

    /// Puts an inode in the table.
    pub(super) fn keep(&mut self, number: u32, inode: &Inode) {
        let bytes = inode.encode(number, self.seed);
        put(&mut self.table, (number as usize - 1) * INODE_SIZE, &bytes);
    }

    /// Notes where an inode's blocks are.
    pub(super) fn extents(
        &mut self,
        number: u32,
        runs: &[Run],
        inode: &mut Inode,
    ) -> Result<(), DeployError> {
        if runs.len() > RUNS_MAX {
            let what = format!("number of pieces of inode {number}");
            return Err(DeployError::TooBig { what, size: runs.len() as u64, limit: RUNS_MAX as u64 });
        }
        let mut places = Vec::new();
        for _ in 0..extents::leaves(runs.len()) {
            places.push(self.take(1)?.0);
        }
        let (body, leaves) = extents::encode(runs, &places, crc_of(self.seed, number));
        for (place, leaf) in places.iter().zip(leaves) {
            self.area.write(place * BLOCK as u64, &leaf)?;
        }
        let own: u64 = runs.iter().map(|run| u64::from(run.blocks)).sum();
        inode.blocks += own + places.len() as u64;
        inode.flags |= EXTENTS_FLAG;
        inode.body = body;
        Ok(())
    }

    /// Writes bytes that are an inode's whole content.
    pub(super) fn body(&mut self, number: u32, bytes: &[u8], inode: &mut Inode) -> Result<(), DeployError> {
        let mut runs = Vec::new();
        self.place(&mut runs, 0, bytes.len().div_ceil(BLOCK) as u64)?;
        self.put(&runs, 0, bytes)?;
        inode.size = bytes.len() as u64;
        self.extents(number, &runs, inode)
    }

    fn folder(
        &mut self,
        node: &Node,
        children: &[(Vec<u8>, usize)],
        nodes: &Nodes,
        inode: &mut Inode,
    ) -> Result<(), DeployError> {
        self.count_folder(node.number);
        let number_of = |index: usize| nodes.0.get(index).map_or(0, |node| node.number);
        let own = Dirent { inode: node.number, kind: FOLDER, name: b"." };
        let above = Dirent { inode: number_of(node.parent), kind: FOLDER, name: b".." };
        // The root alone has one more.
        let lost = Dirent { inode: LOST_AND_FOUND, kind: FOLDER, name: b"lost+found" };
        let lost = node.path.is_empty().then_some(lost);
        let named = children.iter().filter_map(|(name, index)| {
            let child = nodes.0.get(*index)?;
            Some(Dirent { inode: child.number, kind: kind_number(&child.kind), name })
        });
        let entries = [own, above].into_iter().chain(lost).chain(named);
        let bytes = dirents::encode(entries, 1, crc_of(self.seed, node.number));
        self.body(node.number, &bytes, inode)
    }

    fn symlink(&mut self, number: u32, text: &[u8], inode: &mut Inode) -> Result<(), DeployError> {
        if text.len() >= FAST_SYMLINK {
            return self.body(number, text, inode);
        }
        inode.size = text.len() as u64;
        put(&mut inode.body, 0, text);
        Ok(())
    }

    fn file(&mut self, node: &Node, sealing: Option<Sealing>, inode: &mut Inode) -> Result<(), DeployError> {
        let file = self.root.open_file(OsStr::from_bytes(&node.path))?;
        let mut runs = Vec::new();
        self.place(&mut runs, 0, node.metadata.size.div_ceil(BLOCK as u64))?;
        let mut sealer = sealing.map(|sealing| Sealer::new(sealing.algorithm));
        self.copy(&file, node.metadata.size, &runs, |piece| {
            if let Some(sealer) = &mut sealer {
                sealer.update(piece);
            }
        })?;
        if let Some(seal) = sealer.map(Sealer::finish) {
            if let Some(wanted) = sealing.and_then(|sealing| sealing.id).filter(|wanted| *wanted != seal.id) {
                let reason = format!("its content has the digest {}", seal.id);
                return Err(Error::corrupt(format!("object {wanted}"), reason).into());
            }
            self.seal(node.metadata.size, &seal, &mut runs)?;
            inode.flags |= VERITY_FLAG;
            self.written.sealed += 1;
        }
        self.extents(node.number, &runs, inode)
    }

    fn copy(
        &self,
        file: &File,
        size: u64,
        runs: &[Run],
        mut see: impl FnMut(&[u8]),
    ) -> Result<(), DeployError> {
        let mut buffer = vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK))];
        let mut done = 0;
        while done < size {
            let now = buffer.len().min(usize::try_from(size - done).unwrap_or(usize::MAX));
            let piece = buffer.get_mut(..now).unwrap_or_default();
            file.read_exact_at(done, piece)?;
            see(piece);
            self.put(runs, done / BLOCK as u64, piece)?;
            done += now as u64;
        }
        Ok(())
    }

    /// Puts the Merkle tree and the descriptor behind the content; the last four bytes say how long the descriptor is.
    fn seal(&mut self, size: u64, seal: &Seal, runs: &mut Vec<Run>) -> Result<(), DeployError> {
        let mut bytes = seal.tree.clone();
        bytes.extend(seal.descriptor);
        bytes.resize((bytes.len() + 4).next_multiple_of(BLOCK), 0);
        let end = bytes.len() - 4;
        put32(&mut bytes, end, low32(seal.descriptor.len() as u64));
        let first = size.next_multiple_of(TREE_ALIGNMENT) / BLOCK as u64;
        self.place(runs, first, (bytes.len() / BLOCK) as u64)?;
        self.put(runs, first, &bytes)
    }

    fn attributes(&mut self, node: &Node, inode: &mut Inode) -> Result<(), DeployError> {
        let stored = xattrs::place(&node.xattrs, &node.path)?;
        inode.xattrs = stored.inline;
        let Some(mut block) = stored.block else { return Ok(()) };
        let (place, _) = self.take(1)?;
        xattrs::seal_block(&mut block, place, self.seed);
        self.area.write(place * BLOCK as u64, &block)?;
        inode.xattr_block = place;
        inode.blocks += 1;
        Ok(())
    }
}

/// `EXT4_FT_DIR`.
pub(super) const FOLDER: u8 = 2;

/// The type in a folder's entry (`EXT4_FT_*`).
fn kind_number(kind: &Kind) -> u8 {
    match kind {
        Kind::File(_) => 1,
        Kind::Folder(_) => FOLDER,
        Kind::Device(Device::CharDevice(..)) => 3,
        Kind::Device(Device::BlockDevice(..)) => 4,
        Kind::Device(Device::Fifo) => 5,
        Kind::Device(Device::Socket) => 6,
        Kind::Symlink(_) => 7,
    }
}

/// The type in an inode's mode (`S_IF*`).
fn kind_bits(kind: &Kind) -> u16 {
    match kind {
        Kind::File(_) => 0o10_0000,
        Kind::Folder(_) => 0o4_0000,
        Kind::Device(Device::CharDevice(..)) => 0o2_0000,
        Kind::Device(Device::BlockDevice(..)) => 0o6_0000,
        Kind::Device(Device::Fifo) => 0o1_0000,
        Kind::Device(Device::Socket) => 0o14_0000,
        Kind::Symlink(_) => 0o12_0000,
    }
}

/// A device's number, in the old form where it fits.
fn put_device(body: &mut [u8; 60], device: Device) {
    let (Device::CharDevice(major, minor) | Device::BlockDevice(major, minor)) = device else { return };
    if major < 256 && minor < 256 {
        put32(body, 0, (major << 8) | minor);
    } else {
        put32(body, 4, (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12));
    }
}
