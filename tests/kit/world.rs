//! A repository with known content, made through the library, and an inspection of it that does not use its reader.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealstone::deploy::{DeployError, import_image};
use sealstone::import::catalogue::Catalogue;
use sealstone::import::{ImportOptions, source};
use sealstone::store::disk::{Disk, RealDisk};
use sealstone::store::splitstream::SplitStreamWriter;
use sealstone::store::tree::{Content, Metadata, Timestamp, Tree, XattrSet};
use sealstone::store::{
    Algorithm, Control, Durable, Error, InitOptions, ObjectId, RefName, RefTarget, Repository, StreamName,
    Transaction, erofs, verity,
};

/// Makes the repository `folder/repo`.
pub fn init(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Repository, Error> {
    let options = InitOptions { algorithm: Algorithm::Sha256, verity: None };
    Repository::init(disk, folder.join("repo"), &options).map(|(repository, _)| repository)
}

/// A folder with an initialised repository, through the real disk.
pub fn with_repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    init(&RealDisk::shared(), folder.path()).expect("init");
    folder
}

/// Opens `folder/repo`.
pub fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Repository, Error> {
    Repository::open(disk, folder.join("repo"))
}

/// Stores a layer and an image under `name`, with a ref on each, as an import does. Equal `content` gives equal objects.
pub fn store(repository: &Repository, name: &str, content: u8) -> Result<Durable<ObjectId>, Error> {
    let transaction = repository.transaction()?;
    let mut stream = SplitStreamWriter::new(&transaction, 7)?;
    let root = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::default() };
    let mut tree = Tree::new(root);
    for (number, size) in [(0u8, 100usize), (1, 4_096), (2, 9_000), (3, 70_000)] {
        // The first two bodies are everybody's.
        let mask = number ^ if number < 2 { 0 } else { content };
        let body: Vec<u8> = (0..size).map(|at| (at / 7).to_le_bytes()[0] ^ mask).collect();
        let stored = match number {
            2 => {
                let (first, rest) = body.split_at(5_000);
                let id = verity::digest(repository.algorithm(), &body);
                transaction.put_known_parts(id, &[first, rest])?
            }
            3 => {
                let mut writer = transaction.object_writer(size as u64)?;
                body.chunks(30_000).try_for_each(|piece| writer.write(piece))?;
                writer.finish()?
            }
            _ => transaction.put(&body)?,
        };
        stream.inline(b"header");
        stream.external(&stored.id, size as u64)?;
        let file = Content::External { object: stored.id, size: size as u64 };
        let file = tree.add(root, file, XattrSet::default()).expect("a file");
        tree.link(tree.root(), &[b'a' + number], file).expect("a name");
    }
    let stream = stream.finish()?;
    let stream_name: StreamName = format!("oci-layer-{name}").parse()?;
    transaction.name_stream(stream_name.clone(), stream.id);
    transaction.set_ref(RefName::oci(name)?, RefTarget::Stream(stream_name));
    let image = transaction.put(&erofs::write(&tree).expect("an image"))?.id;
    transaction.name_image(image);
    transaction.set_ref(RefName::oci(name)?, RefTarget::Image(image));
    transaction.cache_layer(name, b"a record")?;
    transaction.commit(image)
}

/// What is not there of that which [`store`] names, if anything.
pub fn missing(folder: &Path, name: &str) -> Option<String> {
    let repo = folder.join("repo");
    [
        format!("streams/oci-layer-{name}"),
        format!("streams/refs/oci/{name}"),
        format!("images/refs/oci/{name}"),
    ]
    .into_iter()
    .find(|path| repo.join(path).metadata().is_err())
}

/// Imports the layout in `folder/layout` whole, as the command does.
pub fn import(disk: &Arc<dyn Disk>, folder: &Path, name: &str) -> Result<(), DeployError> {
    let repository = open(disk, folder)?;
    let options = ImportOptions::default();
    let layout = format!("oci:{}", folder.join("layout").display()).parse().expect("a reference");
    let source = source::open(&RealDisk::shared(), &layout, &options.limits).expect("a layout");
    import_image(&repository, &*source, name, &options, &Control::new().with_threads(2)).map(|done| _ = done)
}

/// What is not there of an imported image, if anything: its name, its image, or a byte of one of its files.
pub fn missing_image(folder: &Path, name: &str) -> Option<String> {
    let look = || -> Result<(), String> {
        let repository = open(&RealDisk::shared(), folder).map_err(|error| error.to_string())?;
        let catalogue = Catalogue::read(&repository).map_err(|error| error.to_string())?;
        let found = catalogue.find(name).map_err(|error| error.to_string())?;
        whole(&folder.join("repo"), &found.image).map(|_| ())
    };
    look().err()
}

/// A copy of a folder, links as links, in memory where there is such a place.
pub fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = super::power_cut::in_memory();
    let from = folder.join(".");
    let done = std::process::Command::new("cp").arg("-a").args([&from, &copy.path().to_path_buf()]).status();
    assert!(done.expect("cp").success());
    copy
}

/// The first thing that is visible in a repository and not whole, found with the standard library and the digest alone.
/// A folder that is no repository yet has nothing to be whole.
pub fn damage(repo: &Path) -> Option<String> {
    if !repo.join("meta.json").exists() {
        return None;
    }
    if let Err(error) = Repository::open(&RealDisk::shared(), repo) {
        return Some(format!("it does not open: {error}"));
    }
    ["streams", "images"].iter().find_map(|place| entries(repo, &repo.join(place), place))
}

fn entries(repo: &Path, folder: &Path, place: &str) -> Option<String> {
    let Ok(found) = fs::read_dir(folder) else { return None };
    found.map(|entry| entry.expect("an entry").path()).find_map(|path| {
        if path.is_dir() && !path.is_symlink() {
            return entries(repo, &path, place);
        }
        let said = |what: String| format!("{}: {what}", path.display());
        if !path.is_symlink() {
            return Some(said("not a symlink".to_owned()));
        }
        let Ok(target) = path.canonicalize() else { return Some(said("names nothing".to_owned())) };
        let id = match object_id(&target).and_then(|id| whole(repo, &id).map(|bytes| (id, bytes))) {
            Ok(found) => found,
            Err(what) => return Some(said(what)),
        };
        needs(place, &id.1).into_iter().find_map(|needed| whole(repo, &needed).err()).map(said)
    })
}

/// The objects that a stream or an image needs.
fn needs(place: &str, bytes: &[u8]) -> Vec<ObjectId> {
    if place == "images" {
        return erofs::Image::open(bytes).and_then(|image| image.objects()).expect("an image");
    }
    let reader =
        sealstone::store::splitstream::SplitStreamReader::new(bytes, Algorithm::Sha256).expect("a stream");
    reader.object_refs().chain(reader.named_refs().iter().map(|(_, id)| *id)).collect()
}

/// The content of an object that is there and has its digest.
fn whole(repo: &Path, id: &ObjectId) -> Result<Vec<u8>, String> {
    let bytes =
        fs::read(repo.join("objects").join(id.object_path())).map_err(|error| format!("{id}: {error}"))?;
    let found = verity::digest(id.algorithm(), &bytes);
    if found == *id { Ok(bytes) } else { Err(format!("object {id} of {} bytes is {found}", bytes.len())) }
}

fn object_id(path: &Path) -> Result<ObjectId, String> {
    let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    format!("{}{}", parts[1], parts[0]).parse().map_err(|error| format!("{}: {error}", path.display()))
}

/// Everything in the repository that no name can reach and that is no object: litter.
pub fn litter(repo: &Path) -> Vec<PathBuf> {
    let temporary = repo.join("sealstone/tmp");
    fs::read_dir(temporary)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}
