//! The objects that an image names, without a tree: what gc marks.

use std::collections::VecDeque;

use super::{dirents, error::ImageError, image::Image, inode::Inode, stored_xattrs};
use crate::{Algorithm, ObjectId, hex, tree::FileType};

/// What the attributes of a regular file say about its object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ObjectXattrs<'a> {
    metacopy: Option<&'a [u8]>,
    redirect: Option<&'a [u8]>,
}

impl<'a> ObjectXattrs<'a> {
    /// Keeps an attribute if it is one of the two; `name` is what follows `trusted.overlay.`.
    pub(super) fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        match name {
            b"metacopy" => self.metacopy = Some(value),
            b"redirect" => self.redirect = Some(value),
            _ => return false,
        }
        true
    }

    /// The object, and whether its digest is there to be checked; none for a file that is in the image.
    pub(super) fn object(&self, at: u64) -> Result<Option<(ObjectId, bool)>, ImageError> {
        let corrupt = |what| ImageError::Corrupt { what, at };
        let Some(path) = self.redirect else {
            return match self.metacopy {
                None => Ok(None),
                Some(_) => Err(corrupt("a file without content and object")),
            };
        };
        let id = object_of_path(path).ok_or_else(|| corrupt("a redirect is not the path of an object"))?;
        match self.metacopy {
            None => Err(corrupt("a redirect without metacopy")),
            Some([]) => Ok(Some((id, false))),
            Some(metacopy) if metacopy_names(metacopy, &id) => Ok(Some((id, true))),
            Some(_) => Err(corrupt("redirect and metacopy name different objects")),
        }
    }
}

impl<'a> Image<'a> {
    /// The objects that the image's files are, each once, sorted. Works for all formats.
    ///
    /// # Errors
    /// [`ImageError::Corrupt`]: nothing is listed of an image that cannot be read whole.
    pub fn objects(&self) -> Result<Vec<ObjectId>, ImageError> {
        let mut objects = Vec::new();
        self.visit_objects(|object| objects.push(object))?;
        objects.sort_unstable();
        objects.dedup();
        Ok(objects)
    }

    /// Calls `visit` with the object of each file; an object that several files are comes several times.
    ///
    /// # Errors
    /// [`ImageError::Corrupt`], possibly after some calls.
    pub fn visit_objects(&self, mut visit: impl FnMut(ObjectId)) -> Result<(), ImageError> {
        let mut seen = vec![false; self.slots()];
        let mut budget = self.budget();
        let mut directories = VecDeque::from([Inode::read(self, self.root_nid)?]);
        while let Some(directory) = directories.pop_front() {
            budget.spend(directory.size, directory.start)?;
            dirents::visit(self, &directory, |_, nid| {
                let seen = usize::try_from(nid).ok().and_then(|nid| seen.get_mut(nid));
                if seen.is_some_and(|seen| std::mem::replace(seen, true)) {
                    return Ok(());
                }
                let inode = Inode::read(self, nid)?;
                budget.spend(inode.len(), inode.start)?;
                match inode.file_type {
                    FileType::Directory => directories.push_back(inode),
                    FileType::Regular if !inode.xattrs.is_empty() => {
                        if let Some((object, _)) = self.object_xattrs(&inode)?.object(inode.start)? {
                            visit(object);
                        }
                    }
                    _ => {}
                }
                Ok::<(), ImageError>(())
            })?;
        }
        Ok(())
    }

    fn object_xattrs(&self, inode: &Inode<'a>) -> Result<ObjectXattrs<'a>, ImageError> {
        let mut xattrs = ObjectXattrs::default();
        stored_xattrs::visit(self, inode, |xattr| {
            if let Some(name) = xattr.overlay() {
                xattrs.take(name, xattr.value);
            }
            Ok(())
        })?;
        Ok(xattrs)
    }
}

/// The id in `/XX/rest`.
fn object_of_path(path: &[u8]) -> Option<ObjectId> {
    let (first, rest) = path.strip_prefix(b"/")?.split_at_checked(2)?;
    let rest = rest.strip_prefix(b"/")?;
    let algorithm = match rest.len() {
        62 => Algorithm::Sha256,
        126 => Algorithm::Sha512,
        _ => return None,
    };
    // All digits in one place, so that they are read in whole vectors.
    let (mut digits, mut digest) = ([0; 128], [0; 64]);
    let (digits, digest) = (digits.get_mut(..2 + rest.len())?, digest.get_mut(..algorithm.digest_len())?);
    let (start, end) = digits.split_at_mut_checked(2)?;
    start.copy_from_slice(first);
    end.copy_from_slice(rest);
    if !hex::decode(digits, digest) {
        return None;
    }
    ObjectId::from_digest(algorithm, digest).ok()
}

/// Whether overlayfs' `struct ovl_metacopy` (version, length, flags, algorithm, digest) is of this object.
fn metacopy_names(metacopy: &[u8], id: &ObjectId) -> bool {
    let Some((&[version, len, flags, algorithm], digest)) = metacopy.split_first_chunk() else {
        return false;
    };
    version == 0
        && usize::from(len) == metacopy.len()
        && flags == 0
        && algorithm == id.algorithm().kernel_number()
        && digest == id.as_bytes()
}
