//! Boot loader, boot counting and blessing by the command: from an image's files to what firmware and boot loader find.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::system::System;

const EFI: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const BLESS: &str = "usr/lib/systemd/system-generators/systemd-bless-boot-generator";

fn program(version: &str) -> String {
    format!("MZ #### LoaderInfo: systemd-boot {version} ####")
}

/// A system that boots version 1 with systemd-boot, and has version 2 imported.
fn system(options: &[&str]) -> System {
    let system = System::new();
    for (name, loader) in [("1", "256"), ("2", "257")] {
        let program = program(loader);
        system.import(name, &System::image(name, &[(EFI, &program), (BLESS, "")]));
    }
    system.store([&["deploy", "1"], options].concat()).succeeds();
    system
}

#[test]
fn a_dry_run_lists_the_boot_loaders_files_and_a_deploy_writes_them() {
    let system = system(&[]);
    assert_eq!(system.read("esp/EFI/BOOT/BOOTX64.EFI"), program("256"));
    let plan = system.store(["deploy", "2", "--dry-run", "--json"]).json();
    let loader = &plan["loader"];
    assert_eq!((&loader["kind"], &loader["version"]), (&"systemd-boot".into(), &"257".into()));
    assert_eq!(loader["written"][1]["path"], "EFI/BOOT/BOOTX64.EFI");
    assert_eq!(loader["written"][1]["before"], "256");
    let text = system.store(["deploy", "2", "--dry-run"]).succeeds();
    assert!(text.contains("systemd-boot 257 over 256"), "{text}");
    assert!(text.contains("write EFI/systemd/systemd-bootx64.efi to boot partition 0"), "{text}");
    system.store(["deploy", "2"]).succeeds();
    for path in ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"] {
        assert_eq!(system.read(&format!("esp/{path}")), program("257"));
    }
    let status = system.status();
    assert_eq!(status["esps"][0]["loaders"][0]["version"], "257");
    assert_eq!(status["esps"][0]["role"], "esp");
    let text = system.store(["status"]).succeeds();
    assert!(text.contains("systemd-boot 257"), "{text}");
}

#[test]
fn none_is_none_also_for_the_updates_after_it() {
    let system = system(&["--boot-loader", "none"]);
    system.store(["deploy", "2"]).succeeds();
    assert!(!system.path("esp/EFI/BOOT").exists());
    let grub = system.store(["deploy", "2", "--boot-loader", "grub"]);
    assert_eq!(grub.code, 1, "{}", grub.stderr);
    assert!(grub.stderr.contains("no GRUB to install"), "{}", grub.stderr);
}

// greenboot-rs#106 asks for it: a system of composefs that does not come up is left for the one before.
#[test]
fn an_update_is_counted_blessed_by_its_entry_and_given_up_for_good() {
    let system = system(&[]);
    system.store(["deploy", "2"]).succeeds();
    let names = || system.names("esp/loader/entries");
    assert_eq!(names().len(), 2);
    let counted = names().into_iter().find(|name| name.contains('+')).expect("a counted entry");
    assert!(counted.ends_with("+3-0.conf"), "{counted}");
    // The boot loader counts; the one that boots is blessed by whatever it is called by now.
    let once = counted.replace("+3-0", "+2-1");
    let rename = |from: &str, to: &str| {
        std::fs::rename(
            system.path("esp/loader/entries").join(from),
            system.path("esp/loader/entries").join(to),
        )
        .unwrap();
    };
    rename(&counted, &once);
    let text = system.store(["status"]).succeeds();
    assert!(text.contains("tried 1 times, 2 left"), "{text}");
    system.store(["bless", "--entry", &counted]).succeeds();
    assert!(names().contains(&counted.replace("+3-0", "")) && names().len() == 2, "{:?}", names());
    assert_eq!(system.store(["bless", "--entry", &counted]).succeeds().trim(), "nothing to do");

    // Another try, which does not come up.
    let old = names().into_iter().find(|name| name.ends_with("-0.conf")).unwrap();
    let program = program("257");
    system.import("3", &System::image("3", &[(EFI, &program), (BLESS, "")]));
    system.store(["deploy", "3", "--boot-tries", "2"]).succeeds();
    let counted = names().into_iter().find(|name| name.contains("+2-0")).expect("a counted entry");
    rename(&counted, &counted.replace("+2-0", "+0-2"));
    let second = names().into_iter().find(|name| name.ends_with("-0.conf")).unwrap();
    assert_ne!(second, old);
    system.store(["bless", "--entry", &second]).succeeds();
    assert!(names().iter().all(|name| !name.contains('+')), "{:?}", names());
    let status = system.status();
    assert_eq!(
        status["deployments"].as_array().unwrap().iter().filter(|d| d["broken"].is_string()).count(),
        1
    );
    // Said to be for good, it is not counted.
    system.store(["deploy", "3", "--boot-tries", "0"]).succeeds();
    assert!(names().iter().all(|name| !name.contains('+')), "{:?}", names());
}

#[test]
fn blessing_without_knowing_what_runs_says_how_to_say_it() {
    let system = system(&[]);
    let unknown = system.store(["bless"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("--entry"), "{}", unknown.stderr);
}
