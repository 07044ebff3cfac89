//! A folder as the tree of an image, and the files of its SELinux policy read again.

use std::{cell::OnceCell, collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt};

use sealstone_store::{
    Algorithm, Control, ObjectId,
    disk::Dir,
    tree::{Content, Tree},
};

use crate::{
    DeployError,
    etc::{Ignored, Specials, scan},
};

/// Reads all of a folder. What an image could not have is refused, since the digest would be that of other files.
pub(super) fn read(root: &Dir, algorithm: Algorithm, control: &Control) -> Result<Tree, DeployError> {
    let scan = scan(root, algorithm, Specials::Keep, control)?;
    let Some((path, why)) = scan.ignored.into_iter().next() else { return Ok(scan.tree) };
    let reason = match why {
        Ignored::MountPoint => "another file system is mounted there",
        Ignored::Unreadable => "it may not be read",
        Ignored::Special => "it is of no type that an image has",
    };
    let text = path.escape_ascii().to_string();
    Err(DeployError::Invalid { what: "file of an image", text, reason: reason.to_owned() })
}

/// The files below `/etc/selinux`, by the objects that they would be.
pub(super) struct PolicyFiles<'a> {
    root: &'a Dir,
    tree: &'a Tree,
    paths: OnceCell<HashMap<ObjectId, Vec<u8>>>,
}

impl<'a> PolicyFiles<'a> {
    pub(super) const fn new(root: &'a Dir, tree: &'a Tree) -> Self {
        Self { root, tree, paths: OnceCell::new() }
    }

    /// Reads a file, if it still is what it was.
    pub(super) fn read(&self, object: &ObjectId, limit: u64) -> Result<Vec<u8>, DeployError> {
        let missing = || sealstone_store::Error::Missing { what: format!("file {object} of the policy") };
        let path = self.paths.get_or_init(|| self.paths()).get(object).ok_or_else(missing)?;
        let file = self.root.open_file(OsStr::from_bytes(path))?;
        let bytes = file.read_all(limit)?;
        if sealstone_store::verity::digest(object.algorithm(), &bytes) == *object {
            Ok(bytes)
        } else {
            let (place, reason) = (String::from_utf8_lossy(path).into_owned(), "it changed meanwhile".into());
            Err(DeployError::Policy { place, reason })
        }
    }

    fn paths(&self) -> HashMap<ObjectId, Vec<u8>> {
        const POLICY: &[u8] = b"/etc/selinux";
        let mut paths = HashMap::new();
        let Ok(top) = self.tree.resolve_no_follow(POLICY) else { return paths };
        let mut walk = self.tree.walk_from(top, POLICY);
        while let Some((path, inode)) = walk.next_entry() {
            if let Content::External { object, .. } = self.tree.content(inode) {
                paths.insert(object, path.get(1..).unwrap_or_default().to_vec());
            }
        }
        paths
    }
}
