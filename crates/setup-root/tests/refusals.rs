//! What stands in the way of a root is said, with what was asked, what is there and what to do; and the machine is left as
//! it was. Needs root; runs on any kernel that mounts images, and in the guest of `make test-vm`.
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

use kit::{Machine, can_mount};
use sealstone_store::{Algorithm, Verity};

/// Boots, and ends with the program's code if nothing is mounted that was not before.
const TRY: &str = "before=$(cut -d' ' -f5- /proc/self/mountinfo)\ncode=0; boot || code=$?\n\
    [ \"$before\" = \"$(cut -d' ' -f5- /proc/self/mountinfo)\" ] || exit 99\n\
    [ -e $S/composefs/meta.json ] || exit 98\n[ ! -e /run/store-setup-root ] || exit 97\nexit $code\n";

fn machine(test: &str) -> Option<Machine> {
    can_mount(test).then(|| Machine::new(Algorithm::Sha512, Verity::Computed))
}

#[test]
fn an_image_that_is_not_there_is_named_with_those_that_are() {
    let Some(machine) = machine("an_image_that_is_not_there_is_named_with_those_that_are") else { return };
    let (one, two) = (machine.deployment("one"), machine.deployment("two"));
    machine.state(&format!("{one}.1"));
    machine.state(&"ee".repeat(64));
    let absent = "0".repeat(128);
    let said = machine.run(&format!("composefs={absent}"), TRY).fails(5);
    for word in [
        &format!("composefs={absent}"),
        &format!("  {one}\n"),
        &format!("  {one}.1\n"),
        &format!("  {two}\n"),
    ] {
        assert!(said.contains(word.as_str()), "{word} in {said}");
    }
    assert!(said.contains("what to do: boot another entry"), "{said}");
    assert!(!said.contains(&"ee".repeat(64)), "whose image is gone: {said}");
}

#[test]
fn a_root_file_system_without_a_repository_is_told_from_a_missing_image() {
    let Some(machine) = machine("a_root_file_system_without_a_repository_is_told_from_a_missing_image")
    else {
        return;
    };
    let script =
        format!("mount -t tmpfs empty $S; mkdir -p $S/composefs; echo > $S/composefs/meta.json\n{TRY}");
    let said = machine.run(&format!("composefs={}", "0".repeat(128)), &script).fails(5);
    assert!(said.contains("is this the right root file system?"), "{said}");
}

#[test]
fn a_changed_byte_of_the_image_stops_the_boot() {
    let Some(machine) = machine("a_changed_byte_of_the_image_stops_the_boot") else { return };
    let image = machine.deployment("one");
    let file = machine.object(&image);
    let mut bytes = fs::read(&file).unwrap();
    bytes[2000] ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, bytes).unwrap();
    let said = machine.run(&format!("composefs=?{image}"), TRY).fails(3);
    assert!(said.contains(&format!("the image {image} is not to be trusted: the digest of")), "{said}");
    assert!(said.contains("store fsck"), "{said}");
    fs::remove_file(&file).unwrap();
    let said = machine.run(&format!("composefs=?{image}"), TRY).fails(3);
    assert!(said.contains("its name and not its bytes"), "{said}");
}

#[test]
fn an_image_that_nobody_guards_is_refused_unless_the_argument_allows_it() {
    let test = "an_image_that_nobody_guards_is_refused_unless_the_argument_allows_it";
    let Some(machine) = machine(test) else { return };
    let image = machine.deployment("one");
    let said = machine.run(&format!("composefs={image}"), TRY).fails(3);
    assert!(said.contains("has no fs-verity") && said.contains("a ? before the id"), "{said}");
}

#[test]
fn a_deployment_without_its_state_is_not_half_booted() {
    let Some(machine) = machine("a_deployment_without_its_state_is_not_half_booted") else { return };
    let image = machine.image("one", &[]);
    let other = machine.deployment("two");
    let said = machine.run(&format!("composefs=?{image}"), TRY).fails(5);
    assert!(said.contains(&format!("there is no state of the deployment {image}")), "{said}");
    assert!(said.contains(&format!("  {other}\n")), "{said}");
    let said = machine.run(&format!("composefs=?{other} composefs.state=lost"), TRY).fails(5);
    assert!(said.contains("deployment lost"), "{said}");
    let said = machine.run(&format!("composefs=?{other} composefs.state=../os"), TRY).fails(2);
    assert!(said.contains("no name of a folder"), "{said}");
}

#[test]
fn an_image_without_a_place_for_etc_leaves_the_machine_as_it_was() {
    let Some(machine) = machine("an_image_without_a_place_for_etc_leaves_the_machine_as_it_was") else {
        return;
    };
    let image = machine.image_with("one", &["sysroot", "var"], &[]);
    machine.state(&image.to_hex());
    let said = machine.run(&format!("composefs=?{image}"), TRY).fails(1);
    assert!(said.contains("/etc"), "{said}");
}

#[test]
fn a_configuration_that_cannot_be_understood_is_named() {
    let Some(machine) = machine("a_configuration_that_cannot_be_understood_is_named") else { return };
    let image = machine.image("one", &[("usr/lib/composefs/setup-root-conf.toml", "etc.mount = 'nfs'")]);
    let said = machine.run(&format!("composefs=?{image}"), TRY).fails(1);
    assert!(said.contains("setup-root-conf.toml") && said.contains("nfs"), "{said}");
}

#[test]
fn an_argument_that_cannot_be_read_is_shown() {
    let Some(machine) = machine("an_argument_that_cannot_be_read_is_shown") else { return };
    let said = machine.run("composefs=abcd", TRY).fails(2);
    assert!(said.contains("composefs=abcd"), "{said}");
}

#[test]
fn what_is_ostrees_or_nobodys_business_is_left_alone() {
    let Some(machine) = machine("what_is_ostrees_or_nobodys_business_is_left_alone") else { return };
    let image = machine.deployment("one");
    for line in [format!("ostree=/ostree/boot.1/x composefs=?{image}"), "quiet rw".to_owned()] {
        let said = machine.run(&line, TRY).fails(0);
        assert!(said.contains("nothing to do"), "{said}");
    }
}
