//! What an image store looks like on the disk. That podman takes it is shown in `tests/bound_images.rs`.

use sealstone_store::disk::{Dir, RealDisk};

use super::*;
use crate::{
    bound::testing::{Shelf, fetched},
    testing::{Machine, dir, file, link, symlink, whiteout},
};

/// The images' store in a folder of the machine.
fn made(machine: &Machine, shelf: &Shelf, references: &[&str]) -> (Dir, Vec<crate::bound::BoundImage>) {
    let repository = machine.target().repository;
    let images = fetched(&repository, shelf, references);
    std::fs::create_dir(machine.path("store")).unwrap();
    let dir = Dir::open(&RealDisk::shared(), machine.path("store")).unwrap();
    let plan = plan_image_store(&repository, &images, &dir, &sealstone_store::Control::new()).unwrap();
    let built = build(&repository, &images, &dir, &sealstone_store::Control::new()).unwrap();
    assert_eq!(plan.files, built.files);
    assert!(plan.content_bytes <= built.bytes && plan.content_bytes >= built.shared_bytes);
    assert_eq!(plan.how == Sharing::Reflink, built.shared_bytes > 0);
    (dir, images)
}

fn json(machine: &Machine, path: &str) -> serde_json::Value {
    serde_json::from_str(&machine.read(path)).unwrap()
}

#[test]
fn each_layer_is_a_folder_that_lies_on_those_below() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let long = "a body of more than sixty-four bytes, so that it is an object of the repository ".repeat(3);
    let bottom = vec![
        dir("etc", 0o750),
        file("etc/long", &long),
        file("etc/gone", "x"),
        dir("opt/hidden", 0o755),
        file("opt/hidden/old", "x"),
        symlink("lib", "etc"),
    ];
    let top = vec![
        file("etc/new", "new"),
        link("etc/again", "etc/new"),
        link("etc/below", "etc/long"),
        whiteout("etc/.wh.gone"),
        whiteout("opt/hidden/.wh..wh..opq"),
        file("opt/hidden/fresh", "y"),
    ];
    shelf.put("q.io/a:1", &[bottom, top]);
    let (_, images) = made(&machine, &shelf, &["q.io/a:1"]);
    let layers = json(&machine, "store/overlay-layers/layers.json");
    let (lower, upper) = (layers[0]["id"].as_str().unwrap(), layers[1]["id"].as_str().unwrap());
    assert_eq!(layers[0]["diff-digest"], format!("sha256:{lower}"));
    assert_eq!(layers[1]["parent"], *lower);
    let images_json = json(&machine, "store/overlay-images/images.json");
    assert_eq!(images_json[0]["id"], images[0].config.digest().to_hex());
    assert_eq!(images_json[0]["names"][0], "q.io/a:1");
    assert_eq!(images_json[0]["layer"], *upper);
    let upper_dir = format!("store/overlay/{upper}");
    assert_eq!(machine.names(&format!("{upper_dir}/diff/etc")), ["again", "below", "gone", "new"]);
    assert_eq!(machine.names(&format!("{upper_dir}/diff/opt/hidden")), ["fresh"]);
    assert_eq!(machine.read(&format!("{upper_dir}/diff/etc/below")), long);
    assert_eq!(machine.read(&format!("store/overlay/{lower}/diff/lib/long")), long);
    let link_name = machine.read(&format!("store/overlay/{lower}/link"));
    assert_eq!(machine.read(&format!("{upper_dir}/lower")), format!("l/{link_name}"));
    assert_eq!(machine.read(&format!("store/overlay/l/{link_name}/etc/gone")), "x");
}

#[test]
fn marks_of_overlayfs_hide_what_the_layer_hides() {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let bottom = vec![dir("a", 0o710), file("a/gone", "x"), dir("b", 0o755), file("b/old", "x")];
    let top = vec![whiteout("a/.wh.gone"), whiteout("b/.wh..wh..opq"), file("c", "y")];
    shelf.put("q.io/a:1", &[bottom, top]);
    let (dir, _) = made(&machine, &shelf, &["q.io/a:1"]);
    let layers = json(&machine, "store/overlay-layers/layers.json");
    let upper = format!("overlay/{}/diff", layers[1]["id"].as_str().unwrap());
    let gone = machine.path(&format!("store/{upper}/a/gone")).symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    // A folder that the layer only passes through is as it was below.
    assert_eq!(machine.path(&format!("store/{upper}/a")).metadata().unwrap().mode() & 0o7777, 0o710);
    if rustix::process::geteuid().is_root() {
        assert_eq!(dir.xattr(format!("{upper}/b"), b"trusted.overlay.opaque").unwrap(), b"y");
        assert!(dir.xattr(format!("{upper}/a"), b"trusted.overlay.opaque").is_err());
    }
}

#[test]
fn images_share_layers_and_names_of_one_image_are_one() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let base = vec![file("base", "base")];
    shelf.put("q.io/a:1", &[base.clone(), vec![file("a", "a")]]);
    shelf.put("q.io/a:same", &[base.clone(), vec![file("a", "a")]]);
    shelf.put("q.io/b:1", &[base, vec![file("b", &"b".repeat(100))]]);
    let (dir, images) = made(&machine, &shelf, &["q.io/a:1", "q.io/b:1", "q.io/a:same"]);
    assert_eq!(json(&machine, "store/overlay-layers/layers.json").as_array().unwrap().len(), 3);
    let found = json(&machine, "store/overlay-images/images.json");
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["names"], serde_json::json!(["q.io/a:1", "q.io/a:same"]));
    assert!(missing_in(&dir, &images).unwrap().is_empty());
}

#[test]
fn an_image_whose_layer_is_gone_is_missing() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    shelf.put("q.io/a:1", &[vec![file("base", &"a".repeat(100))], vec![file("a", "a")]]);
    shelf.put("q.io/b:1", &[vec![file("b", &"b".repeat(100))]]);
    let (dir, images) = made(&machine, &shelf, &["q.io/a:1", "q.io/b:1"]);
    let layers = json(&machine, "store/overlay-layers/layers.json");
    let base = layers.as_array().unwrap().iter().find(|layer| {
        let id = layer["id"].as_str().unwrap();
        machine.path(&format!("store/overlay/{id}/diff/base")).exists()
    });
    let base = machine.path(&format!("store/overlay/{}/diff", base.unwrap()["id"].as_str().unwrap()));
    std::fs::remove_dir_all(base).unwrap();
    let missing = |dir: &Dir| -> Vec<String> {
        missing_in(dir, &images).unwrap().iter().map(|image| image.reference.clone()).collect()
    };
    assert_eq!(missing(&dir), ["q.io/a:1"]);
    std::fs::write(machine.path("store/overlay-images/images.json"), "{").unwrap();
    assert_eq!(missing(&dir), ["q.io/a:1", "q.io/b:1"]);
}
