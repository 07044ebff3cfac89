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

/// The first twelve digits of an id or a digest, or all of them. Of a deployment's id, the number of a copy stays.
pub fn short_id(id: &impl ToString, whole: bool) -> String {
    let id = id.to_string();
    if whole {
        return id;
    }
    let digits = id.split_once(':').map_or(id.as_str(), |(_, digits)| digits);
    let (digits, copy) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    digits.chars().take(12).chain(copy.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_deployments_of_one_image_have_two_short_ids() {
        let digits = "ab".repeat(64);
        assert_eq!(short_id(&digits, false), "abababababab");
        assert_eq!(short_id(&format!("{digits}.2"), false), "abababababab.2");
        assert_eq!(short_id(&format!("sha256:{digits}"), false), "abababababab");
        assert_eq!(short_id(&format!("{digits}.2"), true), format!("{digits}.2"));
    }
}
