//! Dependencies run one way: `store` uses none of ours, `import` and `boot` only `store`, `deploy` all three.
//!
//! What this holds: the picture in ARCHITECTURE.md, read from `cargo metadata`. A back edge, a dev-dependency included,
//! fails here before anybody builds on it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Each package of the workspace with those of the workspace that it depends on, by any kind of dependency.
fn workspace_edges() -> Edges {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name_of = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name_of).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            (name_of(package), dependencies.iter().map(name_of).filter(|name| ours.contains(name)).collect())
        })
        .collect()
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
        ("sealstone-deploy", set(&["sealstone-store", "sealstone-import", "sealstone-boot"])),
        ("sealstone", set(&["sealstone-store", "sealstone-import", "sealstone-boot", "sealstone-deploy"])),
    ]
    .into_iter()
    .map(|(name, uses)| (name.to_owned(), uses))
    .collect();
    let found = workspace_edges();
    for (package, uses) in &found {
        let allowed = allowed.get(package).unwrap_or_else(|| panic!("{package}: not in the architecture"));
        let back: Vec<_> = uses.difference(allowed).collect();
        assert!(back.is_empty(), "{package} must not use {back:?}");
    }
    assert_eq!(found.len(), allowed.len(), "a crate of the architecture is missing");
}

#[test]
fn libraries_use_neither_anyhow_nor_the_commands_crates() {
    let root = env!("CARGO_MANIFEST_DIR");
    for library in ["store", "import", "boot", "deploy"] {
        let manifest =
            std::fs::read_to_string(format!("{root}/crates/{library}/Cargo.toml")).expect("a manifest");
        for banned in ["anyhow", "clap", "indicatif", "console", "openssl", "tokio"] {
            let used = manifest.lines().any(|line| line.starts_with(banned));
            assert!(!used, "crates/{library} must not depend on {banned}");
        }
    }
}
