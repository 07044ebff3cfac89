//! Making an image store, in an empty folder.

use sealstone_store::{Control, Repository, disk::Dir};
use serde_json::Value;

use super::{
    describe::{Description, each_layer},
    documents::{big_data, images_json, layers_json, link_name},
};
use crate::{
    DeployError, Populated,
    bound::BoundImage,
    populate::{Contents, populate},
};

/// Only root's podman looks in.
const FOLDER: u16 = 0o700;
const FILE: u16 = 0o600;

/// Makes the image store of these images in a folder that is empty. Nothing of it is durable yet.
///
/// # Errors
/// [`sealstone_import::ImportError::Missing`] when the repository lacks one of them, damage, and the disk's.
pub(crate) fn build(
    repository: &Repository,
    bound: &[BoundImage],
    into: &Dir,
    control: &Control,
) -> Result<Populated, DeployError> {
    let all = Description::read(repository, bound)?;
    let folders = into.ensure_dir("overlay", FOLDER)?;
    let links = folders.ensure_dir("l", FOLDER)?;
    let mut done = Populated::default();
    each_layer(repository, &all, control, |id, tree| {
        let folder = folders.ensure_dir(id, FOLDER)?;
        done.add(populate(
            tree,
            tree.root(),
            Contents { repository, local: None },
            (&folder, "diff"),
            control,
        )?);
        let link = link_name(id);
        put(&folder, "link", link.as_bytes())?;
        links.symlink(format!("../{id}/diff"), &link)?;
        let below = all.layers.get(id).map(|layer| layer.below.as_slice()).unwrap_or_default();
        if !below.is_empty() {
            // The topmost first.
            let lower: Vec<String> = below.iter().rev().map(|id| format!("l/{}", link_name(id))).collect();
            put(&folder, "lower", lower.join(":").as_bytes())?;
        }
        Ok(())
    })?;
    let layers = into.ensure_dir("overlay-layers", FOLDER)?;
    put_json(&layers, "layers.json", &layers_json(&all))?;
    let images = into.ensure_dir("overlay-images", FOLDER)?;
    for image in &all.images {
        let folder = images.ensure_dir(&image.id, FOLDER)?;
        for (_, file, bytes) in big_data(image) {
            put(&folder, &file, bytes)?;
        }
    }
    put_json(&images, "images.json", &images_json(&all))?;
    // podman locks a store before it reads it, and could not make these files.
    put(&layers, "layers.lock", b"")?;
    put(&images, "images.lock", b"")?;
    Ok(done)
}

fn put(dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), DeployError> {
    let file = dir.create_new(name, FILE)?;
    Ok(file.write_all_at(0, bytes)?)
}

fn put_json(dir: &Dir, name: &str, value: &Value) -> Result<(), DeployError> {
    put(dir, name, value.to_string().as_bytes())
}
