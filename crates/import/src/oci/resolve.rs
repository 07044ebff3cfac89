//! From what a reference names to one image: through indexes, by platform, to a manifest and its configuration.
//!
//! Every document on the way is checked against the digest and size that named it.

use super::{Config, Descriptor, Document, Manifest, MediaType, Platform};
use crate::{
    ConfigDigest, Digest, Limits, ManifestDigest,
    error::{ImportError, Result, few},
    source::{Source, read_document},
};

/// One image, its documents checked and kept as they were.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The digest of what the reference names: of the manifest, or of the index that leads to it.
    pub named_digest: Digest,
    /// The digest of the manifest's bytes.
    pub manifest_digest: ManifestDigest,
    /// The manifest, as it lies in the source.
    pub manifest_bytes: Vec<u8>,
    /// The manifest, read.
    pub manifest: Manifest,
    /// The digest of the configuration's bytes.
    pub config_digest: ConfigDigest,
    /// The configuration, as it lies in the source.
    pub config_bytes: Vec<u8>,
    /// The configuration, read.
    pub config: Config,
    /// Things worth telling: a configuration that names another platform than the index.
    pub warnings: Vec<String>,
}

/// Finds the one image for `platform` that `source` means.
///
/// # Errors
/// When there is none, or several, or a document is not what named it, is malformed, or is of a kind that is not
/// imported.
pub fn resolve(source: &dyn Source, platform: &Platform, limits: &Limits) -> Result<Resolved> {
    let mut search = Search { source, platform, limits, read: 0, images: Vec::new() };
    search.walk(source.roots(limits)?, &Above::default(), 0)?;
    let (descriptor, named_digest) = search.choose()?;
    let manifest_bytes = read_document(source, &descriptor, "manifest", limits)?;
    let name = format!("manifest {}", descriptor.digest());
    let manifest = match Document::parse(&manifest_bytes, Some(descriptor.media_type())) {
        Ok(Document::Manifest(manifest)) => manifest,
        Ok(Document::Index(_)) => return Err(ImportError::malformed(name, "it is an index")),
        Err(reason) => return Err(ImportError::malformed(name, reason)),
    };
    check_manifest(&manifest, &name, limits)?;
    let config_bytes = read_document(source, &manifest.config, "configuration", limits)?;
    let config_name = format!("configuration {}", manifest.config.digest());
    let config =
        Config::parse(&config_bytes).map_err(|reason| ImportError::malformed(config_name.clone(), reason))?;
    if config.diff_ids.len() != manifest.layers.len() {
        let reason = format!(
            "it has {} diff_ids for the {} layers of its manifest",
            config.diff_ids.len(),
            manifest.layers.len()
        );
        return Err(ImportError::malformed(config_name, reason));
    }
    let mut warnings = Vec::new();
    if let Some(stated) = config.platform.as_ref().filter(|stated| platform.rank(stated).is_none()) {
        warnings.push(format!("{config_name} is for {stated}, and {platform} was asked for"));
    }
    Ok(Resolved {
        named_digest,
        manifest_digest: ManifestDigest::new(*descriptor.digest()),
        manifest_bytes,
        config_digest: ConfigDigest::new(*manifest.config.digest()),
        manifest,
        config_bytes,
        config,
        warnings,
    })
}

/// The images that `source` leads to, with the platforms that indexes give them.
///
/// # Errors
/// As [`resolve`], for indexes.
pub(crate) fn offered(
    source: &dyn Source,
    platform: &Platform,
    limits: &Limits,
) -> Result<Vec<(Descriptor, Option<Platform>)>> {
    let mut search = Search { source, platform, limits, read: 0, images: Vec::new() };
    search.walk(source.roots(limits)?, &Above::default(), 0)?;
    Ok(search.images.into_iter().map(|found| (found.image, found.above.platform)).collect())
}

fn check_manifest(manifest: &Manifest, name: &str, limits: &Limits) -> Result<()> {
    if *manifest.config.media_type() != MediaType::Config {
        let reason =
            format!("its configuration is {}: an artifact, not an image", manifest.config.media_type());
        return Err(ImportError::unsupported(name, reason));
    }
    if manifest.layers.len() > limits.layers {
        return Err(ImportError::TooBig {
            what: format!("{name} ({} layers)", manifest.layers.len()),
            limit: limits.layers as u64,
        });
    }
    for layer in &manifest.layers {
        if !matches!(layer.media_type(), MediaType::Layer(_)) {
            let reason = format!("layer {} is {}", layer.digest(), layer.media_type());
            return Err(ImportError::unsupported(name, reason));
        }
    }
    Ok(())
}

/// The walk through indexes.
struct Search<'a> {
    source: &'a dyn Source,
    platform: &'a Platform,
    limits: &'a Limits,
    read: usize,
    images: Vec<Found>,
}

/// What the indexes above a document say.
#[derive(Clone, Default)]
struct Above {
    platform: Option<Platform>,
    /// What the reference names, on the way to it.
    named: Option<Digest>,
}

/// A manifest, with the platform that an index gives it.
struct Found {
    image: Descriptor,
    above: Above,
}

impl Search<'_> {
    fn walk(&mut self, found: Vec<Descriptor>, above: &Above, depth: usize) -> Result<()> {
        if depth > self.limits.index_depth {
            let what = format!("depth of indexes in {}", self.source.label());
            return Err(ImportError::TooBig { what, limit: self.limits.index_depth as u64 });
        }
        for descriptor in found {
            let above = Above {
                platform: descriptor.platform().or(above.platform.as_ref()).cloned(),
                named: above.named.or(Some(*descriptor.digest())),
            };
            if above.platform.as_ref().is_some_and(Platform::is_unknown) {
                continue;
            }
            match descriptor.media_type() {
                MediaType::Index => {
                    let inner = self.read_index(&descriptor)?;
                    self.walk(inner, &above, depth + 1)?;
                }
                MediaType::Manifest | MediaType::Schema1 => self.offer(descriptor, above)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn offer(&mut self, image: Descriptor, above: Above) -> Result<()> {
        if self.images.len() >= self.limits.index_entries {
            let what = format!("number of images in the indexes of {}", self.source.label());
            return Err(ImportError::TooBig { what, limit: self.limits.index_entries as u64 });
        }
        self.images.push(Found { image, above });
        Ok(())
    }

    fn read_index(&mut self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        self.read += 1;
        if self.read > self.limits.documents {
            let what = format!("number of indexes in {}", self.source.label());
            return Err(ImportError::TooBig { what, limit: self.limits.documents as u64 });
        }
        let bytes = read_document(self.source, descriptor, "index", self.limits)?;
        match Document::parse(&bytes, Some(descriptor.media_type())) {
            Ok(Document::Index(index)) => Ok(index.manifests),
            Ok(Document::Manifest(_)) => {
                Err(ImportError::malformed(format!("index {}", descriptor.digest()), "it is a manifest"))
            }
            Err(reason) => Err(ImportError::malformed(format!("index {}", descriptor.digest()), reason)),
        }
    }

    /// The best image for the platform; the first of equals. One that no index gives a platform counts last. With it comes
    /// what the reference names on the way to it.
    fn choose(self) -> Result<(Descriptor, Digest)> {
        let place = self.source.label();
        let chosen = |found: &Found| {
            let image = found.image.clone();
            let named = found.above.named.unwrap_or(*image.digest());
            (image, named)
        };
        let platform_of = |found: &Found| found.above.platform.clone();
        let ranked = self
            .images
            .iter()
            .filter_map(|found| Some((self.platform.rank(found.above.platform.as_ref()?)?, found)))
            .min_by_key(|(rank, _)| *rank);
        if let Some((_, found)) = ranked {
            return Ok(chosen(found));
        }
        let silent: Vec<_> = self.images.iter().filter(|found| found.above.platform.is_none()).collect();
        match silent.as_slice() {
            [found] => Ok(chosen(found)),
            [] if self.images.is_empty() => Err(ImportError::Missing { what: "image".to_owned(), place }),
            [] => Err(ImportError::NoPlatform {
                place,
                wanted: self.platform.to_string(),
                offered: few(self.images.iter().filter_map(platform_of).map(|one| one.to_string())),
            }),
            several => Err(ImportError::Ambiguous {
                place,
                choices: few(several.iter().map(|found| found.image.digest().to_string())),
            }),
        }
    }
}
