//! Repositories that are missing, foreign, newer, or of another kind get a clear answer and stay as they are.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::fs;

use kit::sandbox::listing;
use kit::{Image, Sandbox};

#[test]
fn init_twice_is_one_repository() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.store(["init", "--json"]).json()["created"], true);
    let before = listing(&sandbox.repository());
    assert_eq!(sandbox.store(["init", "--json"]).json()["created"], false);
    assert_eq!(listing(&sandbox.repository()), before);
}

#[test]
fn a_repository_of_a_sysroot_is_sha512_and_another_one_sha256() {
    let sandbox = Sandbox::new();
    let of_a_sysroot = sandbox.path("sysroot/composefs").display().to_string();
    let document = sandbox.store(["init", "--json", "--repo", &of_a_sysroot]).json();
    assert_eq!(document["algorithm"], "fsverity-sha512-12");
    assert_eq!(sandbox.store(["init", "--json"]).json()["algorithm"], "fsverity-sha256-12");
}

#[test]
fn init_refuses_to_change_the_algorithm() {
    let sandbox = Sandbox::with_repository();
    let stderr = sandbox.store(["init", "--algorithm", "sha512"]).fails(7);
    assert!(stderr.contains("fsverity-sha256-12"), "{stderr}");
}

#[test]
fn a_missing_repository_is_named_with_the_way_to_make_one() {
    let sandbox = Sandbox::new();
    let stderr = sandbox.store(["images"]).fails(5);
    assert!(stderr.contains(&sandbox.repository().display().to_string()), "{stderr}");
    assert!(stderr.contains("store init"), "{stderr}");
    assert!(!sandbox.repository().exists(), "reading made a repository");
}

#[test]
fn a_foreign_folder_is_refused_and_left_alone() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.repository()).unwrap();
    fs::write(sandbox.repository().join("thesis.tex"), "precious").unwrap();
    let before = listing(&sandbox.repository());
    for args in [&["images"][..], &["init"], &["gc"], &["fsck"]] {
        let stderr = sandbox.store(args).fails(1);
        assert!(stderr.contains("not a repository"), "{args:?}: {stderr}");
    }
    assert_eq!(listing(&sandbox.repository()), before);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    for (key, value, complaint) in [
        ("\"version\": 1", "\"version\": 2", "2"),
        ("\"incompatible\": []", "\"incompatible\": [\"from-the-future\"]", "from-the-future"),
    ] {
        let sandbox = Sandbox::with_image(&Image::bootable("6.1.0"));
        let meta = sandbox.repository().join("meta.json");
        let text = fs::read_to_string(&meta).unwrap();
        assert!(text.contains(key), "{text}");
        fs::remove_file(&meta).unwrap();
        fs::write(&meta, text.replace(key, value)).unwrap();
        let before = listing(&sandbox.repository());
        for args in [&["images"][..], &["gc"], &["fsck", "--repair"], &["rm", "example"]] {
            let stderr = sandbox.store(args).fails(7);
            assert!(stderr.contains(complaint), "{args:?}: {stderr}");
        }
        assert_eq!(listing(&sandbox.repository()), before);
    }
}

#[test]
fn an_unknown_read_only_feature_allows_reading_and_refuses_writing() {
    let sandbox = Sandbox::with_image(&Image::bootable("6.1.0"));
    let meta = sandbox.repository().join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    fs::remove_file(&meta).unwrap();
    fs::write(&meta, text.replace("\"v1_erofs\"", "\"v1_erofs\", \"from-the-future\"")).unwrap();
    sandbox.store(["ls", "example"]).succeeds();
    let before = listing(&sandbox.repository());
    for args in [&["gc"][..], &["rm", "example"]] {
        let stderr = sandbox.store(args).fails(1);
        assert!(stderr.contains("from-the-future"), "{args:?}: {stderr}");
    }
    assert_eq!(listing(&sandbox.repository()), before);
}

#[test]
fn the_option_wins_over_the_variable() {
    let sandbox = Sandbox::new();
    let other = sandbox.path("other").display().to_string();
    let document = sandbox.store(["init", "--json", "--repo", &other]).json();
    assert_eq!(document["repository"], other.as_str());
    assert!(!sandbox.repository().exists());
}
