//! Bundles as sources: the images of one index, each with the manifest that it was once imported with.
//!
//! What lives here: reading the index of a bundle, and one image of it as a source. What does not: writing one
//! ([`export_bundle`](crate::export::export_bundle)). Nothing of the index is believed but which image it says is for whom: a
//! manifest that it carries has to have the digest under which it is imported, and that manifest names the configuration, which
//! names the layers' tars. So a layer may be packed otherwise than its manifest says, and is still that layer.

use super::{Blob, Source, Unpacked, fill, read_document};
use crate::{
    DiffId, Digest, DigestAlgorithm, Limits,
    base64::decode_base64,
    error::{ImportError, Result},
    oci::{Config, Descriptor, Document, Manifest, MediaType},
    source::Bytes,
};

/// The annotation that says what a member is: `os` or `bound`.
pub(crate) const BUNDLE_ROLE: &str = "org.sealstone.bundle.role";
/// What the member is called: the system's name, or what a unit names.
pub(crate) const BUNDLE_REFERENCE: &str = "org.sealstone.bundle.reference";
/// The index through which the reference led to the manifest, in base64.
pub(crate) const BUNDLE_INDEX: &str = "org.sealstone.bundle.index";
/// The manifest that the image was imported with, in base64, where its blobs in the bundle are others.
pub(crate) const BUNDLE_MANIFEST: &str = "org.sealstone.bundle.manifest";
/// Bytes of the tar of each layer that is packed otherwise, 0 for the others, with commas between.
pub(crate) const BUNDLE_TARS: &str = "org.sealstone.bundle.tar-bytes";

/// The images of a bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    members: Vec<BundledMember>,
}

/// One image of a bundle, as the index has it.
#[derive(Clone, Debug)]
pub struct BundledMember {
    /// Whether it is the system, or bound to it.
    pub is_os: bool,
    /// What it is called.
    pub reference: String,
    descriptor: Descriptor,
    manifest: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    tar_bytes: Vec<u64>,
}

impl Bundle {
    /// Reads the index that a source names.
    ///
    /// # Errors
    /// [`ImportError::Unsupported`] when it is no bundle.
    pub fn read(source: &dyn Source, limits: &Limits) -> Result<Self> {
        let no_bundle = || ImportError::unsupported(source.label(), "it is no bundle");
        let roots = source.roots(limits)?;
        let [root] = roots.as_slice() else { return Err(no_bundle()) };
        if *root.media_type() != MediaType::Index {
            return Err(no_bundle());
        }
        let bytes = read_document(source, root, "index", limits)?;
        let name = format!("index {}", root.digest());
        let index = match Document::parse(&bytes, Some(root.media_type())) {
            Ok(Document::Index(index)) => index,
            Ok(Document::Manifest(_)) => return Err(no_bundle()),
            Err(reason) => return Err(ImportError::malformed(name, reason)),
        };
        let members = index.manifests.into_iter().filter(|one| one.annotation(BUNDLE_ROLE).is_some());
        let members: Result<Vec<_>, String> = members.map(BundledMember::new).collect();
        let members = members.map_err(|reason| ImportError::malformed(name, reason))?;
        if members.iter().filter(|member| member.is_os).count() != 1 {
            return Err(no_bundle());
        }
        Ok(Self { members })
    }

    /// The images, in the order of the index.
    #[must_use]
    pub fn members(&self) -> &[BundledMember] {
        &self.members
    }
}

impl BundledMember {
    fn new(descriptor: Descriptor) -> Result<Self, String> {
        let decode = |key: &str| -> Result<Option<Vec<u8>>, String> {
            let Some(text) = descriptor.annotation(key) else { return Ok(None) };
            let mut bytes = Vec::new();
            decode_base64(text.as_bytes(), &mut bytes).ok_or_else(|| format!("{key} is no base64"))?;
            Ok(Some(bytes))
        };
        let tars = descriptor.annotation(BUNDLE_TARS).unwrap_or_default();
        let tars = tars.split(',').filter(|text| !text.is_empty()).map(str::parse);
        Ok(Self {
            is_os: descriptor.annotation(BUNDLE_ROLE) == Some("os"),
            reference: descriptor.annotation(BUNDLE_REFERENCE).unwrap_or_default().to_owned(),
            manifest: decode(BUNDLE_MANIFEST)?,
            index: decode(BUNDLE_INDEX)?,
            tar_bytes: tars
                .collect::<Result<_, _>>()
                .map_err(|_| format!("{BUNDLE_TARS} is no list of sizes"))?,
            descriptor,
        })
    }

    /// The digest of the manifest that it is imported with.
    #[must_use]
    pub fn manifest(&self) -> Digest {
        match &self.manifest {
            Some(bytes) => Digest::of(DigestAlgorithm::Sha256, bytes),
            None => *self.descriptor.digest(),
        }
    }

    /// Whether a digest leads to it: it is that of its manifest, or of an index that the bundle carries and that names it.
    #[must_use]
    pub fn is_named_by(&self, digest: &Digest) -> bool {
        let manifest = self.manifest();
        if *digest == manifest {
            return true;
        }
        let Some(bytes) = &self.index else { return false };
        let Ok(Document::Index(index)) = Document::parse(bytes, None) else { return false };
        Digest::of(digest.algorithm(), bytes) == *digest
            && index.manifests.iter().any(|one| *one.digest() == manifest)
    }

    /// The image as a source.
    ///
    /// # Errors
    /// When its documents are not those that the bundle says, or do not fit each other.
    pub fn open<'a>(&'a self, source: &'a dyn Source, limits: &Limits) -> Result<BundledImage<'a>> {
        let packed = match &self.manifest {
            None => None,
            Some(bytes) => Some(Packed::read(self, bytes, source, limits)?),
        };
        Ok(BundledImage { source, member: self, packed, limits: limits.clone() })
    }
}

/// An image whose layers are packed otherwise than its manifest says.
#[derive(Debug)]
struct Packed {
    diff_ids: Vec<DiffId>,
    /// What the manifest says.
    stated: Vec<Descriptor>,
    /// What is there.
    there: Vec<Descriptor>,
}

impl Packed {
    fn read(member: &BundledMember, bytes: &[u8], source: &dyn Source, limits: &Limits) -> Result<Self> {
        let manifest = |bytes: &[u8], name: String| -> Result<Manifest> {
            match Document::parse(bytes, None) {
                Ok(Document::Manifest(manifest)) => Ok(manifest),
                Ok(Document::Index(_)) => Err(ImportError::malformed(name, "it is an index")),
                Err(reason) => Err(ImportError::malformed(name, reason)),
            }
        };
        let name = format!("manifest {}", member.manifest());
        let stated = manifest(bytes, name.clone())?;
        let there = read_document(source, &member.descriptor, "manifest", limits)?;
        let packed = manifest(&there, format!("manifest {}", member.descriptor.digest()))?;
        let config = read_document(source, &stated.config, "configuration", limits)?;
        let config = Config::parse(&config).map_err(|reason| ImportError::malformed(name.clone(), reason))?;
        let count = config.diff_ids.len();
        if [stated.layers.len(), packed.layers.len(), member.tar_bytes.len()] != [count; 3] {
            return Err(ImportError::malformed(name, "its layers are not those of its configuration"));
        }
        Ok(Self { diff_ids: config.diff_ids, stated: stated.layers, there: packed.layers })
    }
}

/// An image of a bundle.
#[derive(Debug)]
pub struct BundledImage<'a> {
    source: &'a dyn Source,
    member: &'a BundledMember,
    packed: Option<Packed>,
    limits: Limits,
}

impl Source for BundledImage<'_> {
    fn label(&self) -> String {
        format!("{} of {}", self.member.reference, self.source.label())
    }

    fn is_costly(&self) -> bool {
        self.source.is_costly()
    }

    fn roots(&self, _limits: &Limits) -> Result<Vec<Descriptor>> {
        let Some(bytes) = &self.member.manifest else { return Ok(vec![self.member.descriptor.clone()]) };
        Ok(vec![Descriptor::new(MediaType::Manifest, self.member.manifest(), bytes.len() as u64)])
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        match &self.member.manifest {
            Some(bytes) if *descriptor.digest() == self.member.manifest() => {
                Ok(Box::new(Bytes::new(bytes.clone())))
            }
            _ => self.source.open_blob(descriptor),
        }
    }

    fn open_range(
        &self,
        descriptor: &Descriptor,
        offset: u64,
        len: u64,
    ) -> Result<Option<Box<dyn Blob + '_>>> {
        self.source.open_range(descriptor, offset, len)
    }

    fn read_tar(
        &self,
        diff_id: &DiffId,
        read: &mut dyn FnMut(&mut dyn Blob, u64) -> Result<()>,
    ) -> Result<bool> {
        let Some(Packed { diff_ids, stated, there }) = &self.packed else { return Ok(false) };
        let Some(place) = diff_ids.iter().position(|own| own == diff_id) else { return Ok(false) };
        let (Some(stated), Some(packed)) = (stated.get(place), there.get(place)) else { return Ok(false) };
        if stated.digest() == packed.digest() {
            return Ok(false);
        }
        let blob = self.source.open_blob(packed)?;
        let what = format!("layer {}", packed.digest());
        let mut tar = Unpacked::new(what, blob, (&self.limits).into());
        let size = self.member.tar_bytes.get(place).copied().unwrap_or_default();
        read(&mut tar, size)?;
        // To its end, so that what follows the tar is not passed over in silence.
        if fill(&mut tar, &mut [0])? != 0 {
            let what = format!("layer {}", packed.digest());
            return Err(ImportError::Size { what, expected: size, actual: size + 1 });
        }
        Ok(true)
    }
}
