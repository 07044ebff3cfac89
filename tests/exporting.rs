//! Images go out of the repository so that others read them: skopeo and umoci read back what we export; a layout is whole
//! after a power cut or a kill. Tests that need a program say so when it is not installed.
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
use std::sync::Arc;

use kit::layer::noise;
use kit::layout_check::{diff_ids, missing_tag};
use kit::power_cut::{Lying, Run};
use kit::{Compression, Image, Layer, Sandbox, world};
use sealstone::import::catalogue::Catalogue;
use sealstone::import::export::{ExportOptions, export};
use sealstone::store::Control;
use sealstone::store::disk::{Call, Disk, RealDisk};
use serde_json::Value;

fn has(program: &str, test: &str) -> bool {
    let is_there =
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        kit::skip(test, &format!("{program} is not installed"));
    }
    is_there
}

#[track_caller]
fn run(sandbox: &Sandbox, program: &str, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args).current_dir(sandbox.path(".")).env("HOME", sandbox.path("."));
    let output = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}\n{stderr}");
    output.stdout
}

/// A system and a layer on top with a whiteout, of which one is compressed.
fn image() -> Image {
    let plain = Layer::new().dir("opt").file("opt/big", &noise(400_000, 11)).whiteout("etc/hostname");
    Image::bootable("6.1.0").compressed_layer(plain, Compression::None)
}

#[test]
fn skopeo_reads_what_we_export_and_finds_the_same_tars_and_configuration() {
    if !has("skopeo", "skopeo_reads_what_we_export") {
        return;
    }
    let sandbox = Sandbox::with_image(&image());
    let expected = diff_ids(&sandbox.path("layout"), "");
    for (number, compression) in ["same", "gzip", "zstd", "zstd:chunked", "none"].iter().enumerate() {
        for target in [format!("oci:out{number}:v1"), format!("oci-archive:out{number}.tar:v1")] {
            let exported =
                sandbox.store(["export", "--json", "--compression", compression, "example", &target]).json();
            let inspected = run(&sandbox, "skopeo", &["inspect", &target]);
            let inspected: Value = serde_json::from_slice(&inspected).expect("JSON");
            assert_eq!(inspected["Digest"], exported["manifest"], "{target}");
            let copy = format!("oci:copy{number}{}:v1", target.contains("archive"));
            run(&sandbox, "skopeo", &["--insecure-policy", "copy", "-q", &target, &copy]);
            let folder = copy.strip_prefix("oci:").and_then(|rest| rest.strip_suffix(":v1")).unwrap();
            assert_eq!(diff_ids(&sandbox.path(folder), "v1"), expected, "{target} as {compression}");
        }
        assert_eq!(diff_ids(&sandbox.path(&format!("out{number}")), "v1"), expected);
    }
}

#[test]
fn umoci_unpacks_what_we_export() {
    if !has("umoci", "umoci_unpacks_what_we_export") {
        return;
    }
    let sandbox = Sandbox::with_image(&image());
    // This umoci knows no zstd.
    for compression in ["gzip", "none"] {
        let target = format!("oci:{compression}:v1");
        sandbox.store(["export", "--compression", compression, "example", &target]).succeeds();
        let image = format!("{compression}:v1");
        run(
            &sandbox,
            "umoci",
            &["unpack", "--rootless", "--image", &image, &format!("bundle-{compression}")],
        );
        let rootfs = sandbox.path(&format!("bundle-{compression}/rootfs"));
        assert_eq!(fs::read(rootfs.join("opt/big")).unwrap(), noise(400_000, 11));
        assert!(!rootfs.join("etc/hostname").exists());
    }
}

#[test]
fn an_exported_image_comes_back_with_the_same_image_id() {
    let sandbox = Sandbox::with_image(&image());
    let before = sandbox.store(["inspect", "--json", "example"]).json();
    let told = sandbox.store(["export", "example", "oci-archive:out.tar:v1"]).succeeds();
    assert!(told.contains("compressed anew"), "{told}");
    let repo = sandbox.path("other").display().to_string();
    sandbox.store(["init", "--repo", &repo]).succeeds();
    let back = sandbox.store(["import", "--json", "--repo", &repo, "oci-archive:out.tar:v1"]).json();
    assert_eq!([&back["image"], &back["config"]], [&before["image"], &before["config"]]);
    assert_ne!(back["manifest"], before["manifest"]);
    // What we made once, we make again: from here on nothing changes.
    let args = ["export", "--json", "--repo", &repo, "oci-archive:out.tar:v1", "oci-archive:again.tar:v1"];
    let again = sandbox.store(args).json();
    assert_eq!(again["same_manifest"], true, "{again:#}");
    assert!(fs::read(sandbox.path("out.tar")).unwrap() == fs::read(sandbox.path("again.tar")).unwrap());
}

#[test]
fn exit_codes_say_what_is_wrong_with_an_export() {
    let sandbox = Sandbox::with_image(&image());
    sandbox.store(["export", "nothing", "oci:out:v1"]).fails(5);
    sandbox.store(["export", "example", "docker://registry.example/x"]).fails(2);
    sandbox.store(["export", "example", "oci:out:@1"]).fails(2);
    sandbox.store(["export", "example", "oci-archive:no/such/folder.tar"]).fails(5);
    fs::write(sandbox.path("layout/stray"), b"").unwrap();
    fs::remove_file(sandbox.path("layout/oci-layout")).unwrap();
    sandbox.store(["export", "example", "oci:layout:v1"]).fails(7);
}

/// A folder with a repository that holds `old` and `new`, and a layout `place/out` with the tag `old`.
fn prepared() -> tempfile::TempDir {
    let folder = world::with_repository();
    let layers =
        |text: &[u8]| Image::new().layer(Layer::system("6.1.0")).layer(Layer::new().file("etc/x", text));
    for (name, text) in [("old", b"old"), ("new", b"new")] {
        layers(text).write(&folder.path().join("layout"));
        world::import(&RealDisk::shared(), folder.path(), name).unwrap();
    }
    fs::create_dir(folder.path().join("place")).unwrap();
    export_by(&RealDisk::shared(), folder.path(), &folder.path().join("place"), "old");
    folder
}

fn export_by(disk: &Arc<dyn Disk>, folder: &Path, place: &Path, name: &str) {
    let repository = world::open(&RealDisk::shared(), folder).unwrap();
    let stored = Catalogue::read(&repository).unwrap().find(name).unwrap().stored.unwrap();
    let target = format!("oci:{}/out:{name}", place.display()).parse().unwrap();
    let options = ExportOptions::default();
    export(&repository, &stored.manifest, disk, &target, &options, &Control::new().with_threads(2)).unwrap();
}

fn states_of_an_export(lie: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>) -> kit::power_cut::Tally {
    let folder = prepared();
    let place = folder.path().join("place");
    let run = Run::of(&place, lie, |disk| export_by(disk, folder.path(), &place, "new"));
    run.states(
        |state, acknowledged| {
            let layout = state.join("out");
            let old = missing_tag(&layout, "old");
            // An index that names the new image names all of it, acknowledged or not.
            let index = fs::read_to_string(layout.join("index.json")).unwrap_or_default();
            let is_named = acknowledged || index.contains(r#""new""#);
            old.or_else(|| if is_named { missing_tag(&layout, "new") } else { None })
        },
        None,
    )
}

#[test]
fn a_power_cut_during_an_export_leaves_the_old_layout_or_the_new_one() {
    states_of_an_export(|disk| disk).is_clean(50);
}

#[test]
fn control_without_syncs_of_blobs_a_power_cut_leaves_half_an_export() {
    let tally = states_of_an_export(Lying::about(|call| matches!(call, Call::SyncFile { .. })));
    assert!(tally.lost > 0, "{tally:?}");
    let tally = states_of_an_export(Lying::about(|call| matches!(call, Call::SyncDir { .. })));
    assert!(tally.lost > 0, "{tally:?}");
}

#[test]
fn the_first_export_into_a_new_folder_is_there_after_a_power_cut() {
    let folder = prepared();
    let place = folder.path().join("fresh");
    fs::create_dir(&place).unwrap();
    let run = Run::of(&place, |disk| disk, |disk| export_by(disk, folder.path(), &place, "new"));
    let tally = run.states(
        |state, acknowledged| {
            let is_there = acknowledged || state.join("out/index.json").exists();
            if is_there { missing_tag(&state.join("out"), "new") } else { None }
        },
        None,
    );
    tally.is_clean(50);
}
