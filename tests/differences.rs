//! `docs/differences.md` says where umoci and skopeo make something else of a hostile layer than we do: no more, no less.
//!
//! Needs root, since skopeo does, and the two programs in the versions that the document names; says so otherwise.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod hostile;
mod kit;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hostile::attack::OUTSIDE;
use hostile::peers::{Made, Peers};
use hostile::{links, pax, sparse, tars, whiteouts};

const TEST: &str = "what_peers_make_of_hostile_layers_is_what_the_document_says";

/// Attack → what we, umoci and skopeo do.
type Rows = BTreeMap<String, [String; 3]>;

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    std::fs::read_to_string(path).expect("docs/differences.md")
}

/// The rows of the table, each with its reason.
fn documented(text: &str) -> Rows {
    let mut rows = Rows::new();
    for line in text.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [attack, ours, umoci, skopeo, why] = cells.as_slice() else { panic!("not five cells: {line}") };
        assert!(!why.is_empty(), "{attack} has no reason");
        let before = rows.insert((*attack).to_owned(), [ours, umoci, skopeo].map(|cell| (*cell).to_owned()));
        assert_eq!(before, None, "{attack} is there twice");
    }
    rows
}

/// Whether the program is the one that the document speaks of.
fn is_known(text: &str, program: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let version = version.and_then(|version| version.split(['+', '-']).next());
    version.is_some_and(|version| text.contains(&format!("{program} {version}")))
}

#[test]
fn what_peers_make_of_hostile_layers_is_what_the_document_says() {
    let text = document();
    if !kit::is_root() {
        return kit::skip(TEST, "needs root");
    }
    for program in ["umoci", "skopeo"] {
        if !is_known(&text, program) {
            return kit::skip(
                TEST,
                &format!("{program} is not installed, or not the version of the document"),
            );
        }
    }
    let peers = Peers::new();
    let mut found = Rows::new();
    let kinds = [tars::ATTACKS, pax::ATTACKS, sparse::ATTACKS, links::ATTACKS, whiteouts::ATTACKS];
    let mut asked = 0;
    for attack in kinds.iter().flat_map(|attacks| attacks.iter()) {
        let Some(ours) = Made::by_us(attack) else { continue };
        asked += 1;
        let words = peers.ask(attack).map(|made| made.word(&ours).to_owned());
        assert!(Path::new(OUTSIDE).symlink_metadata().is_err(), "{}: a peer wrote {OUTSIDE}", attack.name);
        let [umoci, skopeo] = words;
        if umoci != "same" || skopeo != "same" {
            let ours = if ours == Made::Refused { "refused" } else { "taken" };
            let before = found.insert(attack.name.to_owned(), [ours.to_owned(), umoci, skopeo]);
            assert_eq!(before, None, "two attacks are called {}", attack.name);
        }
    }
    assert!(asked >= 80, "only {asked} attacks were compared");
    let lines = |rows: &Rows| -> Vec<String> {
        rows.iter().map(|(attack, words)| format!("| {attack} | {} |", words.join(" | "))).collect()
    };
    let (found, documented) = (lines(&found), lines(&documented(&text)));
    assert_eq!(found.join("\n"), documented.join("\n"), "found, then documented");
}
