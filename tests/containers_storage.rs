//! The storage of podman is read without podman: what skopeo stored there, with either driver, is the image that it copied,
//! tar for tar, and nothing in the storage is touched. A storage that was changed or lies is refused.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use kit::layer::noise;
use kit::layout::digest;
use kit::{Compression, Image, Layer, Sandbox};
use serde_json::{Value, json};

const BIG: &str = "opt/big";

/// Layers with what a driver turns into something else on its disk: whiteouts, an opaque folder, hard links, a file that
/// is written through a symlink, long names, attributes, empty files, one layer twice.
fn layers() -> Vec<Vec<u8>> {
    let long = format!("opt/{}/{}", "d".repeat(200), "f".repeat(200));
    let middle = Layer::new()
        .dir("opt")
        .file(BIG, &noise(300_000, 21))
        .hardlink("opt/twin", BIG)
        .dir("opt/real")
        .symlink("opt/lib", "/opt/real")
        .file("opt/lib/through", b"written through a symlink")
        .file_with_mode("usr/bin/su", 0o4755, b"set-uid")
        .file_with_xattr("opt/capable", b"x", "user.colour", b"blue\0green")
        .file("opt/empty", b"")
        .whiteout("etc/hostname");
    let top = Layer::new()
        .dir("opt")
        .dir("var/lib")
        .file("var/lib/.wh..wh..opq", b"")
        .file("var/lib/new", b"new")
        .whiteout("opt/twin")
        .dir(long.rsplit_once('/').unwrap().0)
        .file(&long, b"a long name");
    let empty = Layer::new().finish();
    vec![Layer::system("6.1.0").finish(), middle.finish(), empty.clone(), top.finish(), empty]
}

fn image(compression: Compression) -> Image {
    layers().into_iter().fold(Image::new(), |image, tar| image.tar(tar, compression))
}

/// A storage in the sandbox that skopeo filled with the layout `layout`, under the name `localhost/os:1`.
struct Storage<'a> {
    sandbox: &'a Sandbox,
    driver: &'static str,
    root: PathBuf,
}

impl<'a> Storage<'a> {
    /// `None` when it cannot be made here, after saying why.
    fn fill(sandbox: &'a Sandbox, driver: &'static str, test: &str) -> Option<Self> {
        if !kit::has("skopeo", test) {
            return None;
        }
        if !kit::is_root() {
            kit::skip(test, "skopeo stores layers with their owners as root only");
            return None;
        }
        if !std::process::Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|end| end.success())
        {
            kit::skip(test, "mount namespaces are not allowed here");
            return None;
        }
        let storage = Self { sandbox, driver, root: sandbox.path(driver) };
        let to = format!("{}localhost/os:1", storage.reference(""));
        // With overlay it mounts its folder on itself, and leaves that: here, in a namespace that ends with it.
        let skopeo = ["-m", "skopeo", "--insecure-policy", "copy", "-q", "oci:layout:latest", &to];
        kit::run(sandbox, "unshare", &skopeo);
        Some(storage)
    }

    fn reference(&self, image: &str) -> String {
        let run = self.sandbox.path("run");
        format!("containers-storage:[{}@{}+{}]{image}", self.driver, self.root.display(), run.display())
    }

    /// A path in the storage's folder of images or layers.
    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.root.join(format!("{}-{kind}", self.driver)).join(name)
    }

    fn read(&self, kind: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(kind, &format!("{kind}.json"))).unwrap()).unwrap()
    }

    fn image_id(&self) -> String {
        self.read("images")[0]["id"].as_str().unwrap().to_owned()
    }

    /// The layer that has a file, and that file on the disk.
    fn find(&self, path: &str) -> (String, PathBuf) {
        let layers = self.read("layers");
        let ids = layers.as_array().unwrap().iter().map(|layer| layer["id"].as_str().unwrap());
        let on_disk = |id: &str| match self.driver {
            "overlay" => self.root.join("overlay").join(id).join("diff").join(path),
            _ => self.root.join("vfs/dir").join(id).join(path),
        };
        let found = ids.map(|id| (id.to_owned(), on_disk(id))).find(|(_, file)| file.exists());
        found.expect("a layer has it")
    }
}

/// Every path below a folder, with what a reader could have changed.
fn snapshot(folder: &Path, found: &mut BTreeMap<PathBuf, (u64, i64, i64, u32)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        let known = (metadata.size(), metadata.mtime_nsec(), metadata.ctime_nsec(), metadata.mode());
        found.insert(entry.path(), known);
        if metadata.is_dir() {
            snapshot(&entry.path(), found);
        }
    }
}

#[track_caller]
fn is_same_image(found: &Value, expected: &Value) {
    for key in ["image", "bootable", "config"] {
        assert_eq!(found[key], expected[key], "{key}");
    }
    let tars = |document: &Value| {
        let layers = document["layers"].as_array().unwrap();
        layers.iter().map(|layer| (layer["diff_id"].clone(), layer["tar_bytes"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(tars(found), tars(expected));
}

fn stored_image_is_the_copied_one(driver: &'static str, test: &str) {
    let sandbox = Sandbox::with_repository();
    let expected = sandbox.import("layout", &image(Compression::Gzip), "expected");
    expected.succeeds();
    let Some(storage) = Storage::fill(&sandbox, driver, test) else { return };
    let expected = ["import", "--json", "--verify-existing", "--name", "expected", "oci:layout"];
    let expected = sandbox.store(expected).json();
    let mut before = BTreeMap::new();
    snapshot(&storage.root, &mut before);
    let id = storage.image_id();
    assert_eq!(expected["config"], format!("sha256:{id}"));
    let root = storage.root.display();
    for reference in [
        storage.reference("localhost/os:1"),
        storage.reference("os:1"),
        storage.reference(&id),
        storage.reference(&id[..12]),
        format!("containers-storage:[{driver}@{root}]@{id}"),
        format!("containers-storage:[{root}]localhost/os:1@{id}"),
    ] {
        let args = ["import", "--json", "--verify-existing", "--name", "x", &reference];
        let found = sandbox.store(args).json();
        is_same_image(&found, &expected);
        assert_eq!(found["manifest_made"], true, "the compressed layers that its manifest names are gone");
    }
    let mut after = BTreeMap::new();
    snapshot(&storage.root, &mut after);
    assert_eq!(after, before, "a storage is only read");
    sandbox.store(["fsck"]).succeeds();
    for (image, code) in [("os:2", 5), ("quay.io/os:1", 5), (&"0".repeat(64), 5), ("os:1@00000", 5)] {
        let told = sandbox.store(["import", &storage.reference(image)]).fails(code);
        assert!(told.contains("localhost/os:1"), "it says what is there: {told}");
    }
}

#[test]
fn an_image_in_an_overlay_storage_is_the_one_that_skopeo_copied_there() {
    stored_image_is_the_copied_one(
        "overlay",
        "an_image_in_an_overlay_storage_is_the_one_that_skopeo_copied_there",
    );
}

#[test]
fn an_image_in_a_vfs_storage_is_the_one_that_skopeo_copied_there() {
    stored_image_is_the_copied_one("vfs", "an_image_in_a_vfs_storage_is_the_one_that_skopeo_copied_there");
}

#[test]
fn a_manifest_that_names_the_tars_themselves_is_kept() {
    let sandbox = Sandbox::with_repository();
    image(Compression::None).write(&sandbox.path("layout"));
    let test = "a_manifest_that_names_the_tars_themselves_is_kept";
    let Some(storage) = Storage::fill(&sandbox, "vfs", test) else { return };
    let found = ["import", "--json", "--name", "x", &storage.reference("os:1")];
    let found = sandbox.store(found).json();
    assert_eq!(found["manifest_made"], false);
    let manifest = fs::read(storage.path("images", &storage.image_id()).join("manifest")).unwrap();
    assert_eq!(found["manifest"], json!(digest(&manifest)));
    let expected = sandbox.store(["import", "--json", "--name", "y", "oci:layout"]).json();
    assert_eq!(found["manifest"], expected["manifest"], "skopeo keeps it as well");
}

impl Storage<'_> {
    /// Changes a file of the storage, sees what an import makes of that, and puts it back.
    #[track_caller]
    fn expect(&self, what: &str, code: i32, changed: &Path, attack: impl FnOnce(&Path)) {
        let before = fs::read(changed).unwrap();
        attack(changed);
        let outcome = self.sandbox.store(["import", "--name", "x", &self.reference("os:1")]);
        assert_eq!(outcome.code, code, "{what}: {}", outcome.stderr);
        if code == 0 {
            self.sandbox.store(["rm", "x"]).succeeds();
            self.sandbox.store(["gc"]).succeeds();
        }
        let images = self.sandbox.store(["images", "--json"]).json();
        assert_eq!(images["images"], json!([]), "{what}");
        self.sandbox.store(["fsck"]).succeeds();
        let _ = fs::remove_file(changed).or_else(|_| fs::remove_dir(changed));
        fs::write(changed, before).unwrap();
    }
}

fn replace(path: &Path, with: impl FnOnce(&Path)) {
    fs::remove_file(path).unwrap();
    with(path);
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn a_layer_whose_files_were_changed_is_refused_and_nothing_is_published() {
    let sandbox = Sandbox::with_repository();
    image(Compression::Gzip).write(&sandbox.path("layout"));
    let test = "a_layer_whose_files_were_changed_is_refused_and_nothing_is_published";
    let Some(storage) = Storage::fill(&sandbox, "overlay", test) else { return };
    let (_, big) = storage.find(BIG);
    let body = fs::read(&big).unwrap();
    let outside = sandbox.path("outside");
    fs::write(&outside, &body).unwrap();
    let mut other = body.clone();
    other[1000] ^= 1;
    storage.expect("another body", 3, &big, |path| fs::write(path, &other).unwrap());
    storage.expect("a shorter one", 3, &big, |path| fs::write(path, &body[..1000]).unwrap());
    let longer = [&body[..], b"x"].concat();
    storage.expect("a longer one, of which the end is not read", 0, &big, |path| {
        fs::write(path, longer).unwrap();
    });
    storage.expect("none", 5, &big, |path| fs::remove_file(path).unwrap());
    storage.expect("a symlink that leads out", 5, &big, |path| {
        replace(path, |path| symlink(&outside, path).unwrap());
    });
    storage.expect("a folder", 3, &big, |path| replace(path, |path| fs::create_dir(path).unwrap()));
    storage.expect("a fifo", 3, &big, |path| {
        replace(path, |path| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        });
    });
    sandbox.store(["import", "--name", "x", &storage.reference("os:1")]).succeeds();
}

#[test]
fn a_storage_whose_documents_lie_is_refused_and_nothing_is_published() {
    let sandbox = Sandbox::with_repository();
    image(Compression::Gzip).write(&sandbox.path("layout"));
    let test = "a_storage_whose_documents_lie_is_refused_and_nothing_is_published";
    let Some(storage) = Storage::fill(&sandbox, "overlay", test) else { return };
    fs::write(sandbox.path("outside"), noise(300_000, 21)).unwrap();
    let split = storage.path("layers", &format!("{}.tar-split.gz", storage.find(BIG).0));
    storage.expect("no tar-split", 7, &split, |path| fs::remove_file(path).unwrap());
    storage.expect("half a tar-split", 3, &split, |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    storage.expect("a tar-split that leads out", 3, &split, |path| {
        fs::write(path, "{\"type\":1,\"name\":\"../../../../outside\",\"size\":300000}\n").unwrap();
    });
    let folder = storage.path("images", &storage.image_id());
    let documents = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut configs = documents.filter(|path| fs::read(path).unwrap().starts_with(b"{\"arch"));
    let config = configs.next().expect("a configuration");
    storage.expect("another configuration", 3, &config, |path| {
        edit(path, |document| document["created"] = json!("2001-01-01T00:00:00Z"));
    });
    storage.expect("a manifest of another configuration", 5, &folder.join("manifest"), |path| {
        let other = json!(format!("sha256:{}", "0".repeat(64)));
        edit(path, |document| document["config"]["digest"] = other);
    });
    let layers = storage.path("layers", "layers.json");
    storage.expect("layers in a circle", 3, &layers, |path| {
        edit(path, |document| document[0]["parent"] = document[1]["id"].clone());
    });
    let images = storage.path("images", "images.json");
    storage.expect("a layer that is not there", 5, &images, |path| {
        edit(path, |document| document[0]["layer"] = json!("gone"));
    });
    storage.expect("an image of fewer layers", 3, &images, |path| {
        let lower = storage.read("layers")[0]["id"].clone();
        edit(path, |document| document[0]["layer"] = lower);
    });
    storage.expect("an id that is a path", 3, &images, |path| {
        edit(path, |document| document[0]["id"] = json!("../../outside"));
    });
    sandbox.store(["import", "--name", "x", &storage.reference("os:1")]).succeeds();
}

#[test]
fn an_image_that_is_asked_for_by_its_id_has_that_id() {
    let sandbox = Sandbox::with_repository();
    image(Compression::Gzip).write(&sandbox.path("layout"));
    let test = "an_image_that_is_asked_for_by_its_id_has_that_id";
    let Some(storage) = Storage::fill(&sandbox, "vfs", test) else { return };
    let (id, other) = (storage.image_id(), "0123".repeat(16));
    fs::rename(storage.path("images", &id), storage.path("images", &other)).unwrap();
    let images = storage.path("images", "images.json");
    let mut document = storage.read("images");
    document[0]["id"] = json!(other);
    fs::write(&images, document.to_string()).unwrap();
    let told = sandbox.store(["import", &storage.reference(&other)]).fails(3);
    assert!(told.contains("by name"), "{told}");
    sandbox.store(["import", "--name", "x", &storage.reference("os:1")]).succeeds();
}

#[test]
fn a_policy_speaks_of_a_storage_by_its_folder_and_the_images_in_it() {
    let sandbox = Sandbox::with_repository();
    image(Compression::Gzip).write(&sandbox.path("layout"));
    let test = "a_policy_speaks_of_a_storage_by_its_folder_and_the_images_in_it";
    let Some(storage) = Storage::fill(&sandbox, "vfs", test) else { return };
    let folder = sandbox.path(".config/containers");
    fs::create_dir_all(&folder).unwrap();
    let (root, id) = (storage.root.display(), storage.image_id());
    for (scope, image, code) in [
        (format!("[vfs@{root}]localhost/os:1"), "os:1", 3),
        (format!("[vfs@{root}]localhost/os"), "os:1", 3),
        (format!("[vfs@{root}]@{id}"), &id[..12], 3),
        (format!("[vfs@{root}]"), "os:1", 3),
        (format!("[{root}]"), "os:1", 3),
        (String::new(), "os:1", 3),
        (format!("[overlay@{root}]"), "os:1", 0),
        (format!("[vfs@{root}]localhost/other"), "os:1", 0),
    ] {
        let policy = json!({
            "default": [{ "type": "insecureAcceptAnything" }],
            "transports": { "containers-storage": { scope.clone(): [{ "type": "reject" }] } },
        });
        fs::write(folder.join("policy.json"), policy.to_string()).unwrap();
        let outcome = sandbox.store(["import", "--name", "x", &storage.reference(image)]);
        assert_eq!(outcome.code, code, "{scope}: {}", outcome.stderr);
    }
}
