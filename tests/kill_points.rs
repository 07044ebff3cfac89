//! The command killed at its system calls: whatever it was doing, the repository is whole and the next run succeeds.
//!
//! `strace` kills it at the Nth of the calls that change something, for growing N until it comes through.
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

use kit::layout_check::missing_tag;
use kit::{Image, world};
use sealstone::store::disk::RealDisk;

const CHANGES: &str =
    "openat,mkdirat,write,pwrite64,pwritev,linkat,symlinkat,renameat2,unlinkat,ftruncate,fsync,syncfs";

fn store(program: &mut Command, folder: &Path, args: &[&str]) -> bool {
    let command = program.args(args).current_dir(folder).env("SEALSTONE_REPO", folder.join("repo"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the command starts").success()
}

/// Runs the command on copies of a folder, killed at ever later calls, and looks at what each leaves. `lost` says what
/// is missing that had to stay; `done` what is missing once the command was run again.
fn killed_at_growing_points(
    test: &str,
    template: &Path,
    args: &[&str],
    lost: impl Fn(&Path) -> Option<String>,
    done: impl Fn(&Path) -> Option<String>,
) {
    if Command::new("strace").arg("--version").output().is_err() {
        return kit::skip(test, "strace is not installed");
    }
    let (mut point, mut kills) = (1, 0);
    loop {
        let folder = world::copy_of(template);
        let inject = format!("inject={CHANGES}:signal=KILL:when={point}");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CHANGES}"), "-e", &inject]);
        let came_through = store(strace.arg(env!("CARGO_BIN_EXE_store")), folder.path(), args);
        assert_eq!(world::damage(&folder.path().join("repo")), None, "killed at {point}");
        assert_eq!(lost(folder.path()), None, "killed at {point}");
        assert!(
            store(&mut Command::new(env!("CARGO_BIN_EXE_store")), folder.path(), args),
            "again after {point}"
        );
        assert_eq!(done(folder.path()), None, "again after a kill at {point}");
        if came_through {
            break;
        }
        kills += 1;
        point += 1 + point / 30;
    }
    println!("{test}: {kills} kills");
    assert!(kills > 10, "it was only killed {kills} times");
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
    killed_at_growing_points("an import", folder.path(), &args, lost, done);
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
    killed_at_growing_points("gc", folder.path(), &["gc"], kept, kept);
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
    killed_at_growing_points("an export", folder.path(), &["export", "new", "oci:out:new"], lost, done);

    let archive = |folder: &Path| std::fs::read(folder.join("out.tar")).unwrap();
    assert!(run(&["export", "new", "oci-archive:new.tar:x"]));
    let new = std::fs::read(folder.path().join("new.tar")).unwrap();
    let lost = |folder: &Path| {
        (archive(folder) != old && archive(folder) != new).then(|| "the archive is neither".to_owned())
    };
    let done = |folder: &Path| (archive(folder) != new).then(|| "the archive is not the new one".to_owned());
    let args = ["export", "new", "oci-archive:out.tar:x"];
    killed_at_growing_points("an export to an archive", folder.path(), &args, lost, done);
}
