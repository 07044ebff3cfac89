//! `policy.json` is obeyed for images on this machine as it is for those in registries: by transport, by place, and closed
//! where it asks for what cannot be checked. Registries are in `registry.rs`, podman's storage in `containers_storage.rs`.
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
use std::os::unix::fs::symlink;

use kit::{Image, Layer, Sandbox};
use serde_json::{Value, json};

fn accept() -> Value {
    json!([{ "type": "insecureAcceptAnything" }])
}

fn reject() -> Value {
    json!([{ "type": "reject" }])
}

fn write(sandbox: &Sandbox, policy: &Value) {
    let folder = sandbox.path(".config/containers");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("policy.json"), policy.to_string()).unwrap();
}

/// The same image as a layout, an archive of it, a folder of skopeo's form and a bare tar.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_repository();
    let tar = Layer::system("6.1.0").finish();
    fs::create_dir_all(sandbox.path("images/dir")).unwrap();
    fs::write(sandbox.path("images/root.tar"), &tar).unwrap();
    Image::new().tar(tar, kit::Compression::None).write(&sandbox.path("images/layout"));
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", sandbox.path("images/layout")).unwrap();
    fs::write(sandbox.path("images/os.tar"), archive.into_inner().unwrap()).unwrap();
    let layout = sandbox.path("images/layout");
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    for blob in fs::read_dir(layout.join("blobs/sha256")).unwrap().map(Result::unwrap) {
        let name = blob.file_name();
        let name = if name == manifest { "manifest.json".into() } else { name };
        fs::copy(blob.path(), sandbox.path("images/dir").join(name)).unwrap();
    }
    symlink("images/layout", sandbox.path("way")).unwrap();
    sandbox
}

const REFERENCES: [(&str, &str); 4] = [
    ("oci", "oci:images/layout"),
    ("oci-archive", "oci-archive:images/os.tar"),
    ("dir", "dir:images/dir"),
    ("tarball", "tar:images/root.tar"),
];

#[test]
fn every_local_transport_has_its_scope_and_falls_under_the_default() {
    let sandbox = sandbox();
    let import = |reference| sandbox.store(["import", "--name", "x", reference]);
    for (transport, reference) in REFERENCES {
        import(reference).succeeds();
        write(&sandbox, &json!({ "default": reject() }));
        let told = import(reference).fails(3);
        assert!(told.contains("not allowed"), "{told}");
        write(&sandbox, &json!({ "default": reject(), "transports": { transport: { "": accept() } } }));
        import(reference).succeeds();
        write(&sandbox, &json!({ "default": accept(), "transports": { transport: { "": reject() } } }));
        import(reference).fails(3);
        let gpg = json!([{ "type": "signedBy", "keyType": "GPGKeys", "keyPath": "/none" }]);
        write(&sandbox, &json!({ "default": accept(), "transports": { transport: { "": gpg } } }));
        import(reference).fails(3);
        fs::remove_file(sandbox.path(".config/containers/policy.json")).unwrap();
    }
    write(&sandbox, &json!({ "default": accept(), "transports": { "docker-archive": { "": reject() } } }));
    import("docker-archive:images/os.tar").fails(3);
    // Nothing is read of the standard input, which is a place of its transport's all the same.
    import("docker-archive:-").fails(3);
}

#[test]
fn a_place_is_meant_whatever_way_leads_to_it() {
    let sandbox = sandbox();
    let images = fs::canonicalize(sandbox.path("images")).unwrap();
    let import = |reference: &str| sandbox.store(["import", "--name", "x", reference]).code;
    for (scope, codes) in [
        (images.join("layout"), [3, 3, 3]),
        (images.clone(), [3, 3, 3]),
        (images.join("other"), [0, 0, 0]),
        (sandbox.path("way"), [0, 0, 0]),
    ] {
        let scopes = json!({ scope.display().to_string(): reject() });
        write(&sandbox, &json!({ "default": accept(), "transports": { "oci": scopes } }));
        let ways = ["oci:images/layout", "oci:way:latest", "oci:images/../way"];
        assert_eq!(ways.map(import), codes, "{}", scope.display());
    }
}

#[test]
fn what_wants_a_signature_is_refused_since_none_is_read() {
    let sandbox = sandbox();
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3HYGKXaDbnx5gq/qYJfAosu74dIu\n\
               IeCL/S1ntAtN/mOC1hpDiXc84dYTkOKTuiQzVwfGpoV71tFygnNKlvwg4A==\n-----END PUBLIC KEY-----\n";
    fs::write(sandbox.path("key.pub"), key).unwrap();
    let signed = json!([{ "type": "sigstoreSigned", "keyPath": sandbox.path("key.pub") }]);
    for (transport, reference) in REFERENCES {
        write(&sandbox, &json!({ "default": accept(), "transports": { transport: { "": signed } } }));
        let told = sandbox.store(["import", "--name", "x", reference]).fails(3);
        assert!(told.contains("wants it signed"), "{told}");
        assert_eq!(sandbox.store(["images", "--json"]).json()["images"], json!([]));
    }
}
