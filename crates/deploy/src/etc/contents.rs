//! The contents of the files of a folder on the disk: short ones as they are, others by their digests.
//!
//! What lives here: reading, and hashing small files side by side, since most of `/etc` are files of one block, each of which
//! alone would leave most of the processor's lanes idle. What does not: which files there are (`scan.rs`).
//! Invariants: memory is one buffer and one batch, whatever size files have; until [`finish`](Contents::finish) a small
//! file may have the digest of no bytes.

use sealstone_store::{
    Algorithm, ObjectId,
    disk::File,
    tree::{Content, INLINE_MAX, InodeId, Metadata, Tree, XattrSet},
    verity::{Hasher, digest, digest_many},
};

use crate::DeployError;

/// How much of a file is read at a time, in bytes. What is smaller is hashed in a batch.
const STEP: usize = 256 << 10;

/// How many bytes make a batch.
const BATCH: usize = 1 << 20;

/// Files whose contents are read, and those of them that are still to be hashed.
pub(super) struct Contents {
    algorithm: Algorithm,
    buffer: Vec<u8>,
    /// What a file has until its batch is hashed.
    unknown: ObjectId,
    /// The bodies of a batch, one after the other.
    bodies: Vec<u8>,
    /// Whose they are, and where each ends.
    files: Vec<(InodeId, usize)>,
}

impl Contents {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let unknown = digest(algorithm, b"");
        Self { algorithm, buffer: Vec::new(), unknown, bodies: Vec::new(), files: Vec::new() }
    }

    /// Adds a file to the tree, without attributes and name.
    pub(super) fn add(
        &mut self,
        tree: &mut Tree,
        file: &File,
        metadata: Metadata,
    ) -> Result<InodeId, DeployError> {
        self.buffer.resize(STEP, 0);
        let count = fill(file, 0, &mut self.buffer)?;
        let body = self.buffer.get(..count).unwrap_or_default();
        let (content, is_hashed) = if count <= INLINE_MAX {
            (Content::Inline(body), true)
        } else if count < STEP {
            (Content::External { object: self.unknown, size: count as u64 }, false)
        } else {
            let mut hasher = Hasher::new(self.algorithm);
            hasher.update(body);
            let rest = &mut self.buffer;
            loop {
                let count = fill(file, hasher.size(), rest)?;
                hasher.update(rest.get(..count).unwrap_or_default());
                if count < STEP {
                    break;
                }
            }
            let size = hasher.size();
            (Content::External { object: hasher.finish(), size }, true)
        };
        let inode = tree.add(metadata, content, XattrSet::EMPTY)?;
        if !is_hashed {
            self.bodies.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
            self.files.push((inode, self.bodies.len()));
            if self.bodies.len() >= BATCH {
                self.finish(tree);
            }
        }
        Ok(inode)
    }

    /// Hashes what waits.
    pub(super) fn finish(&mut self, tree: &mut Tree) {
        let (mut start, mut ids) = (0, Vec::with_capacity(self.files.len()));
        let body = |(_, end): &(InodeId, usize)| {
            self.bodies.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default()
        };
        let bodies: Vec<&[u8]> = self.files.iter().map(body).collect();
        digest_many(self.algorithm, &bodies, &mut ids);
        for ((inode, _), id) in self.files.drain(..).zip(ids) {
            tree.set_object(inode, id);
        }
        self.bodies.clear();
    }
}

/// Reads until the buffer is full or the file ends; gives how many bytes there were.
fn fill(file: &File, offset: u64, buffer: &mut [u8]) -> Result<usize, DeployError> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + done as u64, rest)? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use sealstone_store::{
        disk::{Dir, RealDisk},
        tree::Timestamp,
    };

    use super::*;

    #[test]
    fn files_of_all_sizes_have_the_digests_of_their_contents_whichever_batch_they_are_in() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
        let metadata = Metadata { mode: 0o644, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };
        let sizes =
            [0, 1, INLINE_MAX, INLINE_MAX + 1, 4096, 4097, STEP - 1, STEP, STEP + 1, 3 * STEP, 700_000];
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let (mut tree, mut contents) = (Tree::new(metadata), Contents::new(algorithm));
            // More than a batch.
            let bodies: Vec<Vec<u8>> = (0..40_u8)
                .flat_map(|round| sizes.map(|size| vec![round; size]))
                .filter(|body| body.len() < STEP || body[0] < 2)
                .collect();
            let mut inodes = Vec::new();
            for (number, body) in bodies.iter().enumerate() {
                let file = folder.create_new(format!("{algorithm}-{number}"), 0o644).unwrap();
                file.write_all_at(0, body).unwrap();
                inodes.push(contents.add(&mut tree, &file, metadata).unwrap());
            }
            contents.finish(&mut tree);
            for (inode, body) in inodes.into_iter().zip(&bodies) {
                let object = digest(algorithm, body);
                let expected = match body.len() {
                    short if short <= INLINE_MAX => Content::Inline(body),
                    size => Content::External { object, size: size as u64 },
                };
                assert_eq!(tree.content(inode), expected);
            }
        }
    }
}
