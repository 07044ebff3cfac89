//! An import from a registry that is cut off: the layers that were whole are not fetched again.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

#[path = "../crates/import/tests/registry/server.rs"]
#[allow(dead_code)]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use kit::layer::noise;
use kit::{Image, Layer, Sandbox, world};
use serde_json::Value;
use server::{Reply, Server};

const PLAIN: &str = "--tls-verify=false";

/// An image of two layers in `layout/`, and of each the blob's digest and the tar's.
fn write_image(sandbox: &Sandbox) -> [(String, String); 2] {
    let late = Layer::new().dir("usr/share").file("usr/share/late", &noise(400_000, 5));
    Image::new().layer(Layer::system("6.1.0")).layer(late).write(&sandbox.path("layout"));
    let manifest = document(&sandbox.path("layout"), None);
    let config = document(&sandbox.path("layout"), manifest["config"]["digest"].as_str());
    [0, 1].map(|number| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&manifest["layers"][number]["digest"]), text(&config["rootfs"]["diff_ids"][number]))
    })
}

fn blob(layout: &Path, digest: &str) -> Option<Vec<u8>> {
    fs::read(layout.join("blobs").join(digest.replace(':', "/"))).ok()
}

/// A document of the layout: by digest, or the one that its index names.
fn document(layout: &Path, digest: Option<&str>) -> Value {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let named = digest.unwrap_or_else(|| index["manifests"][0]["digest"].as_str().unwrap());
    serde_json::from_slice(&blob(layout, named).unwrap()).unwrap()
}

/// A registry that has the image under every tag; one blob drips.
fn serve(layout: PathBuf, drips: Option<String>) -> Server {
    Server::start(move |request| {
        let name = request.path.rsplit('/').next().unwrap();
        if request.path.contains("/manifests/") && !name.contains(':') {
            let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
            let digest = index["manifests"][0]["digest"].as_str().unwrap();
            let kind = "application/vnd.oci.image.manifest.v1+json";
            return Reply::new(200, blob(&layout, digest).unwrap()).header("Content-Type", kind);
        }
        let Some(bytes) = blob(&layout, name) else { return Reply::new(404, "") };
        let length = bytes.len().to_string();
        if drips.as_deref() == Some(name) {
            return Reply::new(200, bytes).header("Content-Length", length).drip(Duration::from_millis(20));
        }
        Reply::new(200, bytes)
    })
}

/// Imports with the second layer dripping, until the first one is kept, and ends the command by a signal.
fn cut_off(sandbox: &Sandbox, layers: &[(String, String); 2], signal: rustix::process::Signal) {
    let server = serve(sandbox.path("layout"), Some(layers[1].0.clone()));
    let reference = format!("docker://{}/some/image", server.host());
    let mut command = sandbox.command(["import", "--threads=2", PLAIN, &reference]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let kept = sandbox.repository().join(format!("sealstone/layers/{}", layers[0].1));
    let start = Instant::now();
    while !kept.exists() {
        assert!(start.elapsed() < Duration::from_mins(2), "the layer was not kept");
        thread::sleep(Duration::from_millis(20));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    child.wait().unwrap();
    assert_eq!(world::damage(&sandbox.repository()), None);
    sandbox.store(["fsck"]).succeeds();
    assert_eq!(sandbox.store(["images", "--json"]).json()["images"].as_array().unwrap().len(), 0);
}

/// How often each layer's blob is fetched by an import, and where each came from.
fn import(sandbox: &Sandbox, layers: &[(String, String); 2]) -> [(usize, String); 2] {
    let server = serve(sandbox.path("layout"), None);
    let reference = format!("docker://{}/some/image", server.host());
    let report = sandbox.store(["import", "--json", PLAIN, "--name", "it", &reference]).json();
    sandbox.store(["fsck"]).succeeds();
    [0, 1].map(|number| {
        let origin = report["layers"][number]["origin"].as_str().unwrap().to_owned();
        (server.requests_of(&layers[number].0).len(), origin)
    })
}

#[test]
fn a_layer_that_was_whole_before_a_kill_is_not_fetched_again() {
    let sandbox = Sandbox::with_repository();
    let layers = write_image(&sandbox);
    cut_off(&sandbox, &layers, rustix::process::Signal::KILL);
    assert_eq!(import(&sandbox, &layers), [(0, "present".to_owned()), (1, "imported".to_owned())]);
    sandbox.store(["cat", "it", "/usr/lib/os-release"]).succeeds();
    // What the image is: the same as without the kill.
    let found = sandbox.store(["inspect", "--json", "it"]).json();
    let other = Sandbox::with_repository();
    write_image(&other);
    other.store(["import", "--name", "it", "oci:layout"]).succeeds();
    assert_eq!(found["image"], other.store(["inspect", "--json", "it"]).json()["image"]);
}

#[test]
fn a_layer_that_was_whole_before_ctrl_c_is_not_fetched_again_unless_gc_took_it() {
    let sandbox = Sandbox::with_repository();
    let layers = write_image(&sandbox);
    cut_off(&sandbox, &layers, rustix::process::Signal::INT);
    sandbox.store(["gc"]).succeeds();
    assert_eq!(import(&sandbox, &layers), [(1, "imported".to_owned()), (1, "imported".to_owned())]);
}
