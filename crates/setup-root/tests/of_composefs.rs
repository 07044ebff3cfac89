//! A root that another implementation wrote: the repository by the crate composefs, the state as bootc lays it out. Our program
//! boots it, in both formats, with fs-verity in the guest of `make test-vm` and without it on any kernel that mounts images.
#![allow(clippy::disallowed_methods, reason = "a test, with ordinary files")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod kit;

use std::{collections::BTreeMap, fs, sync::Arc};

use composefs::{
    erofs::format::{FormatConfig, FormatVersion},
    fs::read_filesystem,
    fsverity::{FsVerityHashValue, Sha256HashValue, Sha512HashValue},
    repository::{Repository, RepositoryConfig},
};
use kit::{Machine, can_mount, guarded, large};
use rustix::fs::{CWD, Mode, OFlags};
use sealstone_store::{Algorithm, Verity};

const LOOK: &str = "boot\ncat $S/usr/name $S/etc/of-state; echo\nwc -c < $S/usr/object\n\
    grep -F \" $S \" /proc/self/mountinfo | tail -n 1 | sed 's/.* - overlay \\([^ ]*\\) .*/\\1/'\n\
    ! grep -F \" $S \" /proc/self/mountinfo | grep -o verity=require || echo guarded\n";

/// Puts a repository of theirs in the place of the machine's, with an image of a small system in it. Its ids by format.
fn written_by_them<I: FsVerityHashValue>(
    machine: &Machine,
    is_guarded: bool,
) -> BTreeMap<&'static str, String> {
    for folder in ["usr", "etc", "var", "sysroot"] {
        fs::create_dir_all(machine.path("tree").join(folder)).unwrap();
    }
    fs::write(machine.path("tree/usr/name"), "theirs").unwrap();
    fs::write(machine.path("tree/usr/object"), large()).unwrap();
    let place = machine.path("physical/composefs");
    fs::remove_dir_all(&place).unwrap();
    let mut config = RepositoryConfig::new(I::ALGORITHM);
    config.erofs_formats = FormatConfig { default: FormatVersion::V1, extra: [FormatVersion::V2].into() };
    let config = if is_guarded { config } else { config.set_insecure() };
    let (repository, _) = Repository::<I>::init_path(CWD, &place, config).unwrap();
    let repository = Arc::new(repository);
    let root =
        rustix::fs::open(machine.path("tree"), OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tree = runtime.block_on(read_filesystem(root, ".".into(), Some(Arc::clone(&repository)))).unwrap();
    let images = tree.commit_images(&repository, None).unwrap();
    runtime.block_on(repository.sync_async()).unwrap();
    let name = |version| if version == FormatVersion::V1 { "v1" } else { "v2" };
    images.into_iter().map(|(version, id)| (name(version), id.to_hex())).collect()
}

fn boots<I: FsVerityHashValue>(machine: &Machine, hash: &str, is_guarded: bool) {
    let images = written_by_them::<I>(machine, is_guarded);
    assert_eq!(images.len(), 2, "{images:?}");
    let (optional, said) = if is_guarded { ("", "verity=require\nguarded\n") } else { ("?", "") };
    for (version, id) in images {
        machine.state(&id);
        for argument in [
            format!("composefs={optional}{id}"),
            format!("composefs.digest={optional}{version}-{hash}-12:{id}"),
        ] {
            let seen = machine.run(&argument, LOOK).succeeds();
            assert_eq!(seen, format!("theirs{id}\n{}\ncomposefs:{id}\n{said}", large().len()), "{argument}");
        }
    }
}

#[test]
fn a_repository_that_composefs_wrote_boots_in_both_formats() {
    if !can_mount("a_repository_that_composefs_wrote_boots_in_both_formats") {
        return;
    }
    boots::<Sha512HashValue>(&Machine::new(Algorithm::Sha512, Verity::Computed), "sha512", false);
    boots::<Sha256HashValue>(&Machine::new(Algorithm::Sha256, Verity::Computed), "sha256", false);
}

#[test]
fn a_repository_that_composefs_guarded_boots_with_its_digests_required() {
    let test = "a_repository_that_composefs_guarded_boots_with_its_digests_required";
    let Some(machine) = guarded(test, Algorithm::Sha512) else { return };
    boots::<Sha512HashValue>(&machine, "sha512", true);
    let Some(machine) = guarded(test, Algorithm::Sha256) else { return };
    boots::<Sha256HashValue>(&machine, "sha256", true);
}
