//! Sealed systems whose command line names the digest of either format and hash, and what is told of one that names neither.
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

use kit::deployed::Deployed;
use kit::{Image, Layer, skip, stub};
use sealstone::store::{Algorithm, verity};

/// The digest of an image without its unified kernel image, of this format and hash.
fn digest(deployed: &Deployed, image: &str, erofs: &str, algorithm: &str) -> String {
    let args = ["image", "digest", image, "--erofs", erofs, "--algorithm", algorithm, "--json"];
    deployed.store(&args).json()["digests"][0]["digest"].as_str().unwrap().to_owned()
}

/// A unified kernel image whose command line has this argument.
fn sealed(deployed: &Deployed, karg: &str) -> Vec<u8> {
    fs::write(deployed.sandbox.path("stub"), stub::stub()).unwrap();
    fs::write(deployed.sandbox.path("linux"), kit::layer::noise(20_000, 1)).unwrap();
    let parts = ["uki", "build", "--stub", "stub", "--linux", "linux", "--cmdline", karg, "--uname", "6.1.0"];
    deployed.store(&[&parts[..], &["--output", "sealed.efi"]].concat()).succeeds();
    fs::read(deployed.sandbox.path("sealed.efi")).unwrap()
}

fn bootable(deployed: &Deployed, image: &str) -> String {
    deployed.store(&["inspect", image, "--json"]).json()["bootable"].as_str().unwrap().to_owned()
}

#[test]
fn a_system_is_sealed_by_either_format_and_either_hash_and_kept_in_it() {
    for (erofs, algorithm) in [("v1", "sha256"), ("v2", "sha256"), ("v2", "sha512")] {
        let deployed = Deployed::with(&["--algorithm", algorithm]);
        for version in ["1", "2"] {
            let base = deployed.import_unsealed(version);
            let id = digest(&deployed, &base, erofs, algorithm);
            let karg = format!("quiet composefs.digest=?{erofs}-{algorithm}-12:{id}");
            deployed.import_with_uki(version, &sealed(&deployed, &karg));
            assert_eq!(bootable(&deployed, version), id);
            deployed.deploy(version, &[]).succeeds();
            assert_eq!(deployed.deployments()[0]["image"]["id"], id.as_str());
            deployed.store(&["rm", &base]).succeeds();
        }
        deployed.store(&["gc"]).succeeds();
        deployed.store(&["fsck"]).succeeds();
        let found = deployed.deployments();
        assert!(found.len() == 2 && found.iter().all(|one| one["health"]["is"] == "good"), "{found:?}");
        let listed = deployed.store(&["ls", "-R", &bootable(&deployed, "2")]).succeeds();
        assert!(listed.contains("vmlinuz") && !listed.contains("os.efi"), "{listed}");
        deployed.store(&["rollback", "--sysroot", "sysroot", "--esp", "esp"]).succeeds();
        assert_eq!(deployed.deployments()[0]["id"], bootable(&deployed, "1").as_str());
    }
}

#[test]
fn an_image_of_format_v2_is_mounted() {
    let test = "an_image_of_format_v2_is_mounted";
    if !kit::is_root() {
        return skip(test, "mounting needs root");
    }
    let deployed = Deployed::new();
    let doctor = deployed.store(&["doctor", "--json"]).json();
    for finding in doctor["findings"].as_array().unwrap() {
        let is_needed =
            ["mount-api", "erofs", "overlay-data-only"].iter().any(|what| finding["what"] == *what);
        if is_needed && finding["ability"] != "yes" {
            return skip(test, &finding.to_string());
        }
    }
    let base = deployed.import_unsealed("1");
    let id = digest(&deployed, &base, "v2", "sha512");
    deployed.import_with_uki("1", &sealed(&deployed, &format!("composefs=?{id}")));
    fs::create_dir(deployed.sandbox.path("mnt")).unwrap();
    deployed.store(&["mount", &id, "mnt"]).succeeds();
    let kernel = fs::read(deployed.sandbox.path("mnt/usr/lib/modules/6.1.0/vmlinuz"));
    deployed.store(&["umount", "mnt"]).succeeds();
    assert!(kernel.unwrap() == kit::layer::noise(20_000, 1));
}

#[test]
fn a_digest_of_neither_is_refused_with_what_differs_and_how_to_see_it() {
    let deployed = Deployed::new();
    let base = deployed.import_unsealed("1");
    let other = deployed.import_unsealed("2");
    let files = bootable(&deployed, &other);
    let foreign = digest(&deployed, &base, "v1", "sha256");
    let described = format!("composefs.digest=?v1-sha256-12:{foreign}");
    for (karg, reason) in [
        (format!("composefs=?{files}"), "the files are others"),
        (described, "sealed for a repository of fsverity-sha256-12"),
    ] {
        deployed.import_with_uki("1", &sealed(&deployed, &karg));
        let told = deployed.deploy("1", &[]).fails(3);
        assert!(told.contains(reason), "{told}");
        if karg.starts_with("composefs=") {
            assert!(told.contains("store diff --explain"), "{told}");
        }
    }
    assert_eq!(fs::read_dir(deployed.sandbox.path("esp")).unwrap().count(), 0);
}

// bootc#1940: the documented way of sealing took the kernel out of the image once its digest was computed.
#[test]
fn a_kernel_that_was_taken_out_after_the_digest_was_computed_is_told_as_other_files() {
    let deployed = Deployed::new();
    let base = deployed.import_unsealed("1");
    let modules = "usr/lib/modules/6.1.0";
    let import = |image: &str| {
        let uki = sealed(&deployed, &format!("composefs=?{}", bootable(&deployed, image)));
        let top = Layer::new().dir("boot/EFI").dir("boot/EFI/Linux").file("boot/EFI/Linux/os.efi", &uki);
        let top = top.whiteout(&format!("{modules}/vmlinuz")).whiteout(&format!("{modules}/initramfs.img"));
        Image::new().layer(kit::sealed::unsealed("1")).layer(top).write(&deployed.sandbox.path("sealed"));
        let layout = format!("oci:{}", deployed.sandbox.path("sealed").display());
        deployed.store(&["import", "--name", "1", &layout]).succeeds();
    };
    import(&base);
    let told = deployed.deploy("1", &[]).fails(3);
    assert!(told.contains("the files are others") && told.contains("store diff --explain"), "{told}");
    assert_eq!(fs::read_dir(deployed.sandbox.path("esp")).unwrap().count(), 0);
    // Computed when it is gone, the digest is right.
    import("1");
    deployed.deploy("1", &[]).succeeds();
}

// composefs-rs#373: the unified kernel images of systems that were gone stayed in the repository, since no image that boots
// names them.
#[test]
fn a_unified_kernel_image_leaves_the_repository_with_its_system() {
    let deployed = Deployed::new();
    let objects = ["1", "2", "3"].map(|version| {
        let uki = deployed.import_sealed(version);
        deployed.deploy(version, &["--keep", "2"]).succeeds();
        for name in [version, &format!("base-{version}")] {
            deployed.store(&["rm", name]).succeeds();
        }
        let hex = verity::digest(Algorithm::Sha512, &uki).to_hex();
        deployed.sandbox.path(&format!("sysroot/composefs/objects/{}/{}", &hex[..2], &hex[2..]))
    });
    assert!(objects[0].exists());
    deployed.store(&["gc"]).succeeds();
    assert_eq!(objects.each_ref().map(|object| object.exists()), [false, true, true]);
    deployed.store(&["fsck"]).succeeds();
}

#[test]
fn the_same_system_signed_anew_is_an_update_beside_the_old_one() {
    let deployed = Deployed::new();
    let base = deployed.import_unsealed("1");
    let id = bootable(&deployed, &base);
    let ukis = ["quiet", "loud"].map(|first| sealed(&deployed, &format!("{first} composefs=?{id}")));
    for uki in &ukis {
        deployed.import_with_uki("1", uki);
        deployed.deploy("1", &[]).succeeds();
    }
    let file = |name: &str| {
        fs::read(deployed.sandbox.path(&format!("esp/EFI/Linux/bootc/bootc_composefs-{name}.efi")))
    };
    assert!(file(&id).unwrap() == ukis[0] && file(&format!("{id}.1")).unwrap() == ukis[1]);
    let found = deployed.deployments();
    assert_eq!((&found[0]["id"], &found[1]["id"]), (&format!("{id}.1").into(), &id.clone().into()));
    assert!(found.iter().all(|one| one["health"]["is"] == "good"), "{found:?}");
    deployed.store(&["rollback", "--sysroot", "sysroot", "--esp", "esp"]).succeeds();
    assert_eq!(deployed.deployments()[0]["id"], id.as_str());
    assert_eq!(fs::read_dir(deployed.sandbox.path("sysroot/state/deploy")).unwrap().count(), 1);
}
