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
    erofs::{self, Format, Image, ImageError},
    tree::{Content, InodeId, Tree},
};
use trees::{ALL, Limits, oracle};

const SHA512: Limits = Limits { algorithm: Algorithm::Sha512, ..ALL };

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

fn check(algorithm: Algorithm, tree: &Tree) -> Result<(), TestCaseError> {
    let bytes = erofs::write(tree).unwrap();
    let image = Image::open(&bytes).unwrap();
    let read = image.to_tree().unwrap();
    prop_assert_eq!(contents(&read), contents(tree));
    prop_assert_eq!(erofs::write(&read).unwrap(), bytes.clone());
    let objects: BTreeSet<ObjectId> = image.objects().unwrap().into_iter().collect();
    prop_assert_eq!(&objects, &objects_of(tree));
    prop_assert_eq!(&objects, &objects_by_the_crate(algorithm, &bytes));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_image_reads_back_as_its_tree_and_lists_its_objects(tree in trees::trees(ALL)) {
        check(Algorithm::Sha256, &tree)?;
    }

    #[test]
    fn a_sha512_image_reads_back_as_its_tree_and_lists_its_objects(tree in trees::trees(SHA512)) {
        check(Algorithm::Sha512, &tree)?;
    }

    #[test]
    fn images_of_the_crates_other_formats_list_their_objects_and_give_no_tree(tree in trees::trees(ALL)) {
        for (version, format) in [(FormatVersion::V0, Format::V0), (FormatVersion::V2, Format::V2)] {
            let bytes = oracle::image_of(Algorithm::Sha256, &tree, version);
            let image = Image::open(&bytes).unwrap();
            prop_assert_eq!(image.format(), format);
            let objects: BTreeSet<ObjectId> = image.objects().unwrap().into_iter().collect();
            prop_assert_eq!(objects, objects_of(&tree));
            prop_assert!(matches!(image.to_tree(), Err(ImageError::Unsupported(_))));
        }
    }
}

/// Reads all that can be read.
fn read(bytes: &[u8]) {
    if let Ok(image) = Image::open(bytes) {
        let _ = image.objects();
        if let Ok(tree) = image.to_tree() {
            let _ = erofs::write(&tree).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_of_bytes_makes_the_reader_panic(
        tree in trees::trees(ALL),
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 1..40),
        inodes in vec((any::<Index>(), any::<[u8; 4]>()), 0..20),
        cut in proptest::option::weighted(0.1, any::<Index>()),
    ) {
        let mut bytes = erofs::write(&tree).unwrap();
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
