//! Systems that bootc installed are read, shown, updated and rolled back; and a system of ours is laid out as bootc reads
//! it. Fixtures are made by hand from bootc's documented layout (`tests/kit/system.rs`).
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

use kit::system::{BootcBoots, System, field};
use serde_json::{Value, json};

const KARGS: &str = "usr/lib/bootc/kargs.d/10-example.toml";

/// A system with two deployments of bootc's: ids of the newer and the older.
fn of_bootc(boots: BootcBoots) -> (System, String, String) {
    let system = System::new();
    let image = |version: &str| match boots {
        BootcBoots::Kernel => System::image(version, &[(KARGS, "kargs = ['quiet']")]),
        BootcBoots::Uki => System::uki_image(version),
    };
    let older = system.deploy_as_bootc(&image("1"), boots, false, "root=UUID=1 quiet");
    let newer = system.deploy_as_bootc(&image("2"), boots, true, "root=UUID=1 quiet");
    (system, newer, older)
}

fn ids(status: &Value) -> Vec<&str> {
    status["deployments"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

/// All files of sysroot and boot partition with their texts, the repository's and the lock's left out.
fn snapshot(system: &System) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec!["esp".to_owned(), "mnt/state".to_owned()];
    while let Some(folder) = folders.pop() {
        for name in system.names(&folder) {
            let path = format!("{folder}/{name}");
            let kind = system.path(&path).symlink_metadata().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let text = fs::read(system.path(&path)).unwrap();
                found.push((path, String::from_utf8_lossy(&text).into_owned()));
            }
        }
    }
    found
}

#[test]
fn what_bootc_deployed_is_shown_and_nothing_is_written_for_that() {
    for boots in [BootcBoots::Kernel, BootcBoots::Uki] {
        let (system, newer, older) = of_bootc(boots);
        let before = snapshot(&system);
        let outcome = system.store(["status"]);
        assert_eq!(outcome.code, 0, "{}\n{}", outcome.stdout, outcome.stderr);
        let status = system.status();
        assert_eq!(ids(&status), [newer.as_str(), older.as_str()]);
        let first = &status["deployments"][0];
        assert_eq!(first["adopted"], true);
        assert_eq!(first["place"], "default");
        assert_eq!(first["image"]["reference"], "docker://quay.io/example/os:latest");
        assert_eq!(first["health"]["is"], "good", "{first:#}");
        assert_eq!(status["deployments"][1]["place"], "rollback");
        assert_eq!(status["foreign_states"], json!([]));
        let host = system.store(["status", "--format", "bootc"]).json();
        let kind = &host["status"]["otherDeployments"][0]["composefs"]["bootType"];
        assert_eq!(kind, if boots == BootcBoots::Uki { "Uki" } else { "Bls" });
        assert_eq!(snapshot(&system), before, "looking writes nothing");
    }
}

#[test]
fn arguments_of_bootcs_entries_are_told_apart_by_the_image() {
    let (system, ..) = of_bootc(BootcBoots::Kernel);
    let listed = system.store(["kargs", "list", "--json"]).json();
    assert_eq!(
        listed["kargs"],
        json!([
            {"karg": "root=UUID=1", "origin": "caller"},
            {"karg": "quiet", "origin": "image", "file": format!("/{KARGS}")},
        ])
    );
}

#[test]
fn an_update_takes_over_what_bootc_deployed() {
    let (system, newer, older) = of_bootc(BootcBoots::Kernel);
    system.import("three", &System::image("3", &[(KARGS, "kargs = ['splash']")]));
    system.store(["deploy", "three"]).succeeds();
    let status = system.status();
    let three = system.bootable_id("three");
    assert_eq!(ids(&status), [three.as_str(), newer.as_str(), older.as_str()]);
    for deployment in status["deployments"].as_array().unwrap() {
        assert_eq!(
            (&deployment["adopted"], &deployment["health"]["is"]),
            (&json!(false), &json!("good")),
            "{status:#}"
        );
    }
    assert_eq!(system.default_options(), "root=UUID=1 splash", "the machine's own argument is carried over");
    let menu = system.menu();
    assert_eq!(menu.len(), 3, "{menu:#?}");
    for ((_, text), id) in menu.iter().zip([&three, &newer, &older]) {
        assert_eq!(field(text, "x-sealstone-id"), *id);
        let linux = field(text, "linux");
        assert!(system.path(&format!("esp{linux}")).exists(), "{linux}");
    }
    // /etc of the one before is there for the new one to take from.
    assert_eq!(system.read(&format!("mnt/state/deploy/{newer}/etc/hostname")), "of bootc\n");
    assert_eq!(system.store(["status"]).code, 0);
}

#[test]
fn a_rollback_of_what_bootc_deployed_boots_the_older_one_and_back() {
    for boots in [BootcBoots::Kernel, BootcBoots::Uki] {
        let (system, newer, older) = of_bootc(boots);
        for wanted in [[&older, &newer], [&newer, &older]] {
            system.store(["rollback"]).succeeds();
            assert_eq!(ids(&system.status()), wanted.map(String::as_str));
            let menu = system.menu();
            let found: Vec<String> = menu.iter().map(|(_, text)| field(text, "x-sealstone-id")).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{menu:#?}");
            if boots == BootcBoots::Uki {
                let file = field(&menu[0].1, "uki");
                assert!(file.ends_with(&format!("{}.efi", wanted[0])), "{file}");
                assert!(system.path(&format!("esp{file}")).exists());
            }
            assert_eq!(system.store(["status"]).code, 0);
        }
    }
}

#[test]
fn the_arguments_of_a_unified_kernel_image_are_sealed() {
    let (system, ..) = of_bootc(BootcBoots::Uki);
    let before = snapshot(&system);
    let error = system.store(["kargs", "set", "a=1"]).fails(1);
    assert!(error.contains("sealed"), "{error}");
    assert_eq!(snapshot(&system), before);
}

#[test]
fn an_update_of_unified_kernel_images_keeps_them_bootable() {
    let (system, newer, older) = of_bootc(BootcBoots::Uki);
    system.import("three", &System::image("3", &[]));
    system.store(["deploy", "three"]).succeeds();
    let menu = system.menu();
    assert_eq!(menu.len(), 3, "{menu:#?}");
    for (at, id) in [(1, &newer), (2, &older)] {
        let file = field(&menu[at].1, "uki");
        assert!(file.ends_with(&format!("{id}.efi")) && system.path(&format!("esp{file}")).exists());
    }
    assert_eq!(system.store(["status"]).code, 0);
}

#[test]
fn kernels_of_bootc_are_used_where_they_are_and_go_with_the_last_that_needs_them() {
    for boots in [BootcBoots::Kernel, BootcBoots::Uki] {
        let (system, newer, older) = of_bootc(boots);
        let place = |id: &str| match boots {
            BootcBoots::Kernel => system.path(&format!("esp/EFI/Linux/bootc_composefs-{id}")),
            BootcBoots::Uki => system.path(&format!("esp/EFI/Linux/bootc/bootc_composefs-{id}.efi")),
        };
        let plan = system.store(["rollback", "--dry-run", "--json"]).json();
        assert_eq!(plan["room"][1]["needed"], 0, "no kernel is copied");
        system.store(["rollback"]).succeeds();
        system.store(["rollback"]).succeeds();
        assert!(place(&newer).exists() && place(&older).exists());
        system.import("three", &System::image("3", &[]));
        system.store(["deploy", "three", "--keep", "2"]).succeeds();
        assert!(place(&newer).exists() && !place(&older).exists());
        // While bootc has something staged, its files are its own.
        fs::create_dir_all(system.path("esp/loader/entries.staged")).unwrap();
        system.import("four", &System::image("4", &[]));
        system.store(["deploy", "four", "--keep", "2"]).succeeds();
        assert!(place(&newer).exists());
        fs::remove_dir(system.path("esp/loader/entries.staged")).unwrap();
        system.store(["reconcile"]).succeeds();
        assert!(!place(&newer).exists());
        assert_eq!(system.store(["status"]).code, 0);
    }
}

#[test]
fn a_kernel_of_bootc_that_is_lost_is_written_where_ours_are() {
    let (system, newer, _) = of_bootc(BootcBoots::Kernel);
    fs::remove_dir_all(system.path(&format!("esp/EFI/Linux/bootc_composefs-{newer}"))).unwrap();
    assert_eq!(system.store(["status"]).code, 1);
    system.store(["reconcile"]).succeeds();
    assert_eq!(system.store(["status"]).code, 0);
    // And after it was taken over.
    let (system, newer, _) = of_bootc(BootcBoots::Kernel);
    system.store(["pin", "default"]).succeeds();
    fs::remove_dir_all(system.path(&format!("esp/EFI/Linux/bootc_composefs-{newer}"))).unwrap();
    system.store(["reconcile"]).succeeds();
    assert_eq!(system.store(["status"]).code, 0);
    assert!(!field(&system.menu()[0].1, "linux").contains(&newer));
}

// bootc#2074: what an older version of the tool had written was not enough for the newer one, and `upgrade --check` failed.
#[test]
fn an_origin_of_an_older_bootc_is_enough() {
    let (system, newer, _) = of_bootc(BootcBoots::Kernel);
    let origin = format!("mnt/state/deploy/{newer}/{newer}.origin");
    let old = "[origin]\ncontainer-image-reference=ostree-unverified-registry:quay.io/old:1\n\n[boot]\nboot_type=bls\n";
    system.write(&origin, old);
    system.write(&format!("mnt/state/deploy/{newer}/{newer}.imginfo"), "{\"manifest\": {}, \"config\": {}}");
    let status = system.status();
    let first = &status["deployments"][0];
    assert_eq!(first["id"], newer);
    assert_eq!(first["image"]["reference"], "docker://quay.io/old:1");
    assert_eq!(first["health"]["is"], "good", "{first:#}");
    // Not even that.
    fs::remove_file(system.path(&origin)).unwrap();
    assert_eq!(ids(&system.status())[0], newer);
    system.store(["rollback"]).succeeds();
}

#[test]
fn an_origin_that_lies_about_the_kernel_stops_nothing() {
    let (system, newer, _) = of_bootc(BootcBoots::Kernel);
    let path = format!("mnt/state/deploy/{newer}/{newer}.origin");
    let origin = system.read(&path);
    let lies: Vec<String> =
        origin
            .lines()
            .map(|line| {
                if line.starts_with("digest=") {
                    format!("digest={}", "0".repeat(64))
                } else {
                    line.to_owned()
                }
            })
            .collect();
    system.write(&path, lies.join("\n"));
    system.store(["rollback"]).succeeds();
    system.store(["rollback"]).succeeds();
    assert_eq!(ids(&system.status())[0], newer);
    assert_eq!(system.store(["status"]).code, 0);
}

#[test]
fn entries_that_grub_reads_are_shown_as_bootcs_and_left_alone() {
    let (system, newer, older) = of_bootc(BootcBoots::Kernel);
    fs::create_dir_all(system.path("mnt/boot/grub2")).unwrap();
    fs::create_dir_all(system.path("mnt/boot/loader")).unwrap();
    fs::rename(system.path("esp/loader/entries"), system.path("mnt/boot/loader/entries")).unwrap();
    let status = system.status();
    assert_eq!(ids(&status), Vec::<&str>::new());
    let refused: Vec<&str> =
        status["unadopted"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.contains(&newer.as_str()) && refused.contains(&older.as_str()));
    assert!(status["unadopted"][0]["reason"].as_str().unwrap().contains("GRUB"));
    assert_eq!(status["boot_loader"], "grub");
    system.store(["status"]).succeeds();
    assert_eq!(system.names("mnt/boot/loader/entries").len(), 2);
}

#[test]
fn a_system_of_ours_is_laid_out_as_bootc_reads_it() {
    let system = System::new();
    let manifest = system.import("one", &System::image("1", &[]));
    system.store(["deploy", "one", "--karg", "root=UUID=1"]).succeeds();
    let hex = system.bootable_id("one");
    assert_eq!(hex.len(), 128);
    let meta: Value = serde_json::from_str(&system.read("mnt/composefs/meta.json")).unwrap();
    assert_eq!((&meta["version"], &meta["algorithm"]), (&json!(1), &json!("fsverity-sha512-12")));
    // The repository: image, three kinds of streams, the tag that keeps them.
    assert!(system.path(&format!("mnt/composefs/images/{hex}")).exists());
    let streams = system.names("mnt/composefs/streams");
    for kind in ["oci-manifest-sha256:", "oci-config-sha256:", "oci-layer-sha256:"] {
        assert!(streams.iter().any(|name| name.starts_with(kind)), "{kind}: {streams:?}");
    }
    assert!(streams.contains(&format!("oci-manifest-{manifest}")));
    let tag = format!("localhost%2Fbootc-{manifest}");
    let tags = system.names("mnt/composefs/streams/refs/oci");
    assert!(tags.contains(&tag), "{tags:?}");
    // Where bootc's own paths lead.
    assert_eq!(fs::read_link(system.path("mnt/ostree/bootc")).unwrap().to_str(), Some("../composefs/bootc"));
    assert!(system.path("mnt/ostree/bootc/storage").is_dir());
    // The state.
    let state = format!("mnt/state/deploy/{hex}");
    assert_eq!(system.names(&state), [format!("{hex}.origin"), "etc".into(), "var".into()]);
    let var = fs::read_link(system.path(&format!("{state}/var"))).unwrap();
    assert_eq!(var.to_str(), Some("../../os/default/var"));
    assert!(system.path("mnt/state/os/default/var").is_dir());
    let origin = system.read(&format!("{state}/{hex}.origin"));
    let place = system.path("layout-one");
    let reference = format!("container-image-reference=ostree-unverified-image:oci:{}\n", place.display());
    assert!(origin.contains(&reference), "{origin}");
    assert!(origin.contains("boot_type=bls\n") && origin.contains(&format!("manifest_digest={manifest}\n")));
    // The boot partition.
    let menu = system.menu();
    assert_eq!(menu[0].0, "bootc_example-1-1.conf");
    assert_eq!(field(&menu[0].1, "sort-key"), "bootc-example-0");
    let options = field(&menu[0].1, "options");
    assert!(options.contains(&format!("composefs={hex}")) || options.contains(&format!("composefs=?{hex}")));
    let digest = origin.lines().find_map(|line| line.strip_prefix("digest=")).unwrap();
    assert_eq!(field(&menu[0].1, "linux"), format!("/EFI/Linux/bootc_composefs-{digest}/vmlinuz"));
}
