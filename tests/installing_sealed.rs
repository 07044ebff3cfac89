//! Installing an image that boots by a unified kernel image: what finds the root is sealed in it, and nothing is added.
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

use kit::Outcome;
use kit::deployed::Deployed;

/// Installs the sealed system 1 into the folder `mnt`.
fn install(deployed: &Deployed, more: &[&str]) -> Outcome {
    let image = format!("oci:{}", deployed.sandbox.path("sealed-1").display());
    let args = ["install", "to-filesystem", "--root", "mnt", "--esp", "boot", &image];
    Outcome::of(deployed.sandbox.command([&args[..], more].concat()).env_remove("SEALSTONE_REPO"))
}

#[test]
fn a_sealed_image_is_installed_as_it_is_and_what_would_change_it_is_refused() {
    let deployed = Deployed::new();
    let uki = deployed.import_sealed("1");
    for folder in ["mnt", "boot"] {
        fs::create_dir(deployed.sandbox.path(folder)).unwrap();
    }
    for asked in
        [["--karg", "debug"], ["--root-mount-spec", "LABEL=root"], ["--boot-mount-spec", "LABEL=esp"]]
    {
        let told = install(&deployed, &asked).fails(1);
        assert!(told.contains("sealed") && told.contains("addon"), "{told}");
        assert!(!deployed.sandbox.path("boot/EFI").exists(), "{asked:?}");
    }
    install(&deployed, &[]).succeeds();
    let id = deployed.store(&["inspect", "1", "--json"]).json()["bootable"].as_str().unwrap().to_owned();
    let place = format!("boot/EFI/Linux/bootc/bootc_composefs-{id}.efi");
    assert_eq!(fs::read(deployed.sandbox.path(&place)).unwrap(), uki);
}
