//! What can be said of an image before it is imported: from its documents, wherever it is.
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
use std::path::Path;

use kit::layout::{architecture, digest};
use kit::registry::{Protection, Registry};
use kit::{Image, Layer, Sandbox};
use serde_json::{Value, json};

const PLAIN: &str = "--tls-verify=false";

fn read(layout: &Path, descriptor: &Value) -> Value {
    let path = descriptor["digest"].as_str().unwrap().replace(':', "/");
    serde_json::from_slice(&fs::read(layout.join("blobs").join(path)).unwrap()).unwrap()
}

fn put(layout: &Path, descriptor: &mut Value, document: &Value) {
    let bytes = document.to_string();
    descriptor["digest"] = json!(digest(bytes.as_bytes()));
    descriptor["size"] = json!(bytes.len());
    fs::write(layout.join("blobs").join(digest(bytes.as_bytes()).replace(':', "/")), bytes).unwrap();
}

/// Changes the configuration of a layout's image; gives the new descriptor of its manifest.
fn with_config(layout: &Path, change: impl FnOnce(&mut Value)) -> Value {
    let mut index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let mut manifest = read(layout, &index["manifests"][0]);
    let mut config = read(layout, &manifest["config"]);
    change(&mut config);
    put(layout, &mut manifest["config"], &config);
    put(layout, &mut index["manifests"][0], &manifest);
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    index["manifests"][0].clone()
}

#[test]
fn before_an_import_everything_is_to_be_fetched_and_the_kernel_is_unknown() {
    let sandbox = Sandbox::with_repository();
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    let found = sandbox.store(["inspect", "--json", "oci:layout"]).json();
    assert_eq!(found["bootable"], "unknown");
    assert_eq!(found["bytes"], found["bytes_to_fetch"]);
    assert!(found["layers"].as_array().unwrap().iter().all(|layer| layer["present"] == false));
    let told = sandbox.store(["inspect", "oci:layout"]).succeeds();
    assert!(told.contains("unknown until import") && told.contains("would fetch 2 layers"), "{told}");
    assert!(sandbox.store(["images"]).succeeds().lines().count() <= 1, "something was imported");

    // Of an image of which one layer is there, the other one is to be fetched.
    Image::new().layer(Layer::system("6.1.0")).write(&sandbox.path("base"));
    sandbox.store(["import", "--name", "base", "oci:base"]).succeeds();
    let found = sandbox.store(["inspect", "--json", "oci:layout"]).json();
    let layers = found["layers"].as_array().unwrap();
    assert_eq!([&layers[0]["present"], &layers[1]["present"]], [true, false]);
    assert_eq!(found["bytes_to_fetch"], layers[1]["blob_bytes"]);
}

#[test]
fn what_is_known_of_the_kernel_is_said_and_what_is_claimed_is_called_so() {
    let sandbox = Sandbox::with_repository();
    let layout = sandbox.path("layout");
    Image::bootable("6.1.0").write(&layout);
    with_config(&layout, |config| {
        config["config"] = json!({ "Labels": { "containers.bootc": "1", "a\u{1b}b": "c" } });
    });
    let found = sandbox.store(["inspect", "--json", "oci:layout"]).json();
    assert_eq!(found["bootable"], "claimed");
    assert_eq!(found["labels"]["containers.bootc"], "1");
    let told = sandbox.store(["inspect", "oci:layout"]).succeeds();
    assert!(told.contains("a\\x1bb=c") && told.contains("label containers.bootc"), "{told}");
    sandbox.store(["import", "--name", "os", "oci:layout"]).succeeds();
    let found = sandbox.store(["inspect", "--json", "oci:layout"]).json();
    assert_eq!([&found["bootable"], &found["bytes_to_fetch"]], [&json!("yes"), &json!(0)]);

    Image::new().layer(Layer::new().file("etc/x", b"x")).write(&sandbox.path("plain"));
    sandbox.store(["import", "--name", "plain", "oci:plain"]).succeeds();
    assert_eq!(sandbox.store(["inspect", "--json", "oci:plain"]).json()["bootable"], "no");
    Image::bootable("6.2.0").write(&sandbox.path("other"));
    with_config(&sandbox.path("other"), |config| config["os"] = json!("windows"));
    let found = sandbox.store(["inspect", "--json", "oci:other"]).json();
    assert_eq!(found["bootable"], "no");
    assert!(found["bootable_reason"].as_str().unwrap().contains("windows"));
}

#[test]
fn an_index_shows_its_platforms_and_one_can_be_asked_for() {
    let sandbox = Sandbox::with_repository();
    let layout = sandbox.path("layout");
    Image::bootable("6.1.0").write(&layout);
    let mut own = with_config(&layout, |_| {});
    let mut other = with_config(&layout, |config| config["architecture"] = json!("riscv64"));
    for (descriptor, architecture) in [(&mut own, architecture()), (&mut other, "riscv64")] {
        descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
        descriptor.as_object_mut().unwrap().remove("annotations");
    }
    let index = json!({ "schemaVersion": 2, "manifests": [own, other] });
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let found = sandbox.store(["inspect", "--json", "oci:layout"]).json();
    assert_eq!(found["platforms"].as_array().unwrap().len(), 2);
    assert_eq!(found["manifest"], own["digest"]);
    let found = sandbox.store(["inspect", "--json", "--platform", "linux/riscv64", "oci:layout"]).json();
    assert_eq!(found["manifest"], other["digest"]);
    let told = sandbox.store(["inspect", "oci:layout"]).succeeds();
    assert!(told.contains("linux/riscv64"), "{told}");
    let refusal = sandbox.store(["inspect", "--platform", "linux/s390x", "oci:layout"]).fails(5);
    assert!(refusal.contains("linux/riscv64"), "{refusal}");
}

#[test]
fn a_name_in_the_repository_goes_before_a_reference_unless_told_otherwise() {
    let sandbox = Sandbox::with_repository();
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    let schema =
        |args: &[&str]| sandbox.store([&["inspect", "--json"], args].concat()).json()["schema"].clone();
    assert_eq!(schema(&["oci:layout"]), "sealstone.inspect-source/1");
    sandbox.store(["import", "oci:layout"]).succeeds();
    assert_eq!(schema(&["oci:layout"]), "sealstone.inspect/1");
    assert_eq!(schema(&["--remote", "oci:layout"]), "sealstone.inspect-source/1");
    sandbox.store(["inspect", "nothing"]).fails(5);
    sandbox.store(["inspect", "oci:nothing"]).fails(5);
}

#[test]
fn a_registry_is_asked_for_documents_alone_and_without_a_repository() {
    let sandbox = Sandbox::new();
    let test = "a_registry_is_asked_for_documents_alone_and_without_a_repository";
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &["--preserve-digests"]);
    // Without its layers' bytes, it can be looked at all the same.
    let index: Value = serde_json::from_slice(&fs::read(sandbox.path("layout/index.json")).unwrap()).unwrap();
    let manifest = read(&sandbox.path("layout"), &index["manifests"][0]);
    for layer in manifest["layers"].as_array().unwrap() {
        let hex = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let blob = format!("registry/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        fs::write(sandbox.path(&blob), b"").unwrap();
    }
    let reference = format!("docker://{}/some/image:v1", registry.host());
    let found = sandbox.store(["inspect", "--json", PLAIN, &reference]).json();
    assert_eq!(found["manifest"], index["manifests"][0]["digest"]);
    assert_eq!(found["layers"].as_array().unwrap().len(), 2);
    let told = sandbox.store(["inspect", PLAIN, &reference]).succeeds();
    assert!(told.contains("there is no repository"), "{told}");
    assert!(!sandbox.path("repo").exists(), "a repository was made");
    sandbox.store(["inspect", PLAIN, &format!("docker://{}/some/image:v2", registry.host())]).fails(5);
}
