//! Repair: what can be healed is, what cannot be is put aside, and nothing that refs reach loses its name.

use std::fs;

use super::*;
use crate::{
    FsckDepth, GcOptions, RefName,
    fixture::{Fixture, imported, stream},
};

fn repair(repository: &Repository, sources: &[&dyn ObjectSource]) -> RepairReport {
    let control = Control::new();
    let found = repository.fsck(FsckDepth::Everything, &control).unwrap();
    repository.repair(&found, sources, Duration::ZERO, &control).unwrap().into_inner()
}

fn damage_left(repository: &Repository) -> Vec<Damage> {
    repository.fsck(FsckDepth::Everything, &Control::new()).unwrap().damage
}

#[test]
fn everything_is_healed_from_another_repository_that_has_it() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let repository = fixture.open();
    let one = imported(&repository, "one");
    imported(&other.open(), "one");
    fs::write(fixture.object(&one.files[0]), vec![8; 5000]).unwrap();
    fs::write(fixture.object(&one.files[1]), b"").unwrap();
    fs::write(fixture.object(&one.layer), b"damage").unwrap();
    fs::remove_file(fixture.object(&one.image)).unwrap();
    let source = other.open();
    let report = repair(&repository, &[&source]);
    assert_eq!((report.healed.len(), report.quarantined.len(), report.remaining.len()), (4, 3, 0));
    assert_eq!(damage_left(&repository), []);
    let aside = fixture.path().join("sealstone/quarantine").join(one.files[0].to_hex());
    assert_eq!(fs::read(aside).unwrap(), vec![8; 5000], "the damaged bytes are kept");
    assert_eq!(repair(&repository, &[]), RepairReport::default());
}

#[test]
fn a_source_that_lies_or_fails_heals_nothing() {
    struct Liar;
    impl ObjectSource for Liar {
        fn copy_to(&self, _: &ObjectId, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
            sink(b"something else")?;
            Ok(true)
        }
    }
    struct Broken;
    impl ObjectSource for Broken {
        fn copy_to(&self, _: &ObjectId, _: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
            Err(Error::corrupt("source", "broken"))
        }
    }
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = imported(&repository, "one");
    fs::write(fixture.object(&one.files[1]), b"damage").unwrap();
    let report = repair(&repository, &[&Broken, &Liar]);
    assert_eq!((report.healed.len(), report.quarantined.len(), report.remaining.len()), (0, 1, 1));
    assert!(
        !fixture.object(&one.files[1]).exists(),
        "damage is not served, and the place is free for an import"
    );
    assert!(fs::read_dir(fixture.path().join("sealstone/tmp")).unwrap().next().is_none());
    imported(&repository, "one");
    assert_eq!(damage_left(&repository), [], "an import heals what repair put aside");
}

#[test]
fn a_name_goes_only_if_its_object_is_gone_and_nothing_leads_to_it() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let [kept, loose, hole] = ["kept", "loose", "hole"].map(|name| imported(&repository, name));
    for name in ["loose", "hole"] {
        repository.remove_ref(Place::Streams, &RefName::oci(name).unwrap()).unwrap().into_inner();
        repository
            .remove_ref(Place::Images, &format!("images/{name}").parse().unwrap())
            .unwrap()
            .into_inner();
    }
    fs::remove_file(fixture.object(&kept.layer)).unwrap();
    fs::remove_file(fixture.object(&loose.manifest)).unwrap();
    fs::remove_file(fixture.object(&loose.layer)).unwrap();
    fs::remove_file(fixture.object(&hole.manifest)).unwrap();
    fs::remove_file(fixture.object(&hole.files[1])).unwrap();
    let report = repair(&repository, &[]);
    // A layer without all its objects would be taken for present by an import.
    let unlinked = ["oci-layer-hole", "oci-layer-loose", "oci-manifest-hole", "oci-manifest-loose"];
    let mut found = report.unlinked.clone();
    found.sort();
    assert_eq!(found, unlinked.map(|name| format!("streams/{name}")));
    assert!(repository.stream(&stream("oci-layer-kept")).is_ok(), "the manifest leads to it");
    assert!(report.remaining.iter().any(|damage| matches!(damage, Damage::NameDangling { .. })));
    assert!(repository.gc(&GcOptions::default(), &Control::new()).is_err(), "a kept image is not whole");
    imported(&repository, "kept");
    repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    assert_eq!(damage_left(&repository), []);
}

#[test]
fn repair_waits_for_transactions() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    let result = repository.repair(&FsckReport::default(), &[], Duration::ZERO, &Control::new());
    assert!(matches!(result, Err(Error::Busy { .. })));
    drop(transaction);
}
