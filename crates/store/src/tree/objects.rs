//! The objects of a tree's files, as the bare digests that it keeps.
//!
//! Invariant: a file that is an object stays one, of the same algorithm and size.

use super::{Algorithm, InodeId, Kind, ObjectId, Tree};

impl Tree {
    /// The digest of a file that is an object, without making an id of it.
    pub(crate) fn digest(&self, inode: InodeId) -> Option<(Algorithm, &[u8])> {
        let inode = self.inode(inode);
        let Kind::External(algorithm) = inode.kind else { return None };
        Some((algorithm, self.kept(inode.data, algorithm.digest_len() as u64)))
    }

    /// Replaces the object of a file that is one, for those who hash files in batches. What is no object, or one of another
    /// algorithm, stays as it is.
    pub fn set_object(&mut self, inode: InodeId, object: ObjectId) {
        let (kind, start) = (self.inode(inode).kind, self.inode(inode).data as usize);
        if kind == Kind::External(object.algorithm())
            && let Some(kept) = self.bytes.get_mut(start..)
        {
            kept.iter_mut().zip(object.as_bytes()).for_each(|(place, byte)| *place = *byte);
        }
    }
}
