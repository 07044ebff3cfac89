//! Container images that a system image binds go where it goes: resolved, fetched, kept and shown to podman per deployment.
//!
//! The registry is Debian's `docker-registry`; each test says so when it is not installed. The rules of units are in
//! crates/deploy/src/bound, one by one; what podman makes of it is in `podman_stores.rs`.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::process::Command;

use kit::bound::{PLAIN, app, deploy, image_stores, machine, on, push, setup, setup_in, store, system};
use kit::loop_disk::LoopDisk;
use kit::registry::{Protection, Registry};
use kit::{Image, Layer, Sandbox, is_root, skip};
use serde_json::Value;

fn status(sandbox: &Sandbox) -> Value {
    let outcome = on(sandbox, "m", &["status", "--json", "--esp", "m/esp"]);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{}", outcome.stderr))
}

/// What `store deploy` tells people.
fn deploy_text(sandbox: &Sandbox, more: &[&str]) -> String {
    let args = [&["deploy", "os", "--esp", "m/esp"], more].concat();
    on(sandbox, "m", &args).succeeds()
}

// bootc#128 asks for it: digests of bound images per deployment, with a condition for them.
#[test]
fn bound_images_are_resolved_fetched_recorded_and_told() {
    let test = "bound_images_are_resolved_fetched_recorded_and_told";
    let Some((sandbox, registry, digests)) = setup(test) else { return };
    let dry = deploy(&sandbox, "m", "os", &["--dry-run", PLAIN]).json();
    assert_eq!(dry["bound"].as_array().unwrap().len(), 2, "{dry:#}");
    assert_eq!(dry["bound"][0]["manifest"], *digests[0]);
    assert!(dry["fetch"]["bytes"].as_u64().unwrap() > 30_000, "{dry:#}");
    assert!(!sandbox.path("m/state").exists(), "a dry run changes nothing");
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    let status = status(&sandbox);
    let deployment = &status["deployments"][0];
    for (number, digest) in digests.iter().enumerate() {
        assert_eq!(deployment["bound"][number]["manifest"], **digest);
        assert!(deployment["bound"][number]["bytes"].as_u64().unwrap() > 0);
    }
    assert_eq!(deployment["bound_condition"]["is"], "complete", "{deployment:#}");
    let list = on(&sandbox, "m", &["bound", "list", "--json"]).json();
    assert_eq!(list["lists"][0]["images"][1]["unit"], "two.image");
    assert_eq!(list["lists"][0]["images"][1]["stored"], true);
    assert!(on(&sandbox, "m", &["bound", "list"]).succeeds().contains("complete"));
    let of_image = store(&sandbox, "m", &["bound", "list", "--json", "os"]).json();
    assert_eq!(of_image["lists"][0]["images"][0]["reference"], format!("{}/apps/one:1", registry.host()));
}

// bootc#20, #1601, #2247 and #2324: what system and bound images have in common was stored twice.
#[test]
fn files_share_blocks_with_the_repository_where_the_file_system_can_and_are_copies_elsewhere() {
    let test = "files_share_blocks_with_the_repository_where_the_file_system_can_and_are_copies_elsewhere";
    let mut written = Vec::new();
    for (kind, disk, how) in
        [("btrfs", LoopDisk::btrfs(256), "reflink"), ("ext4", LoopDisk::new(600), "copy")]
    {
        let disk = match disk {
            Ok(disk) => disk,
            Err(why) => return skip(test, &format!("{kind}: {why}")),
        };
        let sandbox = Sandbox::new();
        std::os::unix::fs::symlink(disk.path(), sandbox.path("m")).unwrap();
        let Some((sandbox, _registry, _)) = setup_in(sandbox, test) else { return };
        let plan = deploy(&sandbox, "m", "os", &["--dry-run", PLAIN]).json();
        // Before they are here, the plan says how, and about how many bytes.
        let told = &plan["image_store"];
        assert_eq!((&told["how"], &told["is_estimate"]), (&how.into(), &true.into()), "{plan:#}");
        assert_eq!((&told["images"], &told["layers"]), (&2.into(), &4.into()), "{plan:#}");
        let told = |key: &str| told[key].as_u64().unwrap();
        let fetched = plan["fetch"]["bytes"].as_u64().unwrap();
        assert!((fetched..=3 * fetched).contains(&told("object_bytes")), "{plan:#}");
        let copied = if how == "copy" { told("content_bytes") } else { 0 };
        assert_eq!(told("bytes"), copied, "{plan:#}");
        let needed = plan["room"][0]["needed"].as_u64().unwrap();
        assert!(needed >= told("bytes") + told("object_bytes"), "{plan:#}");
        let said = deploy_text(&sandbox, &["--dry-run", PLAIN]);
        assert!(said.contains("about") && said.contains("estimates by the manifests' sizes"), "{said}");
        // Once they are, exactly.
        deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
        let plan = deploy(&sandbox, "m", "os", &["--fresh", "--karg", "again", "--dry-run", PLAIN]).json();
        assert_eq!(plan["image_store"]["how"], how, "{plan:#}");
        assert_eq!(plan["image_store"]["is_estimate"], Value::Null, "{plan:#}");
        let content = plan["image_store"]["content_bytes"].as_u64().unwrap();
        let bytes = plan["image_store"]["bytes"].as_u64().unwrap();
        assert_eq!(content, 40_000, "{plan:#}");
        written.push(bytes);
        let [image_store] = image_stores(&sandbox).try_into().unwrap();
        let app = image_store.join("overlay/l").read_dir().unwrap().map(|link| link.unwrap().path());
        let tool = app.map(|link| link.join("bin/tool")).find(|tool| tool.is_file()).unwrap();
        assert_eq!(std::fs::read(&tool).unwrap(), kit::layer::noise(30_000, 99));
        // Another owner or mode of the file is none of the object's.
        std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&tool, b"changed").unwrap();
        store(&sandbox, "m", &["fsck"]).succeeds();
    }
    assert_eq!(written[0] + 40_000, written[1]);
}

#[test]
fn gc_keeps_bound_images_as_long_as_a_deployment_refers_to_them() {
    let test = "gc_keeps_bound_images_as_long_as_a_deployment_refers_to_them";
    let Some((sandbox, registry, [first, _])) = setup(test) else { return };
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    // The tag moves: the same system with another image is another deployment.
    let moved = push(&sandbox, &registry, &app(3), "apps/one:1");
    assert_ne!(first, moved);
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    store(&sandbox, "m", &["gc"]).succeeds();
    let bound = |status: &Value, number: usize| status["deployments"][number]["bound"][0]["manifest"].clone();
    let both = status(&sandbox);
    assert_eq!((bound(&both, 0), bound(&both, 1)), (moved.clone().into(), first.clone().into()));
    for number in 0..2 {
        assert_eq!(both["deployments"][number]["bound_condition"]["is"], "complete", "{both:#}");
    }
    assert_eq!(image_stores(&sandbox).len(), 2, "each deployment has its own");
    let streams = || -> Vec<String> {
        let names = sandbox.path("m/composefs/streams").read_dir().unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert!(streams().contains(&format!("oci-manifest-{first}")));
    store(&sandbox, "m", &["fsck"]).succeeds();
}

#[test]
fn an_update_that_changes_nothing_fetches_nothing_and_makes_no_deployment() {
    let test = "an_update_that_changes_nothing_fetches_nothing_and_makes_no_deployment";
    let Some((sandbox, registry, _)) = setup(test) else { return };
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    let again = deploy(&sandbox, "m", "os", &[PLAIN]).json();
    assert_eq!(again["steps"], 0, "{again:#}");
    // Nor does it need the registry, if it may leave tags as they are.
    drop(registry);
    assert_ne!(deploy(&sandbox, "m", "os", &[PLAIN]).code, 0);
    let again = deploy(&sandbox, "m", "os", &["--bound-as-recorded"]).json();
    assert_eq!(again["steps"], 0, "{again:#}");
}

#[test]
fn a_registry_that_fails_leaves_the_machine_as_it_was() {
    let test = "a_registry_that_fails_leaves_the_machine_as_it_was";
    let Some((sandbox, registry, _)) = setup(test) else { return };
    drop(registry);
    deploy(&sandbox, "m", "os", &[PLAIN]).fails(1);
    assert!(!sandbox.path("m/state").exists());
    assert_eq!(sandbox.path("m/esp").read_dir().unwrap().count(), 0);
}

#[test]
fn an_image_with_a_wrong_unit_is_not_deployed_and_told_by_unit_and_reason() {
    let sandbox = Sandbox::new();
    machine(&sandbox, "m");
    let unit = Layer::new()
        .dir("usr/lib/bootc/bound-images.d")
        .file("usr/lib/bootc/bound-images.d/a.image", b"[Image]\nImage=q.io/a\n");
    Image::new().layer(Layer::system("6.1.0")).layer(unit).write(&sandbox.path("os"));
    store(&sandbox, "m", &["import", "--name", "os", "oci:os"]).succeeds();
    let error = deploy(&sandbox, "m", "os", &[]).fails(3);
    assert!(error.contains("bound image unit a.image: it is not a symlink"), "{error}");
    assert!(!sandbox.path("m/state").exists());
    let told = store(&sandbox, "m", &["bound", "list", "os"]).stdout;
    assert!(told.contains("it is not a symlink"), "{told}");
    let lint = store(&sandbox, "m", &["bound", "lint", "--json", "os"]);
    assert_eq!(lint.code, 1, "{lint:?}");
    assert!(lint.stdout.contains(r#""kind": "unit""#), "{lint:?}");
}

// bootc#128 asks for it: a lint against floating tags.
#[test]
fn lint_tells_floating_tags_what_is_not_there_and_other_platforms() {
    let test = "lint_tells_floating_tags_what_is_not_there_and_other_platforms";
    let sandbox = Sandbox::new();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let host = registry.host();
    let digest = push(&sandbox, &registry, &app(1), "apps/one:1");
    let pinned = format!("{host}/apps/one:1@{digest}");
    let (floating, gone) = (format!("{host}/apps/one:1"), format!("{host}/apps/gone:1"));
    let bound =
        [("a.image", pinned.as_str()), ("b.image", &floating), ("c.image", &gone), ("d.image", "short")];
    system("6.1.0", &bound).write(&sandbox.path("os"));
    machine(&sandbox, "m");
    // Not in the repository: its layers are read, and nothing is named.
    let lint = store(&sandbox, "m", &["bound", "lint", "--json", PLAIN, "oci:os"]);
    assert_eq!(lint.code, 1, "{lint:?}");
    let lint: Value = serde_json::from_str(&lint.stdout).unwrap();
    let found: Vec<(&str, &str)> = lint["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["unit"].as_str().unwrap(), finding["kind"].as_str().unwrap()))
        .collect();
    let expected = [
        ("b.image", "floating-tag"),
        ("c.image", "floating-tag"),
        ("c.image", "unresolvable"),
        ("d.image", "unit"),
    ];
    assert_eq!(found, expected);
    assert!(store(&sandbox, "m", &["images"]).succeeds().lines().count() <= 1);
    system("6.2.0", &bound[..1]).write(&sandbox.path("good"));
    store(&sandbox, "m", &["import", "--name", "good", "oci:good"]).succeeds();
    store(&sandbox, "m", &["bound", "lint", PLAIN, "good"]).succeeds();
    let other =
        store(&sandbox, "m", &["bound", "lint", "--json", "--platform", "linux/s390x", PLAIN, "good"]);
    assert!(other.stdout.contains("wrong-platform"), "{other:?}");
}

// bootc#128 asks for it: a verb that brings bound images back after `podman system reset`.
#[test]
fn sync_brings_back_what_a_deployment_lost_by_the_digests_of_its_record() {
    let test = "sync_brings_back_what_a_deployment_lost_by_the_digests_of_its_record";
    let Some((sandbox, registry, [first, _])) = setup(test) else { return };
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    push(&sandbox, &registry, &app(3), "apps/one:1");
    let [image_store] = image_stores(&sandbox).try_into().unwrap();
    std::fs::remove_dir_all(image_store.join("overlay")).unwrap();
    std::fs::remove_file(sandbox.path(&format!("m/composefs/streams/oci-manifest-{first}"))).unwrap();
    let missing = status(&sandbox);
    assert_eq!(missing["deployments"][0]["bound_condition"]["is"], "missing", "{missing:#}");
    let dry = on(&sandbox, "m", &["bound", "sync", "--json", "--dry-run", PLAIN]).json();
    assert_eq!(dry["missing"].as_array().unwrap().len(), 1, "{dry:#}");
    assert_eq!(dry["store_made"], true);
    let done = on(&sandbox, "m", &["bound", "sync", "--json", PLAIN]).json();
    assert_eq!(done["store_made"], true, "{done:#}");
    let status = status(&sandbox);
    assert_eq!(status["deployments"][0]["bound_condition"]["is"], "complete", "{status:#}");
    assert_eq!(status["deployments"][0]["bound"][0]["manifest"], *first, "not what the tag leads to now");
    assert!(on(&sandbox, "m", &["bound", "sync", PLAIN]).succeeds().contains("nothing is missing"));
}

#[test]
fn an_annotated_manifest_says_what_its_image_binds() {
    let test = "an_annotated_manifest_says_what_its_image_binds";
    let Some((sandbox, _registry, digests)) = setup(test) else { return };
    store(&sandbox, "m", &["export", "os", "oci:out:1"]).succeeds();
    let annotate = ["bound", "annotate", "--json", PLAIN, "os", "oci:out:1"];
    let dry = store(&sandbox, "m", &[&annotate[..], &["--dry-run"]].concat()).json();
    assert_eq!(dry["manifest"], Value::Null);
    let done = store(&sandbox, "m", &annotate).json();
    let hex = done["manifest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let manifest = std::fs::read(sandbox.path("out/blobs/sha256").join(hex)).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let said = manifest["annotations"]["org.sealstone.bound-images"].as_str().unwrap();
    let said: Value = serde_json::from_str(said).unwrap();
    assert_eq!(
        (&said[0]["manifest"], &said[1]["manifest"]),
        (&digests[0].clone().into(), &digests[1].clone().into())
    );
    // The layout is whole: the image is the same.
    let import = ["import", "--json", "--name", "again", "oci:out:1"];
    let again = store(&sandbox, "m", &import).json();
    let before = store(&sandbox, "m", &["inspect", "--json", "os"]).json();
    assert_eq!((&again["image"], &again["manifest"]), (&before["image"], &done["manifest"]));
    // Another image's layout is not touched.
    app(9).write(&sandbox.path("other"));
    store(&sandbox, "m", &["bound", "annotate", PLAIN, "os", "oci:other"]).fails(3);
}

// bootc#128: an image was pulled when none of its name was there, so that a tag which moved was never followed; and a check told
// nothing of bound images.
#[test]
fn an_update_follows_floating_tags_and_tells_before_it_fetches() {
    let test = "an_update_follows_floating_tags_and_tells_before_it_fetches";
    let sandbox = Sandbox::new();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let host = registry.host();
    let (app_name, os_name) = (format!("{host}/apps/one:1"), format!("docker://{host}/os:stable"));
    let old = push(&sandbox, &registry, &app(1), "apps/one:1");
    push(&sandbox, &registry, &system("6.1.0", &[("one.image", &app_name)]), "os:stable");
    machine(&sandbox, "m");
    store(&sandbox, "m", &["import", PLAIN, &os_name]).succeeds();
    deploy(&sandbox, "m", &os_name, &[PLAIN]).succeeds();
    let update = |more: &[&str]| {
        let args = [&["update", "--json", PLAIN, "--esp", "m/esp"], more].concat();
        on(&sandbox, "m", &args).json()
    };
    let check = update(&["--check"]);
    assert_eq!((&check["verdict"], &check["bound"][0]["manifest"]), (&"current".into(), &old.clone().into()));
    // The tag moves: that is an update, though the system is the same.
    let new = push(&sandbox, &registry, &app(2), "apps/one:1");
    let check = update(&["--check"]);
    assert_eq!(check["verdict"], "available", "{check:#}");
    assert_eq!(check["bound"][0]["manifest"], *new);
    assert!(check["bytes_to_fetch"].as_u64().unwrap() > 0);
    let plan = update(&["--dry-run"]);
    assert_eq!(plan["bound"][0]["manifest"], *new, "{plan:#}");
    assert_eq!(update(&[])["outcome"], "deployed");
    let after = status(&sandbox);
    let bound = |number: usize| after["deployments"][number]["bound"][0]["manifest"].clone();
    assert_eq!((bound(0), bound(1)), (new.clone().into(), old.into()));
    assert_eq!(after["deployments"][0]["bound_condition"]["is"], "complete");
    assert_eq!(update(&[])["outcome"], "current");
    // A new system whose layers are not here: unknown, unless its manifest says it.
    let next = system("6.2.0", &[("one.image", &app_name)]);
    push(&sandbox, &registry, &next, "os:stable");
    assert_eq!(update(&["--check"])["bound"], Value::Null);
    machine(&sandbox, "build");
    next.write(&sandbox.path("next"));
    store(&sandbox, "build", &["import", "--name", "next", "oci:next"]).succeeds();
    store(&sandbox, "build", &["bound", "annotate", PLAIN, "next", "oci:next:latest"]).succeeds();
    registry.push(&sandbox, "oci:next:latest", "os:stable", &["--preserve-digests"]);
    let check = update(&["--check"]);
    assert_eq!(check["bound"][0]["manifest"], *new, "{check:#}");
    assert!(check["bound"][0]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(update(&[])["outcome"], "deployed");
}

// bootc#128: an image that an update brought under the name of one that runs was visible to the system that ran.
#[test]
fn what_an_update_binds_stays_out_of_the_running_systems_image_store() {
    let test = "what_an_update_binds_stays_out_of_the_running_systems_image_store";
    let Some((sandbox, registry, digests)) = setup(test) else { return };
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    let [running] = image_stores(&sandbox).try_into().unwrap();
    let names =
        |place: &std::path::Path| std::fs::read_to_string(place.join("overlay-images/images.json")).unwrap();
    let before = (kit::sandbox::listing(&running), names(&running));
    let moved = push(&sandbox, &registry, &app(3), "apps/one:1");
    let next = system("6.2.0", &[("one.container", &format!("{}/apps/one:1", registry.host()))]);
    next.write(&sandbox.path("next"));
    store(&sandbox, "m", &["import", "--name", "next", "oci:next"]).succeeds();
    deploy(&sandbox, "m", "next", &[PLAIN, "--stage"]).succeeds();
    let stores = image_stores(&sandbox);
    let staged = stores.iter().find(|place| **place != running).expect("one of its own");
    assert!(names(staged).contains(&moved) && !names(staged).contains(&digests[0]));
    assert!(before.1.contains(&digests[0]));
    assert_eq!((kit::sandbox::listing(&running), names(&running)), before);
}

#[test]
fn the_running_deployments_images_are_shown_read_only_where_bootc_has_them() {
    let test = "the_running_deployments_images_are_shown_read_only_where_bootc_has_them";
    if !is_root() {
        return skip(test, "mounts need root");
    }
    let Some((sandbox, _registry, _)) = setup(test) else { return };
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    let status = status(&sandbox);
    let id = status["deployments"][0]["id"].as_str().unwrap();
    let mount = on(&sandbox, "m", &["bound", "mount", "--deployment", id]);
    if mount.code == 7 || mount.stderr.contains("not permitted") {
        return skip(test, "the kernel does not let this process mount");
    }
    mount.succeeds();
    // Through bootc's link.
    let shown = sandbox.path("m/ostree/bootc/storage");
    let result = std::fs::metadata(shown.join("overlay-images/images.json"));
    let written = std::fs::write(shown.join("file"), b"x");
    on(&sandbox, "m", &["bound", "mount", "--deployment", id]).succeeds();
    let point = sandbox.path("m/composefs/bootc/storage");
    let unmounted = Command::new("umount").arg(&point).status().unwrap().success();
    assert!(result.is_ok() && written.is_err() && unmounted);
    assert!(!shown.join("overlay-images").exists(), "mounted once");
}
