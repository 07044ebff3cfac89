//! The EROFS writer against the crate `composefs` 0.9.4: the same tree gives the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod trees;

use proptest::prelude::*;
use sealstone_store::{
    Algorithm,
    erofs::{self, Version},
    tree::{Content, Metadata, Timestamp, Tree, TreeError, XattrSet},
};
use trees::{ALL, IN_V2, Limits, oracle};

const ROOT: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 1, nsec: 0 } };

fn check(algorithm: Algorithm, tree: &Tree) -> Result<(), TestCaseError> {
    check_version(Version::V1, algorithm, tree)
}

fn check_version(version: Version, algorithm: Algorithm, tree: &Tree) -> Result<(), TestCaseError> {
    let ours = erofs::write_version(tree, version).unwrap();
    let theirs = oracle::image_of(algorithm, tree, oracle::version(version));
    let first = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    prop_assert_eq!(first, None, "first difference; lengths {} and {}", ours.len(), theirs.len());
    prop_assert_eq!(ours.len(), theirs.len());
    prop_assert_eq!(ours.capacity(), ours.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_sha256_tree_gives_the_bytes_of_the_crate_composefs(tree in trees::trees(ALL)) {
        check(Algorithm::Sha256, &tree)?;
    }

    #[test]
    fn any_sha512_tree_gives_the_bytes_of_the_crate_composefs(
        tree in trees::trees(Limits { algorithm: Algorithm::Sha512, ..ALL }),
    ) {
        check(Algorithm::Sha512, &tree)?;
    }

    #[test]
    fn any_sha256_tree_gives_the_bytes_of_the_crate_composefs_in_v2(tree in trees::trees(IN_V2)) {
        check_version(Version::V2, Algorithm::Sha256, &tree)?;
    }

    #[test]
    fn any_sha512_tree_gives_the_bytes_of_the_crate_composefs_in_v2(
        tree in trees::trees(Limits { algorithm: Algorithm::Sha512, ..IN_V2 }),
    ) {
        check_version(Version::V2, Algorithm::Sha512, &tree)?;
    }
}

#[test]
fn tails_at_every_place_of_a_block_give_the_bytes_of_the_crate_composefs_in_v2() {
    for len in [1, 31, 32, 59, 60, 64, 1023, 1024, 2000, 4032, 4060, 4063, 4064] {
        let mut tree = Tree::new(ROOT);
        for number in 0..300 {
            let target = vec![b't'; if number % 2 == 0 { len.min(4052) } else { 1 + number }];
            let (content, name) = match number % 3 {
                0 => (Content::Symlink(&target), format!("symlink-{number:03}")),
                1 => (Content::Inline(&target), format!("file-{number:03}")),
                _ => (Content::Inline(b""), format!("{number:03}")),
            };
            let inode = tree.add(ROOT, content, XattrSet::EMPTY).unwrap();
            tree.link(tree.root(), name.as_bytes(), inode).unwrap();
        }
        check_version(Version::V2, Algorithm::Sha256, &tree).unwrap();
    }
}

#[test]
fn what_no_kernel_could_read_back_is_refused_in_v2_and_fits_in_v1() {
    let mut tree = Tree::new(ROOT);
    let inode = tree.add(ROOT, Content::Inline(&[7; 4065]), XattrSet::EMPTY).unwrap();
    tree.link(tree.root(), b"large", inode).unwrap();
    let error = erofs::write_version(&tree, Version::V2).unwrap_err();
    assert!(matches!(error, TreeError::TooBig { limit: 4064, .. }), "{error}");
    assert!(erofs::write_version(&tree, Version::V1).is_ok());
}

#[test]
fn an_empty_tree_gives_the_bytes_of_the_crate_composefs() {
    for version in Version::ALL {
        check_version(version, Algorithm::Sha256, &Tree::new(ROOT)).unwrap();
    }
}

#[test]
fn a_system_of_50_000_entries_gives_the_bytes_of_the_crate_composefs_in_v2() {
    check_version(Version::V2, Algorithm::Sha256, &trees::synthetic::tree(50_000)).unwrap();
}

#[test]
fn a_directory_of_200_000_entries_gives_the_bytes_of_the_crate_composefs() {
    let mut tree = Tree::new(ROOT);
    let label = tree.intern_xattrs(&[(b"security.selinux", b"system_u:object_r:usr_t:s0")]).unwrap();
    let directory = tree.add(ROOT, Content::Directory, label).unwrap();
    tree.link(tree.root(), b"many", directory).unwrap();
    for number in 0..200_000_u32 {
        let [first, last, ..] = number.wrapping_mul(0x9e37_79b1).to_le_bytes();
        let object = trees::object(Algorithm::Sha256, [first, last]);
        let metadata = Metadata { mtime: Timestamp { sec: 1 + i64::from(number % 2), nsec: 0 }, ..ROOT };
        let content = Content::External { object, size: number.into() };
        let inode =
            tree.add(metadata, content, if number % 3 == 0 { label } else { XattrSet::EMPTY }).unwrap();
        tree.link(directory, format!("{number:06}").as_bytes(), inode).unwrap();
    }
    check_version(Version::V2, Algorithm::Sha256, &tree).unwrap();
    // An object of no bytes is an empty file in V1: here the crate differs from C, and we are with C.
    let zero = tree.unlink(directory, b"000000").unwrap();
    assert_eq!(tree.size(zero), 0);
    check(Algorithm::Sha256, &tree).unwrap();
}
