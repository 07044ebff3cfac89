//! A repository of ours is one of the crate composefs 0.9.4, and the other way round: each opens, reads, checks and
//! collects what the other has written, in sha256 and sha512.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs::File, path::Path, sync::Arc};

use composefs::{
    fsverity::{Algorithm as TheirAlgorithm, FsVerityHashValue, Sha256HashValue, Sha512HashValue},
    repository::{Repository as Theirs, RepositoryConfig},
    splitstream::{SplitStreamData, SplitStreamReader as TheirReader},
};
use rustix::fs::CWD;
use sealstone_store::{
    Algorithm, Control, FsckDepth, GcOptions, InitOptions, ObjectId, Place, RefName, RefTarget, Repository,
    StreamName, Verity,
    disk::RealDisk,
    erofs,
    splitstream::{SplitStreamReader, SplitStreamWriter},
    tree::{Content, Metadata, Timestamp, Tree, XattrSet},
};

const LAYER_TYPE: u64 = u64::from_le_bytes(*b"ocilayer");
const LAYER: &str = "oci-layer-sha256:0a0a";
const MANIFEST: &str = "oci-manifest-sha256:0b0b";
const FILE: &[u8] = &[b'f'; 100_000];
const HEADER: &[u8] = &[b'h'; 512];

fn init(path: &Path, algorithm: Algorithm) -> Repository {
    let options = InitOptions { algorithm, verity: Some(Verity::Computed) };
    Repository::init(&RealDisk::shared(), path, &options).unwrap().0
}

fn open_theirs<I: FsVerityHashValue>(path: &Path) -> Arc<Theirs<I>> {
    Arc::new(Theirs::open_path(CWD, path).unwrap())
}

/// Our id of what they call by theirs.
fn ours<I: FsVerityHashValue>(id: &I) -> ObjectId {
    id.to_hex().parse().unwrap()
}

fn check_with_theirs<I: FsVerityHashValue>(theirs: &Arc<Theirs<I>>, streams: u64, images: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let result = runtime.block_on(theirs.fsck()).unwrap();
    assert!(result.is_ok(), "{result}");
    assert!(result.has_metadata());
    assert_eq!((result.streams_checked, result.images_checked), (streams, images));
}

fn image_of(file: ObjectId) -> Vec<u8> {
    let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: Timestamp { sec: 1, nsec: 0 } };
    let mut tree = Tree::new(metadata(0o755));
    let content = Content::External { object: file, size: FILE.len() as u64 };
    let inode = tree.add(metadata(0o644), content, XattrSet::EMPTY).unwrap();
    tree.link(tree.root(), b"file", inode).unwrap();
    erofs::write(&tree).unwrap()
}

/// A layer with a file, a manifest that refers to it and to an image, refs to manifest and image, and an object that
/// nothing needs.
fn write_ours(repository: &Repository) -> (ObjectId, ObjectId) {
    let transaction = repository.transaction().unwrap();
    let file = transaction.put(FILE).unwrap().id;
    let mut layer = SplitStreamWriter::new(&transaction, LAYER_TYPE).unwrap();
    layer.inline(HEADER);
    layer.external(&file, FILE.len() as u64).unwrap();
    layer.inline(&[0; 352]);
    layer.boundary().unwrap();
    layer.inline(&[0; 1024]);
    let layer = layer.finish().unwrap().id;
    let image = transaction.put(&image_of(file)).unwrap().id;
    let mut manifest = SplitStreamWriter::new(&transaction, 7).unwrap();
    manifest.inline(b"{}");
    manifest.named_reference("sha256:0a0a", &layer).unwrap();
    manifest.named_reference("composefs.image.v1", &image).unwrap();
    let manifest = manifest.finish().unwrap().id;
    transaction.put(b"an object that nothing needs").unwrap();
    let name = |name: &str| name.parse::<StreamName>().unwrap();
    transaction.name_stream(name(LAYER), layer);
    transaction.name_stream(name(MANIFEST), manifest);
    transaction.name_image(image);
    transaction.set_ref(RefName::oci("quay.io/x:1").unwrap(), RefTarget::Stream(name(MANIFEST)));
    transaction.set_ref("deploy/1".parse().unwrap(), RefTarget::Image(image));
    transaction.commit((layer, image)).unwrap().into_inner()
}

fn they_use_ours<I: FsVerityHashValue>(algorithm: Algorithm) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let repository = init(&path, algorithm);
    let (layer, image) = write_ours(&repository);
    let before = repository.fsck(FsckDepth::Everything, &Control::new()).unwrap();
    assert_eq!(before.damage, []);
    // Their gc takes the lock exclusively.
    drop(repository);

    let theirs = open_theirs::<I>(&path);
    check_with_theirs(&theirs, 2, 1);
    let id = theirs.has_stream(LAYER).unwrap().unwrap();
    assert_eq!(ours(&id), layer);
    assert!(theirs.open_stream("refs/oci/quay.io%2Fx:1", None, Some(7)).is_ok());
    let mut tar = Vec::new();
    theirs.merge_splitstream(LAYER, Some(&id), Some(LAYER_TYPE), &mut tar).unwrap();
    assert_eq!(tar, [HEADER, FILE, &[0; 352], &[0; 1024]].concat());
    let objects = theirs.objects_for_image(&image.to_hex()).unwrap();
    assert_eq!(objects.len(), 1);
    assert!(objects.iter().all(|id| theirs.read_object(id).unwrap() == FILE));
    let mut manifest = theirs.open_stream(MANIFEST, None, Some(7)).unwrap();
    assert_eq!(ours(manifest.lookup_named_ref("sha256:0a0a").unwrap()), layer);
    assert!(manifest.get_object_refs(|_| panic!("the manifest has no objects")).is_ok());

    let dry = theirs.gc_dry_run(&[]).unwrap();
    let result = theirs.gc(&[]).unwrap();
    assert_eq!((dry.objects_removed, result.objects_removed), (1, 1));
    assert_eq!((result.images_pruned, result.streams_pruned), (0, 0));
    check_with_theirs(&theirs, 2, 1);
    drop(theirs);

    let repository = Repository::open(&RealDisk::shared(), &path).unwrap();
    let after = repository.fsck(FsckDepth::Everything, &Control::new()).unwrap();
    assert_eq!((after.damage.len(), after.objects), (0, before.objects - 1));
    assert_eq!(repository.gc(&GcOptions::default(), &Control::new()).unwrap().removed_objects, 0);
}

#[test]
fn composefs_opens_reads_checks_and_collects_our_repository_without_harm() {
    they_use_ours::<Sha256HashValue>(Algorithm::Sha256);
    they_use_ours::<Sha512HashValue>(Algorithm::Sha512);
}

fn we_use_theirs<I: FsVerityHashValue>(algorithm: Algorithm, theirs: TheirAlgorithm) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let config = RepositoryConfig::new(theirs).set_insecure();
    let theirs = Arc::new(Theirs::<I>::init_path(CWD, &path, config).unwrap().0);
    let mut writer = theirs.create_stream(LAYER_TYPE).unwrap();
    writer.write_inline(HEADER);
    writer.write_external(FILE).unwrap();
    writer.write_inline(&[0; 352]);
    let file = theirs.ensure_object(FILE).unwrap();
    let layer = theirs.write_stream(writer, LAYER, Some("oci/mine")).unwrap();
    let mut writer = theirs.create_stream(7).unwrap();
    writer.add_named_stream_ref("sha256:0a0a", &layer);
    theirs.write_stream(writer, MANIFEST, Some("a/b/c")).unwrap();
    let image = theirs.write_image(Some("deploy/1"), &image_of(ours(&file))).unwrap();
    theirs.ensure_object(b"an object that nothing needs").unwrap();
    drop(theirs);

    let repository = Repository::open(&RealDisk::shared(), &path).unwrap();
    assert_eq!((repository.algorithm(), repository.verity()), (algorithm, Verity::Computed));
    assert_eq!(repository.meta().erofs_format(), 1);
    let mut tar = Vec::new();
    let keep = |piece: &[u8]| {
        tar.extend_from_slice(piece);
        Ok(())
    };
    let size = repository.cat_stream(&ours(&layer), keep).unwrap();
    assert_eq!(tar, [HEADER, FILE, &[0; 352]].concat());
    assert_eq!(size, tar.len() as u64);
    let bytes = repository.map_stream(&MANIFEST.parse().unwrap()).unwrap();
    let reader = SplitStreamReader::new(&bytes, algorithm).unwrap();
    assert_eq!(reader.named_ref("sha256:0a0a"), Some(&ours(&layer)));
    let name = "a/b/c".parse().unwrap();
    assert_eq!(
        repository.read_ref(Place::Streams, &name).unwrap(),
        RefTarget::Stream(MANIFEST.parse().unwrap())
    );
    assert_eq!(repository.images().unwrap(), [ours(&image)]);
    assert_eq!(repository.fsck(FsckDepth::Everything, &Control::new()).unwrap().damage, []);
    let report = repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    assert_eq!(
        (report.removed_objects, report.removed_streams.len(), report.removed_images.len()),
        (1, 0, 0)
    );
    drop(repository);
    check_with_theirs(&open_theirs::<I>(&path), 2, 1);
}

#[test]
fn we_open_read_check_and_collect_a_repository_of_composefs() {
    let algorithm = |hash: &str| format!("fsverity-{hash}-12").parse::<TheirAlgorithm>().unwrap();
    we_use_theirs::<Sha256HashValue>(Algorithm::Sha256, algorithm("sha256"));
    we_use_theirs::<Sha512HashValue>(Algorithm::Sha512, algorithm("sha512"));
}

#[test]
fn both_make_the_same_names_and_the_same_meta_json() {
    let folder = tempfile::tempdir().unwrap();
    let [mine, other] = ["mine", "other"].map(|name| folder.path().join(name));
    init(&mine, Algorithm::Sha512);
    let config = RepositoryConfig::new("fsverity-sha512-12".parse().unwrap()).set_insecure();
    let theirs = Arc::new(Theirs::<Sha512HashValue>::init_path(CWD, &other, config).unwrap().0);
    assert_eq!(
        std::fs::read(mine.join("meta.json")).unwrap(),
        std::fs::read(other.join("meta.json")).unwrap()
    );
    let (_, image) = write_ours(&Repository::open(&RealDisk::shared(), &mine).unwrap());
    theirs.ensure_object(FILE).unwrap();
    let object =
        theirs.write_image(Some("deploy/1"), &std::fs::read(mine.join(format!("images/{image}"))).unwrap());
    assert_eq!(ours(&object.unwrap()), image);
    for link in [format!("images/{image}"), "images/refs/deploy/1".to_owned()] {
        assert_eq!(
            std::fs::read_link(mine.join(&link)).unwrap(),
            std::fs::read_link(other.join(&link)).unwrap()
        );
    }
}

#[test]
fn a_foreign_user_of_the_repository_keeps_gc_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let repository = init(&path, Algorithm::Sha256);
    let theirs = open_theirs::<Sha256HashValue>(&path);
    let options = GcOptions { patience: std::time::Duration::ZERO, ..GcOptions::default() };
    let busy = repository.gc(&options, &Control::new()).unwrap_err();
    assert!(matches!(busy, sealstone_store::Error::Busy { .. }), "{busy}");
    drop(theirs);
    repository.gc(&options, &Control::new()).unwrap();
}

#[test]
fn their_reader_gives_our_chunks_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let (layer, _) = write_ours(&init(&path, Algorithm::Sha256));
    let file = File::open(path.join("objects").join(layer.object_path())).unwrap();
    let mut reader = TheirReader::<Sha256HashValue>::new(file, Some(LAYER_TYPE)).unwrap();
    assert_eq!(reader.total_size, 512 + 100_000 + 352 + 1024);
    let mut chunks = Vec::new();
    reader
        .for_each_chunk(|chunk| {
            chunks.push(match chunk {
                SplitStreamData::Inline(bytes) => bytes.len(),
                SplitStreamData::External(_) => 0,
            });
            Ok(())
        })
        .unwrap();
    assert_eq!(chunks, [512, 0, 352 + 1024]);
}
