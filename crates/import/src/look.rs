//! What an image in a source is, and what an import of it would fetch, found out from its documents alone.

use std::collections::BTreeMap;

use sealstone_store::Repository;
use serde::Deserialize;

use crate::{
    ConfigDigest, DiffId, Digest, ImportOptions, ManifestDigest, PlannedLayer, Result,
    oci::{Platform, Resolved, offered, resolve},
    plan::{Tables, plan_layers},
    source::Source,
    streams::{bootable_image, linked_images},
};

/// An image in a source. Made by [`look`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceImage {
    /// The digest of what the reference names: of the manifest, or of the index that leads to it.
    pub named: Digest,
    /// The images that the reference leads to, one for each platform; one alone where it names no index.
    pub offered: Vec<OfferedImage>,
    /// The manifest of the one for the platform that was asked for.
    pub manifest: ManifestDigest,
    /// Bytes of that.
    pub manifest_bytes: u64,
    /// Its configuration.
    pub config: ConfigDigest,
    /// Bytes of that.
    pub config_bytes: u64,
    /// The platform that its configuration states.
    pub platform: Option<Platform>,
    /// When it was made, RFC 3339, as it stands there.
    pub created: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// Its layers, lowest first; one that the image has twice is there once.
    pub layers: Vec<PlannedLayer>,
    /// The tars of its layers, lowest first, one that it has twice in both places.
    pub diff_ids: Vec<DiffId>,
    /// Whether it can be booted.
    pub bootable: Bootability,
    /// Things worth telling.
    pub warnings: Vec<String>,
}

/// One image of those that a reference leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferedImage {
    /// Its manifest.
    pub manifest: ManifestDigest,
    /// The platform that an index gives it.
    pub platform: Option<Platform>,
}

/// What can be said of an image's kernel without its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bootability {
    /// The store has it, and made its bootable image.
    Bootable,
    /// The store has it, and it could not be made bootable.
    NotBootable,
    /// It is of no kind that has a kernel for us; why.
    Impossible(String),
    /// A label says that it is; its layers decide.
    Claimed(&'static str),
    /// Nothing is said: its layers decide.
    Unknown,
}

impl SourceImage {
    /// Bytes of all layers' blobs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.blob_bytes).sum()
    }

    /// Bytes of the layers' blobs that an import would fetch.
    #[must_use]
    pub fn bytes_to_fetch(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes_to_fetch).sum()
    }
}

/// Reads an image's documents, each checked, and none of its layers but the tables of contents of zstd:chunked ones. With a repository it is compared with that.
///
/// # Errors
/// As [`import_layers`](crate::import_layers), for documents.
pub fn look(
    repository: Option<&Repository>,
    source: &dyn Source,
    options: &ImportOptions,
) -> Result<SourceImage> {
    look_with(repository, source, options, Tables::Read)
}

/// The same from the documents alone: of zstd:chunked layers as well, of which it is then not known how little would do.
///
/// # Errors
/// As [`look`].
pub fn look_at_documents(
    repository: Option<&Repository>,
    source: &dyn Source,
    options: &ImportOptions,
) -> Result<SourceImage> {
    look_with(repository, source, options, Tables::Leave)
}

fn look_with(
    repository: Option<&Repository>,
    source: &dyn Source,
    options: &ImportOptions,
    tables: Tables,
) -> Result<SourceImage> {
    let offered = offered(source, &options.platform, &options.limits)?;
    let image = resolve(source, &options.platform, &options.limits)?;
    options.check_digest(&image, source)?;
    let labels = labels(&image.config_bytes);
    let bootable = bootability(repository, &image, &labels)?;
    Ok(SourceImage {
        named: image.named_digest,
        offered: offered
            .into_iter()
            .map(|(image, platform)| OfferedImage {
                manifest: ManifestDigest::new(*image.digest()),
                platform,
            })
            .collect(),
        manifest: image.manifest_digest,
        manifest_bytes: image.manifest_bytes.len() as u64,
        config: image.config_digest,
        config_bytes: image.config_bytes.len() as u64,
        layers: plan_layers(repository, source, &image, options, tables)?,
        diff_ids: image.config.diff_ids,
        platform: image.config.platform,
        created: image.config.created,
        annotations: image.manifest.annotations,
        labels,
        bootable,
        warnings: image.warnings,
    })
}

/// The labels of a configuration. Those that are no texts are none.
fn labels(config: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Wire {
        config: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "Labels")]
        labels: Option<BTreeMap<String, serde_json::Value>>,
    }
    let labels = serde_json::from_slice::<Wire>(config).ok().and_then(|wire| wire.config?.labels);
    let text = |(name, value): (String, serde_json::Value)| Some((name, value.as_str()?.to_owned()));
    labels.unwrap_or_default().into_iter().filter_map(text).collect()
}

fn bootability(
    repository: Option<&Repository>,
    image: &Resolved,
    labels: &BTreeMap<String, String>,
) -> Result<Bootability> {
    if let Some(repository) = repository {
        let linked = linked_images(repository, &image.config_digest)?;
        if bootable_image(&linked).is_some() {
            return Ok(Bootability::Bootable);
        }
        if !linked.is_empty() {
            return Ok(Bootability::NotBootable);
        }
    }
    if let Some(platform) = image.config.platform.as_ref().filter(|platform| platform.os() != "linux") {
        return Ok(Bootability::Impossible(format!("it is for {platform}")));
    }
    if image.config.diff_ids.is_empty() {
        return Ok(Bootability::Impossible("it has no layers".to_owned()));
    }
    // Of bootc, and of ostree before it.
    let is_set = |name: &&'static str| {
        labels.get(*name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
    };
    let claim = ["containers.bootc", "ostree.bootable"].into_iter().find(|name| is_set(name));
    Ok(claim.map_or(Bootability::Unknown, Bootability::Claimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_where_there_are_some() {
        let found = labels(br#"{"config":{"Labels":{"a":"b","odd":1,"containers.bootc":"1"}}}"#);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "b".to_owned()), ("containers.bootc".to_owned(), "1".to_owned())]
        );
        for none in [
            &br"{}"[..],
            br#"{"config":null}"#,
            br#"{"config":{"Labels":null}}"#,
            br#"{"config":{"Labels":[]}}"#,
            b"",
        ] {
            assert!(labels(none).is_empty());
        }
    }
}
