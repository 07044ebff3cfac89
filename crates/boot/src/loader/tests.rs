//! What is written over what, and what an image has.

use sealstone_store::{
    InitOptions, Repository,
    disk::RealDisk,
    tree::{Content, Tree},
};

use super::*;
use crate::testing;

fn program(version: &str) -> String {
    format!("MZ #### LoaderInfo: systemd-boot {version} ####")
}

fn tree(files: &[(&str, String)]) -> Tree {
    testing::tree(files.iter().map(|(path, content)| (*path, Content::Inline(content.as_bytes()))))
}

fn repository(folder: &tempfile::TempDir) -> Repository {
    Repository::init(&RealDisk::shared(), folder.path().join("r"), &InitOptions::default()).unwrap().0
}

fn paths(loader: &Loader) -> Vec<(&str, &str)> {
    loader.files.iter().map(|file| (file.path.as_str(), file.source.rsplit('/').next().unwrap())).collect()
}

/// What is on a boot partition, by path and version.
fn there(list: &[(&str, Option<&str>)]) -> Vec<FoundLoader> {
    let found = |(path, version): &(&str, Option<&str>)| FoundLoader {
        path: (*path).to_owned(),
        size: 1,
        sha256: Some(format!("{version:?}")),
        version: version.map(str::to_owned),
    };
    list.iter().map(found).collect()
}

fn written(loader: &Loader, there: &[FoundLoader], wish: LoaderWish) -> (Vec<String>, usize) {
    let changes = loader.changes(there, wish);
    (changes.write.iter().map(|file| file.path.clone()).collect(), changes.notes.len())
}

const OWN: &str = "EFI/systemd/systemd-bootx64.efi";
const FALLBACK: &str = "EFI/BOOT/BOOTX64.EFI";

fn systemd_boot(version: &str) -> Loader {
    let folder = tempfile::tempdir().unwrap();
    let tree = tree(&[("usr/lib/systemd/boot/efi/systemd-bootx64.efi", program(version))]);
    Loader::systemd_boot(&tree, &repository(&folder)).unwrap().unwrap()
}

#[test]
fn systemd_boot_of_each_architecture_is_found_signed_where_it_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let efi = "usr/lib/systemd/boot/efi";
    let keys = "usr/lib/bootc/install/secureboot-keys";
    let tree = tree(&[
        (&format!("{efi}/systemd-bootx64.efi"), program("257")),
        (&format!("{efi}/systemd-bootx64.efi.signed"), program("257") + "signature"),
        (&format!("{efi}/systemd-bootaa64.efi"), program("257")),
        (&format!("{efi}/systemd-bootia32.efi"), "no magic".into()),
        (&format!("{efi}/linuxx64.efi.stub"), program("257")),
        (&format!("{keys}/vendor/db.auth"), "db".into()),
        (&format!("{keys}/vendor/README"), "no key".into()),
    ]);
    let loader = Loader::systemd_boot(&tree, &repository(&folder)).unwrap().unwrap();
    assert_eq!(loader.version.as_deref(), Some("257"));
    let expected = [
        ("loader/keys/vendor/db.auth", "db.auth"),
        ("EFI/systemd/systemd-bootaa64.efi", "systemd-bootaa64.efi"),
        ("EFI/systemd/systemd-bootx64.efi", "systemd-bootx64.efi.signed"),
        ("EFI/BOOT/BOOTAA64.EFI", "systemd-bootaa64.efi"),
        ("EFI/BOOT/BOOTX64.EFI", "systemd-bootx64.efi.signed"),
    ];
    assert_eq!(paths(&loader), expected);
    let none = Loader::systemd_boot(&self::tree(&[("etc/x", String::new())]), &repository(&folder));
    assert!(none.unwrap().is_none());
}

#[test]
fn a_newer_one_stays_an_older_one_goes_and_a_different_one_of_the_version_is_the_images() {
    let loader = systemd_boot("257.9");
    for wish in [LoaderWish::Default, LoaderWish::Asked] {
        let both = vec![OWN.to_owned(), FALLBACK.to_owned()];
        assert_eq!(written(&loader, &[], wish), (both.clone(), 0));
        for older in ["257.9~rc1", "256.12", "257.9"] {
            let there = there(&[(OWN, Some(older)), (FALLBACK, Some(older))]);
            assert_eq!(written(&loader, &there, wish), (both.clone(), 0), "{older}");
        }
        let newer = there(&[(OWN, Some("258")), (FALLBACK, Some("257.9"))]);
        assert_eq!(written(&loader, &newer, wish), (vec![FALLBACK.to_owned()], 1));
    }
    let same: Vec<FoundLoader> = loader
        .files
        .iter()
        .map(|file| FoundLoader {
            path: file.path.to_ascii_lowercase(),
            size: 1,
            sha256: Some(file.sha256.clone()),
            version: file.version.clone(),
        })
        .collect();
    assert_eq!(written(&loader, &same, LoaderWish::Asked), (vec![], 0));
}

#[test]
fn anothers_boot_loader_is_left_alone_unless_asked() {
    let loader = systemd_boot("257");
    let foreign = there(&[(FALLBACK, None)]);
    assert_eq!(written(&loader, &foreign, LoaderWish::Default), (vec![], 1));
    let asked = written(&loader, &foreign, LoaderWish::Asked);
    assert_eq!(asked, (vec![OWN.to_owned(), FALLBACK.to_owned()], 0));
    // Ours is beside it, by a boot variable: it is updated.
    let beside = there(&[(FALLBACK, None), (OWN, Some("256"))]);
    assert_eq!(written(&loader, &beside, LoaderWish::Default), (vec![OWN.to_owned()], 1));
}

#[test]
fn what_bootupd_carries_is_read_as_data_and_the_fallback_comes_last() {
    let folder = tempfile::tempdir().unwrap();
    let repository = repository(&folder);
    let json = (
        "usr/lib/bootupd/updates/EFI.json",
        r#"{"timestamp":"2026-01-01T00:00:00Z","version":"grub2-2.12,shim-15.8"}"#.to_owned(),
    );
    let old = tree(&[
        json.clone(),
        ("usr/lib/bootupd/updates/EFI/fedora/grubx64.efi", "grub".into()),
        ("usr/lib/bootupd/updates/EFI/fedora/shimx64.efi", "shim".into()),
        ("usr/lib/bootupd/updates/EFI/BOOT/BOOTX64.EFI", "shim".into()),
        ("usr/lib/bootupd/updates/EFI/Linux/evil.efi", "kernel".into()),
    ]);
    let loader = Loader::grub(&old, &repository).unwrap().unwrap();
    let expected = [
        ("EFI/fedora/grubx64.efi", "grubx64.efi"),
        ("EFI/fedora/shimx64.efi", "shimx64.efi"),
        ("EFI/BOOT/BOOTX64.EFI", "BOOTX64.EFI"),
    ];
    assert_eq!(paths(&loader), expected);
    assert_eq!(loader.version.as_deref(), Some("grub2-2.12,shim-15.8"));
    let new = tree(&[
        json.clone(),
        ("usr/lib/efi/grub2/1:2.12/EFI/fedora/grubx64.efi", "grub".into()),
        ("usr/lib/efi/shim/15.8/EFI/BOOT/BOOTX64.EFI", "shim".into()),
    ]);
    let loader = Loader::grub(&new, &repository).unwrap().unwrap();
    assert_eq!(loader.files.len(), 2);
    // One that is there is somebody's, until this one is asked for.
    let foreign = there(&[(FALLBACK, None)]);
    assert_eq!(written(&loader, &foreign, LoaderWish::Default), (vec![], 1));
    assert_eq!(written(&loader, &foreign, LoaderWish::Asked).0.len(), 2);
    // Without metadata it is nobody's to copy; without a program it is none.
    assert!(
        Loader::grub(&tree(&[("usr/lib/efi/a/1/EFI/x/a.efi", String::new())]), &repository)
            .unwrap()
            .is_none()
    );
    assert!(Loader::grub(&tree(&[json]), &repository).unwrap().is_none());
}
