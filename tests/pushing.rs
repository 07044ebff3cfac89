//! Images go into a real registry, Debian's `docker-registry`, by plain http, TLS and passwords, and skopeo reads them back.
//! Each test says so when a program is not installed. What registries do when they fail is in crates/import/tests/registry.
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

use kit::layer::noise;
use kit::layout_check::diff_ids;
use kit::registry::{PASSWORD, Protection, Registry};
use kit::{Compression, Image, Layer, Outcome, Sandbox};
use serde_json::Value;

const PLAIN: &str = "--tls-verify=false";

/// A system, and a layer on top that is not compressed, bigger than what goes in one request.
fn image() -> Image {
    let plain = Layer::new().dir("opt").file("opt/big", &noise(3_000_000, 11)).whiteout("etc/hostname");
    Image::bootable("6.1.0").compressed_layer(plain, Compression::None)
}

/// Copies an image out of the registry with skopeo, and gives the `diff_ids` and the configuration's digest of the copy.
#[track_caller]
fn pulled_by_skopeo(sandbox: &Sandbox, reference: &str, to: &str, options: &[&str]) -> (Vec<String>, String) {
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "-q"]).args(options);
    command.args([reference, &format!("oci:{to}:v1")]);
    let output =
        command.current_dir(sandbox.path(".")).env("HOME", sandbox.path(".")).output().expect("it starts");
    assert!(output.status.success(), "{reference}\n{}", String::from_utf8_lossy(&output.stderr));
    diff_ids(&sandbox.path(to), "v1")
}

#[test]
fn skopeo_pulls_what_we_push_and_finds_the_same_tars_and_configuration() {
    let test = "skopeo_pulls_what_we_push_and_finds_the_same_tars_and_configuration";
    let sandbox = Sandbox::with_image(&image());
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let expected = diff_ids(&sandbox.path("layout"), "");
    for compression in ["same", "gzip", "zstd", "none"] {
        let target = format!("docker://{}/some/{compression}:v1", registry.host());
        let args = ["push", "--json", PLAIN, "--compression", compression, "example", &target];
        let pushed = sandbox.store(args).json();
        let options = ["--src-tls-verify=false"];
        assert_eq!(pulled_by_skopeo(&sandbox, &target, compression, &options), expected, "{compression}");
        // And we pull it with the same image id.
        let repo = sandbox.path(&format!("repo-{compression}")).display().to_string();
        sandbox.store(["init", "--repo", &repo]).succeeds();
        let back = sandbox.store(["import", "--json", "--repo", &repo, PLAIN, &target]).json();
        assert_eq!(back["manifest"], pushed["manifest"]);
        assert_eq!(back["image"], sandbox.store(["inspect", "--json", "example"]).json()["image"]);
    }
}

#[test]
fn an_image_goes_back_to_its_registry_byte_for_byte_and_without_its_blobs() {
    let test = "an_image_goes_back_to_its_registry_byte_for_byte_and_without_its_blobs";
    let sandbox = Sandbox::with_repository();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    image().write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &["--preserve-digests"]);
    let origin = format!("docker://{}/some/image:v1", registry.host());
    sandbox.store(["import", PLAIN, &origin]).succeeds();
    let origins = |document: &Value| {
        let layers = document["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["origin"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Where it came from, it is; elsewhere in the registry, it is mounted; in another registry it has to be made.
    for (target, same) in [("some/image:v2", true), ("other/image:v1", true)] {
        let target = format!("docker://{}/{target}", registry.host());
        let pushed = sandbox.store(["push", "--json", PLAIN, &origin, &target]).json();
        assert_eq!(pushed["same_manifest"], same, "{pushed:#}");
        assert_eq!(origins(&pushed), ["present"; 3], "{pushed:#}");
        let told = sandbox.store(["push", PLAIN, &origin, &target]).succeeds();
        assert!(told.contains("byte for byte"), "{told}");
    }
    let other = Sandbox::new();
    let Some(second) = Registry::start(&other, Protection::default(), test) else { return };
    let target = format!("docker://{}/some/image:v1", second.host());
    let pushed = sandbox.store(["push", "--json", PLAIN, &origin, &target]).json();
    assert_eq!(origins(&pushed), ["recompressed", "recompressed", "reproduced"]);
    assert_eq!(pushed["same_manifest"], false);
}

#[test]
fn tls_and_passwords_protect_a_push() {
    let test = "tls_and_passwords_protect_a_push";
    let sandbox = Sandbox::with_image(&image());
    let protection = Protection { tls: true, user: true, ..Protection::default() };
    let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
    let target = format!("docker://{}/some/image:v1", registry.host());
    let push = |more: &[&str]| sandbox.store([&["push"], more, &["example", &target]].concat());
    let refusal = push(&[]).fails(3);
    assert!(refusal.contains("not trusted"), "{refusal}");
    let refusal = push(&["--cert-dir", "certs"]).fails(1);
    assert!(refusal.contains("refuses access") && refusal.contains("--creds"), "{refusal}");
    let creds = format!("alice:{PASSWORD}");
    sandbox
        .store_told(PASSWORD, ["push", "--cert-dir", "certs", "--creds", "alice", "example", &target])
        .succeeds();
    let options = ["--src-cert-dir", "certs", "--src-creds", &creds];
    let expected = diff_ids(&sandbox.path("layout"), "");
    assert_eq!(pulled_by_skopeo(&sandbox, &target, "copy", &options), expected);
}

#[test]
fn a_read_only_registry_is_named_and_nothing_is_left_of_the_push() {
    let test = "a_read_only_registry_is_named_and_nothing_is_left_of_the_push";
    let sandbox = Sandbox::with_image(&image());
    let protection = Protection { read_only: true, ..Protection::default() };
    let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
    let target = format!("docker://{}/some/image:v1", registry.host());
    let before = kit::sandbox::listing(&sandbox.path("repo"));
    let refusal = sandbox.store(["push", PLAIN, "example", &target]).fails(7);
    assert!(refusal.contains(&registry.host()) && refusal.contains("takes no pushes"), "{refusal}");
    assert_eq!(before, kit::sandbox::listing(&sandbox.path("repo")));
}

#[test]
fn what_cannot_be_pushed_is_told_before_anybody_is_asked() {
    let sandbox = Sandbox::with_image(&image());
    sandbox.store(["push", "example", "oci:folder"]).fails(2);
    sandbox.store(["push", "nothing", "docker://registry.example/x"]).fails(5);
    // Nobody listens there.
    let refused = sandbox.store(["push", PLAIN, "example", "docker://127.0.0.1:1/x:v1"]);
    assert!(refused.fails(1).contains("127.0.0.1:1"));
}

#[test]
fn progress_of_a_push_comes_as_events_and_its_answer_in_the_documented_shape() {
    let test = "progress_of_a_push_comes_as_events";
    let sandbox = Sandbox::with_image(&image());
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let target = format!("docker://{}/some/image:v1", registry.host());
    let args = ["push", "--json", "--progress=json", PLAIN, "example", &target];
    let outcome = Outcome::of(&mut sandbox.command(args));
    let events: Vec<Value> = outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for work in ["export-layer", "push-blob"] {
        let started = events.iter().filter(|event| event["work"] == work && event["event"] == "started");
        assert!(started.count() >= 3, "{work}: {events:?}");
    }
    let answer: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let example = example.split("## sealstone.push/1").nth(1).unwrap().split("```json\n").nth(1).unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&answer), keys(&example));
    assert_eq!(keys(&answer["layers"][0]), keys(&example["layers"][0]));
}
