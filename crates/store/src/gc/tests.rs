//! Gc: what it keeps, what it removes, in which order, and what is left when it is stopped.

use std::{path::Path, sync::Arc, time::Duration};

use proptest::prelude::*;
use rustix::io::Errno;

use super::*;
use crate::{
    CancelToken, Error, ObjectId, RefName,
    disk::{Call, Disk, FailingDisk, Fate, PowerCutDisk, RealDisk, RecordingDisk, Reply},
    fixture::{Fixture, import, imported, stream},
};

fn collect(repository: &Repository) -> GcReport {
    repository.gc(&GcOptions::default(), &Control::new().with_threads(2)).unwrap()
}

fn untag(repository: &Repository, name: &str) {
    let tag = RefName::oci(name).unwrap();
    assert!(repository.remove_ref(Place::Streams, &tag).unwrap().into_inner());
    let image = format!("images/{name}").parse().unwrap();
    assert!(repository.remove_ref(Place::Images, &image).unwrap().into_inner());
}

/// Whether everything of an import is there and right.
fn is_whole(repository: &Repository, name: &str) -> bool {
    let read = || {
        let layer = repository.stream(&stream(&format!("oci-layer-{name}")))?;
        repository.cat_stream(&layer, |_| Ok(()))?;
        let manifest = repository.stream(&stream(&format!("oci-manifest-{name}")))?;
        repository.cat_stream(&manifest, |_| Ok::<(), Error>(()))
    };
    read().is_ok()
}

#[test]
fn what_the_refs_reach_stays_and_all_else_goes() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let kept = imported(&repository, "kept");
    let before = fixture.files();
    let gone = imported(&repository, "gone");
    assert_eq!(kept.files[0], gone.files[0]);
    untag(&repository, "gone");
    let dry = repository.gc(&GcOptions { dry_run: true, ..GcOptions::default() }, &Control::new()).unwrap();
    let report = collect(&repository);
    assert_eq!(GcReport { dry_run: false, ..dry }, report, "a dry run tells what gc does");
    assert_eq!(report.removed_images, [gone.image.to_hex()]);
    assert_eq!(report.removed_streams, ["oci-layer-gone", "oci-manifest-gone"]);
    assert_eq!((report.removed_objects, report.removed_temporaries), (4, 1), "the shared file stays");
    assert_eq!((report.roots, report.live_objects, report.foreign_files), (2, 5, 0));
    assert_eq!(fixture.files(), before);
    assert!(is_whole(&repository, "kept"));
    assert_eq!(collect(&repository).removed_objects, 0);
}

#[test]
fn a_stream_keeps_the_image_it_refers_to_and_the_image_its_files() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let kept = imported(&repository, "kept");
    repository.remove_ref(Place::Images, &"images/kept".parse().unwrap()).unwrap().into_inner();
    // The layer is reached through the manifest only, and by its bytes when its name is gone.
    std::fs::remove_file(fixture.path().join("streams/oci-layer-kept")).unwrap();
    assert_eq!(collect(&repository).removed_objects, 0);
    assert!(repository.has_image(&kept.image).unwrap());
    let roots = vec![RefTarget::Image(kept.image)];
    repository.remove_ref(Place::Streams, &RefName::oci("kept").unwrap()).unwrap().into_inner();
    let report =
        repository.gc(&GcOptions { extra_roots: roots, ..GcOptions::default() }, &Control::new()).unwrap();
    assert_eq!(report.removed_objects, 2, "both splitstreams, but not the image's files");
}

#[test]
fn d1_names_are_gone_for_good_before_any_object_goes() {
    let fixture = Fixture::new();
    imported(&fixture.open(), "gone");
    untag(&fixture.open(), "gone");
    let recording = RecordingDisk::new(RealDisk::shared());
    collect(&fixture.open_on(&(recording.clone() as Arc<dyn Disk>)));
    let log = recording.log();
    let at = |folder: &str, name: &str| {
        let found = log.iter().enumerate().filter(|(_, call)| call.name == name);
        let found =
            found.filter(|(_, call)| call.path.to_string_lossy().contains(folder)).map(|(index, _)| index);
        found.collect::<Vec<_>>()
    };
    let objects = at("/objects/", "RemoveFile");
    assert_eq!(objects.len(), 5);
    for folder in ["/streams", "/images"] {
        let (removed, synced) = (at(folder, "RemoveFile"), at(folder, "SyncDir"));
        assert!(!removed.is_empty() && removed.iter().max() < synced.iter().min());
        assert!(synced.iter().max() < objects.iter().min());
    }
}

#[test]
fn a_ref_that_cannot_be_followed_stops_gc_before_it_removes_anything() {
    type Break = fn(&Fixture, &crate::fixture::Imported);
    let breaks: [Break; 6] = [
        |fixture, imported| std::fs::write(fixture.object(&imported.manifest), b"damage").unwrap(),
        |fixture, imported| std::fs::remove_file(fixture.object(&imported.layer)).unwrap(),
        |fixture, imported| std::fs::write(fixture.object(&imported.image), b"damage").unwrap(),
        |fixture, _| std::fs::write(fixture.path().join("streams/refs/stray"), b"").unwrap(),
        |fixture, _| std::fs::write(fixture.path().join("streams/stray"), b"").unwrap(),
        |fixture, _| std::fs::remove_file(fixture.path().join("streams/oci-manifest-kept")).unwrap(),
    ];
    for (number, damage) in breaks.into_iter().enumerate() {
        let fixture = Fixture::new();
        let repository = fixture.open();
        let kept = imported(&repository, "kept");
        imported(&repository, "gone");
        untag(&repository, "gone");
        damage(&fixture, &kept);
        let before = fixture.files();
        let error = repository.gc(&GcOptions::default(), &Control::new()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::Missing { .. }), "{number}: {error}");
        assert_eq!(fixture.files(), before, "{number}");
    }
}

#[test]
fn files_that_are_no_objects_stay_and_litter_of_the_killed_goes() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    imported(&repository, "kept");
    let folder = std::fs::read_dir(fixture.path().join("objects")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(folder.join("README"), b"").unwrap();
    std::fs::write(fixture.path().join("sealstone/tmp/0123456789abcdef"), b"half").unwrap();
    std::fs::write(fixture.path().join("objects/.tmp-object-abcdefghijkl"), b"half").unwrap();
    let report = collect(&repository);
    assert_eq!((report.foreign_files, report.removed_temporaries, report.removed_objects), (1, 2, 0));
    assert!(folder.join("README").exists());
}

#[test]
fn d12_gc_waits_for_a_transaction_and_says_who_has_it() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    let id = transaction.put(&[1; 100]).unwrap().id;
    let options = GcOptions { patience: Duration::ZERO, ..GcOptions::default() };
    assert!(matches!(repository.gc(&options, &Control::new()), Err(Error::Busy { holder: Some(_), .. })));
    assert!(repository.gc(&GcOptions { dry_run: true, ..options.clone() }, &Control::new()).is_ok());
    transaction.name_stream(stream("s"), id);
    let _ = transaction.commit(()).unwrap();
    assert_eq!(repository.gc(&options, &Control::new()).unwrap().removed_streams, ["s"]);
}

#[test]
fn a_cancelled_gc_leaves_a_whole_repository() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    imported(&repository, "kept");
    let control = Control::new();
    let token: CancelToken = control.cancel_token();
    token.cancel();
    assert!(matches!(repository.gc(&GcOptions::default(), &control), Err(Error::Cancelled)));
    assert!(is_whole(&repository, "kept"));
    collect(&repository);
}

#[test]
fn an_error_at_any_call_leaves_what_the_refs_reach() {
    let removes = |call: &Call<'_>| {
        matches!(
            call,
            Call::RemoveFile { .. } | Call::SyncDir { .. } | Call::ReadDir { .. } | Call::Metadata { .. }
        )
    };
    for nth in 0.. {
        let fixture = Fixture::new();
        imported(&fixture.open(), "kept");
        imported(&fixture.open(), "gone");
        untag(&fixture.open(), "gone");
        let failing = FailingDisk::new(RealDisk::shared(), nth, false, Errno::IO, removes);
        let repository = fixture.open_on(&(failing.clone() as Arc<dyn Disk>));
        let result = repository.gc(&GcOptions::default(), &Control::new().with_threads(1));
        drop(repository);
        assert!(is_whole(&fixture.open(), "kept"), "after call {nth}");
        collect(&fixture.open());
        if !failing.has_failed() {
            assert!(result.is_ok() && nth > 20, "{nth}: {result:?}");
            break;
        }
        assert!(result.is_err());
    }
}

/// Checks one state after a power cut: it opens, whatever has a name is whole, and gc runs.
fn check_state(path: &Path, acknowledged: &[&str]) {
    let repository = Repository::open(&RealDisk::shared(), path).unwrap();
    for (name, id) in repository.streams().unwrap() {
        repository
            .cat_stream(&id, |_| Ok(()))
            .unwrap_or_else(|error| panic!("{name} is half there: {error}"));
    }
    for image in repository.images().unwrap() {
        let mut objects: Vec<ObjectId> = Vec::new();
        crate::mark::image_objects(&repository, &image, |id| objects.push(id)).unwrap();
        for id in &objects {
            repository.copy_object(id, |_| Ok(())).unwrap();
        }
    }
    for name in acknowledged {
        assert!(is_whole(&repository, name), "{name} was acknowledged and is lost");
        repository.read_ref(Place::Streams, &RefName::oci(name).unwrap()).unwrap();
    }
    collect(&repository);
}

#[test]
fn power_cut_during_import_and_gc_leaves_nothing_half_visible_and_loses_nothing() {
    let fixture = Fixture::new();
    imported(&fixture.open(), "old");
    let power_cut = PowerCutDisk::new(RealDisk::shared(), &fixture.path());
    let disk: Arc<dyn Disk> = power_cut.clone();
    let repository = Repository::open(&disk, fixture.path()).unwrap();
    imported(&repository, "new");
    let imported_at = power_cut.len();
    untag(&repository, "old");
    let untagged_at = power_cut.len();
    collect(&repository);
    let mut states = 0;
    for point in 0..=power_cut.len() {
        let mut acknowledged = Vec::new();
        acknowledged.extend((point >= imported_at).then_some("new"));
        acknowledged.extend((point < imported_at).then_some("old"));
        for fate in [Fate::AllLand, Fate::NoneLands].into_iter().chain((0..6).map(Fate::Seeded)) {
            let into = fixture.folder().join(format!("state{states}"));
            power_cut.materialise(point, fate, &into);
            check_state(&into, &acknowledged);
            std::fs::remove_dir_all(&into).unwrap();
            states += 1;
        }
    }
    assert!(untagged_at > imported_at && states > 400);
    println!("{states} states after power cuts, none of them broken");
}

/// A disk that says yes to the barrier and makes none.
struct NoBarrier(Arc<dyn Disk>);

impl Disk for NoBarrier {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::SyncFs { .. } => Ok(Reply::Done),
            _ => self.0.call(call),
        }
    }
}

#[test]
fn power_cut_states_show_an_import_without_its_barrier() {
    // The negative control: what cannot fail proves nothing.
    let fixture = Fixture::new();
    let power_cut = PowerCutDisk::new(RealDisk::shared(), &fixture.path());
    let disk: Arc<dyn Disk> = Arc::new(NoBarrier(power_cut.clone()));
    imported(&Repository::open(&disk, fixture.path()).unwrap(), "new");
    let broken = (0..20).filter(|seed| {
        let into = fixture.folder().join(format!("state{seed}"));
        power_cut.materialise(power_cut.len(), Fate::Seeded(*seed), &into);
        let repository = Repository::open(&RealDisk::shared(), &into).unwrap();
        repository.streams().unwrap().iter().any(|(_, id)| repository.cat_stream(id, |_| Ok(())).is_err())
    });
    assert!(broken.count() > 10);
}

/// What the model thinks of the imports that have refs.
#[derive(Clone, Debug)]
enum Step {
    Import(u8),
    Untag(u8),
    Collect,
    Drop(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0_u8..4;
    prop::collection::vec(
        prop_oneof![
            name.clone().prop_map(Step::Import),
            name.clone().prop_map(Step::Untag),
            Just(Step::Collect),
            name.prop_map(Step::Drop),
        ],
        1..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn imports_and_gcs_in_any_order_agree_with_a_set_of_names(steps in steps()) {
        let fixture = Fixture::new();
        let repository = fixture.open();
        let mut tagged = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Import(name) => {
                    imported(&repository, &name.to_string());
                    tagged.insert(name);
                }
                Step::Untag(name) => {
                    if tagged.remove(&name) {
                        untag(&repository, &name.to_string());
                    }
                }
                Step::Collect => {
                    let report = collect(&repository);
                    prop_assert_eq!(report.roots, tagged.len() * 2);
                    // The layer, the manifest, the image and the own file of each, and the file that all share.
                    let objects = tagged.len() * 4 + usize::from(!tagged.is_empty());
                    prop_assert_eq!(report.live_objects, objects);
                    let stored = fixture.files().iter().filter(|(path, _)| path.starts_with("objects")).count();
                    prop_assert_eq!(stored, objects);
                }
                Step::Drop(name) => {
                    let transaction = repository.transaction().unwrap();
                    import(&transaction, &name.to_string()).unwrap();
                }
            }
            for name in &tagged {
                prop_assert!(is_whole(&repository, &name.to_string()));
            }
        }
    }
}
