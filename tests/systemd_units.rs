//! The units in contrib/systemd are what systemd takes, and say what docs/updates.md says.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use kit::system::{BootcBoots, System};
use kit::{Sandbox, has};

fn units() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/systemd");
    let mut units: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    units.sort();
    assert!(units.len() >= 3, "{units:?}");
    units
}

fn unit(name: &str) -> String {
    let found = units().into_iter().find(|path| path.ends_with(name));
    std::fs::read_to_string(found.unwrap_or_else(|| panic!("no {name}"))).unwrap()
}

/// The values of a key, word by word.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.flat_map(|value| value.split_whitespace().map(str::to_owned)).collect()
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    if !has("systemd-analyze", "systemd_finds_no_fault_in_the_units") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).env("HOME", sandbox.path("."));
    // In an initramfs, systemd makes it from root=.
    std::fs::write(sandbox.path("sysroot.mount"), "[Mount]\nWhat=/dev/root\nWhere=/sysroot\n").unwrap();
    for path in units() {
        // The command, where this build has it; the initramfs program is built for itself.
        let text = std::fs::read_to_string(&path).unwrap().replace("/usr/bin/store-setup-root", "/bin/true");
        let text = text.replace("/usr/bin/store", env!("CARGO_BIN_EXE_store"));
        let copy = sandbox.path(path.file_name().unwrap().to_str().unwrap());
        std::fs::write(&copy, text).unwrap();
        verify.arg(copy);
    }
    let output = verify.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn a_fault_in_a_unit_would_be_found() {
    if !has("systemd-analyze", "a_fault_in_a_unit_would_be_found") {
        return;
    }
    let sandbox = Sandbox::new();
    let broken = sandbox.path("store-broken.service");
    std::fs::write(&broken, "[Service]\nType=oneshot\nExecStart=/nonexistent/store\nUnheardOf=1\n").unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&broken).output().unwrap();
    assert!(!output.status.success() || !output.stderr.is_empty());
}

#[test]
fn finalising_comes_after_every_service_and_before_the_file_systems_go() {
    let finalize = unit("store-finalize.service");
    // Stopped in the reverse order: after what comes after basic.target, before what this comes after.
    assert_eq!(values(&finalize, "DefaultDependencies"), ["no"]);
    assert!(values(&finalize, "After").contains(&"local-fs.target".to_owned()));
    for target in ["basic.target", "shutdown.target"] {
        assert!(values(&finalize, "Before").contains(&target.to_owned()), "{target}");
    }
    assert_eq!(values(&finalize, "Conflicts"), ["shutdown.target"]);
    for place in ["/sysroot", "/etc"] {
        assert!(values(&finalize, "RequiresMountsFor").contains(&place.to_owned()), "{place}");
    }
    assert_eq!(values(&finalize, "RemainAfterExit"), ["yes"]);
    assert!(finalize.contains("ExecStop=") && !finalize.contains("ExecStart="));
}

// bootc's unit asks for `composefs` alone, so that a system with `composefs.digest=` is not set up (read in its code).
#[test]
fn the_initramfs_program_runs_for_both_arguments_and_stops_a_boot_that_it_cannot_serve() {
    let setup = unit("store-setup-root.service");
    // One of these two has to be there, and ostree's must not.
    assert_eq!(values(&setup, "ConditionKernelCommandLine"), ["|composefs", "|composefs.digest", "!ostree"]);
    assert_eq!(values(&setup, "ConditionPathExists"), ["/etc/initrd-release"]);
    assert_eq!(values(&setup, "Requires"), ["sysroot.mount"]);
    assert_eq!(values(&setup, "After"), ["sysroot.mount"]);
    assert!(values(&setup, "Before").contains(&"initrd-root-fs.target".to_owned()));
    assert_eq!(values(&setup, "OnFailure"), ["emergency.target"]);
}

#[test]
fn blessing_waits_for_every_check_of_the_boot_and_comes_before_the_rename_of_systemd() {
    let bless = unit("store-bless.service");
    assert_eq!(values(&bless, "Requires"), ["boot-complete.target"]);
    assert!(values(&bless, "After").contains(&"boot-complete.target".to_owned()));
    assert_eq!(values(&bless, "Before"), ["systemd-bless-boot.service"]);
    // What an image has to show for its updates to be counted (docs/boot-targets.md).
    assert_eq!(values(&bless, "WantedBy"), ["multi-user.target"]);
}

/// The commands of a unit, word by word, with the variables of a file of options in their places; those of a shell without
/// what the shell does.
fn commands(unit: &str, options: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let lines = unit.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        key.starts_with("Exec").then(|| value.split("/usr/bin/store ").nth(1)).flatten()
    });
    let word = |word: &str| match word.trim_start_matches('$') {
        name if name != word => options.get(name).cloned().unwrap_or_default(),
        _ => word.to_owned(),
    };
    let expand = |line: &str| {
        let call = line.split(['>', '\'']).next().unwrap();
        let words: Vec<String> = call.split_whitespace().map(word).collect();
        words.join(" ").split_whitespace().map(str::to_owned).collect()
    };
    lines.map(expand).collect()
}

/// The file of options that docs/updates.md shows.
fn documented_options() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/updates.md")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("STORE_")?.split_once('='));
    let options: BTreeMap<_, _> =
        lines.map(|(name, value)| (format!("STORE_{name}"), value.trim_matches('"').to_owned())).collect();
    assert_eq!(options.keys().collect::<Vec<_>>(), ["STORE_OPTIONS", "STORE_UPDATE_OPTIONS"]);
    options
}

#[test]
fn every_unit_takes_the_options_that_the_document_shows() {
    let (sandbox, options) = (Sandbox::new(), documented_options());
    for name in ["store-update.service", "store-finalize.service", "store-bless.service"] {
        let text = unit(name);
        let commands = commands(&text, &options);
        assert!(!commands.is_empty(), "{name}");
        for command in commands {
            if command.iter().any(|word| word == "--help") {
                sandbox.store(&command).succeeds();
            } else {
                // All of the line is read before it is found that nothing is there.
                sandbox.store(command.iter().map(String::as_str).chain(["--sysroot", "nowhere"])).fails(5);
            }
            assert!(
                command.iter().any(|word| word == "--esp") || name == "store-bless.service",
                "{command:?}"
            );
        }
    }
}

#[test]
fn an_option_that_finalising_would_refuse_is_told_before_an_update_is_staged() {
    let sandbox = Sandbox::new();
    let mut options = documented_options();
    let both = options.values().cloned().collect::<Vec<_>>().join(" ");
    options.insert("STORE_OPTIONS".to_owned(), both);
    let commands = commands(&unit("store-update.service"), &options);
    let [before, _] = commands.as_slice() else { panic!("{commands:?}") };
    let refused = sandbox.store(before).fails(2);
    assert!(refused.contains("unexpected argument"), "{refused}");
}

#[test]
fn updates_by_the_timer_keep_a_few_deployments_unless_somebody_says_otherwise() {
    let (sandbox, mut options) = (Sandbox::new(), documented_options());
    let last =
        |options: &BTreeMap<String, String>| commands(&unit("store-update.service"), options).pop().unwrap();
    assert!(last(&options).contains(&"--keep=3".to_owned()) && last(&options).contains(&"--gc".to_owned()));
    options.insert("STORE_UPDATE_OPTIONS".to_owned(), "--keep 5 --gc".to_owned());
    let command = last(&options);
    sandbox.store(command.iter().map(String::as_str).chain(["--sysroot", "nowhere"])).fails(5);
}

// What a unit is conditioned on is looked at when it starts, early in the boot in which the first update comes.
#[test]
fn on_a_system_of_bootcs_the_first_update_is_finalised_at_the_first_shutdown() {
    let system = System::new();
    system.deploy_as_bootc(&System::image("1", &[]), BootcBoots::Kernel, true, "root=UUID=1 quiet");
    assert!(!system.path("mnt/state/sealstone").exists(), "not as bootc leaves it");
    for name in ["store-finalize.service", "store-update.service", "store-update.timer"] {
        let folders = values(&unit(name), "ConditionPathIsDirectory");
        assert!(!folders.is_empty(), "{name}");
        for folder in folders {
            let place = system.path(&folder.replacen("/sysroot/", "mnt/", 1));
            assert!(place.is_dir(), "{name}: there is no {folder} before the first verb");
        }
    }
}
