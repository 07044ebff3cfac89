//! The images that a repository holds, found again by name, by manifest digest or by image id.
//!
//! What lives here: reading back what an import recorded: refs, manifests, configurations, and the ids of the images that
//! were made of them. What does not: layers' content, deployments, writing. Invariant: a damaged image is listed with its
//! problem and hides no other.

use std::collections::BTreeSet;

use sealstone_store::{
    ObjectId, Place, RefName, RefTarget, Repository, StreamName, splitstream::SplitStreamReader,
};

use crate::{ConfigDigest, DiffId, ImageKind, ImageOrigin, ImportError, ManifestDigest, Result, oci};

/// What the names of manifests' streams begin with, see [`manifest_stream`](crate::streams::manifest_stream).
const MANIFEST_STREAM: &str = "oci-manifest-";
/// In a manifest's stream, what the reference to the configuration begins with.
const CONFIG_REFERENCE: &str = "config:";

/// What the name begins with by which a deployment keeps its image; the manifest's digest follows. Source: bootc.
pub const DEPLOYMENT_TAG: &str = "localhost/bootc-";

/// The fewest digits of a digest or an id that name an image.
const SHORTEST_PREFIX: usize = 4;

/// The most bytes of a manifest or a configuration that are read back.
const DOCUMENT_MAX: usize = 16 << 20;

/// One imported image under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedImage {
    /// The name given at import.
    pub name: String,
    /// The manifest that it names.
    pub manifest: ManifestDigest,
    /// What the manifest and its configuration say, or why they cannot be read.
    pub content: Result<ImageContent, String>,
    /// Where it came from, if that is known.
    pub origin: Option<ImageOrigin>,
}

/// What an image's documents say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageContent {
    /// The configuration.
    pub config: ConfigDigest,
    /// The platform and creation time that it states.
    pub platform: Option<oci::Platform>,
    /// When the image was made, RFC 3339, as it stands there.
    pub created: Option<String>,
    /// The layers' tars, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// The image of the profile `oci` or `oci-plain`.
    pub image: Option<ObjectId>,
    /// The image of the profile `bootable`, of an image with a kernel.
    pub bootable: Option<ObjectId>,
}

/// What a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundImage {
    /// The file-system image: the bootable one if its id was given, else the plain one.
    pub image: ObjectId,
    /// The imported image that it belongs to; `None` for one that only a deployment still keeps.
    pub stored: Option<NamedImage>,
}

/// All imported images of a repository, by name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    images: Vec<NamedImage>,
    /// Every image that has a name in `images/`.
    ids: Vec<ObjectId>,
    place: String,
}

impl Catalogue {
    /// Reads the names and documents of a repository.
    ///
    /// # Errors
    /// When the disk fails, or a ref is unreadable. A damaged manifest is no error: see [`NamedImage::content`].
    pub fn read(repository: &Repository) -> Result<Self> {
        let mut images = Vec::new();
        for (name, target) in repository.refs(Place::Streams)? {
            let (Some(text), RefTarget::Stream(stream)) = (name.to_oci(), target) else { continue };
            let digest = stream.as_str().strip_prefix(MANIFEST_STREAM);
            let Some(manifest) = digest.and_then(|digest| digest.parse().ok()) else { continue };
            let content = read_content(repository, &stream).map_err(|error| error.to_string());
            let origin = ImageOrigin::of(repository, &name, &manifest)?;
            images.push(NamedImage { name: text, manifest, content, origin });
        }
        // What the user calls an image goes first: of several names of one, the first is taken.
        images.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Ok(Self { images, ids: repository.images()?, place: repository.dir().label().display().to_string() })
    }

    /// The images, sorted by name, those that only deployments keep last.
    #[must_use]
    pub fn images(&self) -> &[NamedImage] {
        &self.images
    }

    /// The ref of the image with exactly this name.
    ///
    /// # Errors
    /// [`ImportError::UnknownImage`] when no image is called so.
    pub fn ref_of(&self, name: &str) -> Result<RefName> {
        if self.images.iter().any(|image| image.name == name) {
            Ok(RefName::oci(name)?)
        } else {
            Err(self.missing(name))
        }
    }

    /// The image that a text names: a name, or at least four digits of a manifest digest or an image id, whose algorithm
    /// (`sha256:`) may be left out. Of several names of one image it is the first that is known to come from somewhere, and one
    /// of the user's before that of a deployment.
    ///
    /// # Errors
    /// [`ImportError::UnknownImage`] when it names nothing, [`ImportError::Ambiguous`] when it fits several images,
    /// [`ImportError::Malformed`] when the image is there and its documents cannot be read.
    pub fn find(&self, text: &str) -> Result<FoundImage> {
        if let Some(image) = self.images.iter().find(|image| image.name == text) {
            return found(image, None);
        }
        let digits = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("sha512:")).unwrap_or(text);
        if digits.len() < SHORTEST_PREFIX || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.missing(text));
        }
        let mut candidates: Vec<(String, Result<FoundImage>)> = Vec::new();
        let mut by_origin: Vec<&NamedImage> = self.images.iter().collect();
        by_origin.sort_by_key(|stored| (stored.is_kept_by_deployment(), stored.origin.is_none()));
        for stored in &by_origin {
            if stored.manifest.digest().to_hex().starts_with(digits) {
                candidates.push((stored.manifest.to_string(), found(stored, None)));
            }
        }
        for id in self.ids.iter().filter(|id| id.to_hex().starts_with(digits)) {
            let owner = by_origin.iter().find(|stored| stored.has(id));
            let image = FoundImage { image: *id, stored: owner.map(|stored| (*stored).clone()) };
            candidates.push((id.to_hex(), Ok(image)));
        }
        let mut seen = BTreeSet::new();
        candidates.retain(|(id, _)| seen.insert(id.clone()));
        if candidates.len() > 1 {
            let choices = candidates.into_iter().map(|(id, _)| id).collect();
            return Err(ImportError::Ambiguous { place: format!("{text:?}"), choices });
        }
        candidates.pop().map_or_else(|| Err(self.missing(text)), |(_, image)| image)
    }

    fn missing(&self, text: &str) -> ImportError {
        ImportError::UnknownImage { name: text.to_owned(), place: self.place.clone() }
    }
}

impl NamedImage {
    /// Whether this is no name of a user's, but the one by which a deployment keeps its image (bootc's convention).
    #[must_use]
    pub fn is_kept_by_deployment(&self) -> bool {
        self.name == format!("{DEPLOYMENT_TAG}{}", self.manifest)
    }

    /// By which names are sorted.
    fn rank(&self) -> (bool, &str) {
        (self.is_kept_by_deployment(), &self.name)
    }

    fn has(&self, id: &ObjectId) -> bool {
        self.content.as_ref().is_ok_and(|content| [content.image, content.bootable].contains(&Some(*id)))
    }
}

fn found(stored: &NamedImage, selected: Option<ObjectId>) -> Result<FoundImage> {
    let what = || format!("image {:?}", stored.name);
    let content = stored.content.as_ref().map_err(|reason| ImportError::malformed(what(), reason.clone()))?;
    let image = selected.or(content.image).or(content.bootable);
    let image =
        image.ok_or_else(|| ImportError::malformed(what(), "its import did not end: import it again"))?;
    Ok(FoundImage { image, stored: Some(stored.clone()) })
}

fn read_content(repository: &Repository, manifest: &StreamName) -> Result<ImageContent> {
    let damaged = |reason: &str| ImportError::malformed(manifest.to_string(), reason);
    let stream = repository.map_stream(manifest)?;
    let stream = SplitStreamReader::new(&stream, repository.algorithm())?;
    let mut references = stream.named_refs().iter();
    let config = references.find_map(|(name, id)| Some((name.strip_prefix(CONFIG_REFERENCE)?, id)));
    let (digest, config_stream) = config.ok_or_else(|| damaged("it names no configuration"))?;
    let digest: ConfigDigest = digest.parse().map_err(|_| damaged("its configuration has no digest"))?;
    let bytes = read_document(repository, config_stream)?;
    let config =
        oci::Config::parse(&bytes).map_err(|reason| ImportError::malformed(digest.to_string(), reason))?;
    let stream = repository.map_object(config_stream)?;
    let stream = SplitStreamReader::new(&stream, repository.algorithm())?;
    Ok(ImageContent {
        config: digest,
        platform: config.platform,
        created: config.created,
        diff_ids: config.diff_ids,
        image: stream.named_ref(ImageKind::Plain.key()).copied(),
        bootable: [ImageKind::Bootable, ImageKind::BootableV2]
            .iter()
            .find_map(|kind| stream.named_ref(kind.key()).copied()),
    })
}

fn read_document(repository: &Repository, stream: &ObjectId) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    repository.cat_stream(stream, |piece| {
        if bytes.len() + piece.len() > DOCUMENT_MAX {
            let limit = DOCUMENT_MAX as u64;
            return Err(sealstone_store::Error::TooBig {
                what: "a configuration, in bytes".to_owned(),
                limit,
            });
        }
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ObjectId {
        format!("{byte:02x}").repeat(32).parse().unwrap()
    }

    fn stored(name: &str, byte: u8) -> NamedImage {
        let digest = format!("sha256:{}", format!("{byte:02x}").repeat(32));
        let content = ImageContent {
            config: digest.parse().unwrap(),
            platform: None,
            created: None,
            diff_ids: Vec::new(),
            image: Some(id(byte + 1)),
            bootable: Some(id(byte + 2)),
        };
        let manifest = digest.parse().unwrap();
        NamedImage { name: name.to_owned(), manifest, content: Ok(content), origin: None }
    }

    fn catalogue() -> Catalogue {
        let broken = NamedImage { content: Err("gone".to_owned()), ..stored("broken", 0xe0) };
        let images = vec![broken, stored("one", 0x10), stored("one-again", 0x10), stored("two", 0x20)];
        let ids = vec![id(0x11), id(0x12), id(0x21), id(0x22), id(0x20), id(0x99)];
        Catalogue { images, ids, place: "/repo".to_owned() }
    }

    fn image(text: &str) -> ObjectId {
        catalogue().find(text).unwrap().image
    }

    #[test]
    fn names_digests_ids_and_prefixes_find_images() {
        assert_eq!(image("one"), id(0x11));
        assert_eq!(image("sha256:1010"), id(0x11), "two names of one manifest are one image");
        assert_eq!(image("1111"), id(0x11));
        assert_eq!(image("1212"), id(0x12), "the bootable image, by its own id");
        assert_eq!(catalogue().find("9999").unwrap().stored, None, "kept by a deployment alone");
    }

    #[test]
    fn of_the_names_of_an_image_one_that_knows_where_it_came_from_is_taken_and_a_deployments_last() {
        let mut catalogue = catalogue();
        let of_deployment = NamedImage {
            name: format!("{DEPLOYMENT_TAG}sha256:{}", "30".repeat(32)),
            origin: None,
            ..stored("", 0x30)
        };
        let origin = ImageOrigin {
            reference: "docker://quay.io/os:1".into(),
            named: of_deployment.manifest.to_string().parse().unwrap(),
        };
        let known = NamedImage { origin: Some(origin), ..stored("z", 0x30) };
        catalogue.images = vec![of_deployment, stored("system:1", 0x30), known];
        catalogue.ids = vec![id(0x31), id(0x32)];
        for text in ["3030", "3131", "3232"] {
            assert_eq!(catalogue.find(text).unwrap().stored.unwrap().name, "z", "{text}");
        }
        catalogue.images.pop();
        for text in ["3030", "3131", "3232"] {
            assert_eq!(catalogue.find(text).unwrap().stored.unwrap().name, "system:1", "{text}");
        }
        catalogue.images.sort_by(|a, b| a.rank().cmp(&b.rank()));
        assert_eq!(catalogue.images()[0].name, "system:1");
    }

    #[test]
    fn what_names_nothing_or_two_things_is_an_error() {
        for text in ["", "three", "111", "3333", "sha256:", "zzzz"] {
            assert!(matches!(catalogue().find(text), Err(ImportError::UnknownImage { .. })), "{text}");
        }
        let Err(ImportError::Ambiguous { choices, .. }) = catalogue().find("2020") else {
            panic!("not ambiguous")
        };
        assert_eq!(choices.len(), 2);
    }

    #[test]
    fn a_damaged_image_is_listed_and_hides_no_other() {
        assert!(matches!(catalogue().find("broken"), Err(ImportError::Malformed { .. })));
        assert!(catalogue().ref_of("broken").is_ok(), "it can be removed");
    }
}
