//! Dumps: equal to the crate `composefs`' text, parsed by it into the same image, and by us into the same tree.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod trees;

use std::fmt::Write as _;

use composefs::{
    dumpfile::{dumpfile_to_filesystem, write_dumpfile},
    erofs::{
        format::FormatVersion,
        writer::{ValidatedFileSystem, mkfs_erofs_versioned},
    },
    fsverity::{FsVerityHashValue, Sha256HashValue, Sha512HashValue},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use sealstone_store::{
    Algorithm,
    dump::{self, Dump, DumpError, DumpProblem},
    erofs,
    tree::Tree,
};
use trees::{ALL, DUMPABLE, Limits, oracle};

fn text_of_the_crate<Id: FsVerityHashValue>(tree: &Tree) -> String {
    let mut text = Vec::new();
    write_dumpfile(&mut text, &oracle::file_system::<Id>(tree)).unwrap();
    String::from_utf8(text).unwrap()
}

fn image_of_the_crate<Id: FsVerityHashValue>(text: &str) -> Vec<u8> {
    let tree = ValidatedFileSystem::new(dumpfile_to_filesystem::<Id>(text).unwrap()).unwrap();
    mkfs_erofs_versioned(&tree, FormatVersion::V1).into_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_dump_is_the_crates_text_and_reads_back_as_the_tree(tree in trees::trees(ALL)) {
        let text = Dump::new(&tree).to_string();
        prop_assert_eq!(&text, &text_of_the_crate::<Sha256HashValue>(&tree));
        let read = dump::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(Dump::new(&read).to_string(), text);
        prop_assert_eq!(erofs::write(&read).unwrap(), erofs::write(&tree).unwrap());
    }

    #[test]
    fn the_crate_makes_our_image_of_our_dump(tree in trees::trees(DUMPABLE)) {
        let text = Dump::new(&tree).to_string();
        prop_assert_eq!(image_of_the_crate::<Sha256HashValue>(&text), erofs::write(&tree).unwrap());
    }

    #[test]
    fn the_crate_makes_our_sha512_image_of_our_dump(
        tree in trees::trees(Limits { algorithm: Algorithm::Sha512, ..DUMPABLE }),
    ) {
        let text = Dump::new(&tree).to_string();
        prop_assert_eq!(&text, &text_of_the_crate::<Sha512HashValue>(&tree));
        prop_assert_eq!(image_of_the_crate::<Sha512HashValue>(&text), erofs::write(&tree).unwrap());
    }

    #[test]
    fn no_change_of_a_dump_makes_the_parser_panic(
        tree in trees::trees(DUMPABLE),
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), proptest::sample::select(b" \n\\@-./=x0".to_vec())]), 1..20),
    ) {
        let mut text = Dump::new(&tree).to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(tree) = dump::parse(&text) {
            prop_assert!(erofs::write(&tree).is_ok());
        }
    }

    #[test]
    fn lines_may_come_in_any_order_after_their_directories(
        tree in trees::trees(DUMPABLE),
        seed in any::<u64>(),
    ) {
        let text = Dump::new(&tree).to_string();
        // Directories by depth, then the files shuffled, then the links.
        let mut lines: Vec<(usize, u64, &str)> = text.lines().enumerate().map(|(number, line)| {
            let mut fields = line.split(' ');
            let path = fields.next().unwrap();
            let mode = fields.nth(1).unwrap();
            let depth = if path == "/" { 0 } else { path.matches('/').count() };
            let rank = if mode.starts_with('@') { 1_000_001 } else if mode.starts_with('4') { depth } else { 1_000_000 };
            (rank, (number as u64).wrapping_mul(seed | 1), line)
        }).collect();
        lines.sort_unstable();
        let shuffled: String = lines.into_iter().flat_map(|(_, _, line)| [line, "\n"]).collect();
        prop_assert_eq!(Dump::new(&dump::parse(shuffled.as_bytes()).unwrap()).to_string(), text);
    }
}

const ROOT: &str = "/ 0 40755 2 0 0 0 0.0 - - -\n";

#[test]
fn lines_that_are_none_are_refused_with_their_number_and_reason() {
    let digest = "5a".repeat(32);
    let object = format!("5a/{}", "5a".repeat(31));
    for (line, expected) in [
        ("a 0 100644 1 0 0 0 0.0 - - -", "no valid path"),
        ("/a/ 0 100644 1 0 0 0 0.0 - - -", "no valid path"),
        ("/a/../b 0 100644 1 0 0 0 0.0 - - -", "no valid path"),
        ("/b/a 0 100644 1 0 0 0 0.0 - - -", "\"/b\" is on no earlier line"),
        ("/ 0 40755 2 0 0 0 0.0 - - -", "the root has to be the first line, and a directory"),
        ("/a 0 100644 1 0 0 0 0.0 - -", "no valid digest"),
        ("/a 0 644 1 0 0 0 0.0 - - -", "no valid mode"),
        ("/a x 100644 1 0 0 0 0.0 - - -", "no valid size"),
        ("/a 0 100644 1 -1 0 0 0.0 - - -", "no valid uid"),
        ("/a 0 100644 1 0 0 0 0 - - -", "no valid mtime"),
        ("/a 0 100644 1 0 0 0 0.1000000000 - - -", "no valid mtime"),
        ("/a 1 100644 1 0 0 0 0.0 - - -", "a file without content is not supported"),
        ("/a 2 100644 1 0 0 0 0.0 - x -", "no valid size"),
        ("/a 1 100644 1 0 0 0 0.0 - \\q -", "no valid content"),
        ("/a 1 100644 1 0 0 7 0.0 - x -", "a device number where none belongs"),
        ("/a 0 40755 1 0 0 0 0.0 - x -", "a content where none belongs"),
        ("/a 0 10644 1 0 0 0 0.0 x - -", "a payload where none belongs"),
        ("/a 0 120777 1 0 0 0 0.0 - - -", "no valid payload"),
        ("/a 0 120777 1 0 0 0 0.0 \\x00 - -", "\"\\\\x00\" is not a target of a symbolic link"),
        ("/a 9 100644 1 0 0 0 0.0 x - -", "an object without its digest is not supported"),
        ("/a 9 100644 1 0 0 0 0.0 x - 12", "no valid digest"),
        (
            &format!("/a 9 100644 1 0 0 0 0.0 x - {digest}"),
            "a payload that is not the path of the object is not supported",
        ),
        (&format!("/a 9 100644 1 0 0 0 0.0 {object} y {digest}"), "a content where none belongs"),
        ("/a 0 100644 1 0 0 0 0.0 - - - user.x", "no valid extended attribute"),
        ("/a 0 100644 1 0 0 0 0.0 - - - =x", "\"\" is not a file name"),
        ("/a 0 @120000 - - - - 0.0 /none - -", "\"/none\" is on no earlier line"),
        ("/a 0 @40000 - - - - 0.0 / - -", "a second name of a directory is not supported"),
        (
            "/a 0 100644 1 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -",
            "the directory has an entry \"a\" already",
        ),
    ] {
        let DumpError { line: number, problem } =
            dump::parse(format!("{ROOT}{line}\n").as_bytes()).unwrap_err();
        assert_eq!(problem.to_string(), expected, "{line}");
        assert_eq!(number, 1 + line.lines().count());
    }
    for text in ["", "\n\n", "/a 0 40755 2 0 0 0 0.0 - - -", "/ 0 100644 1 0 0 0 0.0 - - -"] {
        assert_eq!(dump::parse(text.as_bytes()).unwrap_err().problem, DumpProblem::Root);
    }
}

#[test]
fn a_directory_listed_backwards_costs_no_more_than_one_listed_forwards() {
    // Linked one by one in front of each other, these would take minutes.
    let mut text = ROOT.to_owned();
    for number in (0..300_000).rev() {
        writeln!(text, "/{number:06} 0 10644 1 0 0 0 0.0 - - -").unwrap();
    }
    let tree = dump::parse(text.as_bytes()).unwrap();
    assert_eq!(tree.entries(tree.root()).len(), 300_000);
}
