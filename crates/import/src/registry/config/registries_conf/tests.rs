//! What a user who wrote `registries.conf` may count on.

use proptest::prelude::*;

use super::*;

const MAN_PAGE: &str = r#"
unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true
"#;

fn settings(text: &str) -> RegistriesConf {
    RegistriesConf::parse("registries.conf", text.as_bytes()).unwrap()
}

fn places(settings: &RegistriesConf, host: &str, repository: &str, by_digest: bool) -> Vec<String> {
    let endpoints = settings.resolve(host, repository, by_digest).unwrap();
    assert!(endpoints.iter().rev().skip(1).all(|endpoint| endpoint.is_mirror));
    assert!(!endpoints.last().unwrap().is_mirror);
    let shown = |insecure| if insecure { " insecure" } else { "" };
    endpoints.iter().map(|e| format!("{}/{}{}", e.host, e.repository, shown(e.insecure))).collect()
}

#[test]
fn the_example_of_the_man_page_resolves_as_it_says() {
    assert_eq!(
        places(&settings(MAN_PAGE), "example.com", "foo/image", false),
        [
            "example-mirror-0.local/mirror-for-foo/image",
            "example-mirror-1.local/mirrors/foo/image insecure",
            "internal-registry-for-example.com/bar/image",
        ]
    );
    assert_eq!(places(&settings(MAN_PAGE), "example.com", "food/image", false), ["example.com/food/image"]);
}

#[test]
fn the_longest_prefix_wins_and_ends_with_a_component() {
    let settings = settings(
        "[[registry]]\nlocation='a.io'\n[[registry]]\nprefix='a.io/x'\nlocation='x.io'\n\
         [[registry]]\nprefix='a.io/x/y'\nlocation='y.io/z'\n[[registry]]\nprefix='a.io:5000'\nlocation='port.io'",
    );
    for (host, repository, place) in [
        ("a.io", "x/y", "y.io/z"),
        ("a.io", "x/y/z", "y.io/z/z"),
        ("a.io", "x/yy", "x.io/yy"),
        ("a.io", "xx", "a.io/xx"),
        ("a.io:5000", "x/y", "port.io/x/y"),
        ("a.io:5001", "x/y", "a.io:5001/x/y"),
        ("b.a.io", "x/y", "b.a.io/x/y"),
    ] {
        assert_eq!(places(&settings, host, repository, false), [place]);
    }
}

#[test]
fn a_wildcard_covers_the_hosts_below_a_domain() {
    let settings = settings(
        "[[registry]]\nprefix='*.example.com'\nlocation='all.io/sub'\n\
         [[registry]]\nprefix='*.kept.com'\ninsecure=true\n[[registry]]\nprefix='b.example.com'\nlocation='b.io'",
    );
    for (host, place) in [
        ("a.example.com", "all.io/sub/x"),
        ("c.a.example.com", "all.io/sub/x"),
        ("b.example.com", "b.io/x"),
        ("example.com", "example.com/x"),
        ("badexample.com", "badexample.com/x"),
        ("a.example.com.evil.io", "a.example.com.evil.io/x"),
        ("a.kept.com:5000", "a.kept.com:5000/x insecure"),
    ] {
        assert_eq!(places(&settings, host, "x", false), [place]);
    }
}

#[test]
fn a_mirror_serves_tags_or_digests_or_both() {
    let mirrors = "[[registry]]\nlocation='a.io'\n[[registry.mirror]]\nlocation='all.io'\n\
        [[registry.mirror]]\nlocation='digest.io'\npull-from-mirror='digest-only'\n\
        [[registry.mirror]]\nlocation='tag.io'\npull-from-mirror='tag-only'";
    assert_eq!(places(&settings(mirrors), "a.io", "x", true), ["all.io/x", "digest.io/x", "a.io/x"]);
    assert_eq!(places(&settings(mirrors), "a.io", "x", false), ["all.io/x", "tag.io/x", "a.io/x"]);
    let old =
        "[[registry]]\nlocation='a.io'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.io'";
    assert_eq!(places(&settings(old), "a.io", "x", true), ["m.io/x", "a.io/x"]);
    assert_eq!(places(&settings(old), "a.io", "x", false), ["a.io/x"]);
}

#[test]
fn what_is_blocked_is_denied_on_every_port_with_the_files_name() {
    let settings = settings(
        "[[registry]]\nlocation='bad.io'\nblocked=true\n[[registry]]\nlocation='bad.io/good'\n\
         [[registry]]\nprefix='*.evil.io'\nblocked=true",
    );
    for (host, repository) in [("bad.io", "x"), ("bad.io:5000", "good/x"), ("a.evil.io:443", "x")] {
        let error = settings.resolve(host, repository, true).unwrap_err();
        assert!(matches!(error, ImportError::Denied { .. }), "{error}");
        assert!(error.to_string().contains("registries.conf blocks"), "{error}");
    }
    assert_eq!(places(&settings, "bad.io", "good/x", false), ["bad.io/good/x"]);
}

#[test]
fn what_is_not_understood_is_refused_by_file_and_reason() {
    for (text, reason) in [
        ("[registries.search]\nregistries=['a.io']", "version 1"),
        ("[[registry]]\ninsecure=true", "neither prefix nor location"),
        ("[[registry]]\nprefix='a.io'", "no location"),
        ("[[registry]]\nlocation='https://a.io'", "scheme"),
        ("[[registry]]\nlocation='a.io/x:tag'", "tag or a digest"),
        ("[[registry]]\nprefix='a.io/x@sha256:ab'\nlocation='b.io'", "tag or a digest"),
        ("[[registry]]\nprefix='a*.io'\nlocation='b.io'", "*.DOMAIN"),
        ("[[registry]]\nprefix='*.a.io/x'\nlocation='b.io'", "wildcard"),
        ("[[registry]]\nlocation='a.io/../b'", "no name"),
        ("[[registry]]\nlocation='a.io'\npull-from-mirror='all'", "belongs to its mirrors"),
        (
            "[[registry]]\nlocation='a.io'\n[[registry.mirror]]\nlocation='b.io'\npull-from-mirror='x'",
            "not all",
        ),
        ("[[registry]]\nlocation='a.io'\n[[registry.mirror]]\ninsecure=true", "location"),
        (
            "[[registry]]\nprefix='b.io'\nlocation='a.io'\n[[registry]]\nlocation='a.io'\nblocked=true",
            "contradicting",
        ),
        ("[[registry]]\nlocation='a.io'\nblocked='yes'", "wrong type, at line 3"),
        ("\n[[registry", "at line 2"),
        ("[[registry]]\nlocation='a.io'\nproxy='user:hunter2@b.io'", "a proxy has to begin"),
        ("[[registry]]\nlocation='a.io'\ninsecure='hunter2'", "wrong type"),
    ] {
        let error = RegistriesConf::parse("/etc/r.conf", text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.starts_with("/etc/r.conf cannot be used: ") && error.contains(reason),
            "{text}: {error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_location_that_leaves_no_repository_is_refused_when_it_is_used() {
    let settings = settings("[[registry]]\nprefix='a.io/x'\nlocation='b.io'");
    assert!(settings.resolve("a.io", "x", false).unwrap_err().to_string().contains("no repository"));
    assert_eq!(places(&settings, "a.io", "x/y", false), ["b.io/y"]);
}

#[test]
fn drop_ins_replace_what_has_their_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("d")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write(
        "main",
        "credential-helpers=['pass']\n[[registry]]\nlocation='a.io'\nblocked=true\n[[registry]]\nlocation='b.io'\ninsecure=true",
    );
    write("d/20.conf", "[[registry]]\nprefix='a.io'\nlocation='twenty.io'");
    write("d/10.conf", "[[registry]]\nprefix='a.io'\nlocation='ten.io'");
    write("d/30.conf.bak", "not TOML");
    // Machines have such files as links into other folders.
    std::os::unix::fs::symlink(path("main"), path("link")).unwrap();
    let disk = sealstone_store::disk::RealDisk::shared();
    let files = [path("absent"), path("link"), path("d/30.conf.bak")];
    let folders = [path("absent"), path("d")];
    let loaded = RegistriesConf::load(&disk, &files, &folders, &Limits::default()).unwrap();
    assert_eq!(places(&loaded, "a.io", "x", false), ["twenty.io/x"]);
    assert_eq!(places(&loaded, "b.io", "x", false), ["b.io/x insecure"]);
    assert_eq!(loaded.credential_sources(), [CredentialSource::Helper("pass".to_owned())]);
    write("d/20.conf", "broken");
    let error = RegistriesConf::load(&disk, &files, &folders, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("d/20.conf cannot be used"), "{error}");
}

#[test]
fn without_a_word_on_helpers_credentials_are_in_auth_files() {
    assert_eq!(settings("").credential_sources(), [CredentialSource::AuthFiles]);
    assert_eq!(settings("credential-helpers=[]").credential_sources(), [CredentialSource::AuthFiles]);
}

proptest! {
    #[test]
    fn whatever_the_rules_are_the_last_endpoint_is_the_registrys_own(
        rules in prop::collection::vec(("[ab]\\.io(/[ab]){0,2}", "[cd]\\.io(/[cd]){1,2}", prop::collection::vec("m\\.io/[a-c]", 0..3)), 0..5),
        repository in "[ab](/[ab]){0,2}",
        by_digest: bool,
    ) {
        let text: Vec<_> = rules.iter().map(|(prefix, location, mirrors)| {
            let mirrors = mirrors.iter().map(|mirror| format!("[[registry.mirror]]\nlocation='{mirror}'\n"));
            format!("[[registry]]\nprefix='{prefix}'\nlocation='{location}'\n{}", mirrors.collect::<String>())
        }).collect();
        let found = places(&settings(&text.concat()), "a.io", &repository, by_digest);
        // The rule, said another way: the longest of the prefixes that the name begins with, and the first such.
        let name = format!("a.io/{repository}/");
        let mut covering: Vec<_> = rules.iter().filter(|(prefix, ..)| name.starts_with(&format!("{prefix}/"))).collect();
        covering.sort_by_key(|(prefix, ..)| std::cmp::Reverse(prefix.len()));
        let expected = covering.first().map_or_else(
            || name.trim_end_matches('/').to_owned(),
            |(prefix, location, _)| format!("{location}{}", name[prefix.len()..].trim_end_matches('/')),
        );
        prop_assert_eq!(found.last(), Some(&expected));
        prop_assert_eq!(found.len() - 1, covering.first().map_or(0, |(.., mirrors)| mirrors.len()));
    }

    #[test]
    fn any_bytes_are_settings_or_an_error(bytes: Vec<u8>) {
        let _ = RegistriesConf::parse("registries.conf", &bytes);
    }
}
