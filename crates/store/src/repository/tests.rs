//! Opening and making repositories: what is refused, with which error, and what a killed process leaves.

use std::{fs, path::Path, process::Stdio};

use rustix::io::Errno;

use super::*;
use crate::{
    FsckDepth, GcOptions, InitOptions, Place,
    disk::{Call, FailingDisk, RealDisk, RecordingDisk},
    fixture::{Fixture, imported},
};

fn open(path: &Path) -> Result<Repository> {
    Repository::open(&RealDisk::shared(), path)
}

fn init(path: &Path, options: &InitOptions) -> Result<(Repository, bool)> {
    Repository::init(&RealDisk::shared(), path, options)
}

#[test]
fn what_is_no_repository_is_refused_with_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    assert!(matches!(open(&path), Err(Error::Missing { .. })));
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(&path), Err(Error::Missing { .. })), "an empty folder");
    fs::write(path.join("holiday.jpg"), b"").unwrap();
    assert!(matches!(open(&path), Err(Error::Foreign { .. })));
    assert!(matches!(init(&path, &InitOptions::default()), Err(Error::Foreign { .. })));
    fs::write(path.join("meta.json"), b"not json").unwrap();
    assert!(matches!(open(&path), Err(Error::Foreign { .. })));
    fs::remove_file(path.join("meta.json")).unwrap();
    fs::create_dir(path.join("objects")).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Unsupported { reason, .. } if reason.contains("no meta.json")),
        "{error}"
    );
    fs::write(folder.path().join("file"), b"").unwrap();
    assert_eq!(open(&folder.path().join("file")).unwrap_err().errno(), Some(Errno::NOTDIR));
}

#[test]
fn a_newer_format_and_unknown_features_are_refused_or_only_read() {
    let fixture = Fixture::new();
    let kept = imported(&fixture.open(), "kept");
    let meta = |features: &str, version: u8| {
        let json = format!(
            r#"{{"version":{version},"algorithm":"fsverity-sha256-12","features":{{{features}}},"future":[1]}}"#
        );
        fs::write(fixture.path().join("meta.json"), json).unwrap();
        open(&fixture.path())
    };
    assert!(matches!(meta("", 2), Err(Error::Unsupported { .. })));
    assert!(matches!(meta(r#""incompatible":["new"]"#, 1), Err(Error::Unsupported { .. })));
    assert!(meta(r#""compatible":["new"]"#, 1).unwrap().transaction().is_ok());
    let reading = meta(r#""read-only-compatible":["new"]"#, 1).unwrap();
    reading.read_object(&kept.image, u64::MAX).unwrap();
    assert!(matches!(reading.transaction(), Err(Error::ReadOnly { .. })));
    assert!(matches!(reading.gc(&GcOptions::default(), &crate::Control::new()), Err(Error::ReadOnly { .. })));
    let name = "images/kept".parse().unwrap();
    assert!(matches!(reading.remove_ref(Place::Images, &name), Err(Error::ReadOnly { .. })));
}

#[test]
fn init_makes_a_repository_once_and_never_changes_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let computed = InitOptions { verity: Some(Verity::Offline), ..InitOptions::default() };
    assert!(init(&path, &computed).unwrap().1);
    let before = fs::read(path.join("meta.json")).unwrap();
    let (again, created) = init(&path, &computed).unwrap();
    assert_eq!((created, again.verity()), (false, Verity::Offline));
    let other = InitOptions { algorithm: Algorithm::Sha512, ..computed.clone() };
    assert!(matches!(init(&path, &other), Err(Error::Unsupported { .. })));
    let other = InitOptions { verity: Some(Verity::Computed), ..computed };
    assert!(matches!(init(&path, &other), Err(Error::Unsupported { .. })));
    assert_eq!(fs::read(path.join("meta.json")).unwrap(), before);
}

#[test]
fn init_that_fails_at_any_call_can_be_run_again() {
    let changes = |call: &Call<'_>| !matches!(call, Call::Metadata { .. } | Call::FileMetadata { .. });
    for nth in 0.. {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = folder.path().join("repo");
        let options = InitOptions { verity: Some(Verity::Computed), ..InitOptions::default() };
        let failing = FailingDisk::new(RealDisk::shared(), nth, false, Errno::IO, changes);
        let disk: Arc<dyn Disk> = failing.clone();
        let result = Repository::init(&disk, &path, &options);
        if !failing.has_failed() {
            assert!(result.is_ok() && nth > 20);
            break;
        }
        init(&path, &options).unwrap_or_else(|error| panic!("after call {nth}: {error}"));
    }
}

#[test]
fn d3_meta_json_is_synced_before_its_name_and_the_name_before_init_returns() {
    let folder = tempfile::tempdir().unwrap();
    let recording = RecordingDisk::new(RealDisk::shared());
    let disk: Arc<dyn Disk> = recording.clone();
    let options = InitOptions { verity: Some(Verity::Computed), ..InitOptions::default() };
    Repository::init(&disk, folder.path().join("repo"), &options).unwrap();
    let log = recording.log();
    let meta = recording.position("LinkFile", "repo/meta.json").unwrap();
    let synced = log[..meta].iter().rposition(|call| call.name == "SyncFile").unwrap();
    let written = log[..meta].iter().rposition(|call| call.name == "Write").unwrap();
    assert!(written < synced);
    assert!(log[meta..].iter().any(|call| call.name == "SyncDir" && call.path.ends_with("repo")));
    assert!(log[meta..].iter().any(|call| call.name == "SyncDir" && call.path == folder.path()));
}

#[test]
fn a_repository_that_lost_its_seal_is_not_taken_for_one_without() {
    let fixture = Fixture::new();
    fs::write(fixture.path().join("sealstone/verity"), b"required\n").unwrap();
    assert!(matches!(open(&fixture.path()), Err(Error::Verity { .. })));
    fs::write(fixture.path().join("sealstone/verity"), b"whatever\n").unwrap();
    assert!(matches!(open(&fixture.path()), Err(Error::Corrupt { .. })));
    fs::remove_dir_all(fixture.path().join("sealstone")).unwrap();
    let repository = open(&fixture.path()).unwrap();
    assert_eq!(repository.verity(), Verity::Computed);
    imported(&repository, "works again");
}

#[test]
fn kernel_verity_that_is_asked_for_is_had_or_refused() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let options = InitOptions { verity: Some(Verity::Required), ..InitOptions::default() };
    match init(&folder.path().join("repo"), &options) {
        Ok((repository, _)) => {
            let imported = imported(&repository, "sealed");
            let file = repository.open_object(&imported.image).unwrap();
            assert_eq!(file.measure_verity().unwrap(), Some(imported.image));
            assert_eq!(open(&folder.path().join("repo")).unwrap().verity(), Verity::Required);
        }
        Err(error) => {
            println!("no fs-verity here: only the refusal was tested");
            assert!(matches!(error, Error::Verity { .. }), "{error}");
            assert!(matches!(open(&folder.path().join("repo")), Err(Error::Missing { .. })));
        }
    }
}

#[test]
fn damage_is_never_given_out_as_content() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = imported(&repository, "one");
    fs::write(fixture.object(&one.files[0]), vec![9; 5000]).unwrap();
    assert!(matches!(repository.read_object(&one.files[0], 5000), Err(Error::Corrupt { .. })));
    assert!(matches!(repository.map_object(&one.files[0]), Err(Error::Corrupt { .. })));
    assert!(matches!(repository.copy_object(&one.files[0], |_| Ok(())), Err(Error::Corrupt { .. })));
    assert!(matches!(repository.read_object(&one.image, 10), Err(Error::TooBig { .. })));
}

/// Imports forever; only ever run by [`a_killed_import_leaves_nothing_but_objects_that_gc_removes`].
#[test]
fn imports_until_it_is_killed() {
    let Some(path) = std::env::var_os("SEALSTONE_TEST_KILL") else { return };
    let repository = open(Path::new(&path)).unwrap();
    for number in 0.. {
        imported(&repository, &format!("import{number}"));
        println!("done {number}");
    }
}

#[test]
fn a_killed_import_leaves_nothing_but_objects_that_gc_removes() {
    let fixture = Fixture::new();
    for rounds in [1, 3, 10] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "repository::tests::imports_until_it_is_killed"])
            .env("SEALSTONE_TEST_KILL", fixture.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        lines.map(Result::unwrap).filter(|line| line.contains("done")).take(rounds).for_each(drop);
        child.kill().unwrap();
        child.wait().unwrap();
        let temporaries = fs::read_dir(fixture.path().join("sealstone/tmp")).unwrap();
        let files = temporaries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file());
        assert_eq!(files.count(), 0, "a symlink on its way is all that a kill can leave there");
        let repository = fixture.open();
        let control = crate::Control::new();
        assert_eq!(repository.fsck(FsckDepth::Everything, &control).unwrap().damage, []);
        repository.gc(&GcOptions::default(), &control).unwrap();
        assert!(repository.refs(Place::Streams).unwrap().len() >= rounds);
        assert_eq!(fs::read_dir(fixture.path().join("sealstone/tmp")).unwrap().count(), 0);
    }
}
