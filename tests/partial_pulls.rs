//! An update that is fetched in part, from a real registry to a bootable image, by the command alone.
//!
//! What the pieces do when somebody fails or lies is in crates/import/tests/chunked.
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

use kit::layer::noise;
use kit::registry::{Protection, Registry};
use kit::{Image, Layer, Outcome, Sandbox};

/// A system of 60 files, of which six differ by version.
fn system(version: u64) -> Image {
    let mut layer = Layer::system("6.1.0").dir("opt");
    for number in 0..60 {
        let seed = if number % 10 == 4 { version * 100 + number } else { number };
        layer = layer.file(&format!("opt/file{number:02}"), &noise(20_000, seed));
    }
    Image::new().layer(layer)
}

#[test]
fn an_update_that_we_packed_as_zstd_chunked_comes_from_a_registry_in_part() {
    let sandbox = Sandbox::with_repository();
    let test = "an_update_that_we_packed_as_zstd_chunked_comes_from_a_registry_in_part";
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    // Where images are made: another repository, which packs the update.
    let maker = sandbox.path("maker").display().to_string();
    system(2).write(&sandbox.path("new"));
    sandbox.store(["init", "--repo", &maker]).succeeds();
    let made = sandbox.store(["import", "--repo", &maker, "--json", "--name", "new", "oci:new"]).json();
    let export =
        ["export", "--repo", &maker, "--json", "--compression", "zstd:chunked", "new", "oci:packed:v2"];
    let exported = sandbox.store(export).json();
    assert_eq!(exported["layers"][0]["compression"], "zstd:chunked");
    registry.push(&sandbox, "oci:packed:v2", "some/image:v2", &["--preserve-digests"]);
    let reference = format!("docker://{}/some/image:v2", registry.host());

    // The machine that is updated has the version before, from layers of another kind.
    sandbox.import("old", &system(1), "old").succeeds();
    let pull = ["import", "--json", "--tls-verify=false", "--name", "new", &reference];
    let dry = |sandbox: &Sandbox| {
        let mut args = pull.to_vec();
        args.push("--dry-run");
        sandbox.store(args).json()
    };
    assert_eq!(dry(&sandbox)["layers"][0]["partial"], false, "nothing is indexed yet");
    let indexed = sandbox.store(["index", "--json"]).json();
    assert!(indexed["indexed_objects"].as_u64().unwrap() > 60);
    let plan = dry(&sandbox);
    assert_eq!(plan["layers"][0]["partial"], true);

    let pulled = sandbox.store(pull).json();
    let layer = &pulled["layers"][0];
    assert_eq!(layer["partial"], true);
    assert_eq!(layer["origin"], "imported");
    assert_eq!(layer["fetched_bytes"], plan["bytes_to_read"]);
    let (fetched, whole) = (layer["fetched_bytes"].as_u64().unwrap(), layer["blob_bytes"].as_u64().unwrap());
    assert!(fetched * 100 <= whole * 17, "{fetched} of {whole} bytes");
    for key in ["image", "bootable", "config"] {
        assert_eq!(pulled[key], made[key], "{key}");
    }
    // What the registry has is what we packed, byte for byte.
    assert_eq!(pulled["manifest"], exported["manifest"]);
    sandbox.store(["fsck"]).succeeds();

    // Packed again, it is the same blob, though the machine never saw all of it.
    let again = sandbox.store(["export", "--json", "new", "oci:again:v2"]).json();
    assert_eq!(again["manifest"], exported["manifest"]);
    assert_eq!(again["same_manifest"], true);
}

/// Needs root, and in the folder `SEALSTONE_SKOPEO` a current skopeo (`tests/tools/fetch-forky` fills one): bookworm's knows
/// only the old format.
#[test]
fn skopeo_of_today_fetches_what_we_packed_in_part() {
    let test = "skopeo_of_today_fetches_what_we_packed_in_part";
    let Some(skopeo) = kit::current_skopeo().filter(|_| kit::is_root()) else {
        return kit::skip(test, "SEALSTONE_SKOPEO names no folder with a skopeo, or this is not root");
    };
    let sandbox = Sandbox::with_repository();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/partial-by-skopeo"));
    command.arg(skopeo);
    for version in ["1", "2"] {
        let layout = format!("system{version}");
        sandbox.import(&layout, &system(version.parse().unwrap()), &layout).succeeds();
        let target = format!("oci:packed{version}:v");
        sandbox.store(["export", "--compression", "zstd:chunked", &layout, &target]).succeeds();
        registry.push(&sandbox, &target, &format!("some/image:v{version}"), &["--preserve-digests"]);
        command.arg(format!("docker://{}/some/image:v{version}", registry.host()));
    }
    let log = Outcome::of(&mut command).succeeds();
    assert_eq!(log.matches("Retrieved partial blob").count(), 2, "{log}");
    // `Missing N bytes out of N (12.34 %)`
    let shares = log.lines().filter_map(|line| line.split_once(" (")?.1.split_once(" %)")?.0.parse().ok());
    let shares: Vec<f64> = shares.collect();
    assert!(shares.len() == 2 && shares[1] < 20.0, "{log}");
}

#[test]
fn a_damaged_index_is_told_mended_and_never_in_the_way() {
    let sandbox = Sandbox::with_image(&system(1));
    sandbox.store(["index"]).succeeds();
    let folder = sandbox.repository().join("sealstone/contents");
    let segment = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let report = sandbox.store(["fsck", "--json"]);
    assert_eq!(report.code, 1);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["damage"][0]["kind"], "index-malformed");
    sandbox.import("again", &system(3), "again").succeeds();
    sandbox.store(["fsck", "--repair"]).succeeds();
    sandbox.store(["fsck"]).succeeds();
    assert!(sandbox.store(["index", "--json"]).json()["known_objects"].as_u64().unwrap() > 60);
}
