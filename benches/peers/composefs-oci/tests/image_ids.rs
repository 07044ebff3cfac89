//! The ids of our images are those that the crate composefs-oci gives: the plain one and the bootable one, in repositories of
//! both algorithms, for an image with one of everything that a merge has to decide.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "../../../../tests/kit/layer.rs"]
#[allow(dead_code, reason = "the kit of the product's tests, used in part")]
mod layer;
#[path = "../../../../tests/kit/layout.rs"]
#[allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "the kit of the product's tests, used in part; ordinary files"
)]
mod layout;

use std::path::Path;
use std::sync::Arc;

use composefs::fsverity::{Algorithm as Theirs, FsVerityHashValue, Sha256HashValue, Sha512HashValue};
use composefs::repository::{Repository as TheirRepository, RepositoryConfig};
use composefs_oci::oci_layout::{OciLayoutKind, import_oci_layout};
use composefs_oci::{NullReporter, OciTransformOptions};
use layer::{Layer, noise};
use layout::{Compression, Image};
use rustix::fs::CWD;
use sealstone_deploy::import_image;
use sealstone_import::{ImportOptions, source};
use sealstone_store::disk::RealDisk;
use sealstone_store::{Algorithm, Control, InitOptions, Repository};

/// Whiteouts before and after, an opaque folder, links across layers, replaced types, odd sizes and attributes.
fn image() -> Image {
    let changes = Layer::new()
        .whiteout("etc/hostname")
        .file("etc/replaced", b"a file again")
        .hardlink("usr/bin/hello-again", "usr/bin/hello")
        .symlink("usr/lib/gone", "nowhere")
        .file("usr/share/.wh..wh..opq", b"")
        .file("usr/share/new", &noise(4_096, 7))
        .file_with_xattr("usr/bin/ping", &noise(65, 8), "security.capability", b"\x01\0\0\x02\0 \0\0")
        .file_with_xattr("usr/bin/label", b"x", "user.removed", b"by the profile");
    let base = Layer::system("6.1.0")
        .dir("usr/share")
        .dir("etc/replaced")
        .file("etc/replaced/inside", b"goes with its folder")
        .file("usr/share/old", &noise(2_048, 6))
        .file("usr/lib/inline", &noise(64, 5))
        .file("usr/lib/external", &noise(65, 5))
        .file_with_mode("usr/bin/sudo", 0o4755, &noise(300_000, 4))
        .file("run/left", b"emptied")
        .file("boot/left", b"emptied in the bootable image");
    Image::new().compressed_layer(base, Compression::None).layer(changes)
}

/// The plain and the bootable id, by the crate.
async fn theirs<H: FsVerityHashValue>(folder: &Path, algorithm: Theirs) -> (String, String) {
    let config = RepositoryConfig::new(algorithm).set_insecure();
    let (repository, _) = TheirRepository::<H>::init_path(CWD, folder.join("theirs"), config).unwrap();
    let repository = Arc::new(repository);
    let layout = folder.join("layout");
    let reporter = Arc::new(NullReporter);
    let (pulled, _) =
        import_oci_layout(&repository, OciLayoutKind::Directory, &layout, None, reporter).await.unwrap();
    let options = OciTransformOptions::default();
    let (config, verity) = (&pulled.config_digest, Some(&pulled.config_verity));
    let tree = composefs_oci::image::create_filesystem(&repository, config, verity, &options).unwrap();
    let plain = tree.commit_image(&repository, None).unwrap();
    let bootable =
        composefs_oci::boot::generate_boot_image(&repository, &pulled.manifest_digest, &options).unwrap();
    (plain.to_hex(), bootable.to_hex())
}

/// The plain and the bootable id, by us.
fn ours(folder: &Path, algorithm: Algorithm) -> (String, String) {
    let disk = RealDisk::shared();
    let options = InitOptions { algorithm, ..InitOptions::default() };
    let (repository, _) = Repository::init(&disk, folder.join("ours"), &options).unwrap();
    let reference = format!("oci:{}", folder.join("layout").display()).parse().unwrap();
    let options = ImportOptions::default();
    let source = source::open(&disk, &reference, &options.limits).unwrap();
    let done = import_image(&repository, &*source, "test", &options, &Control::new()).unwrap();
    (done.images.image.to_string(), done.images.bootable.as_ref().unwrap().to_string())
}

fn check<H: FsVerityHashValue>(algorithm: Algorithm, same: Theirs) {
    let folder = tempfile::tempdir().unwrap();
    image().write(&folder.path().join("layout"));
    let (plain, bootable) = ours(folder.path(), algorithm);
    assert_ne!(plain, bootable);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!((plain, bootable), runtime.block_on(theirs::<H>(folder.path(), same)));
}

#[test]
fn images_of_a_sha256_repository_have_the_ids_of_composefs_oci() {
    check::<Sha256HashValue>(Algorithm::Sha256, Theirs::SHA256);
}

#[test]
fn images_of_a_sha512_repository_have_the_ids_of_composefs_oci() {
    check::<Sha512HashValue>(Algorithm::Sha512, Theirs::SHA512);
}
