//! Images come from a real registry, Debian's `docker-registry`, by plain http, TLS and passwords, as skopeo pushed them.
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

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use kit::registry::{PASSWORD, Protection, Registry};
use kit::{Image, Outcome, Sandbox};
use rustix::process::{Pid, Signal};
use serde_json::Value;

const PLAIN: &str = "--tls-verify=false";

/// The digest of what a layout's index names.
fn digest_of(layout: &std::path::Path) -> String {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn an_image_in_a_registry_is_the_image_in_the_layout_that_was_pushed() {
    let sandbox = Sandbox::with_image(&Image::bootable("6.1.0"));
    let test = "an_image_in_a_registry_is_the_image_in_the_layout_that_was_pushed";
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let expected = sandbox.store(["import", "--json", "--name", "example", "oci:layout"]).json();
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &["--preserve-digests"]);
    registry.push(&sandbox, "oci:layout:latest", "some/docker:v1", &["--format", "v2s2"]);
    let (host, digest) = (registry.host(), digest_of(&sandbox.path("layout")));
    let references = [
        format!("docker://{host}/some/image:v1"),
        format!("docker://{host}/some/image@{digest}"),
        format!("docker://{host}/some/image:other@{digest}"),
        format!("oci://{host}/some/image:@{digest}"),
        format!("docker://{host}/some/docker:v1"),
    ];
    for (number, reference) in references.iter().enumerate() {
        // Layers that are there already would not be read.
        let repository = sandbox.path(&format!("repo{number}")).display().to_string();
        sandbox.store(["init", "--repo", &repository]).succeeds();
        let import = ["import", "--json", "--repo", &repository, PLAIN, reference];
        let found = sandbox.store(import).json();
        for key in ["image", "bootable"] {
            assert_eq!(found[key], expected[key], "{reference}");
        }
        // The bytes that were pushed are kept, so the digest is that of the registry.
        let is_same = found["manifest"] == expected["manifest"];
        assert_eq!(is_same, !reference.contains("some/docker"), "{reference}");
        let again = sandbox.store(import).json();
        let origins: Vec<_> =
            again["layers"].as_array().unwrap().iter().map(|layer| &layer["origin"]).collect();
        assert!(origins.iter().all(|origin| *origin == "present"), "{reference}: {origins:?}");
        sandbox.store(["fsck", "--repo", &repository]).succeeds();
    }
    let plan = sandbox.store(["import", "--dry-run", "--json", PLAIN, &references[0]]).json();
    assert_eq!(plan["bytes_to_read"], 0);
    let absent = sandbox.store(["import", PLAIN, &format!("docker://{host}/some/image:none")]).fails(5);
    assert!(absent.contains("manifest none"), "{absent}");
    // A registry without TLS is not spoken to unless that was asked for.
    let refused = sandbox.store(["import", &references[0]]).fails(3);
    assert!(refused.contains("--tls-verify=false"), "{refused}");
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_trusted_when_that_is_given() {
    let sandbox = Sandbox::with_repository();
    let test = "a_registry_with_an_authority_of_its_own_is_trusted_when_that_is_given";
    let protection = Protection { tls: true, ..Protection::default() };
    let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
    let reference = format!("docker://{}/some/image:v1", registry.host());
    let refused = sandbox.store(["import", &reference]).fails(3);
    assert!(refused.contains("certificate") && refused.contains("--cert-dir"), "{refused}");
    sandbox.store(["import", "--cert-dir", "certs", &reference]).succeeds();
    sandbox.store(["import", PLAIN, &reference]).succeeds();
    let folder = sandbox.path(".config/containers/certs.d").join(registry.host());
    fs::create_dir_all(&folder).unwrap();
    fs::copy(sandbox.path("certs/ca.crt"), folder.join("our.crt")).unwrap();
    sandbox.store(["import", &reference]).succeeds();
    fs::remove_dir_all(folder).unwrap();
    let by_variable =
        |name: &str, value: &str| Outcome::of(sandbox.command(["import", &reference]).env(name, value));
    by_variable("SSL_CERT_FILE", "certs/ca.crt").succeeds();
    by_variable("SSL_CERT_DIR", "certs").succeeds();
}

#[test]
fn a_registry_that_wants_a_certificate_is_shown_one() {
    let sandbox = Sandbox::with_repository();
    let protection = Protection { tls: true, clients: true, ..Protection::default() };
    let Some(registry) =
        Registry::start(&sandbox, protection, "a_registry_that_wants_a_certificate_is_shown_one")
    else {
        return;
    };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
    let reference = format!("docker://{}/some/image:v1", registry.host());
    sandbox.store(["import", "--cert-dir", "certs", &reference]).succeeds();
    fs::create_dir(sandbox.path("authority")).unwrap();
    fs::copy(sandbox.path("certs/ca.crt"), sandbox.path("authority/ca.crt")).unwrap();
    sandbox.store(["import", "--cert-dir", "authority", &reference]).fails(3);
    // A key that is not the certificate's.
    fs::copy(sandbox.path("certs/server.secret"), sandbox.path("certs/client.key")).unwrap();
    let error = sandbox.store(["import", "--cert-dir", "certs", &reference]).fails(1);
    assert!(error.contains("client certificate"), "{error}");
}

#[test]
fn credentials_come_from_where_podman_has_them_and_are_never_shown() {
    let sandbox = Sandbox::with_repository();
    let test = "credentials_come_from_where_podman_has_them_and_are_never_shown";
    let protection = Protection { tls: true, user: true, ..Protection::default() };
    let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
    let reference = format!("docker://{}/some/image:v1", registry.host());
    let import = ["import", "--cert-dir", "certs", "--progress=json", &reference];
    let with = |more: &[&str]| -> Vec<String> {
        import.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    };
    let refused = sandbox.store(import).fails(1);
    assert!(refused.contains("refuses access") && refused.contains("--authfile"), "{refused}");

    sandbox.store_told(PASSWORD, with(&["--creds", "alice"])).succeeds();
    let written = sandbox.store(with(&["--creds", &format!("alice:{PASSWORD}")]));
    assert!(!format!("{written:?}").contains(PASSWORD), "{written:?}");
    assert!(written.fails(2).contains("standard input"));

    // alice:s3cret
    let auth = format!(r#"{{"auths":{{"{}/some":{{"auth":"YWxpY2U6czNjcmV0"}}}}}}"#, registry.host());
    fs::write(sandbox.path("auth.json"), &auth).unwrap();
    sandbox.store(with(&["--authfile", "auth.json"])).succeeds();
    for variable in ["REGISTRY_AUTH_FILE", "SEALSTONE_AUTH_FILE"] {
        Outcome::of(sandbox.command(import).env(variable, "auth.json")).succeeds();
    }
    for place in [".config/containers/auth.json", ".docker/config.json"] {
        let place = sandbox.path(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, &auth).unwrap();
        sandbox.store(import).succeeds();
        fs::remove_file(place).unwrap();
    }

    let wrong = sandbox.store_told("hunter2", with(&["--creds", "alice"]));
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
    wrong.fails(1);
}

#[test]
fn a_credential_helper_is_asked_without_a_shell() {
    let sandbox = Sandbox::with_repository();
    let protection = Protection { user: true, ..Protection::default() };
    let Some(registry) =
        Registry::start(&sandbox, protection, "a_credential_helper_is_asked_without_a_shell")
    else {
        return;
    };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
    let reference = format!("docker://{}/some/image:v1", registry.host());
    let helper = sandbox.path("docker-credential-ours");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = {} ] || exit 1\n\
         echo '{{\"Username\":\"alice\",\"Secret\":\"{PASSWORD}\"}}'\n",
        registry.host()
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(sandbox.path("auth.json"), format!(r#"{{"credHelpers":{{"{}":"ours"}}}}"#, registry.host()))
        .unwrap();
    let import = ["import", PLAIN, "--authfile", "auth.json", &reference];
    let path = format!("{}:{}", sandbox.path(".").display(), std::env::var("PATH").unwrap());
    Outcome::of(sandbox.command(import).env("PATH", path)).succeeds();
    let absent = sandbox.store(import).fails(1);
    assert!(absent.contains("docker-credential-ours"), "{absent}");
}

#[test]
fn mirrors_and_bans_are_those_of_registries_conf() {
    let sandbox = Sandbox::with_repository();
    let test = "mirrors_and_bans_are_those_of_registries_conf";
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "mirror/some/image:v1", &[]);
    fs::create_dir_all(sandbox.path(".config/containers")).unwrap();
    let conf = format!(
        "[[registry]]\nlocation = \"127.0.0.1:1\"\n\
         [[registry.mirror]]\nlocation = \"{host}/lacks\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{host}/mirror\"\ninsecure = true\n\
         [[registry]]\nlocation = \"bad.example\"\nblocked = true\n",
        host = registry.host()
    );
    fs::write(sandbox.path(".config/containers/registries.conf"), conf).unwrap();
    let found = sandbox.store(["import", "--json", "docker://127.0.0.1:1/some/image:v1"]).json();
    assert_eq!(found["name"], "docker://127.0.0.1:1/some/image:v1");
    let banned = sandbox.store(["import", "docker://bad.example/some/image"]).fails(3);
    assert!(banned.contains("blocks"), "{banned}");
}

#[test]
fn ctrl_c_ends_the_wait_for_a_registry_that_says_nothing() {
    let sandbox = Sandbox::with_repository();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = format!("docker://{}/some/image", silent.local_addr().unwrap());
    let mut command = sandbox.command(["import", &reference]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (_connection, _) = silent.accept().unwrap();
    let id = Pid::from_child(&command);
    rustix::process::kill_process(id, Signal::INT).unwrap();
    let output = command.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // Not only killed: it was cancelled, and says so.
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("cancelled"), "{told}");
}

#[test]
fn what_policy_json_rejects_or_wants_signed_by_gpg_is_refused_before_anybody_is_asked() {
    let sandbox = Sandbox::with_repository();
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    registry.set_nonblocking(true).unwrap();
    let host = registry.local_addr().unwrap().to_string();
    let folder = sandbox.path(".config/containers");
    fs::create_dir_all(&folder).unwrap();
    let gpg = r#"{"type":"signedBy","keyType":"GPGKeys","keyPath":"/none"}"#;
    for requirement in [r#"{"type":"reject"}"#, gpg] {
        let accept = r#""default":[{"type":"insecureAcceptAnything"}]"#;
        let policy = format!(r#"{{{accept},"transports":{{"docker":{{"{host}/some":[{requirement}]}}}}}}"#);
        fs::write(folder.join("policy.json"), policy).unwrap();
        let refused = sandbox.store(["import", PLAIN, &format!("docker://{host}/some/image")]);
        let refused = refused.fails(3);
        assert!(refused.contains("not allowed"), "{requirement}: {refused}");
        assert!(registry.accept().is_err(), "{requirement}: it was asked");
    }
}
