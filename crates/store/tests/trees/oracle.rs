//! The crate `composefs` as an oracle: our trees in its types, and its writers.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
};

use composefs::{
    erofs::{
        format::FormatVersion,
        writer::{ValidatedFileSystem, mkfs_erofs_versioned},
    },
    fsverity::{FsVerityHashValue, Sha256HashValue, Sha512HashValue},
    generic_tree::LeafId,
    tree::{Directory, FileSystem, Inode, LeafContent, RegularFile, Stat},
};
use sealstone_store::{
    Algorithm,
    erofs::Version,
    tree::{Content, InodeId, Tree},
};

/// The V1 image that the crate writes of a tree.
pub fn image(algorithm: Algorithm, tree: &Tree) -> Vec<u8> {
    image_of(algorithm, tree, FormatVersion::V1)
}

/// The crate's name of one of our versions.
pub fn version(version: Version) -> FormatVersion {
    match version {
        Version::V1 => FormatVersion::V1,
        Version::V2 => FormatVersion::V2,
    }
}

/// The image in another of the crate's format versions.
pub fn image_of(algorithm: Algorithm, tree: &Tree, version: FormatVersion) -> Vec<u8> {
    fn with<Id: FsVerityHashValue>(tree: &Tree, version: FormatVersion) -> Vec<u8> {
        let tree = ValidatedFileSystem::new(file_system::<Id>(tree)).unwrap();
        mkfs_erofs_versioned(&tree, version).into_vec()
    }
    match algorithm {
        Algorithm::Sha256 => with::<Sha256HashValue>(tree, version),
        Algorithm::Sha512 => with::<Sha512HashValue>(tree, version),
    }
}

/// Our tree in the crate's types.
pub fn file_system<Id: FsVerityHashValue>(tree: &Tree) -> FileSystem<Id> {
    let mut files = FileSystem::new(stat(tree, tree.root()));
    let mut leaves = HashMap::new();
    files.root = directory(tree, tree.root(), &mut files, &mut leaves);
    files
}

fn directory<Id: FsVerityHashValue>(
    tree: &Tree,
    inode: InodeId,
    files: &mut FileSystem<Id>,
    leaves: &mut HashMap<InodeId, LeafId>,
) -> Directory<Id> {
    let mut theirs = Directory::new(stat(tree, inode));
    for (name, child) in tree.entries(inode) {
        let entry = match tree.content(child) {
            Content::Directory => Inode::Directory(Box::new(directory(tree, child, files, leaves))),
            content => Inode::leaf(
                *leaves.entry(child).or_insert_with(|| files.push_leaf(stat(tree, child), leaf(content))),
            ),
        };
        theirs.insert(OsStr::from_bytes(name), entry);
    }
    theirs
}

fn leaf<Id: FsVerityHashValue>(content: Content<'_>) -> LeafContent<Id> {
    match content {
        Content::Directory => unreachable!("a directory is no leaf"),
        Content::Inline(bytes) => LeafContent::Regular(RegularFile::Inline(bytes.into())),
        Content::External { object, size } => {
            LeafContent::Regular(RegularFile::External(Id::from_hex(object.to_hex()).unwrap(), size))
        }
        Content::Symlink(target) => LeafContent::Symlink(OsStr::from_bytes(target).into()),
        Content::CharDevice(number) => LeafContent::CharacterDevice(number.into()),
        Content::BlockDevice(number) => LeafContent::BlockDevice(number.into()),
        Content::Fifo => LeafContent::Fifo,
        Content::Socket => LeafContent::Socket,
    }
}

fn stat(tree: &Tree, inode: InodeId) -> Stat {
    let metadata = tree.metadata(inode);
    let xattrs = tree.xattrs(inode).map(|(name, value)| (OsStr::from_bytes(name).into(), value.into()));
    Stat {
        st_mode: metadata.mode.into(),
        st_uid: metadata.uid,
        st_gid: metadata.gid,
        st_mtim_sec: metadata.mtime.sec,
        st_mtim_nsec: metadata.mtime.nsec,
        xattrs: xattrs.collect::<BTreeMap<_, _>>(),
    }
}
