//! Images that are not what they say: refused with exit code 3, nothing published, and an honest import afterwards works.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::layout::flip_a_bit;
use kit::sandbox::listing;
use kit::{Compression, Image, Layer, Sandbox};

/// Imports `image`, which must be refused with `code`, and then an honest image, which must not suffer from it.
#[track_caller]
fn refused(image: &Image, damage: impl Fn(&std::path::Path), code: i32) -> String {
    let sandbox = Sandbox::with_repository();
    let layout = sandbox.path("bad");
    image.write(&layout);
    damage(&layout);
    let stderr = sandbox.store(["import", "--name", "bad", &format!("oci:{}", layout.display())]).fails(code);
    let images = sandbox.store(["images", "--json"]).json();
    assert_eq!(images["images"], serde_json::json!([]), "something was published");
    let names = listing(&sandbox.repository());
    let published =
        |name: &&String| name.starts_with("streams/oci-") || name.starts_with("images/") && name.len() > 30;
    assert_eq!(names.iter().find(published), None, "a name was published");
    sandbox.import("good", &Image::bootable("6.1.0"), "good").succeeds();
    sandbox.store(["fsck"]).succeeds();
    stderr
}

#[test]
fn a_flipped_bit_is_refused() {
    let stderr = refused(&Image::bootable("6.1.0"), flip_a_bit, 3);
    assert!(stderr.contains("sha256:"), "{stderr}");
}

#[test]
fn a_lying_diff_id_is_refused() {
    let stderr = refused(&Image::bootable("6.1.0").with_lying_diff_id(0), |_| {}, 3);
    assert!(stderr.contains("sha256:"), "{stderr}");
}

#[test]
fn a_wrong_size_is_refused() {
    let stderr = refused(&Image::bootable("6.1.0").with_lying_size(1), |_| {}, 3);
    assert!(stderr.contains("size"), "{stderr}");
}

#[test]
fn a_layer_that_climbs_out_is_refused() {
    let image = Image::new().layer(Layer::new().dir("usr").file_with_raw_name(b"usr/../../escape", b"out"));
    let stderr = refused(&image, |_| {}, 3);
    assert!(stderr.contains(".."), "{stderr}");
}

#[test]
fn a_truncated_layer_is_refused() {
    let mut tar = Layer::system("6.1.0").finish();
    tar.truncate(tar.len() / 2);
    let stderr = refused(&Image::new().tar(tar, Compression::Gzip), |_| {}, 3);
    assert!(!stderr.is_empty());
}

#[test]
fn a_layout_that_is_not_there_is_named() {
    let sandbox = Sandbox::with_repository();
    let stderr = sandbox.store(["import", "oci:nowhere"]).fails(5);
    assert!(stderr.contains("nowhere"), "{stderr}");
}

#[test]
fn a_reference_of_no_known_form_is_a_usage_error() {
    let sandbox = Sandbox::with_repository();
    let stderr = sandbox.store(["import", "debian:12"]).fails(2);
    assert!(stderr.contains("oci:") && stderr.contains("docker://docker.io/library/debian:12"), "{stderr}");
}

#[test]
fn an_unknown_image_is_named_with_the_way_to_list_them() {
    let sandbox = Sandbox::with_image(&Image::bootable("6.1.0"));
    let stderr = sandbox.store(["ls", "other"]).fails(5);
    assert!(stderr.contains("other") && stderr.contains("store images"), "{stderr}");
}

#[test]
fn a_path_that_is_not_in_the_image_is_named() {
    let sandbox = Sandbox::with_image(&Image::bootable("6.1.0"));
    let stderr = sandbox.store(["cat", "example", "/usr/bin/none"]).fails(5);
    assert!(stderr.contains("/usr/bin/none"), "{stderr}");
}
