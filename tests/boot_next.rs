//! Booting once into another deployment: one variable of the firmware is written, and the menu stays. The firmware is a folder,
//! as Linux shows one.
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
use kit::system::{System, field};
use serde_json::{Value, json};

const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// A machine with two systems, which systemd-boot booted, or another.
fn machine(features: &[u8]) -> System {
    let system = System::new();
    for version in ["1", "2"] {
        system.import(version, &System::image(version, &[]));
        system.store(["deploy", version]).succeeds();
    }
    let variable = [&[6, 0, 0, 0][..], features].concat();
    system.write(&format!("efivars/LoaderFeatures-{VENDOR}"), variable);
    system
}

fn boot_next(system: &System, args: &[&str]) -> Outcome {
    system.store([&["boot-next", "--efivars", "efivars"], args].concat())
}

/// The variable as text.
fn one_shot(system: &System) -> Option<String> {
    let bytes = fs::read(system.path(&format!("efivars/LoaderEntryOneShot-{VENDOR}"))).ok()?;
    assert_eq!(bytes[..4], [7, 0, 0, 0], "it outlives the reset");
    let units: Vec<u16> = bytes[4..].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    Some(String::from_utf16(units.strip_suffix(&[0]).expect("an end")).expect("text"))
}

fn once(system: &System) -> Value {
    system.store(["status", "--json", "--efivars", "efivars"]).json()["once"].clone()
}

#[test]
fn the_next_boot_takes_the_rollback_and_the_menu_stays_as_it_is() {
    let system = machine(&[0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    let menu = system.menu();
    let older = menu.iter().find(|(_, text)| field(text, "title") == "Example 1").expect("an entry");
    let plan = boot_next(&system, &["rollback", "--dry-run", "--json"]).json();
    assert_eq!((&plan["next"]["entry"], &plan["dry_run"]), (&json!(older.0), &json!(true)));
    assert_eq!((one_shot(&system), once(&system)), (None, Value::Null), "a plan changes nothing");

    let done = boot_next(&system, &["rollback", "--json"]).json();
    assert_eq!((&done["changed"], &done["before"]), (&json!(true), &Value::Null));
    assert_eq!(one_shot(&system).as_deref(), Some(older.0.as_str()));
    assert_eq!(system.menu(), menu);
    let queued = json!({"entry": older.0, "deployment": field(&older.1, "x-sealstone-id")});
    assert_eq!(once(&system), queued);
    let status = system.store(["status", "--efivars", "efivars"]);
    assert!(status.stdout.contains("boots at the next boot, and at no other"), "{}", status.stdout);
    let asked = boot_next(&system, &["--json"]).json();
    assert_eq!((&asked["next"], &asked["changed"]), (&queued, &json!(false)));

    boot_next(&system, &["--clear"]).succeeds();
    assert_eq!((one_shot(&system), once(&system)), (None, Value::Null));
}

#[test]
fn a_counted_entry_is_named_as_the_boot_loader_knows_it() {
    let system = machine(&[8]);
    let (name, text) = system.menu()[0].clone();
    let counted = name.replace(".conf", "+2-1.conf");
    fs::rename(
        system.path("esp/loader/entries").join(&name),
        system.path("esp/loader/entries").join(counted),
    )
    .unwrap();
    boot_next(&system, &[&field(&text, "x-sealstone-id")[..8]]).succeeds();
    assert_eq!(one_shot(&system), Some(name));
}

#[test]
fn what_would_not_boot_once_is_refused_and_nothing_is_written() {
    let system = machine(&[0xf7]);
    let error = boot_next(&system, &["rollback"]).fails(1);
    assert!(error.contains("cannot be told what to boot next"), "{error}");
    assert_eq!(one_shot(&system), None);

    let system = machine(&[0xff]);
    let error = system.store(["boot-next", "rollback"]).fails(1);
    assert!(error.contains("--efivars"), "{error}");
    system.import("3", &System::image("3", &[]));
    system.store(["deploy", "3", "--stage"]).succeeds();
    for which in ["staged", "rollback"] {
        let error = boot_next(&system, &[which]).fails(1);
        assert!(error.contains("finalised"), "{error}");
    }
    boot_next(&system, &["nothing-of-this-name"]).fails(5);
    assert_eq!(one_shot(&system), None);
}
