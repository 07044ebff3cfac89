//! The EROFS writer against the crate `composefs` 0.9.4: the same tree gives the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod trees;

use proptest::prelude::*;
use sealstone_store::{
    Algorithm, erofs,
    tree::{Content, Metadata, Timestamp, Tree, XattrSet},
};
use trees::{ALL, Limits, oracle};

const ROOT: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 1, nsec: 0 } };

fn check(algorithm: Algorithm, tree: &Tree) -> Result<(), TestCaseError> {
    let (ours, theirs) = (erofs::write(tree).unwrap(), oracle::image(algorithm, tree));
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
}

#[test]
fn an_empty_tree_gives_the_bytes_of_the_crate_composefs() {
    check(Algorithm::Sha256, &Tree::new(ROOT)).unwrap();
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
    // An object of no bytes is an empty file: here the crate differs from C, and we are with C.
    let zero = tree.unlink(directory, b"000000").unwrap();
    assert_eq!(tree.size(zero), 0);
    check(Algorithm::Sha256, &tree).unwrap();
}
