//! The shape of the code, counted: short files, each with its purpose on top, nothing left for later.
//!
//! Function length (60 lines) and the bans on `unwrap`, `expect` and indexing are clippy's, configured in `clippy.toml`
//! and the workspace's lints; this file holds what clippy cannot see.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer, its unit tests included.
const MOST_LINES: usize = 500;

fn rust_files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for top in ["src", "crates", "tests", "benches", "fuzz"] {
        collect(&root.join(top), &mut found);
    }
    assert!(found.len() > 20, "the walk found only {} files", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "corpus" && name != "artifacts" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            found.push((path, text));
        }
    }
}

/// The files that break a rule, one a line, so that a failure names them all at once.
fn offenders(breaks: impl Fn(&Path, &str) -> Option<String>) -> String {
    rust_files()
        .iter()
        .filter_map(|(path, text)| breaks(path, text).map(|why| format!("{}: {why}\n", path.display())))
        .collect()
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let long = offenders(|_, text| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{lines} lines"))
    });
    assert_eq!(long, "");
}

#[test]
fn every_file_says_on_its_first_line_what_it_is_for() {
    let silent =
        offenders(|_, text| (!text.starts_with("//!")).then(|| "does not start with //!".to_owned()));
    assert_eq!(silent, "");
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TODO", "FIXME", "XXX", "HACK"].map(|word| format!(" {word}"));
    let later = offenders(|path, text| {
        if path.ends_with("tests/style.rs") {
            return None;
        }
        let comments = text.lines().filter(|line| line.contains("//"));
        let found = comments.filter(|line| words.iter().any(|word| line.contains(word))).count();
        (found > 0).then(|| format!("{found} comments put work off"))
    });
    assert_eq!(later, "");
}

#[test]
fn unsafe_lives_in_the_raw_module_of_the_store_alone() {
    let outside = offenders(|path, text| {
        // The benchmark against peers is a workspace of its own, and measures children with wait4.
        let place = path.to_string_lossy();
        let allowed = ["/crates/store/src/raw/", "/benches/peers/", "/tests/style.rs"]
            .iter()
            .any(|one| place.contains(one));
        let uses = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        (uses && !allowed).then(|| "uses unsafe".to_owned())
    });
    assert_eq!(outside, "");
}

#[test]
fn no_test_is_ignored() {
    let marker = format!("#[{}", "ignore");
    let ignored = offenders(|_, text| text.contains(&marker).then(|| "has an ignored test".to_owned()));
    assert_eq!(ignored, "");
}
