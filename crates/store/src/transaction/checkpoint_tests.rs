//! Checkpoints: what is named so far is there for good, whatever becomes of the rest.

use std::sync::Arc;

use crate::{
    Control, Error, GcOptions, Optional,
    disk::{Call, Disk, FailingDisk, RealDisk, RecordingDisk},
    fixture::{Fixture, stream},
};

#[test]
fn what_a_checkpoint_named_stays_though_the_rest_is_given_up() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    {
        let transaction = repository.transaction().unwrap();
        let first = transaction.put(b"first").unwrap().id;
        transaction.name_stream(stream("oci-layer-first"), first);
        transaction.cache_layer("first", b"record").unwrap();
        transaction.checkpoint().unwrap();
        assert_eq!(repository.stream(&stream("oci-layer-first")).unwrap(), first);
        let second = transaction.put(b"second").unwrap().id;
        transaction.name_stream(stream("oci-layer-second"), second);
    }
    assert!(repository.stream(&stream("oci-layer-first")).is_ok());
    assert!(repository.stream(&stream("oci-layer-second")).optional().unwrap().is_none());
    // Nobody refers to it.
    repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    assert!(repository.stream(&stream("oci-layer-first")).optional().unwrap().is_none());
}

#[test]
fn a_checkpoint_has_all_on_the_disk_before_it_names_any_of_it() {
    let fixture = Fixture::new();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let transaction = fixture.open_on(&disk).transaction().unwrap();
    recording.clear();
    transaction.checkpoint().unwrap();
    assert!(recording.log().is_empty(), "there was nothing to name");
    let object = transaction.put(b"object").unwrap().id;
    transaction.name_stream(stream("oci-layer-x"), object);
    transaction.checkpoint().unwrap();
    let barrier = recording.position("SyncFs", "").unwrap();
    let name = recording.position("Rename", "oci-layer-x").unwrap();
    assert!(barrier < name, "{:?}", recording.log());
    let count = recording.count("SyncFs");
    let _ = transaction.commit(()).unwrap();
    assert_eq!(recording.count("SyncFs"), count + 1, "the commit makes its own barrier");
}

#[test]
fn after_a_failed_checkpoint_nothing_is_committed() {
    let fixture = Fixture::new();
    let is_barrier = |call: &Call<'_>| matches!(call, Call::SyncFs { .. });
    let failing: Arc<dyn Disk> =
        FailingDisk::new(RealDisk::shared(), 0, false, rustix::io::Errno::IO, is_barrier);
    let transaction = fixture.open_on(&failing).transaction().unwrap();
    let object = transaction.put(b"object").unwrap().id;
    transaction.name_stream(stream("oci-layer-x"), object);
    transaction.checkpoint().unwrap_err();
    assert!(matches!(transaction.checkpoint(), Err(Error::Poisoned)));
    assert!(matches!(transaction.commit(()), Err(Error::Poisoned)));
    assert!(fixture.open().stream(&stream("oci-layer-x")).optional().unwrap().is_none());
}
