//! JSON output has the shape that docs/json.md documents: the same keys with the same types, no more and no fewer.
//!
//! Each `## sealstone.NAME/VERSION` of the document has an example; real output is compared with it key by key. Keys named
//! in an `Optional:` line may be absent or null. Arrays and their first example element describe every element.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::{BTreeMap, BTreeSet};

use kit::{Image, Sandbox};
use serde_json::Value;

struct Schema {
    example: Value,
    optional: BTreeSet<String>,
}

fn schemas() -> BTreeMap<String, Schema> {
    let path = format!("{}/docs/json.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("docs/json.md");
    let mut schemas = BTreeMap::new();
    for section in text.split("\n## ").filter(|section| section.starts_with("sealstone.")) {
        let name = section.lines().next().unwrap_or_default().trim().to_owned();
        let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let block = block.unwrap_or_else(|| panic!("{name} has no example"));
        let example = serde_json::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = section.lines().filter_map(|line| line.strip_prefix("Optional: "));
        let optional = lines.flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned)).collect();
        schemas.insert(name, Schema { example, optional });
    }
    schemas
}

fn compare(
    path: &str,
    found: &Value,
    example: &Value,
    optional: &BTreeSet<String>,
    faults: &mut Vec<String>,
) {
    match (found, example) {
        (Value::Object(found), Value::Object(example)) => {
            for (key, value) in found {
                let here = format!("{path}.{key}");
                match example.get(key) {
                    Some(_) if value.is_null() && optional.contains(key) => {}
                    Some(example) => compare(&here, value, example, optional, faults),
                    None => faults.push(format!("{here} is not documented")),
                }
            }
            let absent = example.keys().filter(|key| !found.contains_key(*key) && !optional.contains(*key));
            faults.extend(absent.map(|key| format!("{path}.{key} is documented and absent")));
        }
        (Value::Array(found), Value::Array(example)) => {
            for (position, value) in found.iter().enumerate() {
                match example.first() {
                    Some(example) => {
                        compare(&format!("{path}[{position}]"), value, example, optional, faults);
                    }
                    None => faults.push(format!("{path} is documented as empty")),
                }
            }
        }
        (found, example) if std::mem::discriminant(found) == std::mem::discriminant(example) => {}
        (found, example) => faults.push(format!("{path} is {found}, documented as {example}")),
    }
}

#[track_caller]
fn check(document: &Value) -> String {
    let name = document["schema"].as_str().expect("a schema").to_owned();
    let schemas = schemas();
    let schema = schemas.get(&name).unwrap_or_else(|| panic!("{name} is not in docs/json.md"));
    let mut faults = Vec::new();
    compare(&name, document, &schema.example, &schema.optional, &mut faults);
    assert_eq!(faults, Vec::<String>::new(), "\n{document:#}");
    name
}

#[test]
fn an_import_says_where_its_time_went() {
    let sandbox = Sandbox::with_repository();
    // Enough to read for every stage to take some of a clock's time.
    let layer = kit::Layer::system("6.1.0").file("usr/big", &kit::layer::noise(3_000_000, 5));
    Image::new().layer(layer).write(&sandbox.path("layout"));
    let document = sandbox.store(["import", "--json", "oci:layout"]).json();
    let seconds = |value: &Value| value.as_f64().expect("seconds");
    for stage in ["read", "decompress", "digest", "write"] {
        assert!(seconds(&document["processor_seconds"][stage]) > 0.0, "{stage}: {document:#}");
    }
    let parts = ["layers_seconds", "merge_seconds", "sync_seconds"].map(|part| seconds(&document[part]));
    assert!(parts.iter().all(|part| *part > 0.0), "{document:#}");
    assert!(parts.iter().sum::<f64>() <= seconds(&document["seconds"]), "{document:#}");
    let again = sandbox.store(["import", "--verbose", "oci:layout"]).succeeds();
    for (fact, parts) in [
        ("time", &["layers ", "merge ", "sync "][..]),
        ("processors", &["read 0 ms", "decompress ", "digest ", "write "]),
    ] {
        let line = again.lines().find(|line| line.trim_start().starts_with(fact)).expect("a line");
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
}

/// Why an image is refused.
fn refusal(sandbox: &Sandbox) -> Value {
    Image::new().layer(kit::Layer::new().file_with_raw_name(b"../x", b"")).write(&sandbox.path("bad"));
    let outcome = sandbox.store(["import", "--json", "--explain", "oci:bad"]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

/// A disk with one partition.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[446 + 4] = 0x83;
    disk
}

/// Verbs that answer of the images `one` and `two`, in this order.
const READS_AND_MORE: [&[&str]; 30] = [
    &["images", "--json"],
    &["inspect", "--json", "one"],
    &["ls", "-R", "--json", "one"],
    &["diff", "--json", "one", "two"],
    &["diff", "--explain", "--json", "one", "two"],
    &["image", "digest", "--json", "one"],
    &["du", "--json"],
    &["index", "--json"],
    &["fsck", "--json"],
    &["doctor", "--json"],
    &["gc", "--json", "--dry-run"],
    &["inspect", "--json", "oci:two"],
    &["export", "--json", "one", "oci:exported:one"],
    &["bound", "list", "--json", "one"],
    &["bound", "lint", "--json", "one"],
    &["bound", "annotate", "--json", "one", "oci:exported:one"],
    &["bundle", "export", "--json", "one", "oci:bundle"],
    &["bundle", "import", "--json", "oci:bundle"],
    &["init", "--json", "--repo", "other"],
    &["copy", "--json", "--dry-run", "repo", "other", "one"],
    &["copy", "--json", "repo", "other", "one"],
    &["rm", "--json", "two"],
    &["gc", "--json"],
    &["artifact", "inspect", "--json", "oci:disk"],
    &["artifact", "fetch", "--json", "oci:disk", "--output", "disk.raw"],
    &["install", "from-artifact", "--json", "oci:disk", "installed.raw"],
    &["install", "to-filesystem", "--json", "--root", "mnt", "--esp", "mnt/esp", "oci:one", "--dry-run"],
    &["install", "to-filesystem", "--json", "--root", "mnt", "--esp", "mnt/esp", "oci:one"],
    &[
        "uki",
        "build",
        "--json",
        "--stub",
        "stub",
        "--linux",
        "stub",
        "--cmdline",
        "quiet",
        "--output",
        "u.efi",
    ],
    &["uki", "inspect", "--json", "u.efi"],
];

/// What the verbs read beside images, and where they write.
fn furnish(sandbox: &Sandbox) {
    kit::artifact::write_layout(&sandbox.path("disk"), &[(&disk(), "text/plain", "disk.raw")]);
    for folder in ["mnt/esp", "esp", "sysroot", "efivars"] {
        std::fs::create_dir_all(sandbox.path(folder)).expect("a folder");
    }
    std::fs::write(sandbox.path("stub"), kit::stub::stub()).expect("a file");
    let features = "efivars/LoaderFeatures-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    std::fs::write(sandbox.path(features), [6, 0, 0, 0, 0xff]).expect("a file");
}

#[test]
fn every_document_has_its_documented_shape_and_every_documented_one_is_checked() {
    let (sandbox, mut seen) = (Sandbox::new(), BTreeSet::new());
    let mut run = |args: &[&str]| {
        let outcome = sandbox.store(args);
        assert!([0, 1].contains(&outcome.code), "{args:?}\n{}", outcome.stderr);
        let document =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        seen.insert(check(&document));
    };
    run(&["init", "--json", "--algorithm", "sha512"]);
    Image::bootable("6.1.0").write(&sandbox.path("one"));
    Image::bootable("6.2.0").write(&sandbox.path("two"));
    run(&["import", "--json", "--dry-run", "oci:one"]);
    run(&["import", "--json", "--explain", "--name", "one", "oci:one"]);
    run(&["import", "--json", "--name", "two", "oci:two"]);
    furnish(&sandbox);
    for args in READS_AND_MORE {
        run(args);
    }
    let sysroot = sandbox.path("sysroot");
    let repository = sysroot.join("composefs").display().to_string();
    run(&["init", "--json", "--repo", &repository]);
    run(&["import", "--json", "--repo", &repository, "--name", "one", "oci:one"]);
    for args in [
        &[
            "deploy",
            "--json",
            "--dry-run",
            "one",
            "--sysroot",
            "sysroot",
            "--esp",
            "esp",
            "--repo",
            &repository,
        ][..],
        &["deploy", "--json", "one", "--sysroot", "sysroot", "--esp", "esp", "--repo", &repository],
        &["status", "--json", "--sysroot", "sysroot", "--esp", "esp", "--repo", &repository],
        &["boot-next", "default", "--json", "--efivars", "efivars", "--sysroot", "sysroot", "--esp", "esp"],
        &["boot-next", "--clear", "--json", "--efivars", "efivars", "--sysroot", "sysroot", "--esp", "esp"],
        &["status", "--json", "--efivars", "efivars", "--sysroot", "sysroot", "--esp", "esp"],
        &["reconcile", "--json", "--sysroot", "sysroot", "--esp", "esp"],
        &["pin", "--json", "default", "--sysroot", "sysroot", "--esp", "esp"],
        &["prune", "--json", "--dry-run", "--keep", "1", "--sysroot", "sysroot", "--esp", "esp"],
        &["kargs", "set", "a=1", "--json", "--sysroot", "sysroot", "--esp", "esp", "--repo", &repository],
        &["bound", "sync", "--json", "--sysroot", "sysroot", "--repo", &repository],
    ] {
        run(args);
    }
    for options in [&["--check"][..], &[]] {
        let switch = ["switch", "--json", "oci:two", "--sysroot", "sysroot", "--esp", "esp"];
        run(&[&switch[..], options].concat());
    }
    seen.insert(check(&refusal(&sandbox)));
    let progress = sandbox.store(["--progress=json", "fsck"]).stderr;
    let first = progress.lines().next().expect("a line");
    let first: Value = serde_json::from_str(first).expect("JSON");
    seen.insert(check(&first));
    // A push needs a registry, a signature a signer: tests/pushing.rs, tests/artifacts.rs, tests/uki_signing.rs.
    seen.extend(["push/1", "artifact-push/1", "uki-signature/1"].map(|name| format!("sealstone.{name}")));
    assert_eq!(seen, schemas().into_keys().collect());
}
