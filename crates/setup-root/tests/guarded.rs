//! With fs-verity in the kernel: an image boots with `verity=require`, and whatever was changed below it is an error and
//! never other bytes. Runs in the guest of `make test-vm`, and wherever the temporary folder has fs-verity.
#![allow(clippy::disallowed_methods, reason = "a test, with ordinary files")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use std::fs;

use kit::{Machine, guarded, large};
use sealstone_store::{Algorithm, verity};

/// Boots, and says how much of the object can be read.
const LOOK: &str = "boot\ncat $S/usr/name; echo\nwc -c 2>&1 < $S/usr/object || true\n\
    cat $S/usr/object >/dev/null 2>/run/said || cat /run/said\n\
    grep -F \" $S \" /proc/self/mountinfo | grep -o verity=require\n";

/// Puts other bytes in the place of a file, with fs-verity of their own or without.
fn replace(machine: &Machine, file: &std::path::Path, seal: Option<Algorithm>) {
    let mut bytes = fs::read(file).unwrap();
    bytes[2000] ^= 1;
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
    if let Some(algorithm) = seal {
        verity::enable(fs::File::open(file).unwrap(), algorithm).unwrap();
    }
    assert!(machine.path("physical/composefs/meta.json").exists());
}

#[test]
fn a_guarded_image_boots_and_the_kernel_requires_its_digests() {
    for (algorithm, hash) in [(Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")] {
        let Some(machine) = guarded("a_guarded_image_boots_and_the_kernel_requires_its_digests", algorithm)
        else {
            return;
        };
        let image = machine.deployment("one");
        for argument in [format!("composefs={image}"), format!("composefs.digest=v1-{hash}-12:{image}")] {
            let seen = machine.run(&argument, LOOK).succeeds();
            assert_eq!(seen, format!("one\n{}\nverity=require\n", large().len()));
        }
    }
}

#[test]
fn a_changed_byte_of_an_object_is_an_error_and_never_other_bytes() {
    let test = "a_changed_byte_of_an_object_is_an_error_and_never_other_bytes";
    for seal in [None, Some(Algorithm::Sha512)] {
        let Some(machine) = guarded(test, Algorithm::Sha512) else { return };
        let image = machine.deployment("one");
        replace(&machine, &machine.shared_object(), seal);
        let seen = machine.run(&format!("composefs={image}"), LOOK).succeeds();
        assert!(seen.contains("Input/output error") && !seen.contains(&large().len().to_string()), "{seen}");
    }
}

#[test]
fn a_changed_byte_of_the_image_stops_the_boot() {
    let test = "a_changed_byte_of_the_image_stops_the_boot";
    for (seal, reason) in [(None, "has no fs-verity"), (Some(Algorithm::Sha512), "the fs-verity digest of")] {
        let Some(machine) = guarded(test, Algorithm::Sha512) else { return };
        let image = machine.deployment("one");
        replace(&machine, &machine.object(&image), seal);
        let said = machine.run(&format!("composefs={image}"), "boot").fails(3);
        assert!(said.contains(reason), "{said}");
        assert!(said.contains("is not to be trusted"), "{said}");
        // Not even where the argument is content without fs-verity: the bytes are not the image's.
        machine.run(&format!("composefs=?{image}"), "boot").fails(3);
    }
}

#[test]
fn a_digest_of_another_algorithm_names_no_image() {
    let Some(machine) = guarded("a_digest_of_another_algorithm_names_no_image", Algorithm::Sha512) else {
        return;
    };
    machine.deployment("one");
    let said = machine.run(&format!("composefs={}", "0".repeat(64)), "boot").fails(5);
    assert!(said.contains(&format!("composefs={}", "0".repeat(64))), "{said}");
}
