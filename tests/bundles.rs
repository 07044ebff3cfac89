//! A bundle carries a system and the images that it binds to a machine without a network.
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

use kit::bound::{PLAIN, app, deploy, machine, on, push, store, system};
use kit::registry::{Protection, Registry};
use kit::{Compression, Sandbox};
use serde_json::Value;

/// Machine `a` has the system `os`, which binds three images of a registry: by tag, by digest, by the digest of an index.
fn setup(test: &str) -> Option<(Sandbox, Registry, Vec<String>)> {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox, Protection::default(), test)?;
    let host = registry.host();
    let mut digests: Vec<String> =
        (1..=3).map(|seed| push(&sandbox, &registry, &app(seed), &format!("apps/{seed}:1"))).collect();
    let index = push_index(&sandbox, &registry, &digests[2]);
    let references = [
        format!("{host}/apps/1:1"),
        format!("{host}/apps/2@{}", digests[1]),
        format!("{host}/apps/3@{index}"),
    ];
    let os = system(
        "6.1.0",
        &[("a.image", &references[0]), ("b.container", &references[1]), ("c.image", &references[2])],
    );
    digests.insert(0, os.write(&sandbox.path("os")));
    machine(&sandbox, "a");
    store(&sandbox, "a", &["import", "--name", "os", "oci:os"]).succeeds();
    Some((sandbox, registry, digests))
}

/// An index that names the third image; gives its digest.
fn push_index(sandbox: &Sandbox, registry: &Registry, manifest: &str) -> String {
    let folder = sandbox.path("layout-apps-3-1");
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let mut entry = index["manifests"][0].clone();
    assert_eq!(entry["digest"], *manifest);
    entry["annotations"] = Value::Null;
    entry.as_object_mut().unwrap().remove("annotations");
    entry["platform"] = serde_json::json!({"os": "linux", "architecture": kit::layout::architecture()});
    let index_type = "application/vnd.oci.image.index.v1+json";
    let inner =
        serde_json::json!({"schemaVersion": 2, "mediaType": index_type, "manifests": [entry]}).to_string();
    let digest = kit::layout::digest(inner.as_bytes());
    std::fs::write(folder.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap()), &inner)
        .unwrap();
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": index_type, "digest": digest, "size": inner.len(),
        "annotations": {"org.opencontainers.image.ref.name": "index"},
    }]});
    std::fs::write(folder.join("index.json"), outer.to_string()).unwrap();
    registry.push(sandbox, "oci:layout-apps-3-1:index", "apps/3:index", &["--all", "--preserve-digests"]);
    digest
}

/// Imports the bundle on a fresh machine, deploys it without a registry, and looks at what is there.
fn import_and_deploy(sandbox: &Sandbox, name: &str, bundle: &str, digests: &[String]) {
    machine(sandbox, name);
    let done = store(sandbox, name, &["bundle", "import", "--json", bundle]).json();
    assert_eq!(done["manifest"], *digests[0], "the system's manifest is that of the first machine");
    let bound = done["bound"].as_array().unwrap();
    assert_eq!(bound.len(), 3);
    for (bound, digest) in bound.iter().zip(&digests[1..]) {
        assert_eq!(bound["manifest"], **digest);
    }
    // Nothing of it goes before it is deployed.
    store(sandbox, name, &["gc"]).succeeds();
    deploy(sandbox, name, "os", &[]).succeeds();
    let status = on(sandbox, name, &["status", "--json", "--esp", &format!("{name}/esp")]).json();
    assert_eq!(status["deployments"][0]["bound_condition"]["is"], "complete", "{status:#}");
    store(sandbox, name, &["rm", "os"]).succeeds();
    store(sandbox, name, &["gc"]).succeeds();
    let status = on(sandbox, name, &["status", "--json", "--esp", &format!("{name}/esp")]).json();
    assert_eq!(status["deployments"][0]["bound_condition"]["is"], "complete", "{status:#}");
    store(sandbox, name, &["fsck"]).succeeds();
}

// bootc#128 asks for one thing to carry that has system and bound images. bootc-image-builder#622, image-builder#2681: an
// installation medium did not have them, or not where they were looked for.
#[test]
fn what_a_bundle_carries_deploys_without_a_registry_with_the_same_digests() {
    let test = "what_a_bundle_carries_deploys_without_a_registry_with_the_same_digests";
    let Some((sandbox, registry, digests)) = setup(test) else { return };
    let export = store(&sandbox, "a", &["bundle", "export", "--json", PLAIN, "os", "oci:bundle:1"]).json();
    assert_eq!(export["members"].as_array().unwrap().len(), 4, "{export:#}");
    // The layers were gzip of another program: they were compressed anew, and the manifests come along.
    assert!(export["members"].as_array().unwrap().iter().any(|member| member["same_manifest"] == false));
    store(&sandbox, "a", &["bundle", "export", PLAIN, "os", "oci-archive:bundle.tar:1"]).succeeds();
    store(&sandbox, "a", &["bundle", "export", "--compression", "none", PLAIN, "os", "oci:plain"]).succeeds();
    drop(registry);
    import_and_deploy(&sandbox, "b", "oci:bundle:1", &digests);
    import_and_deploy(&sandbox, "c", "oci-archive:bundle.tar", &digests);
    import_and_deploy(&sandbox, "d", "oci:plain", &digests);
}

#[test]
fn skopeo_reads_a_bundle_and_moves_all_of_it() {
    let test = "skopeo_reads_a_bundle_and_moves_all_of_it";
    let Some((sandbox, registry, digests)) = setup(test) else { return };
    store(&sandbox, "a", &["bundle", "export", PLAIN, "os", "oci:bundle:1"]).succeeds();
    let config = Command::new("skopeo")
        .args(["inspect", "--config", "oci:bundle:1"])
        .current_dir(sandbox.path("."))
        .output()
        .unwrap();
    assert!(config.status.success(), "{}", String::from_utf8_lossy(&config.stderr));
    let config: Value = serde_json::from_slice(&config.stdout).unwrap();
    let os: Vec<Value> =
        store(&sandbox, "a", &["inspect", "--json", "os"]).json()["layers"].as_array().unwrap().clone();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap(), &os, "it sees the system");
    registry.push(&sandbox, "oci:bundle:1", "mirror/os:1", &["--all", "--preserve-digests"]);
    let mirror = format!("docker://{}/mirror/os:1", registry.host());
    machine(&sandbox, "b");
    let done = store(&sandbox, "b", &["bundle", "import", "--json", PLAIN, &mirror]).json();
    assert_eq!(done["manifest"], *digests[0]);
}

#[test]
fn a_bundle_that_has_another_image_for_a_digest_is_refused() {
    let test = "a_bundle_that_has_another_image_for_a_digest_is_refused";
    let Some((sandbox, registry, digests)) = setup(test) else { return };
    store(&sandbox, "a", &["bundle", "export", PLAIN, "os", "oci:bundle:1"]).succeeds();
    drop(registry);
    // The index says that the first image is what the second unit names.
    let outer: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("bundle/index.json")).unwrap()).unwrap();
    let hex = |digest: &Value| digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    let path = sandbox.path("bundle/blobs/sha256").join(hex(&outer["manifests"][0]["digest"]));
    let mut index: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let reference = index["manifests"][2]["annotations"]["org.sealstone.bundle.reference"].clone();
    assert!(reference.as_str().unwrap().ends_with(&digests[2]));
    index["manifests"][1]["annotations"]["org.sealstone.bundle.reference"] = reference;
    let lie = index.to_string();
    let digest = kit::layout::digest(lie.as_bytes());
    std::fs::write(sandbox.path("bundle/blobs/sha256").join(hex(&digest.clone().into())), &lie).unwrap();
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": lie.len(),
    }]});
    std::fs::write(sandbox.path("bundle/index.json"), outer.to_string()).unwrap();
    machine(&sandbox, "b");
    let error = store(&sandbox, "b", &["bundle", "import", "oci:bundle"]).fails(3);
    assert!(error.contains("the bundle has the image"), "{error}");
    assert!(!store(&sandbox, "b", &["images"]).succeeds().contains("os"));
}

#[test]
fn what_is_no_bundle_is_told() {
    let sandbox = Sandbox::with_repository();
    kit::Image::new()
        .compressed_layer(kit::Layer::system("6.1.0"), Compression::None)
        .write(&sandbox.path("os"));
    let error = sandbox.store(["bundle", "import", "oci:os"]).fails(7);
    assert!(error.contains("it is no bundle"), "{error}");
}
