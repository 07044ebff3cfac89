//! Images made to do harm: each is refused for a stated reason, or becomes exactly the tree that is stated.
//!
//! After each of them nothing outside of the repository was written, nothing was published that should not be, the import
//! took little memory, nothing drives the terminal, and the store is whole; after all of them an honest image comes in
//! as if they had never been. The attacks are in `tests/hostile/`, a table a kind.
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

use std::collections::BTreeSet;

use hostile::{
    Attack, Field, archives, compression, descriptors, documents, layouts, links, pax, sparse, tars,
    whiteouts,
};

const ALL: &[&[Attack]] = &[
    tars::ATTACKS,
    pax::ATTACKS,
    sparse::ATTACKS,
    links::ATTACKS,
    whiteouts::ATTACKS,
    compression::ATTACKS,
    compression::WIDE,
    descriptors::ATTACKS,
    documents::ATTACKS,
    layouts::ATTACKS,
    archives::ATTACKS,
];

#[test]
fn there_are_as_many_attacks_as_promised_and_each_has_a_name_of_its_own() {
    let names: Vec<_> = ALL.iter().flat_map(|attacks| attacks.iter()).map(|attack| attack.name).collect();
    assert!(names.len() >= 80, "only {}", names.len());
    // Two kinds may lie about the same thing: within a kind, names differ.
    for attacks in ALL {
        let unique: BTreeSet<_> = attacks.iter().map(|attack| attack.name).collect();
        assert_eq!(
            unique.len(),
            attacks.len(),
            "{:?}",
            attacks.iter().map(|attack| attack.name).collect::<Vec<_>>()
        );
    }
}

#[test]
fn headers_names_and_ends_that_lie() {
    Field::new().withstands(tars::ATTACKS);
}

#[test]
fn extended_headers_that_lie() {
    Field::new().withstands(pax::ATTACKS);
}

#[test]
fn sparse_files_that_lie() {
    Field::new().withstands(sparse::ATTACKS);
}

#[test]
fn links_that_lead_astray() {
    Field::new().withstands(links::ATTACKS);
}

#[test]
fn whiteouts_of_what_nobody_may_remove() {
    Field::new().withstands(whiteouts::ATTACKS);
}

#[test]
fn compressed_blobs_that_lie() {
    Field::new().withstands(compression::ATTACKS);
}

#[test]
fn wide_windows_take_no_more_than_a_window() {
    Field::new().more_memory(compression::WINDOW_KIB).withstands(compression::WIDE);
}

#[test]
fn descriptors_that_lie() {
    Field::new().withstands(descriptors::ATTACKS);
}

#[test]
fn documents_that_can_be_read_in_two_ways() {
    Field::new().withstands(documents::ATTACKS);
}

#[test]
fn folders_that_are_no_layouts() {
    Field::new().withstands(layouts::ATTACKS);
}

#[test]
fn archives_that_are_no_layouts() {
    Field::new().withstands(archives::ATTACKS);
}
