//! The digests that images have, computed where no repository has to be: for pipelines that build sealed images.
//!
//! What lives here: from a folder, a source or a repository's layers to digests, by the very profiles and formats by which
//! images are made. What does not: making images. Nothing is written anywhere.
//! Invariant: a folder into which an image was unpacked, owners, times and attributes included, gives the digests of the
//! image.

mod folder;

use sealstone_import::{ImportOptions, layer_tree::LayerTree, measure_layers, source::Source};
use sealstone_store::{
    Algorithm, Control, ObjectId, Repository,
    disk::Dir,
    erofs::{self, Version},
    tree::Tree,
    verity,
};

use crate::{
    DeployError, Profile,
    image::wants_to_boot,
    recipe::{Basis, OtherHash, Recipe},
    selinux::ReadObject,
};

/// Which digests are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestRequest {
    /// The profile; without one, `bootable` for an image with a kernel, else `oci` or `oci-plain`.
    pub profile: Option<Profile>,
    /// The formats.
    pub versions: Vec<Version>,
    /// The hashes.
    pub algorithms: Vec<Algorithm>,
}

/// The digest of an image of some profile, format and hash: the id that it has once it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageDigest {
    /// The profile.
    pub profile: Profile,
    /// The format.
    pub version: Version,
    /// The digest, of one of the wanted hashes.
    pub digest: ObjectId,
}

/// The digests of the image whose files are in a folder: the root of an unpacked image, or of one that is being built.
///
/// # Errors
/// [`DeployError::Invalid`] for what cannot be part of an image: folders that may not be read, other file systems that are
/// mounted below. [`DeployError::Unfit`] and [`DeployError::Policy`] as [`Profile::apply`], and the disk's.
pub fn digest_folder(
    root: &Dir,
    request: &DigestRequest,
    control: &Control,
) -> Result<Vec<ImageDigest>, DeployError> {
    let mut digests = Vec::new();
    for algorithm in &request.algorithms {
        let tree = folder::read(root, *algorithm, control)?;
        let read = folder::PolicyFiles::new(root, &tree);
        let made = request.make(Basis::Tree(&tree), &|object, limit| read.read(object, limit))?;
        request.write(made, *algorithm, &mut digests)?;
    }
    Ok(digests)
}

/// The digests of an image where it is: in an OCI layout, an archive, a registry. Its layers are read and verified as by an
/// import, once for each hash.
///
/// # Errors
/// [`DeployError::Import`] with the source's faults; [`DeployError::Unfit`] and [`DeployError::Policy`] as
/// [`Profile::apply`].
pub fn digest_source(
    source: &dyn Source,
    options: &ImportOptions,
    request: &DigestRequest,
    control: &Control,
) -> Result<Vec<ImageDigest>, DeployError> {
    let mut digests = Vec::new();
    for algorithm in &request.algorithms {
        let keep = |path: &[u8]| path.starts_with(b"etc/selinux/");
        let image = measure_layers(source, *algorithm, &keep, options, control)?;
        let read = |object: &ObjectId, _| match image.kept.get(object) {
            Some(bytes) => Ok(bytes.clone()),
            None => {
                Err(sealstone_store::Error::Missing { what: format!("file {object} of the policy") }.into())
            }
        };
        let made = request.make(Basis::Layers(&image.layers()), &read)?;
        request.write(made, *algorithm, &mut digests)?;
    }
    Ok(digests)
}

/// The digests of an image whose layers, the lowest first, a repository has. For a hash that is not the repository's, every
/// object of the image is read.
///
/// # Errors
/// As [`make_image`](crate::make_image), and [`sealstone_store::Error::Missing`] for objects that are not there.
pub fn digest_stored(
    repository: &Repository,
    layers: &[&LayerTree],
    request: &DigestRequest,
) -> Result<Vec<ImageDigest>, DeployError> {
    let read = |object: &ObjectId, limit| Ok(repository.read_object(object, limit)?);
    let (profile, tree) = request.make(Basis::Layers(layers), &read)?;
    let mut digests = Vec::new();
    for algorithm in &request.algorithms {
        let tree = OtherHash::new(repository, *algorithm).tree(tree.clone())?;
        request.write((profile, tree), *algorithm, &mut digests)?;
    }
    Ok(digests)
}

impl DigestRequest {
    fn make(&self, basis: Basis<'_>, read_object: &ReadObject<'_>) -> Result<(Profile, Tree), DeployError> {
        let profile = if let Some(profile) = self.profile {
            profile
        } else {
            let tree = Recipe { profile: None, departures: Vec::new(), version: Version::V1 }
                .make(basis, read_object)?;
            if wants_to_boot(&tree).is_ok() { Profile::Bootable } else { Profile::of(&tree) }
        };
        Ok((profile, Recipe::of(profile, Version::V1).make(basis, read_object)?))
    }

    fn write(
        &self,
        (profile, tree): (Profile, Tree),
        algorithm: Algorithm,
        digests: &mut Vec<ImageDigest>,
    ) -> Result<(), DeployError> {
        for version in self.versions.iter().copied() {
            let digest = verity::digest(algorithm, &erofs::write_version(&tree, version)?);
            digests.push(ImageDigest { profile, version, digest });
        }
        Ok(())
    }
}
