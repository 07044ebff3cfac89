//! Power cuts while a repository is written to: no name is ever half there, and nothing acknowledged is lost.
//!
//! Each test runs an operation on a disk that records every change and sync, and looks at the folder that a cut before
//! any of them could leave (`SEALSTONE_SOAK=1` for many more). The last tests break the order on purpose: they hold
//! that this would be noticed.
#![allow(clippy::disallowed_methods, reason = "the states are ordinary folders")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use std::convert::identity;
use std::path::Path;
use std::sync::Arc;

use kit::power_cut::{Lying, Run, Tally};
use kit::{Image, world};
use sealstone::store::disk::{Call, Disk, RealDisk};
use sealstone::store::{Place, RefName};

fn import(name: &'static str, content: u8) -> impl Fn(&Arc<dyn Disk>, &Path) {
    move |disk, folder| _ = world::store(&world::open(disk, folder).unwrap(), name, content).unwrap()
}

/// What is missing of an image that was there before, and of one that is as soon as that is acknowledged.
fn both(state: &Path, before: &str, new: &str, acknowledged: bool) -> Option<String> {
    world::missing(state, before).or_else(|| acknowledged.then(|| world::missing(state, new)).flatten())
}

/// The states of importing `new` into a repository that holds `old`.
fn import_on_top(lie: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>, again: bool) -> Tally {
    let folder = world::with_repository();
    import("old", 1)(&RealDisk::shared(), folder.path());
    let run = Run::of(folder.path(), lie, |disk| import("new", 2)(disk, folder.path()));
    let lost = |state: &Path, acknowledged| both(state, "old", "new", acknowledged);
    let import = import("new", 2);
    run.states(lost, again.then_some(&import))
}

#[test]
fn power_cut_during_init_leaves_a_repository_or_none_and_init_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let init = |disk: &Arc<dyn Disk>, folder: &Path| drop(world::init(disk, folder).unwrap());
    let run = Run::of(folder.path(), identity, |disk| init(disk, folder.path()));
    let lost = |state: &Path, acknowledged| {
        (acknowledged && !state.join("repo/meta.json").exists()).then(|| "the repository".to_owned())
    };
    run.states(lost, Some(&init)).is_clean(30);
}

#[test]
fn power_cut_during_import_leaves_no_half_visible_image() {
    import_on_top(identity, true).is_clean(200);
}

#[test]
fn power_cut_during_the_first_import_leaves_no_half_visible_image() {
    let folder = world::with_repository();
    let run = Run::of(folder.path(), identity, |disk| import("new", 2)(disk, folder.path()));
    let lost =
        |state: &Path, acknowledged: bool| acknowledged.then(|| world::missing(state, "new")).flatten();
    run.states(lost, Some(&import("new", 2))).is_clean(250);
}

#[test]
fn power_cut_during_an_import_of_what_is_there_loses_nothing() {
    let folder = world::with_repository();
    import("old", 1)(&RealDisk::shared(), folder.path());
    let run = Run::of(folder.path(), identity, |disk| import("other", 1)(disk, folder.path()));
    let lost = |state: &Path, acknowledged| both(state, "old", "other", acknowledged);
    run.states(lost, Some(&import("other", 1))).is_clean(100);
}

#[test]
fn power_cut_during_a_whole_import_of_an_oci_image_leaves_it_or_nothing() {
    let folder = world::with_repository();
    let real = RealDisk::shared();
    Image::bootable("6.1.0").write(&folder.path().join("layout"));
    world::import(&real, folder.path(), "old").unwrap();
    Image::bootable("6.2.0").write(&folder.path().join("layout"));
    let import = |disk: &Arc<dyn Disk>, folder: &Path| world::import(disk, folder, "new").unwrap();
    let run = Run::of(folder.path(), identity, |disk| import(disk, folder.path()));
    let lost = |state: &Path, acknowledged: bool| {
        let new = || acknowledged.then(|| world::missing_image(state, "new")).flatten();
        world::missing_image(state, "old").or_else(new)
    };
    run.states(lost, Some(&import)).is_clean(250);
}

#[test]
fn power_cut_while_a_name_moves_leaves_the_old_image_or_the_new_one() {
    let folder = world::with_repository();
    import("moving", 1)(&RealDisk::shared(), folder.path());
    let run = Run::of(folder.path(), identity, |disk| import("moving", 2)(disk, folder.path()));
    // Acknowledged or not, whichever it is: the name is never gone.
    let lost = |state: &Path, _| world::missing(state, "moving");
    run.states(lost, Some(&import("moving", 2))).is_clean(200);
}

#[test]
fn power_cut_while_a_ref_is_removed_leaves_it_or_not_and_nothing_else_changes() {
    let folder = world::with_repository();
    let real = RealDisk::shared();
    import("kept", 1)(&real, folder.path());
    import("removed", 2)(&real, folder.path());
    let remove = |disk: &Arc<dyn Disk>, folder: &Path| {
        let repository = world::open(disk, folder).unwrap();
        let _ = repository.remove_ref(Place::Images, &RefName::oci("removed").unwrap()).unwrap();
    };
    let run = Run::of(folder.path(), identity, |disk| remove(disk, folder.path()));
    let lost = |state: &Path, acknowledged| {
        let back = acknowledged && state.join("repo/images/refs/oci/removed").is_symlink();
        world::missing(state, "kept").or_else(|| back.then(|| "the removal".to_owned()))
    };
    run.states(lost, Some(&remove)).is_clean(12);
}

#[test]
fn control_without_the_barrier_half_images_are_found() {
    let tally = import_on_top(Lying::about(|call| matches!(call, Call::SyncFs { .. })), false);
    assert!(tally.half > 0, "{tally:?}");
}

#[test]
fn control_without_syncs_of_folders_lost_names_are_found() {
    let tally = import_on_top(Lying::about(|call| matches!(call, Call::SyncDir { .. })), false);
    assert!(tally.lost > 0, "{tally:?}");
}
