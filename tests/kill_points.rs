//! The command killed at its system calls: whatever it was doing, the repository is whole and the next run succeeds.
//!
//! `strace` kills it at the Nth call of each kind that changes something, for growing N until it comes through; with
//! `SEALSTONE_SOAK` at every single one.
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
use std::process::{Command, Stdio};

use kit::kills::kill_at_each_call;
use kit::layout_check::missing_tag;
use kit::{Image, world};
use sealstone::store::disk::RealDisk;

fn store(program: &mut Command, folder: &Path, args: &[&str]) -> bool {
    let command = program.args(args).current_dir(folder).env("SEALSTONE_REPO", folder.join("repo"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the command starts").success()
}

/// Kills the command at ever later calls, and looks at what each kill leaves. `lost` says what
/// is missing that had to stay; `done` what is missing once the command was run again.
fn killed(
    test: &str,
    template: &Path,
    args: &[&str],
    lost: impl Fn(&Path) -> Option<String>,
    done: impl Fn(&Path) -> Option<String>,
) {
    let kill = |program: &mut Command, folder: &Path| store(program, folder, args);
    kill_at_each_call(test, template, kill, |folder, place| {
        assert_eq!(world::damage(&folder.join("repo")), None, "{place}");
        assert_eq!(lost(folder), None, "{place}");
        let again = store(&mut Command::new(env!("CARGO_BIN_EXE_store")), folder, args);
        assert!(again, "again after {place}");
        assert_eq!(done(folder), None, "again after {place}");
    });
}

#[test]
fn an_import_killed_at_any_point_is_finished_by_the_next() {
    let folder = world::with_repository();
    Image::bootable("6.1.0").write(&folder.path().join("layout"));
    world::import(&RealDisk::shared(), folder.path(), "old").unwrap();
    Image::bootable("6.2.0").write(&folder.path().join("layout"));
    let lost = |folder: &Path| world::missing_image(folder, "old");
    let done = |folder: &Path| lost(folder).or_else(|| world::missing_image(folder, "new"));
    let args = ["import", "--name", "new", "oci:layout"];
    killed("an import", folder.path(), &args, lost, done);
}

#[test]
fn a_gc_killed_at_any_point_keeps_what_has_a_name_and_the_next_removes_the_rest() {
    let folder = world::with_repository();
    for (version, name) in [("6.1.0", "old"), ("6.2.0", "kept")] {
        Image::bootable(version).write(&folder.path().join("layout"));
        world::import(&RealDisk::shared(), folder.path(), name).unwrap();
    }
    assert!(store(&mut Command::new(env!("CARGO_BIN_EXE_store")), folder.path(), &["rm", "old"]));
    let kept = |folder: &Path| world::missing_image(folder, "kept");
    killed("gc", folder.path(), &["gc"], kept, kept);
}

#[test]
fn an_export_killed_at_any_point_leaves_a_whole_layout_and_archive() {
    let folder = world::with_repository();
    for (version, name) in [("6.1.0", "old"), ("6.2.0", "new")] {
        Image::bootable(version).write(&folder.path().join("layout"));
        world::import(&RealDisk::shared(), folder.path(), name).unwrap();
    }
    let run = |args: &[&str]| store(&mut Command::new(env!("CARGO_BIN_EXE_store")), folder.path(), args);
    assert!(run(&["export", "old", "oci:out:old"]) && run(&["export", "old", "oci-archive:out.tar:x"]));
    let old = std::fs::read(folder.path().join("out.tar")).unwrap();
    let lost = |folder: &Path| missing_tag(&folder.join("out"), "old");
    let done = |folder: &Path| lost(folder).or_else(|| missing_tag(&folder.join("out"), "new"));
    killed("an export", folder.path(), &["export", "new", "oci:out:new"], lost, done);

    let archive = |folder: &Path| std::fs::read(folder.join("out.tar")).unwrap();
    assert!(run(&["export", "new", "oci-archive:new.tar:x"]));
    let new = std::fs::read(folder.path().join("new.tar")).unwrap();
    let lost = |folder: &Path| {
        (archive(folder) != old && archive(folder) != new).then(|| "the archive is neither".to_owned())
    };
    let done = |folder: &Path| (archive(folder) != new).then(|| "the archive is not the new one".to_owned());
    let args = ["export", "new", "oci-archive:out.tar:x"];
    killed("an export to an archive", folder.path(), &args, lost, done);
}
