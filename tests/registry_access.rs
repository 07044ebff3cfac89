//! Ways to a real registry, Debian's `docker-registry`: tokens of a token server, a proxy, an index of several platforms,
//! and one that nothing can be pushed to. TLS, passwords and files of credentials are in tests/registry.rs.
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

use kit::http::{base64, push_manifest, sha256};
use kit::proxy::{self, Proxy};
use kit::registry::{OTHER_NAME, PASSWORD, Protection, Registry};
use kit::token_server::TokenServer;
use kit::{Image, Outcome, Sandbox};
use serde_json::{Value, json};

const PLAIN: &str = "--tls-verify=false";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn a_token_server_is_asked_for_what_is_needed_and_told_who_asks() {
    let sandbox = Sandbox::with_repository();
    let tokens = TokenServer::start(&sandbox.path("certs"), 300);
    let protection = Protection { tokens: Some(tokens.port), ..Protection::default() };
    let test = "a_token_server_is_asked_for_what_is_needed_and_told_who_asks";
    let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "public/image:v1", &[]);
    registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
    let before = tokens.asked().len();
    let (host, creds) = (registry.host(), format!("alice:{PASSWORD}"));
    let told = |password: &str, name: &str, more: &[&str]| {
        let reference = format!("docker://{host}/{name}:v1");
        sandbox.store_told(password, [&["import", "--verify-existing", PLAIN, &reference], more].concat())
    };
    let import = |name: &str, more: &[&str]| told(PASSWORD, name, more);
    import("public/image", &[]).succeeds();
    let asked = tokens.asked().split_off(before);
    // One token for all requests of the import, and for no more than it does.
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("- /token?") && asked[0].contains("service=here"), "{asked:?}");
    assert!(
        asked[0].contains("public") && asked[0].contains("pull") && !asked[0].contains("push"),
        "{asked:?}"
    );

    let refused = import("some/image", &[]).fails(1);
    assert!(refused.contains("refuses access"), "{refused}");
    import("some/image", &["--creds", "alice"]).succeeds();
    assert!(tokens.asked().iter().any(|asked| asked.starts_with("alice /token?")), "{:?}", tokens.asked());
    let wrong = told("hunter2", "some/image", &["--creds", "alice"]);
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
    wrong.fails(1);
    // A password's opaque form, as in Ironic's pull secrets.
    let auth = json!({"auths": {&host: {"auth": base64(creds.as_bytes(), false)}}});
    fs::write(sandbox.path("auth.json"), auth.to_string()).unwrap();
    import("some/image", &["--authfile", "auth.json"]).succeeds();
}

#[test]
fn a_token_that_has_expired_is_asked_for_anew() {
    let sandbox = Sandbox::with_repository();
    // docker-registry allows clocks to differ by a minute: this token is over as soon as it is made.
    let tokens = TokenServer::start(&sandbox.path("certs"), 0);
    let protection = Protection { tokens: Some(tokens.port), ..Protection::default() };
    let Some(registry) = Registry::start(&sandbox, protection, "a_token_that_has_expired_is_asked_for_anew")
    else {
        return;
    };
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    registry.push(&sandbox, "oci:layout:latest", "public/image:v1", &[]);
    sandbox.store(["import", PLAIN, &format!("docker://{}/public/image:v1", registry.host())]).succeeds();
}

#[test]
fn an_index_in_a_registry_gives_the_image_of_the_platform() {
    let sandbox = Sandbox::with_repository();
    let test = "an_index_in_a_registry_gives_the_image_of_the_platform";
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let host = registry.host();
    let mut entries = Vec::new();
    for (version, architecture) in [("6.1.0", native()), ("6.2.0", "s390x")] {
        let digest = Image::bootable(version).write(&sandbox.path(version));
        registry.push(
            &sandbox,
            &format!("oci:{version}:latest"),
            &format!("some/image:{version}"),
            &["--preserve-digests"],
        );
        let size =
            fs::metadata(sandbox.path(version).join("blobs").join(digest.replace(':', "/"))).unwrap().len();
        entries.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
    let named = push_manifest(&host, "some/image", "multi", INDEX, index.as_bytes());
    assert_eq!(named, sha256(index.as_bytes()));
    let import = |more: &[&str]| -> Value {
        let reference = format!("docker://{host}/some/image:multi");
        sandbox.store([&["import", "--json", PLAIN, &reference], more].concat()).json()
    };
    assert_eq!(import(&[])["manifest"], entries[0]["digest"]);
    assert_eq!(import(&["--platform", "linux/s390x"])["manifest"], entries[1]["digest"]);
    for digest in [&named, entries[0]["digest"].as_str().unwrap()] {
        import(&["--require-digest", digest]);
        let by_digest = format!("docker://{host}/some/image@{digest}");
        let found = sandbox.store(["import", "--json", PLAIN, &by_digest]).json();
        assert_eq!(found["manifest"], entries[0]["digest"]);
    }
    let reference = format!("docker://{host}/some/image:multi");
    let other = entries[1]["digest"].as_str().unwrap();
    sandbox.store(["import", PLAIN, "--require-digest", other, &reference]).fails(3);
    let absent = sandbox.store(["import", PLAIN, "--platform", "linux/ppc64le", &reference]).fails(5);
    assert!(absent.contains("only for"), "{absent}");
}

fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn a_registry_that_only_a_proxy_can_reach_is_reached_through_it() {
    for tls in [false, true] {
        let sandbox = Sandbox::with_repository();
        let test = "a_registry_that_only_a_proxy_can_reach_is_reached_through_it";
        let protection = Protection { tls, user: true, ..Protection::default() };
        let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
        Image::bootable("6.1.0").write(&sandbox.path("layout"));
        registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
        let proxy = Proxy::start();
        let reference = format!("docker://{OTHER_NAME}:{}/some/image:v1", registry.port());
        let mut args = vec!["import", &reference, "--creds", "alice"];
        args.extend_from_slice(if tls { &["--cert-dir", "certs"] } else { &[PLAIN] });
        fs::write(sandbox.path("password"), PASSWORD).unwrap();
        let run = |variables: &[(&str, &str)]| {
            let password = fs::File::open(sandbox.path("password")).unwrap();
            Outcome::of(sandbox.command(&args).stdin(password).envs(variables.iter().copied()))
        };
        let (good, bad) = (proxy.url(proxy::SECRET), proxy.url("hunter2"));
        // With --tls-verify=false it is tried by TLS first, so both are wanted.
        let through = [("HTTPS_PROXY", good.as_str()), ("http_proxy", good.as_str())];
        run(&through).succeeds();
        let asked = proxy.asked();
        let target = format!("{OTHER_NAME}:{}", registry.port());
        assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == target), "{asked:?}");
        run(&[("ALL_PROXY", &good)]).succeeds();
        let refused = run(&[("ALL_PROXY", &bad)]);
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        refused.fails(1);
    }
}

#[test]
fn a_registry_that_is_read_only_is_read() {
    let sandbox = Sandbox::with_repository();
    let test = "a_registry_that_is_read_only_is_read";
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    {
        let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
        registry.push(&sandbox, "oci:layout:latest", "some/image:v1", &[]);
    }
    let protection = Protection { read_only: true, ..Protection::default() };
    let Some(registry) = Registry::start(&sandbox, protection, test) else { return };
    let host = registry.host();
    sandbox.store(["import", PLAIN, &format!("docker://{host}/some/image:v1")]).succeeds();
    let (status, _, _) = kit::http::ask(&host, "POST", "/v2/some/image/blobs/uploads/", "text/plain", b"");
    assert_eq!(status, 405, "it is not read-only");
}
