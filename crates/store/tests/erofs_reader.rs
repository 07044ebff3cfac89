//! The EROFS reader: it reads back what we, the crate `composefs` and C wrote, and no bytes make it panic.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod trees;

use std::collections::{BTreeMap, BTreeSet};

use composefs::{
    erofs::{format::FormatVersion, reader::collect_objects},
    fsverity::{FsVerityHashValue, Sha256HashValue, Sha512HashValue},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use sealstone_store::{
    Algorithm, ObjectId,
    erofs::{self, Format, Image, ImageError, Version},
    tree::{Content, InodeId, Metadata, Timestamp, Tree},
};
use trees::{ALL, IN_V2, Limits, oracle};

const SHA512: Limits = Limits { algorithm: Algorithm::Sha512, ..ALL };

/// The tree as V2 keeps it.
fn in_whole_seconds(mut tree: Tree) -> Tree {
    let mut inodes = vec![tree.root()];
    let mut walk = tree.walk();
    while let Some((_, inode)) = walk.next_entry() {
        inodes.push(inode);
    }
    for inode in inodes {
        let metadata = tree.metadata(inode);
        let mtime = Timestamp { nsec: 0, ..metadata.mtime };
        tree.set_metadata(inode, Metadata { mtime, ..metadata });
    }
    tree
}

/// Everything of a tree, with the first path of each file in place of its id.
fn contents(tree: &Tree) -> BTreeMap<Vec<u8>, String> {
    let mut first: BTreeMap<InodeId, Vec<u8>> = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut walk = tree.walk();
    while let Some((path, inode)) = walk.next_entry() {
        let first = first.entry(inode).or_insert_with(|| path.to_vec());
        let xattrs: Vec<_> = tree.xattrs(inode).collect();
        let (metadata, content) = (tree.metadata(inode), tree.content(inode));
        all.insert(path.to_vec(), format!("{first:?} {metadata:?} {content:?} {xattrs:?}"));
    }
    all
}

fn objects_of(tree: &Tree) -> BTreeSet<ObjectId> {
    let mut objects = BTreeSet::new();
    let mut walk = tree.walk();
    while let Some((_, inode)) = walk.next_entry() {
        if let Content::External { object, .. } = tree.content(inode) {
            objects.insert(object);
        }
    }
    objects
}

fn objects_by_the_crate(algorithm: Algorithm, image: &[u8]) -> BTreeSet<ObjectId> {
    fn with<Id: FsVerityHashValue>(image: &[u8]) -> BTreeSet<ObjectId> {
        let ids = collect_objects::<Id>(image).unwrap();
        ids.into_iter().map(|id| id.to_hex().parse().unwrap()).collect()
    }
    match algorithm {
        Algorithm::Sha256 => with::<Sha256HashValue>(image),
        Algorithm::Sha512 => with::<Sha512HashValue>(image),
    }
}

fn check(version: Version, algorithm: Algorithm, tree: &Tree) -> Result<(), TestCaseError> {
    let bytes = erofs::write_version(tree, version).unwrap();
    let image = Image::open(&bytes).unwrap();
    prop_assert_eq!(image.format().version(), Some(version));
    let read = image.to_tree().unwrap();
    prop_assert_eq!(contents(&read), contents(tree));
    prop_assert_eq!(erofs::write_version(&read, version).unwrap(), bytes.clone());
    let objects: BTreeSet<ObjectId> = image.objects().unwrap().into_iter().collect();
    prop_assert_eq!(&objects, &objects_of(tree));
    prop_assert_eq!(&objects, &objects_by_the_crate(algorithm, &bytes));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_image_reads_back_as_its_tree_and_lists_its_objects(tree in trees::trees(ALL)) {
        check(Version::V1, Algorithm::Sha256, &tree)?;
    }

    #[test]
    fn a_sha512_image_reads_back_as_its_tree_and_lists_its_objects(tree in trees::trees(SHA512)) {
        check(Version::V1, Algorithm::Sha512, &tree)?;
    }

    #[test]
    fn an_image_of_format_v2_reads_back_as_its_tree_in_whole_seconds(tree in trees::trees(IN_V2)) {
        check(Version::V2, Algorithm::Sha256, &in_whole_seconds(tree))?;
    }

    #[test]
    fn a_sha512_image_of_format_v2_reads_back_as_its_tree_in_whole_seconds(
        tree in trees::trees(Limits { algorithm: Algorithm::Sha512, ..IN_V2 }),
    ) {
        check(Version::V2, Algorithm::Sha512, &in_whole_seconds(tree))?;
    }

    #[test]
    fn the_same_tree_comes_out_of_both_formats(tree in trees::trees(IN_V2)) {
        let tree = in_whole_seconds(tree);
        let read = |version| {
            let bytes = erofs::write_version(&tree, version).unwrap();
            contents(&Image::open(&bytes).unwrap().to_tree().unwrap())
        };
        prop_assert_eq!(read(Version::V1), read(Version::V2));
    }

    #[test]
    fn images_of_the_crates_other_formats_list_their_objects(tree in trees::trees(ALL)) {
        for (version, format) in [(FormatVersion::V0, Format::V0), (FormatVersion::V2, Format::V2)] {
            let bytes = oracle::image_of(Algorithm::Sha256, &tree, version);
            let image = Image::open(&bytes).unwrap();
            prop_assert_eq!(image.format(), format);
            let objects: BTreeSet<ObjectId> = image.objects().unwrap().into_iter().collect();
            prop_assert_eq!(objects, objects_of(&tree));
            let gives_no_tree = matches!(image.to_tree(), Err(ImageError::Unsupported(_)));
            prop_assert!(format == Format::V2 || gives_no_tree);
        }
    }
}

/// Reads all that can be read.
fn read(bytes: &[u8]) {
    if let Ok(image) = Image::open(bytes) {
        let _ = image.objects();
        if let (Ok(tree), Some(version)) = (image.to_tree(), image.format().version()) {
            let _ = erofs::write_version(&tree, version).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_of_bytes_makes_the_reader_panic(
        (tree, version) in prop_oneof![
            trees::trees(ALL).prop_map(|tree| (tree, Version::V1)),
            trees::trees(IN_V2).prop_map(|tree| (tree, Version::V2)),
        ],
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 1..40),
        inodes in vec((any::<Index>(), any::<[u8; 4]>()), 0..20),
        cut in proptest::option::weighted(0.1, any::<Index>()),
    ) {
        let mut bytes = erofs::write_version(&tree, version).unwrap();
        // Anywhere, and the head of any slot: headers and inodes are few among zeros.
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (slot, head) in inodes {
            let start = 1024 + slot.index((bytes.len() - 1024) / 32) * 32;
            bytes[start..start + 4].copy_from_slice(&head);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(&bytes);
    }
}
