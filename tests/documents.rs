//! What the documents claim about the command is what the command does.
//!
//! The commands in README.md are run as they stand there; exit codes and verbs in docs/cli.md and `--help` agree; links
//! between documents lead somewhere.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kit::{Image, Outcome, Sandbox};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The verbs that `store --help` lists.
fn verbs() -> BTreeSet<String> {
    let help = Sandbox::new().store(["--help"]).succeeds();
    let listed = help.lines().take_while(|line| !line.starts_with("Options:"));
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| name.chars().all(|letter| letter.is_ascii_lowercase())).map(str::to_owned).collect()
}

#[test]
fn every_verb_that_help_lists_exists_and_shows_an_example() {
    let verbs = verbs();
    assert!(verbs.len() >= 18, "{verbs:?}");
    let sandbox = Sandbox::new();
    for verb in verbs {
        let help = sandbox.store(["help", &verb]).succeeds();
        assert!(help.contains(&format!("store {verb}")), "{verb} has no usage:\n{help}");
        assert!(help.contains("Examples:"), "{verb} has no example:\n{help}");
    }
}

#[test]
fn help_lists_every_verb_that_exists() {
    let sandbox = Sandbox::new();
    let script = sandbox.store(["completions", "fish"]).succeeds();
    let known: BTreeSet<String> = script
        .lines()
        .filter(|line| line.contains("__fish_store_needs_command"))
        .filter_map(|line| line.split(" -f -a \"").nth(1)?.split('"').next())
        .filter(|name| *name != "help" && name.bytes().all(|letter| letter.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect();
    assert_eq!(known, verbs());
}

#[test]
fn exit_codes_of_help_and_document_agree() {
    let table: BTreeSet<u32> = read("docs/cli.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()?.parse().ok())
        .collect();
    let help = Sandbox::new().store(["--help"]).succeeds();
    let codes = help.split("Exit codes:").nth(1).expect("exit codes in help");
    let codes = codes.split("\n\n").next().expect("a paragraph");
    let listed: BTreeSet<u32> = codes.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(table, listed);
    assert_eq!(table, [0, 1, 2, 3, 4, 5, 6, 7, 130].into());
}

#[test]
fn the_commands_in_the_readme_run() {
    let sandbox = Sandbox::new();
    Image::bootable("6.1.0").write(&sandbox.path("image"));
    for folder in ["mnt", "mnt/boot"] {
        std::fs::create_dir(sandbox.path(folder)).expect("a folder");
    }
    let readme = read("README.md");
    let commands: Vec<&str> = readme
        .split("```sh\n")
        .skip(1)
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines())
        .filter(|line| line.starts_with("store "))
        .collect();
    assert!(commands.len() >= 5, "the README shows only {commands:?}");
    for line in commands {
        let words = line.split('#').next().unwrap_or_default().split_whitespace().skip(1);
        if line.starts_with("store mount") || line.starts_with("store umount") {
            continue; // needs root and a kernel with overlayfs data-only layers; tests/mount.rs
        }
        let outcome = Outcome::of(sandbox.command(words).env_remove("SEALSTONE_REPO"));
        assert_eq!(outcome.code, 0, "{line}\n{}", outcome.stderr);
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !document.parent().unwrap_or(Path::new("/")).join(target).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn files_that_documents_name_exist() {
    let mut missing = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document");
        for name in text.split('`').skip(1).step_by(2) {
            let is_ours =
                ["crates/", "src/", "tests/", "docs/", "benches/"].iter().any(|top| name.starts_with(top));
            if is_ours && !name.contains(['*', ' ', '<']) && !root().join(name).exists() {
                missing.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn tests_that_documents_name_exist() {
    let mut sources = String::new();
    for top in ["crates", "tests"] {
        gather(&root().join(top), &mut sources);
    }
    let mut missing = Vec::new();
    let document = read("docs/durability.md") + &read("docs/proof.md");
    for name in document.split('`').skip(1).step_by(2) {
        // Names of tests are sentences; nothing else in the document has so many underscores.
        if name.matches('_').count() >= 4 && !sources.contains(&format!("fn {name}(")) {
            missing.push(name);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
}

/// The comment right above each test, by the test's name.
fn comments_of_tests() -> BTreeMap<String, String> {
    let mut sources = String::new();
    for top in ["crates", "tests", "src"] {
        gather(&root().join(top), &mut sources);
    }
    let mut found = BTreeMap::new();
    let mut comment = String::new();
    for line in sources.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
        } else if let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
            found.insert(name.to_owned(), std::mem::take(&mut comment));
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    found
}

#[test]
fn each_bug_of_others_that_the_document_lists_has_a_test_that_names_it() {
    let comments = comments_of_tests();
    let text = read("docs/proof.md");
    let section = text.split("\n## Bugs of others\n").nth(1).expect("the section");
    let section =
        section.split("\n## ").next().and_then(|section| section.split("\nWhat has no test").next());
    let rows = section.expect("a table").lines().filter_map(|line| line.strip_prefix("| "));
    let mut wrong = Vec::new();
    let mut listed = 0;
    for row in rows.filter(|row| !row.starts_with("report |")) {
        let [report, _, tests, ..] = &row.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let told: Vec<&str> =
            tests.iter().filter_map(|test| comments.get(*test)).map(String::as_str).collect();
        if tests.is_empty() || told.len() != tests.len() || told.iter().any(|comment| comment.is_empty()) {
            wrong.push(format!("{report}: a test of {tests:?} is not there, or its comment says nothing"));
        }
        let numbers =
            report.split('#').skip(1).map(|rest| rest.split(|letter: char| !letter.is_ascii_digit()));
        for number in numbers.filter_map(|mut parts| parts.next()) {
            let names = |comment: &&str| {
                let mut parts = comment.split('#').skip(1);
                parts.any(|part| part.split(|letter: char| !letter.is_ascii_digit()).next() == Some(number))
            };
            if !told.iter().any(names) {
                wrong.push(format!("{report}: no test of {tests:?} names #{number}"));
            }
        }
        listed += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(listed > 40, "{listed} rows were found");
}

#[test]
fn kinds_of_findings_in_the_document_are_those_of_the_importer() {
    use sealstone::import::tar::Normalisation;
    let text = read("docs/cli.md");
    let row = |line: &str| -> Option<(String, String, String)> {
        let cells: Vec<&str> =
            line.strip_prefix("| `")?.trim_end_matches('|').split(" | ").map(str::trim).collect();
        let [kind, verdict, rule] = cells.as_slice() else { return None };
        Some((kind.trim_end_matches('`').to_owned(), (*verdict).to_owned(), rule.replace('`', "\"")))
    };
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    let documented: BTreeSet<_> =
        rows.iter().filter(|(_, verdict, _)| verdict == "normalised").cloned().collect();
    let normalised = Normalisation::ALL.map(|what| (what.name(), "normalised", what.rule()));
    let normalised = normalised.map(|(kind, verdict, rule)| (kind.into(), verdict.into(), rule.into()));
    assert_eq!(documented, normalised.into());
    // The others are the names of warnings, and the one that documents have.
    let source = read("crates/import/src/tar/warning.rs");
    let mut names: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split(" => \"").nth(1)?.strip_suffix("\","))
        .collect();
    names.insert("document");
    let others = rows.iter().filter(|(_, verdict, _)| verdict != "normalised");
    assert_eq!(others.map(|(kind, ..)| kind.as_str()).collect::<BTreeSet<_>>(), names);
}

/// All Rust under a folder, one after the other.
fn gather(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}
