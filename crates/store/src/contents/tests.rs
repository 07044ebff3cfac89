//! The index of contents: what is found, what is told of damage, what a power cut leaves.

use std::{fs, sync::Arc};

use super::*;
use crate::{
    Control, Damage, FsckDepth, GcOptions, ObjectId, ObjectSource,
    disk::{Disk, Fate, PowerCutDisk, RealDisk},
    fixture,
    fixture::Fixture,
};

fn segments(fixture: &Fixture) -> Vec<std::path::PathBuf> {
    let folder = fixture.path().join("sealstone/contents");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn index_all(repository: &Repository) -> IndexReport {
    repository.index_contents(&IndexOptions::default(), &Control::new()).unwrap().into_inner()
}

/// Commits one entry in a transaction of its own.
fn put_indexed(repository: &Repository, body: &[u8]) -> ObjectId {
    let transaction = repository.transaction().unwrap();
    let id = transaction.put(body).unwrap().id;
    transaction.index_content(ContentDigest::of(body), id, body.len() as u64).unwrap();
    transaction.commit(id).unwrap().into_inner()
}

fn damage_of(repository: &Repository) -> Vec<Damage> {
    repository.fsck(FsckDepth::Everything, &Control::new()).unwrap().damage
}

#[test]
fn what_was_indexed_is_found_by_its_sha256_after_the_commit_and_not_before() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let body = [3; 900];
    let transaction = repository.transaction().unwrap();
    let id = transaction.put(&body).unwrap().id;
    transaction.index_content(ContentDigest::of(&body), id, 900).unwrap();
    assert!(repository.content_index().unwrap().is_empty());
    let _ = transaction.commit(()).unwrap();
    let found = repository.content_index().unwrap().find(&ContentDigest::of(&body)).unwrap().unwrap();
    assert_eq!((found.object, found.size), (id, 900));
    assert_eq!(repository.content_index().unwrap().find(&ContentDigest::of(b"other")).unwrap(), None);
}

#[test]
fn a_dropped_transaction_indexes_nothing() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    let id = transaction.put(&[5; 100]).unwrap().id;
    transaction.index_content(ContentDigest::of(&[5; 100]), id, 100).unwrap();
    drop(transaction);
    assert_eq!(segments(&fixture).len(), 0);
}

#[test]
fn indexing_a_store_finds_every_object_once_and_a_second_run_nothing() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let imported = fixture::imported(&repository, "one");
    let dry = repository.index_contents(&IndexOptions { dry_run: true }, &Control::new()).unwrap();
    assert!(dry.indexed_objects > 0 && segments(&fixture).is_empty());
    let report = index_all(&repository);
    assert_eq!((report.indexed_objects, report.indexed_bytes), (dry.indexed_objects, dry.indexed_bytes));
    let again = index_all(&repository);
    assert_eq!((again.known_objects, again.indexed_objects), (report.indexed_objects, 0));
    let index = repository.content_index().unwrap();
    let found = index.find(&ContentDigest::of(&[7; 5000])).unwrap().unwrap();
    assert_eq!(found.object, imported.files[0]);
    assert_eq!(damage_of(&repository), []);
}

#[test]
fn many_segments_become_one_and_lose_nothing() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let bodies: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; 200]).collect();
    for body in &bodies {
        put_indexed(&repository, body);
        assert!(segments(&fixture).len() <= 8);
    }
    let index = repository.content_index().unwrap();
    for body in &bodies {
        assert!(index.find(&ContentDigest::of(body)).unwrap().is_some());
    }
    assert_eq!(index.entries().count(), bodies.len());
}

#[test]
fn gc_drops_the_entries_of_objects_that_are_gone() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    fixture::imported(&repository, "kept");
    put_indexed(&repository, &[9; 300]);
    index_all(&repository);
    let before = repository.content_index().unwrap().len();
    repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    let index = repository.content_index().unwrap();
    assert!(index.len() < before && !index.is_empty());
    assert_eq!(index.find(&ContentDigest::of(&[9; 300])).unwrap(), None);
    assert!(index.find(&ContentDigest::of(&[7; 5000])).unwrap().is_some());
    assert_eq!(segments(&fixture).len(), 1);
}

#[test]
fn an_entry_whose_object_another_program_removed_is_no_damage_and_is_not_found() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let id = put_indexed(&repository, &[9; 300]);
    fs::remove_file(fixture.object(&id)).unwrap();
    assert_eq!(repository.content_index().unwrap().find(&ContentDigest::of(&[9; 300])).unwrap(), None);
    assert_eq!(damage_of(&repository), []);
}

#[test]
fn a_damaged_segment_is_ignored_reported_and_made_anew_whatever_byte_is_wrong() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    fixture::imported(&repository, "one");
    index_all(&repository);
    let segment = segments(&fixture).pop().unwrap();
    let good = fs::read(&segment).unwrap();
    for place in [0, 9, 13, 17, 33, 70, good.len() - 1, good.len()] {
        let mut bad = good.clone();
        match bad.get_mut(place) {
            Some(byte) => *byte ^= 1,
            None => bad.truncate(place - 5),
        }
        fs::write(&segment, &bad).unwrap();
        let index = repository.content_index().unwrap();
        assert!(index.is_empty() && index.warnings().len() == 1, "byte {place}");
        let report = repository.fsck(FsckDepth::Structure, &Control::new()).unwrap();
        assert!(matches!(report.damage[..], [Damage::IndexMalformed { .. }]), "{:?}", report.damage);
        let sources: &[&dyn ObjectSource] = &[];
        let patience = std::time::Duration::from_secs(5);
        let repaired = repository.repair(&report, sources, patience, &Control::new()).unwrap();
        assert!(repaired.index_rebuilt && repaired.remaining.is_empty());
        assert_eq!(damage_of(&repository), []);
        assert!(repository.content_index().unwrap().find(&ContentDigest::of(&[7; 5000])).unwrap().is_some());
        assert_eq!(fs::read(&segment).unwrap(), good, "byte {place}");
    }
}

#[test]
fn fsck_finds_an_entry_that_says_another_digest_or_size_than_the_object_has() {
    for (body, size) in [(&[8; 300][..], 300), (&[9; 300], 301)] {
        let fixture = Fixture::new();
        let repository = fixture.open();
        let transaction = repository.transaction().unwrap();
        let id = transaction.put(&[9; 300]).unwrap().id;
        transaction.index_content(ContentDigest::of(body), id, size).unwrap();
        let _ = transaction.commit(()).unwrap();
        assert!(matches!(damage_of(&repository)[..], [Damage::IndexWrong { .. }]));
    }
}

#[test]
fn a_power_cut_while_segments_are_written_merged_or_pruned_loses_no_entry_and_damages_none() {
    let fixture = Fixture::new();
    let power_cut = PowerCutDisk::new(RealDisk::shared(), &fixture.path());
    let disk: Arc<dyn Disk> = power_cut.clone();
    let repository = Repository::open(&disk, fixture.path()).unwrap();
    let bodies: Vec<Vec<u8>> = (0..10_u8).map(|number| vec![number; 200]).collect();
    let mut durable_at = Vec::new();
    for body in &bodies {
        put_indexed(&repository, body);
        durable_at.push(power_cut.len());
    }
    assert!(segments(&fixture).len() < bodies.len(), "nothing was merged");
    repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    let gc_at = *durable_at.last().unwrap();
    for point in 0..=power_cut.len() {
        for fate in [Fate::AllLand, Fate::NoneLands, Fate::Seeded(1), Fate::Seeded(2)] {
            let into = fixture.folder().join("state");
            power_cut.materialise(point, fate, &into);
            let repository = Repository::open(&RealDisk::shared(), &into).unwrap();
            let index = repository.content_index().unwrap();
            assert_eq!(index.warnings(), Vec::<String>::new(), "at {point}");
            let acknowledged =
                bodies.iter().zip(&durable_at).filter(|(_, at)| **at <= point && point <= gc_at);
            for (body, _) in acknowledged {
                assert!(index.find(&ContentDigest::of(body)).unwrap().is_some(), "at {point}");
            }
            fs::remove_dir_all(&into).unwrap();
        }
    }
}
