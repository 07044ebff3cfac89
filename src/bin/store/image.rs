//! An image that was named on the command line: found in the catalogue, its file tree read.

use sealstone::import::ImportError;
use sealstone::import::catalogue::{Catalogue, FoundImage, NamedImage};
use sealstone::store::erofs;
use sealstone::store::tree::Tree;
use sealstone::store::{ObjectId, Repository};

use crate::context::Context;

/// An image with its repository and its tree.
pub struct OpenImage {
    pub repository: Repository,
    pub found: FoundImage,
    pub tree: Tree,
}

impl OpenImage {
    /// Opens the repository and reads the image that `name` means.
    pub fn open(context: &Context, name: &str) -> anyhow::Result<Self> {
        let repository = context.open_repository()?;
        let found = Catalogue::read(&repository)?.find(name)?;
        let tree = read_tree(&repository, &found.image)?;
        Ok(Self { repository, found, tree })
    }
}

/// The imported image that `name` means: one that only a deployment keeps has no documents to read.
pub fn stored_image(repository: &Repository, name: &str) -> anyhow::Result<NamedImage> {
    let found = Catalogue::read(repository)?.find(name)?;
    let place = repository.dir().label().display().to_string();
    Ok(found.stored.ok_or(ImportError::UnknownImage { name: name.to_owned(), place })?)
}

/// The file tree of an image; its bytes are checked against its id.
pub fn read_tree(repository: &Repository, image: &ObjectId) -> anyhow::Result<Tree> {
    let bytes = repository.map_object(image)?;
    Ok(erofs::Image::open(&bytes)?.to_tree()?)
}

/// The first twelve digits of an id or a digest, or all of them.
pub fn short_id(id: &impl ToString, whole: bool) -> String {
    let id = id.to_string();
    let digits = id.split_once(':').map_or(id.as_str(), |(_, digits)| digits);
    if whole { id } else { digits.chars().take(12).collect() }
}
