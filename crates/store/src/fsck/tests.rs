//! The check: a healthy repository has no damage, and each kind of damage is found and typed.

use std::{fs, os::unix::fs::symlink};

use super::*;
use crate::fixture::{Fixture, Imported, imported};

fn check(repository: &Repository) -> FsckReport {
    repository.fsck(FsckDepth::Everything, &Control::new().with_threads(2)).unwrap()
}

#[test]
fn a_healthy_repository_has_no_damage_at_any_depth() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    imported(&repository, "one");
    imported(&repository, "two");
    let transaction = repository.transaction().unwrap();
    transaction.put(&vec![3; 3_000_000]).unwrap();
    let _ = transaction.commit(()).unwrap();
    let report = check(&repository);
    assert_eq!(report.damage, []);
    assert_eq!((report.objects, report.images, report.streams, report.refs), (10, 2, 4, 4));
    let stored: u64 =
        fixture.files().iter().filter(|(path, _)| path.starts_with("objects")).map(|(_, size)| size).sum();
    assert_eq!(report.bytes_checked, stored);
    let structure = repository.fsck(FsckDepth::Structure, &Control::new()).unwrap();
    assert_eq!(structure, FsckReport { bytes_checked: 0, ..report });
}

/// Damages a repository and gives the kinds of what is found, as their names in JSON.
fn kinds_after(damage: impl FnOnce(&Fixture, &Imported)) -> Vec<String> {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = imported(&repository, "one");
    damage(&fixture, &one);
    let report = check(&repository);
    let kind = |damage| serde_json::to_value(damage).unwrap()["kind"].as_str().unwrap().to_owned();
    report.damage.iter().map(kind).collect()
}

#[test]
fn each_kind_of_damage_is_found_and_typed() {
    let write = |fixture: &Fixture, path: &str| fs::write(fixture.path().join(path), b"x").unwrap();
    assert_eq!(
        kinds_after(|f, one| fs::write(f.object(&one.files[1]), b"other").unwrap()),
        ["object-content"]
    );
    assert_eq!(kinds_after(|f, one| fs::write(f.object(&one.files[1]), b"").unwrap()), ["object-content"]);
    let twice = ["object-missing", "object-missing"];
    assert_eq!(kinds_after(|f, one| fs::remove_file(f.object(&one.files[0])).unwrap()), twice);
    assert_eq!(
        kinds_after(|f, one| fs::write(f.object(&one.image), b"x").unwrap()),
        ["object-content", "image-malformed"]
    );
    assert_eq!(
        kinds_after(|f, one| fs::write(f.object(&one.layer), b"x").unwrap()),
        ["object-content", "stream-malformed"]
    );
    assert_eq!(
        kinds_after(|f, one| fs::remove_file(f.object(&one.layer)).unwrap()),
        ["object-missing", "name-dangling"]
    );
    assert_eq!(kinds_after(|f, _| write(f, "objects/stray")), ["foreign-file"]);
    assert_eq!(kinds_after(|f, _| write(f, "streams/stray")), ["name-malformed"]);
    assert_eq!(kinds_after(|f, _| write(f, "images/refs/stray")), ["name-malformed"]);
    assert_eq!(
        kinds_after(|f, _| symlink("nowhere", f.path().join("streams/x")).unwrap()),
        ["name-malformed"]
    );
    assert_eq!(
        kinds_after(|f, _| symlink("../gone", f.path().join("streams/refs/x")).unwrap()),
        ["ref-dangling"]
    );
    assert_eq!(
        kinds_after(|f, _| fs::remove_file(f.path().join("streams/oci-manifest-one")).unwrap()),
        ["ref-dangling"]
    );
    assert_eq!(kinds_after(|f, _| fs::write(f.path().join("meta.json"), b"{}").unwrap()), ["meta"]);
    assert_eq!(
        kinds_after(|f, one| {
            let wrong = "0".repeat(64);
            let link = layout::object_link(&one.image);
            symlink(link, f.path().join("images").join(wrong)).unwrap();
        }),
        ["name-malformed"]
    );
    assert_eq!(
        kinds_after(|f, one| {
            let folder = f.object(&one.image).parent().unwrap().to_owned();
            fs::write(folder.join("README"), b"").unwrap();
        }),
        ["foreign-file"]
    );
}

#[test]
fn every_flipped_byte_of_every_file_is_found() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    imported(&repository, "one");
    let mut flipped = 0;
    for (path, size) in fixture.files().into_iter().filter(|(path, _)| path.starts_with("objects")) {
        let path = fixture.path().join(path);
        let good = fs::read(&path).unwrap();
        // Every byte of the small ones, some of the others.
        for at in (0..good.len()).step_by(usize::try_from(size / 60).unwrap().max(1)) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert!(!check(&repository).damage.is_empty(), "byte {at} of {}", path.display());
            flipped += 1;
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(flipped > 150);
    assert_eq!(check(&repository).damage, []);
}

#[test]
fn a_cancelled_check_says_so() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    imported(&repository, "one");
    let control = Control::new();
    control.cancel_token().cancel();
    assert!(matches!(repository.fsck(FsckDepth::Everything, &control), Err(Error::Cancelled)));
}
