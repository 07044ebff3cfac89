//! What an update binds is told before it is fetched, where its layers are zstd:chunked: by a few small parts of their blobs.
//!
//! What the pieces do when a table lies is in crates/import/tests/chunked.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::path::Path;
use std::process::Command;

use kit::layer::noise;
use kit::machine::Machine;
use kit::registry::{Protection, Registry};
use kit::web_registry::WebRegistry;
use kit::{Image, Layer, Outcome, layout};
use serde_json::Value;

const FOLDER: &str = "usr/lib/bootc/bound-images.d";
const UNITS: &str = "usr/share/containers/systemd";

/// What is here of every version.
fn base() -> Layer {
    Layer::system("6.1.0").dir("usr/share").dir("usr/lib/bootc").dir(FOLDER)
}

/// A layer with units by name and text, among a megabyte of other files.
fn units(units: &[(&str, String)]) -> Layer {
    let mut layer = Layer::new().dir("usr").dir("usr/share").dir("usr/share/containers").dir(UNITS);
    for (name, text) in units {
        layer = layer
            .file(&format!("{UNITS}/{name}"), text.as_bytes())
            .symlink(&format!("{FOLDER}/{name}"), &format!("../../../share/containers/systemd/{name}"));
    }
    (0..50)
        .fold(layer, |layer, number| layer.file(&format!("usr/share/file{number}"), &noise(20_000, number)))
}

fn container(image: &str) -> String {
    format!("[Container]\nImage={image}\n")
}

/// A machine whose system came from the tag `stable`, and a registry with the bound images `app` and `other`.
struct Scene {
    machine: Machine,
    registry: WebRegistry,
    app: String,
}

impl Scene {
    fn new() -> Self {
        let (machine, registry) = (Machine::new(), WebRegistry::start());
        let write = |image: &Image, name: &str| {
            let folder = machine.sandbox.path(name);
            image.write(&folder);
            folder
        };
        let app = registry.push(&write(&kit::bound::app(1), "app"), "app");
        registry.push(&write(&kit::bound::app(2), "other"), "other");
        registry.push(&write(&Image::new().layer(base()), "old"), "stable");
        machine.install(&registry.reference("stable"), &[]);
        registry.asked();
        Self { machine, registry, app }
    }

    /// Packs an image as zstd:chunked, as whoever makes images does: with a repository of his own.
    fn pack(&self, image: &Image) -> std::path::PathBuf {
        let (sandbox, name) = (&self.machine.sandbox, "packed");
        let maker = sandbox.path("maker").display().to_string();
        image.write(&sandbox.path("new"));
        sandbox.store(["init", "--repo", &maker]).succeeds();
        sandbox.store(["import", "--repo", &maker, "--name", "new", "oci:new"]).succeeds();
        let target = format!("oci:{name}:v");
        sandbox
            .store(["export", "--repo", &maker, "--compression", "zstd:chunked", "new", &target])
            .succeeds();
        sandbox.path(name)
    }

    /// Checks for an update; nothing may have changed by that.
    fn check(&self) -> Value {
        let before = self.machine.snapshot();
        let check = self.machine.store(["update", "--check", "--json"]).json();
        assert_eq!(check["verdict"], "available", "{check:#}");
        assert_eq!(self.machine.snapshot(), before, "a check changes nothing");
        check
    }
}

/// The bytes of the parts among the requests, and how many there were.
fn parts(asked: &[String]) -> (u64, usize) {
    let parts = asked.iter().filter_map(|line| line.splitn(3, ' ').nth(2)?.split_once('-'));
    let bytes = parts.map(|(first, last)| last.parse::<u64>().unwrap() + 1 - first.parse::<u64>().unwrap());
    let bytes: Vec<u64> = bytes.collect();
    (bytes.iter().sum(), bytes.len())
}

#[test]
fn a_check_lists_what_a_chunked_update_binds_by_a_few_small_parts_of_its_layers() {
    let scene = Scene::new();
    let (app, other) = (scene.registry.name("app"), scene.registry.name("other"));
    // A container that names a unit, and comments that make the units objects.
    let through = format!("# {}\n{}", "-".repeat(500), container("tool.image"));
    let tool = format!("# {}\n[Image]\nImage={other}\n", "-".repeat(500));
    let layer = units(&[("app.container", container(&app)), ("through.container", through)])
        .file(&format!("{UNITS}/tool.image"), tool.as_bytes());
    let folder = scene.pack(&Image::new().layer(base()).layer(layer));
    scene.registry.push(&folder, "stable");
    let check = scene.check();
    assert_eq!(check["bound_source"], "chunked", "{check:#}");
    assert_eq!(
        (&check["layers"][0]["present"], &check["layers"][1]["present"]),
        (&true.into(), &false.into())
    );
    let bound = check["bound"].as_array().unwrap();
    assert_eq!(bound.len(), 2);
    assert_eq!((&bound[0]["unit"], &bound[0]["reference"]), (&"app.container".into(), &app.clone().into()));
    assert_eq!(bound[0]["manifest"], scene.app.as_str());
    assert_eq!((&bound[1]["unit"], &bound[1]["reference"]), (&"through.container".into(), &other.into()));
    assert!(bound.iter().all(|one| one["bytes"].as_u64().unwrap() > 30_000), "{check:#}");

    let asked = scene.registry.asked();
    let (bytes, requests) = parts(&asked);
    let whole = check["layers"][1]["blob_bytes"].as_u64().unwrap();
    println!("{requests} parts of {bytes} bytes out of {whole}");
    assert!(requests <= 3 && bytes * 5 < whole, "{bytes} of {whole}: {asked:#?}");
    // Beside them the documents: of the system, and of two images, each after a knock.
    let documents = asked.iter().filter(|line| *line != "GET /v2/").count() - requests;
    assert_eq!(documents, 3 + 2 * 2, "{asked:#?}");
    let text = scene.machine.store(["update", "--check"]).succeeds();
    assert!(text.contains(&app) && !text.contains("unknown"), "{text}");

    // What was told is what is deployed.
    scene.machine.store(["update"]).succeeds();
    let status = scene.machine.store(["status", "--json"]).json();
    let deployed = &status["deployments"][0]["bound"];
    for number in 0..2 {
        for key in ["unit", "reference", "manifest", "bytes"] {
            assert_eq!(deployed[number][key], bound[number][key], "{key}");
        }
    }
}

#[test]
fn layers_count_as_they_lie_on_each_other() {
    let scene = Scene::new();
    let name = |name: &str| scene.registry.name(name);
    let lower = units(&[
        ("app.container", container(&name("gone"))),
        ("removed.container", container(&name("removed"))),
        ("kept.container", container(&name("other"))),
    ]);
    // One unit is removed, one says something else, one stays.
    let upper = Layer::new()
        .dir("usr")
        .whiteout(&format!("{FOLDER}/removed.container"))
        .file(&format!("{UNITS}/app.container"), container(&name("app")).as_bytes());
    let lower_only = Image::new().layer(base()).layer(lower);
    let folder = scene.pack(&lower_only);
    scene.registry.push(&folder, "stable");
    let told = scene.machine.store(["update", "--check", "--json"]).json();
    let references = |check: &Value| -> Vec<String> {
        let bound = check["bound"].as_array().unwrap().iter();
        bound.map(|one| one["reference"].as_str().unwrap().to_owned()).collect()
    };
    // Two of them are nowhere: told, without their sizes.
    assert_eq!(references(&told), [name("gone"), name("other"), name("removed")]);
    assert!(told["warnings"].to_string().contains("bound images"), "{told:#}");

    let both = lower_only.layer(upper);
    std::fs::remove_dir_all(&folder).unwrap();
    scene.registry.push(&scene.pack(&both), "stable");
    assert_eq!(references(&scene.check()), [name("app"), name("other")]);

    // A folder that hides all that is below it.
    let opaque = Layer::new()
        .dir("usr")
        .file(&format!("{FOLDER}/.wh..wh..opq"), b"")
        .symlink(&format!("{FOLDER}/late.container"), &format!("/{UNITS}/app.container"));
    std::fs::remove_dir_all(&folder).unwrap();
    scene.registry.push(&scene.pack(&both.layer(opaque)), "stable");
    let check = scene.check();
    assert_eq!(check["bound"][0]["unit"], "late.container");
    assert_eq!(references(&check), [name("app")]);
}

/// Changes the annotation of the manifest's layers; gives back a layout that is right beside.
fn annotate_wrongly(folder: &Path) {
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut index = read(&folder.join("index.json"));
    let blob = |digest: &str| folder.join("blobs").join(digest.replace(':', "/"));
    let mut manifest = read(&blob(index["manifests"][0]["digest"].as_str().unwrap()));
    for layer in manifest["layers"].as_array_mut().unwrap() {
        let key = "io.github.containers.zstd-chunked.manifest-checksum";
        layer["annotations"][key] = layout::digest(b"another table").into();
    }
    let bytes = manifest.to_string().into_bytes();
    let digest = layout::digest(&bytes);
    std::fs::write(blob(&digest), &bytes).unwrap();
    index["manifests"][0]["size"] = bytes.len().into();
    index["manifests"][0]["digest"] = digest.into();
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn where_parts_cannot_be_had_or_are_wrong_it_is_unknown_until_download() {
    let scene = Scene::new();
    let layer = units(&[("app.container", container(&scene.registry.name("app")))]);
    let folder = scene.pack(&Image::new().layer(base()).layer(layer));
    annotate_wrongly(&folder);
    scene.registry.push(&folder, "stable");
    let unknown = || {
        let check = scene.check();
        assert_eq!((&check["bound"], &check["bound_source"]), (&Value::Null, &Value::Null), "{check:#}");
        assert_eq!(check["warnings"].as_array().unwrap().len(), 0, "{check:#}");
        assert!(scene.machine.store(["update", "--check"]).succeeds().contains("unknown until download"));
    };
    unknown();
    std::fs::remove_dir_all(&folder).unwrap();
    let layer = units(&[("app.container", container(&scene.registry.name("app")))]);
    scene.registry.push(&scene.pack(&Image::new().layer(base()).layer(layer)), "stable");
    scene.registry.refuse_ranges();
    unknown();
}

/// Needs in the folder `SEALSTONE_SKOPEO` a current skopeo (`tests/tools/fetch-forky` fills one): bookworm's knows only the old
/// format.
#[test]
fn what_skopeo_of_today_packed_is_told_too() {
    let test = "what_skopeo_of_today_packed_is_told_too";
    let Some(skopeo) = kit::current_skopeo() else {
        return kit::skip(test, "SEALSTONE_SKOPEO names no folder with a skopeo");
    };
    let machine = Machine::new();
    let Some(registry) = Registry::start(&machine.sandbox, Protection::default(), test) else { return };
    let host = registry.host();
    let app = kit::bound::push(&machine.sandbox, &registry, &kit::bound::app(1), "apps/one:1");
    kit::bound::push(&machine.sandbox, &registry, &Image::new().layer(base()), "os:stable");
    let reference = format!("docker://{host}/os:stable");
    machine.install(&reference, &[]);
    let layer = units(&[("app.container", container(&format!("{host}/apps/one:1")))]);
    Image::new().layer(base()).layer(layer).write(&machine.sandbox.path("new"));
    let mut copy = Command::new(skopeo);
    copy.args(["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-force-compress-format"])
        .args(["--dest-compress-format", "zstd:chunked", "oci:new:latest", &reference])
        .current_dir(machine.sandbox.path("."))
        .env("HOME", machine.sandbox.path("."));
    Outcome::of(&mut copy).succeeds();
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!(check["bound_source"], "chunked", "{check:#}");
    assert_eq!(check["bound"][0]["manifest"], app.as_str());
    assert!(check["bound"][0]["bytes"].as_u64().unwrap() > 30_000, "{check:#}");
}
