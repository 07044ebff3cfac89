//! The man page in `contrib/man` says what the program says of itself.
#![allow(clippy::disallowed_methods, reason = "a test, with ordinary files")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// The page, without the escapes of a hyphen and of fonts.
fn page() -> String {
    let mut text = std::fs::read_to_string(place()).unwrap().replace("\\-", "-");
    for font in ["\\fB", "\\fI", "\\fR"] {
        text = text.replace(font, "");
    }
    text
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/man/store-setup-root.8")
}

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_store-setup-root")).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of a section of the page.
fn section<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != format!(".SH {name}"));
    lines.skip(1).take_while(|line| !line.starts_with(".SH ")).collect()
}

/// The words with two hyphens before them.
fn options(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    words.filter(|word| word.starts_with("--")).collect()
}

/// What stands before the first `=` of each kernel argument.
fn keys(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| letter.is_whitespace() || letter == ',');
    let keys = words.filter_map(|word| word.split_once('=')).map(|(key, _)| key);
    keys.filter(|key| !key.is_empty()).collect()
}

#[test]
fn the_page_has_the_programs_options_and_no_others() {
    let (page, help) = (page(), help());
    let of_page = section(&page, "OPTIONS").join("\n");
    let known = options(&help);
    assert_eq!(known.len(), 6, "{known:?}");
    assert_eq!(options(&of_page), known);
    let mut synopsis = options(&page[..page.find(".SH DESCRIPTION").unwrap()]);
    synopsis.extend(["--help", "--version"]);
    assert_eq!(synopsis, known);
}

#[test]
fn the_page_has_the_programs_kernel_arguments() {
    let (page, help) = (page(), help());
    let of_help = help.split_once("Kernel arguments:").unwrap().1.split_once("Exit codes").unwrap().0;
    let of_page = section(&page, "KERNEL ARGUMENTS").join("\n");
    let known = keys(of_help);
    assert!(known.contains("composefs.digest") && known.len() == 5, "{known:?}");
    let of_page = of_page.replace(".BI ", "").replace(".BR ", "");
    assert_eq!(keys(&of_page), known);
}

#[test]
fn the_page_has_the_programs_exit_codes() {
    let (page, help) = (page(), help());
    let of_help = help.split_once("Exit codes:").unwrap().1;
    let known: BTreeSet<u8> =
        of_help.split([';', '\n']).filter_map(|part| part.split_whitespace().next()?.parse().ok()).collect();
    let of_page = section(&page, "EXIT STATUS");
    let of_page: BTreeSet<u8> =
        of_page.iter().filter_map(|line| line.strip_prefix(".B ")?.parse().ok()).collect();
    assert_eq!(known.len(), 6, "{help}");
    assert_eq!(of_page, known);
}

#[test]
fn groff_has_nothing_to_warn_of() {
    let Ok(output) = Command::new("groff").args(["-man", "-ww", "-Tutf8"]).arg(place()).output() else {
        println!("skipped groff_has_nothing_to_warn_of: groff is missing");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("store-setup-root"));
}
