//! An image goes from one repository to another with its ids, hashed on the way: a repository may be anybody's.
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
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kit::layer::noise;
use kit::sandbox::listing;
use kit::{Image, Layer, Sandbox, world};
use rustix::io::Errno;
use sealstone::deploy::copy_image;
use sealstone::import::ImportOptions;
use sealstone::import::catalogue::Catalogue;
use sealstone::store::disk::{Call, Disk, RealDisk, Reply};
use sealstone::store::{Algorithm, Control, InitOptions, Repository};
use serde_json::Value;

fn image() -> Image {
    Image::bootable("6.1.0")
        .layer(Layer::new().dir("opt").file("opt/big", &noise(400_000, 11)).whiteout("etc/hostname"))
}

/// A sandbox with the image in `repo`, and an empty repository `other` of an algorithm.
fn two(algorithm: &str) -> Sandbox {
    let sandbox = Sandbox::with_image(&image());
    sandbox.store(["init", "--repo", "other", "--algorithm", algorithm]).succeeds();
    sandbox
}

fn algorithm_of(sandbox: &Sandbox) -> String {
    let meta: Value = serde_json::from_slice(&fs::read(sandbox.path("repo/meta.json")).unwrap()).unwrap();
    let text = meta["algorithm"].as_str().unwrap_or_default().to_owned();
    if text.contains("sha512") { "sha512".to_owned() } else { "sha256".to_owned() }
}

#[test]
fn a_copy_has_the_same_ids_and_nothing_is_copied_twice() {
    let own = algorithm_of(&Sandbox::with_image(&Image::new()));
    let sandbox = two(&own);
    let before = sandbox.store(["inspect", "--json", "example"]).json();
    let plan = sandbox.store(["copy", "--json", "--dry-run", "repo", "other", "example"]).json();
    assert!(plan["bytes_to_read"].as_u64().unwrap() > 400_000, "{plan:#}");
    let copied = sandbox.store(["copy", "--json", "repo", "other", "example"]).json();
    for key in ["image", "bootable", "manifest", "config"] {
        assert_eq!(copied[key], before[key], "{key}");
    }
    assert_eq!(
        copied["new_objects"].as_u64().unwrap() + copied["shared_blocks"].as_u64().unwrap(),
        plan["objects"]
    );
    sandbox.store(["fsck", "--repo", "other"]).succeeds();
    let state = listing(&sandbox.path("other"));
    let again = sandbox.store(["copy", "--json", "repo", "other", "example"]).json();
    assert_eq!([&again["new_objects"], &again["layers_read"]], [&Value::from(0), &Value::from(0)]);
    assert_eq!(state, listing(&sandbox.path("other")));
    let plan = sandbox.store(["copy", "--json", "--dry-run", "repo", "other", "example"]).json();
    assert_eq!([&plan["bytes_to_read"], &plan["objects"]], [&Value::from(0), &Value::from(0)]);
    sandbox.store(["copy", "--name", "second", "repo", "other", "example"]).succeeds();
    assert!(sandbox.store(["images", "--repo", "other"]).succeeds().contains("second"));
}

#[test]
fn another_algorithm_gets_the_ids_that_an_import_gives() {
    for algorithm in ["sha256", "sha512"] {
        let sandbox = two(algorithm);
        sandbox.store(["init", "--repo", "third", "--algorithm", algorithm]).succeeds();
        let imported =
            sandbox.store(["import", "--json", "--repo", "third", "--name", "x", "oci:layout"]).json();
        let copied = sandbox.store(["copy", "--json", "repo", "other", "example"]).json();
        for key in ["image", "bootable", "manifest", "config"] {
            assert_eq!(copied[key], imported[key], "{algorithm}: {key}");
        }
        sandbox.store(["fsck", "--repo", "other"]).succeeds();
        let told = sandbox.store(["copy", "--dry-run", "repo", "other", "example"]).succeeds();
        assert!(told.contains("present"), "{told}");
    }
}

#[test]
fn a_dry_run_changes_nothing_and_what_is_not_there_is_told() {
    let sandbox = two("sha256");
    let before = listing(&sandbox.path("other"));
    sandbox.store(["copy", "--dry-run", "repo", "other", "example"]).succeeds();
    assert_eq!(before, listing(&sandbox.path("other")));
    sandbox.store(["copy", "repo", "other", "nothing"]).fails(5);
    sandbox.store(["copy", "repo", "missing", "example"]).fails(5);
}

/// The streams of layers of a repository.
fn layers(repo: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(repo.join("streams")).unwrap().map(|entry| entry.unwrap().path());
    let mut layers: Vec<_> = entries
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("oci-layer-"))
        .collect();
    layers.sort();
    layers
}

#[test]
fn a_repository_that_lies_about_a_layer_is_refused() {
    for algorithm in ["sha256", "sha512"] {
        let sandbox = two(algorithm);
        // Another layer's stream under this layer's name: every object in it is sound.
        let layers = layers(&sandbox.path("repo"));
        let other = fs::read_link(&layers[1]).unwrap();
        fs::remove_file(&layers[0]).unwrap();
        std::os::unix::fs::symlink(other, &layers[0]).unwrap();
        sandbox.store(["copy", "repo", "other", "example"]).fails(3);
        assert!(self::layers_if_any(&sandbox.path("other")).is_empty(), "something was published");
        sandbox.store(["fsck", "--repo", "other"]).succeeds();
    }
}

fn layers_if_any(repo: &Path) -> Vec<std::path::PathBuf> {
    if repo.join("streams").exists() { layers(repo) } else { Vec::new() }
}

/// A disk that shares blocks, as btrfs and XFS do: here, by copying. Every `lies_at`-th time it brings other bytes.
struct Sharing {
    shared: AtomicUsize,
    lies_at: Option<usize>,
}

impl Disk for Sharing {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        let Call::Reflink { from, to } = call else { return RealDisk::shared().call(call) };
        let number = self.shared.fetch_add(1, Ordering::SeqCst);
        let mut bytes = from.read_all(1 << 30).map_err(|_| Errno::IO)?;
        if self.lies_at == Some(number) {
            bytes[0] ^= 1;
        }
        to.write_all_at(0, &bytes).map_err(|_| Errno::IO)?;
        Ok(Reply::Done)
    }
}

#[test]
fn where_blocks_can_be_shared_they_are_and_are_checked() {
    for lies_at in [None, Some(2)] {
        let folder = world::with_repository();
        image().write(&folder.path().join("layout"));
        world::import(&RealDisk::shared(), folder.path(), "example").unwrap();
        let sharing = Arc::new(Sharing { shared: AtomicUsize::new(0), lies_at });
        let disk: Arc<dyn Disk> = sharing.clone();
        let options = InitOptions { algorithm: Algorithm::Sha256, verity: None };
        let (to, _) = Repository::init(&disk, folder.path().join("other"), &options).unwrap();
        let from = world::open(&RealDisk::shared(), folder.path()).unwrap();
        let found = Catalogue::read(&from).unwrap().find("example").unwrap();
        let manifest = found.stored.unwrap().manifest;
        let copied = copy_image(
            &from,
            &to,
            &manifest,
            "example",
            &ImportOptions::default(),
            &Control::new().with_threads(2),
        );
        if lies_at.is_some() {
            assert!(copied.unwrap_err().to_string().contains("damaged"));
            assert_eq!(to.streams().unwrap().len(), 0);
        } else {
            let copied = copied.unwrap();
            assert!(copied.shared_blocks > 3, "{copied:?}");
            assert_eq!(copied.imported.report.new_objects(), 0, "the import wrote what was shared");
            assert_eq!(*copied.imported.images.image.object(), found.image);
        }
        assert_eq!(world::damage(&folder.path().join("other")), None);
    }
}
