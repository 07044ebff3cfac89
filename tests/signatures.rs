//! `policy.json` asks for a signature, and it is in a real registry, Debian's `docker-registry`, where cosign puts it.
//! What registries and signatures can do wrong is in crates/import/tests/registry/signatures.rs.
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
use std::process::Command;

use kit::registry::{Protection, Registry};
use kit::signer::Signer;
use kit::{Image, Sandbox, current_skopeo, skip};
use serde_json::json;

const PLAIN: &str = "--tls-verify=false";

/// A policy that takes images of a host with a signature by one of the keys, and no others.
fn write_policy(sandbox: &Sandbox, host: &str, keys: &[&str]) {
    let paths: Vec<_> = keys.iter().map(|key| sandbox.path(key)).collect();
    let requirement = json!({"type": "sigstoreSigned", "keyPaths": paths});
    let policy = json!({"default": [{"type": "reject"}], "transports": {"docker": {host: [requirement]}}});
    let folder = sandbox.path(".config/containers");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("policy.json"), policy.to_string()).unwrap();
}

#[test]
fn an_image_in_a_registry_is_taken_when_a_given_key_signed_it() {
    let sandbox = Sandbox::with_repository();
    let test = "an_image_in_a_registry_is_taken_when_a_given_key_signed_it";
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let digest = Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &["--preserve-digests"]);
    let (host, ours, other) = (registry.host(), Signer::default(), Signer::default());
    fs::write(sandbox.path("ours.pub"), ours.public_key()).unwrap();
    fs::write(sandbox.path("other.pub"), other.public_key()).unwrap();
    let reference = format!("docker://{host}/some/image:v1");
    let import = ["import", "--json", PLAIN, &reference];

    write_policy(&sandbox, &host, &["ours.pub"]);
    let told = sandbox.store(import).fails(3);
    assert!(told.contains("it has none") && told.contains(&format!("scope \"{host}\"")), "{told}");
    ours.sign_and_push(&host, "some/image", &digest, &format!("{host}/some/other:v1"));
    let told = sandbox.store(import).fails(3);
    assert!(told.contains(&format!("it is for {host}/some/other:v1")), "{told}");
    let dry = sandbox.store(["import", "--dry-run", PLAIN, &reference]).fails(3);
    assert!(dry.contains("not allowed"), "{dry}");
    ours.sign_and_push(&host, "some/image", &digest, &format!("{host}/some/image:v1"));
    write_policy(&sandbox, &host, &["other.pub"]);
    let told = sandbox.store(import).fails(3);
    assert!(told.contains("none of the keys"), "{told}");
    assert_eq!(sandbox.store(["images", "--json"]).json()["images"].as_array().unwrap().len(), 0);

    write_policy(&sandbox, &host, &["other.pub", "ours.pub"]);
    assert_eq!(sandbox.store(import).json()["manifest"], digest);
    // By digest, the repository in the signature is what counts.
    sandbox.store(["import", PLAIN, &format!("docker://{host}/some/image@{digest}")]).succeeds();
    // Of the default, everything else is rejected.
    sandbox.store(["import", "docker://other.example/some/image"]).fails(3);
}

/// A key pair that `skopeo generate-sigstore-key` made, of no use but here; its passphrase is `pass`.
const PRIVATE: &str = "\
-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n\
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6\n\
OCwicCI6MX0sInNhbHQiOiJNSjI1WFRheGFITjcyeW93cU9RN1B5NU93b1FrYWtw\n\
ZjBUczFKS013OFQ0PSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94\n\
Iiwibm9uY2UiOiIvVXI0YmhsSkJmV0ZFaTNmSzc5RU9oaS9mZWRXU2hCSCJ9LCJj\n\
aXBoZXJ0ZXh0IjoiVEV4d29kQkdSMVNTMzZsTTRwRi80S20yM3JIMURPZ2N1Titt\n\
M0IrYnUzTVVmdE5tR2l6YWxNMjVtK3pzTGJDYkVkTFIrRFkzOGt3dTdYWTFLWUU1\n\
cnRobCt4S1ZiaVV4R2J2dndBSGtSR2E3dTV5eWZ2VHJ0My9Sa0l2TGxjYkNZcmx0\n\
SmNCUU8zMTdaSFBXRWUwUnQ4d3I3YXJOVXA3SmtsVWdWOFpIVGF4Z2h1TG9LaGVR\n\
bGJDaFlSa1RkT080c3lzV0thcVJCY0hqK2c9PSJ9\n\
-----END ENCRYPTED COSIGN PRIVATE KEY-----\n";
const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2PC10oE99A3qoV0R5UPizbONpUtr\n\
cB/bvDcWDjseAgbQzuaHXjAXVUl3Z7O+239yOQjx7subt/UBYM01eru5Sg==\n\
-----END PUBLIC KEY-----\n";

#[test]
fn what_skopeo_signed_is_taken() {
    let test = "what_skopeo_signed_is_taken";
    let Some(program) = current_skopeo() else {
        return skip(test, "SEALSTONE_SKOPEO names no folder with a skopeo that signs");
    };
    let sandbox = Sandbox::with_repository();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let host = registry.host();
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    fs::write(sandbox.path("key.private"), PRIVATE).unwrap();
    fs::write(sandbox.path("key.pub"), PUBLIC).unwrap();
    fs::write(sandbox.path("passphrase"), "pass\n").unwrap();
    let folder = sandbox.path("registries.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("x.yaml"), "default-docker:\n  use-sigstore-attachments: true\n").unwrap();
    let to = format!("docker://{host}/some/image:v1");
    let sign = ["--sign-by-sigstore-private-key", "key.private", "--sign-passphrase-file", "passphrase"];
    let how = ["--registries.d", "registries.d", "--insecure-policy", "copy", "--dest-tls-verify=false"];
    skopeo(&program, &sandbox, &[&how[..], &sign, &["oci:layout:latest", &to]].concat());
    write_policy(&sandbox, &host, &["key.pub"]);
    sandbox.store(["import", PLAIN, &to]).succeeds();
    // Another image under the signed name is not what was signed.
    Image::bootable("6.2.0").write(&sandbox.path("other"));
    registry.push(&sandbox, "oci:other:latest", "some/image:v1", &[]);
    let told = sandbox.store(["import", PLAIN, &to]).fails(3);
    assert!(told.contains("it has none"), "{told}");
}

fn skopeo(program: &Path, sandbox: &Sandbox, args: &[&str]) {
    let folder: &Path = &sandbox.path(".");
    let output = Command::new(program).args(args).current_dir(folder).env("HOME", folder).output().unwrap();
    assert!(output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_required_digest_or_image_id_is_held() {
    let sandbox = Sandbox::with_image(&Image::bootable("6.1.0"));
    let known = sandbox.store(["import", "--json", "--name", "one", "oci:layout"]).json();
    let text = |key: &str| known[key].as_str().unwrap().to_owned();
    Image::bootable("6.2.0").write(&sandbox.path("other"));
    let import = |layout: &str, flag: &str, value: &str| {
        sandbox.store(["import", "--name", "two", flag, value, &format!("oci:{layout}")])
    };
    import("layout", "--require-digest", &text("manifest")).succeeds();
    for key in ["image", "bootable"] {
        import("layout", "--require-image-id", &text(key)).succeeds();
    }
    sandbox.store(["rm", "two"]).succeeds();
    let told = import("other", "--require-digest", &text("manifest")).fails(3);
    assert!(told.contains(&format!("expected {}", text("manifest"))), "{told}");
    let told = import("other", "--require-image-id", &text("image")).fails(3);
    assert!(told.contains(&format!("image {} was required", text("image"))), "{told}");
    assert_eq!(sandbox.store(["images", "--json"]).json()["images"].as_array().unwrap().len(), 2);
    let plan = ["import", "--dry-run", "--require-digest", &text("manifest"), "oci:other"];
    sandbox.store(plan).fails(3);
    import("other", "--require-digest", "md5:12").fails(2);
}
