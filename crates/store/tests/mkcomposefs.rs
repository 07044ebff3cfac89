//! The EROFS writer against C composefs 1.0.8: `mkcomposefs` makes our image of our dump, and `composefs-info` and
//! erofs-utils read it.
//!
//! The programs are looked for in the folder `SEALSTONE_COMPOSEFS` (`tests/tools/fetch-forky` fills one), then on
//! the path. Without them the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod trees;

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use proptest::{prelude::*, test_runner::TestRunner};
use sealstone_store::{
    Algorithm,
    dump::Dump,
    erofs::{self, Image, Version},
    tree::{Content, Metadata, Timestamp, Tree, XattrSet},
};
use trees::{ALL, Limits, oracle};

/// What `mkcomposefs --from-file` takes: content up to 5,000 bytes, attributes up to half of 64 KiB.
const OF_C: Limits = Limits { inline_max: 4097, has_negative_mtimes: false, value_max: 5_000, ..ALL };

const ROOT: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 1, nsec: 0 } };

/// A program of C composefs, or else a line that says what is skipped.
fn tool(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("SEALSTONE_COMPOSEFS").into_iter().chain(env::var_os("PATH"));
    let places = folders.flat_map(|folders| env::split_paths(&folders).collect::<Vec<_>>());
    let found = places.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no {name}");
    }
    found
}

/// Runs a program on some input.
fn run(program: &PathBuf, arguments: &[OsString], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

fn image_of_c(mkcomposefs: &PathBuf, tree: &Tree) -> Vec<u8> {
    let arguments = ["--from-file", "--min-version=1", "-", "-"].map(OsString::from);
    let output = run(mkcomposefs, &arguments, Dump::new(tree).to_string().as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn mkcomposefs_makes_our_image_of_our_dump() {
    let Some(mkcomposefs) = tool("mkcomposefs") else { return };
    TestRunner::new(ProptestConfig::with_cases(100))
        .run(&trees::trees(OF_C), |tree| {
            let (ours, theirs) = (erofs::write(&tree).unwrap(), image_of_c(&mkcomposefs, &tree));
            let first = ours.iter().zip(&theirs).position(|(a, b)| a != b);
            prop_assert_eq!(first, None, "first difference; lengths {} and {}", ours.len(), theirs.len());
            prop_assert_eq!(ours.len(), theirs.len());
            Ok(())
        })
        .unwrap();
}

#[test]
fn mkcomposefs_makes_our_image_of_a_large_tree() {
    let Some(mkcomposefs) = tool("mkcomposefs") else { return };
    let tree = trees::synthetic::tree(20_000);
    assert!(erofs::write(&tree).unwrap() == image_of_c(&mkcomposefs, &tree));
}

/// Where the crate refuses or differs, C decides.
#[test]
fn where_the_crate_differs_we_are_with_c() {
    let Some(mkcomposefs) = tool("mkcomposefs") else { return };
    let mut tree = Tree::new(ROOT);
    let mark = tree.intern_xattrs(&[(b"user.overlay.opaque", b"y")]).unwrap();
    let directory = tree.add(ROOT, Content::Directory, mark).unwrap();
    tree.link(tree.root(), b"a", directory).unwrap();
    // A whiteout with two names, and attributes of the names that the format adds.
    let mark = tree.intern_xattrs(&[(b"user.overlay.whiteout", b"z")]).unwrap();
    let whiteout = tree.add(ROOT, Content::CharDevice(0), mark).unwrap();
    tree.link(directory, b"whiteout", whiteout).unwrap();
    tree.link(tree.root(), b"whiteout", whiteout).unwrap();
    // A whiteout in the root that looks like a stub.
    let like_a_stub =
        tree.add(Metadata { mode: 0o644, ..ROOT }, Content::CharDevice(0), XattrSet::EMPTY).unwrap();
    tree.link(tree.root(), b"7f", like_a_stub).unwrap();
    // An object without bytes.
    let object = trees::object(Algorithm::Sha256, [1, 2]);
    let empty = tree.add(ROOT, Content::External { object, size: 0 }, XattrSet::EMPTY).unwrap();
    tree.link(tree.root(), b"empty", empty).unwrap();
    assert!(erofs::write(&tree).unwrap() == image_of_c(&mkcomposefs, &tree));
}

/// The one place where the two writers differ on images that both write: bootc computes ids with the crate.
#[test]
fn a_time_before_1970_is_written_as_the_crate_does_and_not_as_c_does() {
    let mut tree = Tree::new(ROOT);
    let old = Metadata { mtime: Timestamp { sec: -5, nsec: 0 }, ..ROOT };
    let file = tree.add(old, Content::Inline(b"old"), XattrSet::EMPTY).unwrap();
    tree.link(tree.root(), b"old", file).unwrap();
    let ours = erofs::write(&tree).unwrap();
    assert!(ours == oracle::image(Algorithm::Sha256, &tree));
    assert_eq!(Image::open(&ours).unwrap().to_tree().unwrap().metadata(file), old);
    let Some(mkcomposefs) = tool("mkcomposefs") else { return };
    assert!(ours != image_of_c(&mkcomposefs, &tree));
}

/// The image as a file.
fn file_of(image: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(image).unwrap();
    file
}

#[test]
fn erofs_utils_find_no_error_in_our_images() {
    let (Some(fsck), Some(dump)) = (tool("fsck.erofs"), tool("dump.erofs")) else { return };
    for version in Version::ALL {
        let bytes = erofs::write_version(&trees::synthetic::tree(5_000), version).unwrap();
        for tool in [&fsck, &dump] {
            let output = run(tool, &[file_of(&bytes).path().into()], b"");
            assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
        }
        // They would: a directory block of nonsense.
        let mut bad = bytes.clone();
        let name = bad.windows(13).position(|name| name == b"folder-000001").unwrap();
        let block = name / 4096 * 4096;
        bad.get_mut(block..block + 4096).unwrap().fill(0xff);
        assert!(!run(&fsck, &[file_of(&bad).path().into()], b"").status.success(), "{version}");
    }
}

#[test]
fn composefs_info_lists_the_objects_that_we_list() {
    let Some(info) = tool("composefs-info") else { return };
    let bytes = erofs::write(&trees::synthetic::tree(5_000)).unwrap();
    let image = file_of(&bytes);
    let output = run(&info, &["objects".into(), image.path().into()], b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: BTreeSet<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let ours = Image::open(&bytes).unwrap().objects().unwrap();
    assert_eq!(theirs, ours.iter().map(sealstone_store::ObjectId::object_path).collect());
}
