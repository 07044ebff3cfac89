//! For this crate's own tests: a small repository with everything in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Algorithm, InitOptions, ObjectId, RefName, RefTarget, Repository, StreamName, Transaction, Verity,
    disk::{Disk, RealDisk},
    erofs,
    splitstream::SplitStreamWriter,
    tree::{Content, Metadata, Timestamp, Tree, XattrSet},
};

/// A folder with a repository in it, in memory where there is such a place.
pub(crate) struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let fixture = Self { folder };
        let options = InitOptions { verity: Some(Verity::Computed), algorithm: Algorithm::Sha256 };
        let (_, created) = Repository::init(&RealDisk::shared(), fixture.path(), &options).unwrap();
        assert!(created);
        fixture
    }

    /// The folder around the repository.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The repository's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub(crate) fn open(&self) -> Repository {
        self.open_on(&RealDisk::shared())
    }

    pub(crate) fn open_on(&self, disk: &Arc<dyn Disk>) -> Repository {
        Repository::open(disk, self.path()).unwrap()
    }

    /// Where an object's file is.
    pub(crate) fn object(&self, id: &ObjectId) -> PathBuf {
        self.path().join("objects").join(id.object_path())
    }

    /// All files and symlinks below the repository with their sizes, but for `meta.json` and what records verity.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if entry.file_name() != crate::layout::META
                    && entry.file_name() != crate::layout::VERITY
                {
                    found.push((entry.path().strip_prefix(self.path()).unwrap().to_owned(), metadata.len()));
                }
            }
        }
        found.sort();
        found
    }
}

pub(crate) fn stream(name: &str) -> StreamName {
    name.parse().unwrap()
}

/// What [`import`] has made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Imported {
    /// The objects of the layer's files.
    pub(crate) files: [ObjectId; 2],
    /// The layer's splitstream.
    pub(crate) layer: ObjectId,
    /// The manifest's splitstream, which refers to the layer.
    pub(crate) manifest: ObjectId,
    /// The EROFS image with the files.
    pub(crate) image: ObjectId,
}

/// Writes what an import of a small image writes, under names made from `name`: a layer with two files, one of them
/// shared by all imports, a manifest, an image, a layer record, and a ref to the manifest and to the image.
pub(crate) fn import(transaction: &Transaction, name: &str) -> crate::Result<Imported> {
    let shared = transaction.put(&[7; 5000])?.id;
    let content = format!("{name}: a file of more than 64 bytes, so that it is an object of its own: {name}");
    let own = transaction.put(content.as_bytes())?.id;
    let mut writer = SplitStreamWriter::new(transaction, 1)?;
    writer.inline(name.as_bytes());
    writer.external(&shared, 5000)?;
    writer.external(&own, content.len() as u64)?;
    let layer = writer.finish()?.id;
    transaction.name_stream(stream(&format!("oci-layer-{name}")), layer);
    transaction.cache_layer(name, b"decoded")?;
    let image = transaction.put(&image_of(&[(shared, 5000), (own, content.len() as u64)]))?.id;
    transaction.name_image(image);
    let mut writer = SplitStreamWriter::new(transaction, 2)?;
    writer.inline(format!("manifest of {name}").as_bytes());
    writer.named_reference(name, &layer)?;
    writer.named_reference("composefs.image.v1", &image)?;
    let manifest = writer.finish()?.id;
    transaction.name_stream(stream(&format!("oci-manifest-{name}")), manifest);
    transaction.set_ref(RefName::oci(name)?, RefTarget::Stream(stream(&format!("oci-manifest-{name}"))));
    transaction.set_ref(format!("images/{name}").parse()?, RefTarget::Image(image));
    Ok(Imported { files: [shared, own], layer, manifest, image })
}

/// Imports and commits.
pub(crate) fn imported(repository: &Repository, name: &str) -> Imported {
    let transaction = repository.transaction().unwrap();
    let imported = import(&transaction, name).unwrap();
    transaction.commit(imported).unwrap().into_inner()
}

/// An EROFS image with these objects as files.
fn image_of(files: &[(ObjectId, u64)]) -> Vec<u8> {
    let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: Timestamp { sec: 1, nsec: 0 } };
    let mut tree = Tree::new(metadata(0o755));
    for (number, (object, size)) in files.iter().enumerate() {
        let content = Content::External { object: *object, size: *size };
        let inode = tree.add(metadata(0o644), content, XattrSet::EMPTY).unwrap();
        tree.link(tree.root(), format!("file{number}").as_bytes(), inode).unwrap();
    }
    erofs::write(&tree).unwrap()
}
