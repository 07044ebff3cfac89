//! An error at any call to the disk is a typed error, and leaves what was there before.
//!
//! A whole import runs once for each of its calls, which fails, once or with all that come after it: the latter is also
//! what a process leaves that is killed there, since nothing after it reaches the disk.
#![allow(clippy::disallowed_methods, reason = "repositories are ordinary folders")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use std::path::Path;
use std::sync::Arc;

use kit::{Image, world};
use rustix::io::Errno;
use sealstone::store::disk::{Disk, FailingDisk, RealDisk};
use sealstone::store::{Control, GcOptions, Place};

/// A repository that holds the image `old`, beside the layout of a new one that shares a part with it.
fn prepared() -> tempfile::TempDir {
    let folder = world::with_repository();
    Image::bootable("6.1.0").write(&folder.path().join("layout"));
    world::import(&RealDisk::shared(), folder.path(), "old").unwrap();
    Image::bootable("6.2.0").write(&folder.path().join("layout"));
    folder
}

/// Runs an operation with each of its calls failing, until none is left to fail. Gives how many there were.
fn at_each_call(
    template: &Path,
    errno: Errno,
    sticky: bool,
    operation: impl Fn(&Arc<dyn Disk>, &Path) -> Result<(), String>,
    done: impl Fn(&Path) -> Option<String>,
) -> usize {
    for number in 0.. {
        let folder = world::copy_of(template);
        let failing = FailingDisk::new(RealDisk::shared(), number, sticky, errno, |_| true);
        let disk: Arc<dyn Disk> = failing.clone();
        let result = operation(&disk, folder.path());
        let at = format!("call {number} fails with {errno}, sticky: {sticky}: {result:?}");
        if !failing.has_failed() {
            assert_eq!(result, Ok(()), "{at}");
            return number;
        }
        assert_eq!(world::damage(&folder.path().join("repo")), None, "{at}");
        match result {
            // Not everything that fails matters: advice, or the removal of a name that nobody sees.
            Ok(()) => assert_eq!(done(folder.path()), None, "{at}"),
            Err(said) if errno == Errno::NOSPC => assert!(said.contains("no space left"), "{at}"),
            Err(said) => assert!(!said.is_empty(), "{at}"),
        }
        let again = operation(&RealDisk::shared(), folder.path());
        assert_eq!(again, Ok(()), "again after {at}");
        assert_eq!(done(folder.path()), None, "again after {at}");
    }
    unreachable!("numbers do not end")
}

fn import(disk: &Arc<dyn Disk>, folder: &Path) -> Result<(), String> {
    world::import(disk, folder, "new").map_err(|error| chain(&error))
}

fn imported(folder: &Path) -> Option<String> {
    world::missing_image(folder, "old").or_else(|| world::missing_image(folder, "new"))
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn an_import_survives_an_io_error_at_each_of_its_calls() {
    let calls = at_each_call(prepared().path(), Errno::IO, false, import, imported);
    assert!(calls > 100, "only {calls} calls");
}

#[test]
fn an_import_survives_a_disk_that_is_full_from_any_of_its_calls_on() {
    at_each_call(prepared().path(), Errno::NOSPC, true, import, imported);
}

#[test]
fn a_gc_survives_a_disk_that_dies_at_any_of_its_calls() {
    let folder = prepared();
    import(&RealDisk::shared(), folder.path()).unwrap();
    // The old image loses its name; the new one has to survive.
    let repository = world::open(&RealDisk::shared(), folder.path()).unwrap();
    for place in [Place::Images, Place::Streams] {
        for (name, _) in repository.refs(place).unwrap() {
            if name.as_str().contains("old") {
                let _ = repository.remove_ref(place, &name).unwrap();
            }
        }
    }
    drop(repository);
    let gc = |disk: &Arc<dyn Disk>, folder: &Path| {
        let repository = world::open(disk, folder).map_err(|error| chain(&error))?;
        repository.gc(&GcOptions::default(), &Control::new()).map(|_| ()).map_err(|error| chain(&error))
    };
    at_each_call(folder.path(), Errno::IO, true, gc, |folder| world::missing_image(folder, "new"));
}
