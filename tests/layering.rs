//! Dependencies run one way: `store` uses none of ours, `import` and `boot` only `store`, `deploy` all three; the program of
//! the initramfs uses `store` and `boot`.
//!
//! What this holds: the picture in ARCHITECTURE.md, read from `cargo metadata`. A back edge, a dev-dependency included,
//! fails here before anybody builds on it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

type Edges = BTreeMap<String, BTreeSet<String>>;

/// The packages of the workspace, as `cargo metadata` describes them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn name_of(value: &Value) -> String {
    value["name"].as_str().expect("a name").to_owned()
}

/// The names of a package's dependencies of the kinds that `of_kind` accepts (`null`, `"dev"`, `"build"`).
fn dependencies(package: &Value, of_kind: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().expect("dependencies");
    all.iter().filter(|dependency| of_kind(&dependency["kind"])).map(name_of).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_crate_uses_only_those_before_it_on_the_datas_way() {
    let allowed: Edges = [
        ("sealstone-store", set(&[])),
        ("sealstone-import", set(&["sealstone-store"])),
        ("sealstone-boot", set(&["sealstone-store"])),
        ("sealstone-setup-root", set(&["sealstone-store", "sealstone-boot"])),
        ("sealstone-deploy", set(&["sealstone-store", "sealstone-import", "sealstone-boot"])),
        ("sealstone", set(&["sealstone-store", "sealstone-import", "sealstone-boot", "sealstone-deploy"])),
    ]
    .into_iter()
    .map(|(name, uses)| (name.to_owned(), uses))
    .collect();
    let packages = packages();
    assert_eq!(packages.iter().map(name_of).collect::<BTreeSet<_>>(), allowed.keys().cloned().collect());
    for package in &packages {
        let uses = dependencies(package, |_| true);
        let ours: BTreeSet<_> = uses.into_iter().filter(|name| allowed.contains_key(name)).collect();
        let back: Vec<_> = ours.difference(&allowed[&name_of(package)]).collect();
        assert!(back.is_empty(), "{} must not use {back:?}", name_of(package));
    }
}

#[test]
fn libraries_use_neither_anyhow_nor_the_commands_crates() {
    let banned = set(&["anyhow", "clap", "indicatif", "console", "openssl", "signal-hook", "tokio"]);
    for package in packages().iter().filter(|package| name_of(package) != "sealstone") {
        let uses = dependencies(package, Value::is_null);
        let found: Vec<_> = uses.intersection(&banned).collect();
        assert!(found.is_empty(), "{} must not use {found:?}", name_of(package));
    }
}
