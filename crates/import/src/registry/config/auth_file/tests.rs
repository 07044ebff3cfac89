//! What a user who wrote an auth file may count on.

use proptest::prelude::*;

use super::*;
use crate::base64::encode_base64;

fn auth(pair: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, encode_base64(pair.as_bytes()))
}

/// A file with an entry for each key, whose user is the key itself.
fn file(keys: &[&str]) -> AuthFile {
    let entries: Vec<_> = keys.iter().map(|key| format!("{key:?}:{}", auth(&user_of(key)))).collect();
    AuthFile::parse("auth.json", format!(r#"{{"auths":{{{}}}}}"#, entries.join(",")).as_bytes()).unwrap()
}

/// A user's name has no colon.
fn user_of(key: &str) -> String {
    format!("{}:s3cret", key.replace(':', "_"))
}

fn found(file: &AuthFile, host: &str, repository: &str) -> Option<String> {
    match file.lookup(host, repository).unwrap()? {
        Lookup::Credentials(Credentials::User { name, .. }) => Some(name),
        other => panic!("{other:?}"),
    }
}

// bootc#128 asks for credentials of each bound image.
#[test]
fn the_longest_key_wins() {
    let file = file(&["quay.io", "quay.io/ns", "quay.io/ns/repo", "quay.io/other/repo"]);
    for (repository, key) in [
        ("ns/repo", "quay.io/ns/repo"),
        ("ns/repo/deeper", "quay.io/ns/repo"),
        ("ns/repository", "quay.io/ns"),
        ("nsx/repo", "quay.io"),
        ("other", "quay.io"),
        ("", "quay.io"),
    ] {
        assert_eq!(found(&file, "quay.io", repository).as_deref(), Some(key), "{repository}");
    }
    assert_eq!(found(&file, "quay.io:443", "ns/repo"), None);
    assert_eq!(found(&file, "example.com", "ns/repo"), None);
}

#[test]
fn a_key_of_a_namespace_is_not_one_of_the_host() {
    assert_eq!(found(&file(&["quay.io/ns"]), "quay.io", "other/repo"), None);
    // A URL's path is no namespace.
    let file = file(&["https://quay.io/ns"]);
    assert_eq!(found(&file, "quay.io", "other/repo").as_deref(), Some("https_//quay.io/ns"));
}

#[test]
fn dockers_registry_is_found_by_each_of_its_names() {
    for key in ["docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"] {
        for host in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert!(found(&file(&[key]), host, "library/debian").is_some(), "{key} {host}");
        }
    }
    let both = file(&["https://index.docker.io/v1/", "docker.io"]);
    assert_eq!(found(&both, "docker.io", "library/debian").as_deref(), Some("docker.io"));
}

#[test]
fn a_helper_of_the_host_goes_before_entries_and_the_store_after_them() {
    let json = format!(
        r#"{{"auths":{{"quay.io":{0},"empty.io":{{}},"set.io":{0}}},
            "credHelpers":{{"quay.io":"pass","https://index.docker.io/v1/":"hub"}},"credsStore":"secretservice"}}"#,
        auth("a:b")
    );
    let file = AuthFile::parse("config.json", json.as_bytes()).unwrap();
    for (host, program, server) in [
        ("quay.io", "docker-credential-pass", "quay.io"),
        ("docker.io", "docker-credential-hub", "https://index.docker.io/v1/"),
        ("empty.io", "docker-credential-secretservice", "empty.io"),
        ("unknown.io", "docker-credential-secretservice", "unknown.io"),
    ] {
        let Some(Lookup::Helper(request)) = file.lookup(host, "ns/repo").unwrap() else { panic!("{host}") };
        assert_eq!((request.program(), request.server()), (program, server));
    }
    assert_eq!(found(&file, "set.io", "ns/repo").as_deref(), Some("a"));
}

#[test]
fn entries_may_hold_tokens_plain_pairs_or_nothing() {
    let json = r#"{"auths":{
        "a.io":{"auth":"PHRva2VuPjo=","identitytoken":"t0ken"}, "b.io":{"registrytoken":"b3arer"},
        "c.io":{"username":"alice","password":"s3cret"}, "d.io":{}, "e.io":null, "f.io":{"auth":""},
        "g.io":{"auth":"YWxpY2U6czNjcmV0AAA=","email":"a@example.com"}}}"#;
    let file = AuthFile::parse("config.json", json.as_bytes()).unwrap();
    let alice = Some(Credentials::user("alice", "s3cret"));
    for (host, expected) in [
        ("a.io", Some(Credentials::IdentityToken(Secret::new("t0ken")))),
        ("b.io", Some(Credentials::RegistryToken(Secret::new("b3arer")))),
        ("c.io", alice.clone()),
        ("d.io", None),
        ("e.io", None),
        ("f.io", None),
        ("g.io", alice),
    ] {
        assert_eq!(file.lookup(host, "x").unwrap(), expected.map(Lookup::Credentials), "{host}");
    }
}

#[test]
fn a_broken_entry_is_an_error_for_its_registry_alone() {
    let json = format!(r#"{{"auths":{{"bad.io":{{"auth":"hunter2"}},"good.io":{}}}}}"#, auth("a:b"));
    let file = AuthFile::parse("/etc/auth.json", json.as_bytes()).unwrap();
    assert!(found(&file, "good.io", "x").is_some());
    let error = file.lookup("bad.io", "x").unwrap_err().to_string();
    assert!(error.starts_with("/etc/auth.json cannot be used") && error.contains("bad.io"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn what_is_no_auth_file_is_refused_by_its_name_and_place_without_its_content() {
    for (json, reason) in [
        ("", "line 1"),
        ("[]", "wrong type"),
        (r#"{"auths":{"a.io":"hunter2"}}"#, "wrong type"),
        (r#"{"auths":{"a.io":{"auth":["hunter2"]}}}"#, "wrong type"),
        ("{\"auths\":{\"a.io\":{\"auth\":\"hunter2\"},\n}}", "trailing comma at line 2"),
        (r#"{"auths":{"a.io":{"auth":"hunter2"#, "ends in the middle"),
    ] {
        let error = AuthFile::parse("/etc/auth.json", json.as_bytes()).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("/etc/auth.json") && told.contains(reason), "{json}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_parsed_file_shows_no_secret() {
    let json = r#"{"auths":{"a.io":{"auth":"YWxpY2U6aHVudGVyMg=="},"b.io":{"identitytoken":"hunter2"}}}"#;
    let shown = format!("{:?}", AuthFile::parse("auth.json", json.as_bytes()).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
}

#[test]
fn the_old_format_has_hosts_only() {
    let json = format!(r#"{{"https://quay.io/v1/":{0},"docker.io":{0}}}"#, auth("a:b"));
    let file = AuthFile::parse_dockercfg("/root/.dockercfg", json.as_bytes()).unwrap();
    assert!(found(&file, "quay.io", "ns/repo").is_some());
    assert!(found(&file, "docker.io", "library/debian").is_some());
    assert_eq!(found(&file, "example.com", "x"), None);
}

proptest! {
    /// The lookup against the rule, said another way: of all keys that the name begins with, the longest.
    #[test]
    fn lookup_finds_the_longest_of_the_keys_that_cover_the_name(
        keys in prop::collection::vec("[ab]\\.io(:1)?(/[ab]){0,3}", 0..6),
        host in "[ab]\\.io(:1)?",
        repository in "[ab](/[ab]){0,3}",
    ) {
        let refs: Vec<&str> = keys.iter().map(String::as_str).collect();
        let name = format!("{host}/{repository}/");
        let covering = keys.iter().filter(|key| name.starts_with(&format!("{key}/")));
        let longest = covering.max_by_key(|key| key.len()).map(|key| key.replace(':', "_"));
        prop_assert_eq!(found(&file(&refs), &host, &repository), longest);
    }

    #[test]
    fn any_bytes_are_a_file_or_an_error(bytes: Vec<u8>) {
        let _ = AuthFile::parse("auth.json", &bytes);
        let _ = AuthFile::parse_dockercfg(".dockercfg", &bytes);
    }
}
