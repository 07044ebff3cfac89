//! An image of one layer, a registry that has it, and ways to ask for it.

use std::{io::Write, time::Duration};

use sealstone_import::{
    ImportError, ImportOptions, ImportReport, Limits, import,
    oci::{Descriptor, MediaType, Platform, resolve},
    registry::{Credentials, RegistryEndpoint, RegistryReference, RegistrySettings, RegistrySource},
    source::Source,
};
use sealstone_store::{Control, InitOptions, Place, Repository, disk::RealDisk};
use serde_json::json;

use crate::common::tar_of;
pub use crate::common::{noise, sha256};
use crate::server::{Reply, Request, Server};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image: its documents, and its one layer, packed with gzip.
#[derive(Clone, Debug)]
pub struct Image {
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    pub layer: Vec<u8>,
}

impl Image {
    /// With one file of noise.
    pub fn new(seed: u64) -> Self {
        let body = noise(300_000, seed);
        let tar = tar_of([("usr/noise", &*body)]);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&tar).unwrap();
        let layer = encoder.finish().unwrap();
        let config = json!({
            "os": "linux", "architecture": std::env::consts::ARCH,
            "rootfs": {"type": "layers", "diff_ids": [sha256(&tar)]},
        });
        let config = config.to_string().into_bytes();
        let describe = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": sha256(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": describe("config.v1+json", &config),
            "layers": [describe("layer.v1.tar+gzip", &layer)],
        });
        Self { manifest: manifest.to_string().into_bytes(), config, layer }
    }

    /// What a good registry answers; it has the image under every tag.
    pub fn answer(&self, request: &Request) -> Reply {
        let name = request.path.rsplit('/').next().unwrap();
        let digests = [&self.manifest, &self.config, &self.layer].map(|bytes| sha256(bytes));
        if request.path.contains("/manifests/") && (!name.contains(':') || name == digests[0]) {
            return Reply::new(200, self.manifest.clone()).header("Content-Type", MANIFEST);
        }
        let blob = match name {
            _ if name == digests[1] => &self.config,
            _ if name == digests[2] => &self.layer,
            _ => return Reply::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
        };
        let Some(range) = request.header("range") else { return Reply::new(200, blob.clone()) };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let end = last.parse::<usize>().map_or(blob.len(), |last| last + 1);
        if first >= blob.len() {
            // As distribution 2.8.2 does: the length is that of the blob.
            return Reply::new(416, "").header("Content-Length", blob.len().to_string());
        }
        Reply::new(206, &blob[first..end])
            .header("Content-Range", format!("bytes {first}-{}/{}", end - 1, blob.len()))
    }

    /// Serves it, but for what `fault` answers itself: it is told how often this path was asked before.
    pub fn serve(&self, fault: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
        let image = self.clone();
        let asked = std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new());
        Server::start(move |request| {
            let mut asked = asked.lock().unwrap();
            let before = asked.entry(request.path.clone()).or_default();
            let times = *before;
            *before += 1;
            drop(asked);
            fault(request, times).unwrap_or_else(|| image.answer(request))
        })
    }

    pub fn layer_descriptor(&self) -> Descriptor {
        let media_type = MediaType::parse("application/vnd.oci.image.layer.v1.tar+gzip");
        Descriptor::new(media_type, sha256(&self.layer).parse().unwrap(), self.layer.len() as u64)
    }
}

/// Whether the request is for the image's layer.
pub fn is_layer(image: &Image, request: &Request) -> bool {
    request.path.ends_with(&sha256(&image.layer))
}

/// Settings that do not wait long.
pub fn quick() -> RegistrySettings {
    let mut settings = RegistrySettings::default();
    settings.retry.attempts = 4;
    settings.retry.pause = Duration::from_millis(1);
    settings.timeouts.stall = Duration::from_millis(400);
    settings.timeouts.answer = Duration::from_secs(5);
    settings
}

pub fn reference(server: &Server) -> RegistryReference {
    format!("docker://{}/some/image:tag", server.host()).parse().unwrap()
}

pub fn endpoint(server: &Server) -> RegistryEndpoint {
    let mut endpoint = RegistryEndpoint::of(&reference(server));
    endpoint.is_insecure = true;
    endpoint
}

pub fn source(server: &Server) -> RegistrySource {
    source_with(server, &quick(), None)
}

pub fn source_with(
    server: &Server,
    settings: &RegistrySettings,
    credentials: Option<Credentials>,
) -> RegistrySource {
    let mut endpoint = endpoint(server);
    endpoint.credentials = credentials;
    RegistrySource::new(reference(server), vec![endpoint], settings).unwrap()
}

/// Reads a blob to its end.
pub fn read(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>, ImportError> {
    let mut blob = source.open_blob(descriptor)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 10_000];
    loop {
        match blob.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
        assert!(bytes.len() as u64 <= descriptor.size() + 1, "more came than one byte too many");
    }
}

/// Finds the image that the source names.
pub fn find(source: &dyn Source) -> Result<Vec<u8>, ImportError> {
    resolve(source, &Platform::native(), &Limits::default()).map(|image| image.manifest_bytes)
}

/// Imports it into a repository of its own.
pub fn import_it(source: &dyn Source) -> Result<ImportReport, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let (repository, _) = Repository::init(&RealDisk::shared(), &path, &InitOptions::default()).unwrap();
    let control = Control::new().with_threads(2);
    let report = import(&repository, source, Some("it"), &ImportOptions::default(), &control);
    if report.is_err() {
        assert_eq!(repository.refs(Place::Streams).unwrap().len(), 0, "something was published");
    }
    report.map(|report| (*report).clone())
}
