//! Transactions: what they write, what they spare, in which order, and what is left when something fails.

use std::sync::Arc;

use rustix::io::Errno;

use crate::{
    Algorithm, Error, InitOptions, Place, RefName, RefTarget, Repository, Transaction,
    disk::{Call, Disk, FailingDisk, RealDisk, RecordingDisk},
    fixture::{Fixture, stream},
    verity,
};

pub(super) fn recorded(fixture: &Fixture) -> (Repository, Arc<RecordingDisk>) {
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    (fixture.open_on(&disk), recording)
}

pub(super) fn names(recording: &RecordingDisk) -> Vec<&'static str> {
    recording.log().iter().map(|call| call.name).collect()
}

/// One object, a stream, an image and refs to both.
fn write_everything(transaction: &Transaction) -> Result<(), Error> {
    let object = transaction.put(b"object")?.id;
    transaction.name_stream(stream("oci-layer-x"), object);
    transaction.name_image(object);
    transaction.set_ref(RefName::oci("a/b")?, RefTarget::Stream(stream("oci-layer-x")));
    transaction.set_ref("deploy/1".parse()?, RefTarget::Image(object));
    transaction.cache_layer("record", b"decoded")
}

#[test]
fn d2_d3_objects_are_synced_before_names_and_names_before_refs_and_folders_last() {
    let fixture = Fixture::new();
    let (repository, recording) = recorded(&fixture);
    let transaction = repository.transaction().unwrap();
    write_everything(&transaction).unwrap();
    let before = recording.log().len();
    let _ = transaction.commit(()).unwrap();
    let log = recording.log();
    assert!(log[..before].iter().all(|call| call.name != "SyncFs" && call.name != "Rename"));
    assert_eq!(log[before..].iter().filter(|call| call.name == "SyncFs").count(), 1);
    let at = |name, end: &str| recording.position(name, end).unwrap_or_else(|| panic!("{name} {end}"));
    let barrier = at("SyncFs", "repo");
    assert!(recording.position("LinkFile", "").is_none_or(|link| link < barrier));
    let names = [at("Rename", "streams/oci-layer-x"), at("SyncDir", "streams")];
    let refs = [at("Rename", "oci/a%2Fb"), at("SyncDir", "streams/refs/oci")];
    assert!(barrier < names[0] && names[0] < names[1] && names[1] < refs[0] && refs[0] < refs[1]);
    assert!(at("SyncDir", "images") < at("Rename", "deploy/1"));
    assert!(
        at("CreateDir", "refs/oci")
            < log.iter().rposition(|call| call.path.ends_with("streams/refs")).unwrap()
    );
    assert_eq!(log.last().map(|call| call.name), Some("SyncDir"), "nothing is acknowledged before its sync");
}

#[test]
fn a_temporary_name_that_was_given_up_is_not_removed_again() {
    // Another handle of this process counts its temporary names alike, and may have taken it meanwhile.
    let fixture = Fixture::new();
    let (repository, recording) = recorded(&fixture);
    let transaction = repository.transaction().unwrap();
    write_everything(&transaction).unwrap();
    let _ = transaction.commit(()).unwrap();
    assert!(recording.count("Rename") > 3);
    let log = recording.log();
    let of_temporary = |path: &std::path::Path| path.parent().is_some_and(|it| it.ends_with("sealstone/tmp"));
    let removed = log.iter().filter(|call| call.name == "RemoveFile" && of_temporary(&call.path));
    assert_eq!(removed.count(), 0);
    assert!(log.iter().any(|call| of_temporary(&call.path)), "the folder of temporary names is that one");
}

#[test]
fn d6_reused_objects_are_behind_the_barrier_when_a_name_is_published() {
    let fixture = Fixture::new();
    let _ = {
        let t = fixture.open().transaction().unwrap();
        t.put(b"object").unwrap();
        t.commit(()).unwrap()
    };
    let (repository, recording) = recorded(&fixture);
    let transaction = repository.transaction().unwrap();
    let id = transaction.put(b"object").unwrap().id;
    transaction.name_stream(stream("s"), id);
    let _ = transaction.commit(()).unwrap();
    assert_eq!(recording.count("SyncFs"), 1);
    let idle = repository.transaction().unwrap();
    let _ = idle.put(b"object").unwrap();
    recording.clear();
    let _ = idle.commit(()).unwrap();
    assert!(recording.log().is_empty(), "nothing written and nothing named costs no sync");
}

#[test]
fn what_was_committed_reads_back_by_its_names() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    write_everything(&transaction).unwrap();
    let id = transaction.commit(verity::digest(Algorithm::Sha256, b"object")).unwrap().into_inner();
    let repository = fixture.open();
    assert_eq!(repository.stream(&stream("oci-layer-x")).unwrap(), id);
    assert_eq!(repository.images().unwrap(), [id]);
    assert_eq!(repository.streams().unwrap(), [(stream("oci-layer-x"), id)]);
    let refs = repository.refs(Place::Streams).unwrap();
    assert_eq!(refs, [(RefName::oci("a/b").unwrap(), RefTarget::Stream(stream("oci-layer-x")))]);
    let name: RefName = "deploy/1".parse().unwrap();
    assert_eq!(repository.read_ref(Place::Images, &name).unwrap(), RefTarget::Image(id));
    let link = std::fs::read_link(fixture.path().join("images/refs/deploy/1")).unwrap();
    assert_eq!(link.to_str().unwrap(), format!("../../{id}"));
    assert!(std::fs::read(fixture.path().join("images/refs/deploy/1")).unwrap() == b"object");
    assert!(repository.remove_ref(Place::Images, &name).unwrap().into_inner());
    assert!(!repository.remove_ref(Place::Images, &name).unwrap().into_inner());
    assert!(!fixture.path().join("images/refs/deploy").exists(), "empty folders go with the last ref");
}

#[test]
fn a_ref_to_nothing_is_refused_before_anything_is_named() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    transaction.name_stream(stream("s"), transaction.put(b"object").unwrap().id);
    transaction.set_ref("r".parse().unwrap(), RefTarget::Stream(stream("other")));
    assert!(matches!(transaction.commit(()), Err(Error::Missing { .. })));
    assert!(repository.streams().unwrap().is_empty());
}

#[test]
fn a_dropped_transaction_leaves_only_objects_that_nothing_names() {
    let fixture = Fixture::new();
    let transaction = fixture.open().transaction().unwrap();
    write_everything(&transaction).unwrap();
    let mut writer = transaction.object_writer(10).unwrap();
    writer.write(b"half an obj").unwrap();
    drop(writer);
    drop(transaction);
    let files = fixture.files();
    assert!(files.len() == 1 && files[0].0.starts_with("objects"), "{files:?}");
}

#[test]
fn d4_what_a_given_up_transaction_stored_is_made_durable_and_reused_unread() {
    let fixture = Fixture::new();
    let (repository, recording) = recorded(&fixture);
    let transaction = repository.transaction().unwrap();
    transaction.put(b"object").unwrap();
    recording.clear();
    drop(transaction);
    assert_eq!(names(&recording), ["SyncFs", "RemoveFile"], "the barrier, then the mark");
    let transaction = repository.transaction().unwrap();
    recording.clear();
    assert!(!transaction.put(b"object").unwrap().is_new);
    assert_eq!(names(&recording), ["Metadata"]);
}

#[test]
fn d4_a_transaction_that_lives_makes_no_other_read_what_it_stored() {
    let fixture = Fixture::new();
    let (repository, recording) = recorded(&fixture);
    let living = fixture.open().transaction().unwrap();
    living.put(b"object").unwrap();
    let transaction = repository.transaction().unwrap();
    recording.clear();
    assert!(!transaction.put(b"object").unwrap().is_new);
    assert!(!names(&recording).contains(&"OpenFile"), "looked at, not read: {:?}", names(&recording));
    // D6: its own barrier covers what it reused.
    transaction.name_image(verity::digest(Algorithm::Sha256, b"object"));
    recording.clear();
    let _ = transaction.commit(()).unwrap();
    assert_eq!(names(&recording).first(), Some(&"SyncFs"));
}

#[test]
fn d5_a_barrier_that_failed_is_not_tried_again_and_leaves_the_mark() {
    let fixture = Fixture::new();
    // Once: a second try would succeed, and prove nothing.
    let is_barrier = |call: &Call<'_>| matches!(call, Call::SyncFs { .. });
    let disk: Arc<dyn Disk> = FailingDisk::new(RealDisk::shared(), 0, false, Errno::IO, is_barrier);
    let repository = fixture.open_on(&disk);
    let transaction = repository.transaction().unwrap();
    transaction.put(b"object").unwrap();
    assert!(transaction.commit(()).is_err());
    let marks = std::fs::read_dir(fixture.path().join("sealstone/unsynced")).unwrap().count();
    assert_eq!(marks, 1);
    assert!(crate::unsynced::found(&fixture.open()).unwrap());
}

#[test]
fn d4_what_an_unfinished_transaction_left_is_read_before_it_is_reused_until_gc() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    drop({
        let transaction = repository.transaction().unwrap();
        transaction.put(b"object").unwrap();
        transaction
    });
    // As a power cut may leave it: the mark is there, and the object's size is right.
    std::fs::write(fixture.path().join("sealstone/unsynced/cut-off"), b"").unwrap();
    let id = verity::digest(Algorithm::Sha256, b"object");
    std::fs::write(fixture.path().join("objects").join(id.object_path()), b"OBJECT").unwrap();
    let transaction = repository.transaction().unwrap();
    assert!(transaction.put(b"object").unwrap().is_new);
    transaction.name_image(id);
    transaction.set_ref("image".parse().unwrap(), RefTarget::Image(id));
    let _ = transaction.commit(()).unwrap();
    assert_eq!(repository.read_object(&id, 100).unwrap(), b"object");
    let marked = || crate::unsynced::found(&repository).unwrap();
    assert!(marked(), "others of the first transaction may be damaged still");
    // Stops at the image, which is none: nothing was swept, so the mark stays.
    assert!(repository.gc(&crate::GcOptions::default(), &crate::Control::default()).is_err());
    assert!(marked());
    assert!(repository.remove_ref(Place::Images, &"image".parse().unwrap()).unwrap().into_inner());
    repository.gc(&crate::GcOptions::default(), &crate::Control::default()).unwrap();
    assert!(!marked());
}

#[test]
fn a_streamed_object_is_the_same_as_a_whole_one() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let content: Vec<u8> = (0..40_000_000_u32).map(|i| (i % 253) as u8).collect();
    let transaction = repository.transaction().unwrap();
    let mut writer = transaction.object_writer(content.len() as u64).unwrap();
    for piece in content.chunks(1_000_003) {
        writer.write(piece).unwrap();
    }
    let stored = writer.finish().unwrap();
    assert!(stored.is_new);
    assert_eq!(stored.id, verity::digest(Algorithm::Sha256, &content));
    assert!(!transaction.put(&content).unwrap().is_new);
    let _ = transaction.commit(()).unwrap();
    assert_eq!(repository.read_object(&stored.id, u64::MAX).unwrap(), content);
    let mut copied = Vec::new();
    let size = repository
        .copy_object(&stored.id, |piece| {
            copied.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
    assert!(size == content.len() as u64 && copied == content);
}

#[test]
fn an_object_in_parts_or_with_holes_is_the_same_as_a_whole_one() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let transaction = repository.transaction().unwrap();
    let whole = [vec![7; 9000], vec![0; 20_000], vec![8; 100], vec![0; 5]].concat();
    let mut writer = transaction.object_writer(0).unwrap();
    writer.write(&whole[..9000]).unwrap();
    writer.write_zeros(20_000).unwrap();
    writer.write(&whole[29_000..29_100]).unwrap();
    writer.write_zeros(5).unwrap();
    let id = writer.finish().unwrap().id;
    assert_eq!(id, verity::digest(repository.algorithm(), &whole));
    assert_eq!(repository.read_object(&id, 1 << 20).unwrap(), whole);

    let (left, right) = (&b"one half"[..], &b" and the other"[..]);
    let id = verity::digest(repository.algorithm(), b"one half and the other");
    assert!(transaction.put_known_parts(id, &[left, right]).unwrap().is_new);
    assert_eq!(repository.read_object(&id, 100).unwrap(), b"one half and the other");
}

#[test]
fn d4_a_truncated_object_is_healed_and_one_of_the_same_size_when_asked() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let put = |verify| {
        let transaction = repository.transaction().unwrap().verify_existing(verify);
        let stored = transaction.put(b"object").unwrap();
        let stats = transaction.stats();
        let _ = transaction.commit(()).unwrap();
        (stored.id, stats.healed_objects)
    };
    let (id, _) = put(false);
    let path = fixture.path().join("objects").join(id.object_path());
    std::fs::write(&path, b"obj").unwrap();
    assert!(matches!(repository.read_object(&id, 100), Err(Error::Corrupt { .. })));
    assert_eq!(put(false).1, 1);
    assert_eq!(repository.read_object(&id, 100).unwrap(), b"object");
    std::fs::write(&path, b"objekt").unwrap();
    assert_eq!(put(false).1, 0);
    assert_eq!(put(true).1, 1);
    assert_eq!(repository.read_object(&id, 100).unwrap(), b"object");
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::new();
    let script =
        r#"umask 077; exec "$0" --exact --nocapture transaction::tests::writes_under_a_hostile_umask"#;
    let status = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("SEALSTONE_TEST_REPO", fixture.folder().join("hostile"))
        .status()
        .unwrap();
    assert!(status.success());
    for (path, mode) in
        [("", 0o700), ("meta.json", 0o644), ("objects", 0o755), ("streams", 0o755), ("sealstone/tmp", 0o755)]
    {
        let metadata = std::fs::metadata(fixture.folder().join("hostile").join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{path}");
    }
    let repository = Repository::open(&RealDisk::shared(), fixture.folder().join("hostile")).unwrap();
    let (_, id) = repository.streams().unwrap()[0].clone();
    let object = repository.open_object(&id).unwrap().metadata().unwrap();
    assert_eq!(object.mode, 0o644);
}

/// Does its work only when [`modes_do_not_depend_on_the_umask`] runs it in a process of its own.
#[test]
fn writes_under_a_hostile_umask() {
    let Some(path) = std::env::var_os("SEALSTONE_TEST_REPO") else { return };
    let (repository, _) = Repository::init(&RealDisk::shared(), path, &InitOptions::default()).unwrap();
    let transaction = repository.transaction().unwrap();
    write_everything(&transaction).unwrap();
    let _ = transaction.commit(()).unwrap();
}

/// Runs a whole transaction with the Nth call of a kind failing, for every N, once and from then on.
fn fail_each(errno: Errno, picks: fn(&Call<'_>) -> bool, check: impl Fn(&Fixture, Result<(), Error>)) {
    for sticky in [false, true] {
        for nth in 0.. {
            let fixture = Fixture::new();
            let failing = FailingDisk::new(RealDisk::shared(), nth, sticky, errno, picks);
            let disk: Arc<dyn Disk> = failing.clone();
            let run = || {
                let repository = Repository::open(&disk, fixture.path())?;
                let transaction = repository.transaction()?;
                write_everything(&transaction)?;
                let mut writer = transaction.object_writer(100)?;
                writer.write(&[7; 100])?;
                writer.finish()?;
                transaction.commit(()).map(drop)
            };
            let result = run();
            if !failing.has_failed() {
                assert!(result.is_ok());
                assert!(nth > 0, "no such call is made");
                break;
            }
            check(&fixture, result);
        }
    }
}

fn writes(call: &Call<'_>) -> bool {
    matches!(
        call,
        Call::Write { .. }
            | Call::CreateTemp { .. }
            | Call::LinkFile { .. }
            | Call::CreateDir { .. }
            | Call::Symlink { .. }
            | Call::Rename { .. }
    )
}

#[test]
fn a_full_disk_is_a_typed_error_and_leaves_no_litter_and_no_broken_name() {
    fail_each(Errno::NOSPC, writes, |fixture, result| {
        assert!(matches!(result, Err(Error::NoSpace { .. })), "{result:?}");
        let litter = fixture.files().into_iter().find(|(path, _)| path.starts_with("sealstone/tmp"));
        assert_eq!(litter, None);
        let repository = fixture.open();
        for (_, id) in repository.streams().unwrap() {
            repository.read_object(&id, 100).unwrap();
        }
        repository.refs(Place::Streams).unwrap();
    });
}

#[test]
fn d5_a_failed_sync_is_not_repeated_and_nothing_is_acknowledged() {
    let syncs = |call: &Call<'_>| matches!(call, Call::SyncFs { .. } | Call::SyncDir { .. });
    fail_each(Errno::IO, syncs, |fixture, result| {
        assert_eq!(result.unwrap_err().errno(), Some(Errno::IO));
        fixture.open().refs(Place::Streams).unwrap();
    });
    let fixture = Fixture::new();
    let failing =
        FailingDisk::new(RealDisk::shared(), 0, false, Errno::IO, |call| matches!(call, Call::SyncFs { .. }));
    let recording = RecordingDisk::new(failing);
    let disk: Arc<dyn Disk> = recording.clone();
    let transaction = Repository::open(&disk, fixture.path()).unwrap().transaction().unwrap();
    write_everything(&transaction).unwrap();
    transaction.commit(()).unwrap_err();
    assert_eq!(recording.count("SyncFs"), 1);
    assert_eq!(recording.count("Rename"), 0, "no name without the barrier");
}

#[test]
fn d5_a_failed_write_poisons_the_transaction() {
    let fixture = Fixture::new();
    let disk: Arc<dyn Disk> =
        FailingDisk::new(RealDisk::shared(), 0, false, Errno::IO, |call| matches!(call, Call::Write { .. }));
    let transaction = Repository::open(&disk, fixture.path()).unwrap().transaction().unwrap();
    assert!(transaction.put(b"object").is_err());
    let _ = transaction.put(b"another").unwrap();
    assert!(matches!(transaction.commit(()), Err(Error::Poisoned)));
}

#[test]
fn d5_a_failed_early_write_back_poisons_the_transaction() {
    let fixture = Fixture::new();
    let (repository, recording) = recorded(&fixture);
    let transaction = repository.transaction().unwrap();
    transaction.put(b"object").unwrap();
    transaction.write_back().unwrap();
    assert_eq!(recording.count("SyncFs"), 1);
    let _ = transaction.commit(()).unwrap();
    assert_eq!(recording.count("SyncFs"), 2, "it is no barrier");

    // The kernel tells of a lost write once: whoever heard it may not go on.
    let disk: Arc<dyn Disk> =
        FailingDisk::new(RealDisk::shared(), 0, false, Errno::IO, |call| matches!(call, Call::SyncFs { .. }));
    let transaction = Repository::open(&disk, fixture.path()).unwrap().transaction().unwrap();
    transaction.put(b"another object").unwrap();
    assert!(transaction.write_back().is_err());
    assert!(matches!(transaction.commit(()), Err(Error::Poisoned)));
}

#[test]
fn without_unnamed_files_everything_works_and_nothing_is_left() {
    let fixture = Fixture::new();
    let recording =
        RecordingDisk::new(FailingDisk::new(RealDisk::shared(), 0, true, Errno::OPNOTSUPP, |call| {
            matches!(call, Call::CreateTemp { .. })
        }));
    let disk: Arc<dyn Disk> = recording.clone();
    let repository = Repository::open(&disk, fixture.path()).unwrap();
    for _ in 0..2 {
        let transaction = repository.transaction().unwrap();
        write_everything(&transaction).unwrap();
        let _ = transaction.commit(()).unwrap();
    }
    assert_eq!(repository.read_object(&repository.images().unwrap()[0], 100).unwrap(), b"object");
    assert!(fixture.files().iter().all(|(path, _)| !path.starts_with("sealstone/tmp")));
    assert_eq!(recording.count("CreateNew"), 4, "two records, one object and the mark before it");
}

#[test]
fn two_imports_at_once_agree_on_every_object() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let transaction = fixture.open().transaction().unwrap();
                for number in 0..500_u32 {
                    transaction.put(&number.to_le_bytes()).unwrap();
                }
                transaction.name_stream(stream("s"), verity::digest(Algorithm::Sha256, &[0; 4]));
                let _ = transaction.commit(()).unwrap();
            });
        }
    });
    assert_eq!(fixture.files().len(), 501);
    assert_eq!(fixture.open().streams().unwrap().len(), 1);
}
