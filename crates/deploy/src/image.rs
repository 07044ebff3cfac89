//! Making images: layers, merged and canonical, as an EROFS image in the repository.
//!
//! What lives here: the step from layer trees to [`ImageId`]s, inside a caller's transaction. What does not: where the
//! layers come from, and what keeps the image ([`Transaction::set_ref`] is the caller's).
//! Invariant: an image's id is the fs-verity digest of its bytes, and depends on layers and profile alone: the format too,
//! since it is V1 unless a unified kernel image in the layers demands V2.

use std::{fmt, str::FromStr, thread};

use sealstone_boot::{BootError, BootPair, Kernel, Uki, find_ukis};
use sealstone_import::{DiffId, ImportOptions, layer_tree::LayerTree, stored_layer};
use sealstone_store::{
    ObjectId, Repository, Transaction,
    erofs::{self, Version},
    tree::Tree,
    verity,
};

use crate::{
    DeployError, Profile,
    kernel_note::{KernelNote, notable},
    merge,
};

/// The id of an image: that of the object which holds its EROFS file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(ObjectId);

impl ImageId {
    /// The id of an image that the repository has under this object's id.
    #[must_use]
    pub const fn new(object: ObjectId) -> Self {
        Self(object)
    }

    /// The object that holds the image.
    #[must_use]
    pub const fn object(&self) -> &ObjectId {
        &self.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ImageId {
    type Err = DeployError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        hex.parse().map(Self).map_err(|error: sealstone_store::ParseObjectIdError| DeployError::Invalid {
            what: "image id",
            text: hex.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl serde::Serialize for ImageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ImageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The layers that an image is made of, the lowest first, from the repository.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when one is not there whole: import the image again.
pub fn stored_layers(repository: &Repository, diff_ids: &[DiffId]) -> Result<Vec<LayerTree>, DeployError> {
    let options = ImportOptions::default();
    let layer = |diff_id| {
        let missing = || sealstone_store::Error::Missing { what: format!("layer {diff_id}") };
        Ok(stored_layer(repository, diff_id, &options)?.ok_or_else(missing)?)
    };
    diff_ids.iter().map(layer).collect()
}

/// The images that were made of the same layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeImages {
    /// The image as a container would see it.
    pub image: ImageId,
    /// How it was made canonical: [`Profile::Oci`], or [`Profile::OciPlain`] without a `/usr`.
    pub profile: Profile,
    /// The image that boots, of the profile [`Profile::Bootable`], or why there is none.
    pub bootable: Result<ImageId, NotBootable>,
    /// The format of the image that boots.
    pub bootable_version: Version,
}

/// What is said of an image that has no kernel.
pub(crate) const NO_KERNEL: &str = "it has no kernel in /usr/lib/modules";

/// Why there is no bootable image of some layers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotBootable {
    /// The image has no kernel, and is none that wants to boot.
    NoKernel,
    /// It has a kernel, but something else is missing: what it is.
    Unfit(String),
}

/// Makes the image of some layers, the lowest first, and names it. Durable with the transaction.
///
/// # Errors
/// [`DeployError::Unfit`] when the layers make no image of this profile, [`DeployError::Layer`] when they do not fit on
/// each other, [`DeployError::Policy`], and the store's errors.
pub fn make_image(
    transaction: &Transaction,
    layers: &[&LayerTree],
    profile: Profile,
) -> Result<ImageId, DeployError> {
    let mut tree = merge(layers)?;
    Ok(store(transaction, &mut tree, profile, None)?.0)
}

/// Makes every image that the layers, the lowest first, are good for, and names them: one merge for all. The kernel is measured
/// beside it, so that no deployment has to.
///
/// # Errors
/// As [`make_image`]; an image that cannot boot is no error.
pub fn make_images(transaction: &Transaction, layers: &[&LayerTree]) -> Result<MadeImages, DeployError> {
    let mut tree = merge(layers)?;
    let kernel = notable(&tree, transaction.repository());
    thread::scope(|scope| {
        let measured = kernel.map(|(vmlinuz, initramfs)| scope.spawn(|| BootPair::read(vmlinuz, initramfs)));
        let made = make_from(transaction, &mut tree)?;
        if let (Ok(bootable), Some(measured)) = (&made.bootable, measured) {
            KernelNote::leave(transaction, (bootable, &made.image), measured)?;
        }
        Ok(made)
    })
}

/// Makes every image of merged layers.
fn make_from(transaction: &Transaction, tree: &mut Tree) -> Result<MadeImages, DeployError> {
    let profile = Profile::of(tree);
    let image = store(transaction, tree, profile, None)?.0;
    // The bootable profile begins with what the other one does, so the same tree goes on.
    let bootable = if let Err(why) = wants_to_boot(tree) {
        Err(why)
    } else {
        let seal = seal(transaction.repository(), tree)?;
        match store(transaction, tree, Profile::Bootable, seal.as_ref()) {
            Ok(made) => Ok(made),
            Err(DeployError::Unfit { reason, .. }) => Err(NotBootable::Unfit(reason)),
            Err(error) => return Err(error),
        }
    };
    let bootable_version = bootable.as_ref().map(|(_, version)| *version).unwrap_or_default();
    Ok(MadeImages { image, profile, bootable: bootable.map(|(image, _)| image), bootable_version })
}

/// Whether there is a kernel, in either of the ways in which images have one.
pub(crate) fn wants_to_boot(tree: &Tree) -> Result<(), NotBootable> {
    match Kernel::find(tree) {
        Ok(Some(_)) => Ok(()),
        Ok(None) if !find_ukis(tree).is_empty() => Ok(()),
        Ok(None) => Err(NotBootable::NoKernel),
        Err(error) => Err(NotBootable::Unfit(error.to_string())),
    }
}

/// The unified kernel image by which an image boots, if it has one that can be read. One that cannot be is refused when it is
/// deployed: here it only says which format is wanted.
fn seal(repository: &Repository, tree: &Tree) -> Result<Option<Uki>, DeployError> {
    let Some(first) = find_ukis(tree).into_iter().next() else { return Ok(None) };
    let Some(object) = first.object else { return Ok(None) };
    match Uki::read(&repository.open_object(&object)?, &first.path) {
        Ok(uki) => Ok(Some(uki)),
        Err(error @ BootError::Store(_)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Stores the image of a profile: in format V1, but in V2 if `seal` names that one and not the other.
fn store(
    transaction: &Transaction,
    tree: &mut Tree,
    profile: Profile,
    seal: Option<&Uki>,
) -> Result<(ImageId, Version), DeployError> {
    let repository = transaction.repository();
    profile.apply(tree, &|object, limit| Ok(repository.read_object(object, limit)?))?;
    let (mut bytes, mut version) = (erofs::write(tree)?, Version::V1);
    if let Some(uki) = seal {
        let is_named =
            |bytes: &[u8]| uki.check_image(&[verity::digest(repository.algorithm(), bytes)]).is_ok();
        // Of contents that V2 does not hold there is none.
        let other = || erofs::write_version(tree, Version::V2).ok();
        if !is_named(&bytes)
            && let Some(other) = other().filter(|other| is_named(other))
        {
            (bytes, version) = (other, Version::V2);
        }
    }
    let stored = transaction.put(&bytes)?;
    transaction.name_image(stored.id);
    Ok((ImageId(stored.id), version))
}
