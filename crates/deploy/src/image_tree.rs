//! An image of the repository as a tree, whole or in part, and small texts in it.

use sealstone_boot::{BOOT_FILES, shows_boot_files};
use sealstone_store::{
    Map, Repository, erofs,
    tree::{Content, FileType, InodeId, Tree},
};

use crate::{DeployError, ImageId, etc::FOLDERS};

/// The most bytes of an image: 200,000 files need some 50 MiB.
const IMAGE_MAX: u64 = 4 << 30;

/// The tree of an image, whose bytes are checked against its id.
pub(crate) fn image_tree(repository: &Repository, image: &ImageId) -> Result<Tree, DeployError> {
    decode(&image_bytes(repository, image)?, image, None)
}

/// What an image has of the folders that a deployment has for itself, `/etc` and `/var`, and nothing else.
pub(crate) fn own_folders(repository: &Repository, image: &ImageId) -> Result<Tree, DeployError> {
    decode(&image_bytes(repository, image)?, image, Some(&FOLDERS))
}

/// What an image has of the folders where kernels and unified kernel images are; or all of it, when symlinks lead elsewhere.
pub(crate) fn boot_files(bytes: &[u8], image: &ImageId) -> Result<Tree, DeployError> {
    let part = decode(bytes, image, Some(&BOOT_FILES))?;
    if shows_boot_files(&part) { Ok(part) } else { decode(bytes, image, None) }
}

/// The bytes of an image, checked against its id.
pub(crate) fn image_bytes(repository: &Repository, image: &ImageId) -> Result<Map, DeployError> {
    if !repository.has_image(image.object())? {
        return Err(sealstone_store::Error::Missing { what: format!("image {image}") }.into());
    }
    let bytes = repository.map_object(image.object())?;
    let size = bytes.len() as u64;
    if size > IMAGE_MAX {
        return Err(DeployError::TooBig { what: format!("image {image}"), size, limit: IMAGE_MAX });
    }
    Ok(bytes)
}

/// The tree of an image, or of these paths of it.
pub(crate) fn decode(bytes: &[u8], image: &ImageId, only: Option<&[&[u8]]>) -> Result<Tree, DeployError> {
    let tree = erofs::Image::open(bytes).and_then(|image| match only {
        None => image.to_tree(),
        Some(paths) => image.to_tree_of(paths),
    });
    tree.map_err(|error| sealstone_store::Error::corrupt(format!("image {image}"), error.to_string()).into())
}

/// A text file of an image, symlinks followed inside it; `None` when it is not there. What is no UTF-8 is replaced.
pub(crate) fn read_text(
    repository: &Repository,
    tree: &Tree,
    path: &str,
    limit: u64,
) -> Result<Option<String>, DeployError> {
    let Ok(inode) = tree.resolve(path.as_bytes()) else { return Ok(None) };
    if tree.file_type(inode) != FileType::Regular {
        return Ok(None);
    }
    let bytes = read_file(repository, tree, inode, path, limit)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The bytes of a file of an image; `path` names it. What is no file has none.
pub(crate) fn read_file(
    repository: &Repository,
    tree: &Tree,
    inode: InodeId,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, DeployError> {
    Ok(match tree.content(inode) {
        Content::Inline(bytes) => bytes.to_vec(),
        Content::External { size, .. } if size > limit => {
            return Err(DeployError::TooBig { what: path.to_owned(), size, limit });
        }
        Content::External { object, .. } => repository.read_object(&object, limit)?,
        _ => Vec::new(),
    })
}
