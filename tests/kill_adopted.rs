//! Verbs killed at their system calls on systems that bootc installed, and that no record of ours knows: what was there boots,
//! and the next run succeeds.
//!
//! As `kill_deployments.rs`, of what bootc leaves (`kit/system.rs`): with kernels, and with unified kernel images.
#![allow(clippy::disallowed_methods, reason = "sysroots are ordinary folders")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use kit::boots::Place;
use kit::kills::kill_at_each_call;
use kit::system::{BootcBoots, System, field};

/// How both kinds are called in what the tests print.
const KINDS: [(BootcBoots, &str); 2] = [(BootcBoots::Kernel, "kernels"), (BootcBoots::Uki, "UKIs")];

/// A machine with three systems of bootc's, the newest of which boots by default; one more is imported as `three`, and is
/// what their reference names.
struct Adopted {
    system: System,
    /// Image ids, the newest first; the last is that of `three`.
    ids: [String; 4],
}

impl Adopted {
    fn new(boots: BootcBoots) -> Self {
        let system = System::new();
        let image = |version: &str| match boots {
            BootcBoots::Kernel => System::image(version, &[]),
            BootcBoots::Uki => System::uki_image(version),
        };
        let deploy = |version: &str, is_primary| {
            let id = system.deploy_as_bootc(&image(version), boots, is_primary, "root=UUID=1 quiet");
            let origin = format!("mnt/state/deploy/{id}/{id}.origin");
            let text = system.read(&origin);
            // Relative: copies of the machine have their own.
            system.write(&origin, text.replace("docker://quay.io/example/os:latest", "oci:next"));
            id
        };
        let oldest = deploy("0", false);
        let entries = system.path("esp/loader/entries");
        let text = system.read("esp/loader/entries/bootc_example-0-0.conf");
        fs::remove_file(entries.join("bootc_example-0-0.conf")).unwrap();
        let text = text.replace("sort-key bootc-example-1", "sort-key bootc-example-2");
        fs::write(entries.join("bootc_example-kept.conf"), text).unwrap();
        let (older, newer) = (deploy("1", false), deploy("2", true));
        let next = System::image("3", &[]);
        next.write(&system.path("next"));
        system.import("three", &next);
        let three = system.bootable_id("three");
        Self { system, ids: [newer, older, oldest, three] }
    }

    fn run(folder: &Path, args: &[&str]) -> bool {
        store(&mut Command::new(env!("CARGO_BIN_EXE_store")), folder, args)
    }

    /// Does more to the machine, which has to succeed.
    fn after(self, args: &[&str]) -> Self {
        assert!(Self::run(&self.system.path("."), args), "{args:?}");
        self
    }

    /// Runs the command on copies of the machine, killed at ever later calls; `stays` are the systems that must boot all the
    /// time, `comes` those that must once the command was run again, with the verb `again`. They are places in `ids`.
    fn killed(&self, test: &str, args: &[&str], again: &[&str], (stays, comes): (&[usize], &[usize])) {
        let kill = |program: &mut Command, folder: &Path| store(program, folder, args);
        kill_at_each_call(test, &self.system.path("."), kill, |folder, place| {
            for at in stays {
                assert_eq!(missing(folder, &self.ids[*at]), None, "{at} of {place}");
            }
            assert!(Self::run(folder, again), "again after {place}");
            for at in stays.iter().chain(comes) {
                assert_eq!(missing(folder, &self.ids[*at]), None, "{at} again after {place}");
            }
            assert!(Self::run(folder, &["status"]), "all is well again after {place}");
        });
    }

    /// Whether the older one boots first.
    fn is_back(&self) -> bool {
        field(&self.system.menu()[0].1, "x-sealstone-id") == self.ids[1]
    }
}

fn store(program: &mut Command, folder: &Path, args: &[&str]) -> bool {
    let of_repository = ["rm", "gc"].contains(&args[0]);
    let on: &[&str] =
        if of_repository { &["--repo", "mnt/composefs"] } else { &["--sysroot", "mnt", "--esp", "esp"] };
    let command = program.args(args).args(on).current_dir(folder).env("HOME", folder);
    let command = command.env_remove("SEALSTONE_REPO").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("the command starts").success()
}

fn missing(folder: &Path, id: &str) -> Option<String> {
    Place { sysroot: "mnt", etc: ("hostname", "of bootc\n") }.missing(folder, |text| text.contains(id))
}

#[test]
fn a_deploy_onto_a_system_of_bootcs_killed_at_any_call_leaves_it_and_is_finished_by_the_next() {
    let deploy = ["deploy", "three", "--keep", "2"];
    for (boots, kind) in KINDS {
        Adopted::new(boots).killed(&format!("deploy on bootc's {kind}"), &deploy, &deploy, (&[0], &[3]));
    }
}

#[test]
fn an_update_of_a_system_of_bootcs_killed_at_any_call_leaves_it_and_is_finished_by_the_next() {
    let update = ["update"];
    for (boots, kind) in KINDS {
        let test = format!("update of bootc's {kind}");
        Adopted::new(boots).killed(&test, &update, &update, (&[0, 1], &[3]));
    }
}

#[test]
fn a_rollback_of_a_system_of_bootcs_killed_at_any_call_leaves_all_its_systems() {
    for (boots, kind) in KINDS {
        let adopted = Adopted::new(boots);
        let test = format!("rollback of bootc's {kind}");
        adopted.killed(&test, &["rollback"], &["reconcile"], (&[0, 1, 2], &[]));
        assert!(adopted.after(&["rollback"]).is_back());
    }
}

#[test]
fn a_prune_of_systems_of_bootcs_killed_at_any_call_leaves_what_stays_and_is_finished_by_the_next() {
    let prune = ["prune", "--keep", "2"];
    for (boots, kind) in KINDS {
        Adopted::new(boots).killed(&format!("prune of bootc's {kind}"), &prune, &prune, (&[0, 1], &[]));
    }
}

#[test]
fn a_gc_beside_systems_of_bootcs_killed_at_any_call_leaves_all_of_them() {
    for (boots, kind) in KINDS {
        let adopted = Adopted::new(boots).after(&["rm", "three"]);
        adopted.killed(&format!("gc beside bootc's {kind}"), &["gc"], &["gc"], (&[0, 1, 2], &[]));
    }
}
