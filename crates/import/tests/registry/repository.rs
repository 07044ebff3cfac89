//! A repository of a registry that takes pushes, in memory, by the distribution specification; and a push into it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sealstone_import::{
    ImportError, ImportOptions,
    catalogue::Catalogue,
    export::ExportReport,
    import,
    registry::{PushOptions, RegistryEndpoint, RegistrySettings, push},
};
use sealstone_store::{Control, InitOptions, Repository as Store, disk::RealDisk};
use tempfile::TempDir;

use crate::{
    kit::{MANIFEST, endpoint, quick, reference, sha256, source},
    server::{Reply, Request, Server},
};

/// What a registry has.
#[derive(Default)]
pub struct Held {
    /// By digest.
    pub blobs: HashMap<String, Vec<u8>>,
    /// By tag and digest.
    pub manifests: HashMap<String, Vec<u8>>,
    /// What came of the uploads that are not done.
    pub uploads: HashMap<String, Vec<u8>>,
}

/// The registry's answers; clones share what it has.
#[derive(Clone, Default)]
pub struct Registry {
    pub held: Arc<Mutex<Held>>,
    numbers: Arc<AtomicUsize>,
}

impl Registry {
    /// What a good registry answers.
    pub fn answer(&self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let name = path.rsplit('/').next().unwrap().to_owned();
        let mut held = self.held.lock().unwrap();
        if path.contains("/manifests/") {
            return Self::manifest(&mut held, request, &name);
        }
        if !path.contains("/uploads/") {
            return match held.blobs.get(&name) {
                Some(blob) => Reply::new(200, blob.clone()).header("Docker-Content-Digest", name),
                None => Reply::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown"}]}"#),
            };
        }
        if request.method == "POST" {
            let number = self.numbers.fetch_add(1, Ordering::SeqCst).to_string();
            held.uploads.insert(number.clone(), Vec::new());
            return Reply::new(202, "").header("Location", format!("{path}{number}?state=1"));
        }
        let Some(mut upload) = held.uploads.remove(&name) else {
            return Reply::new(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"unknown"}]}"#);
        };
        let here = |reply: Reply, upload: &[u8]| {
            let range = format!("0-{}", upload.len().saturating_sub(1));
            reply.header("Location", format!("{path}?state=2")).header("Range", range)
        };
        let reply = match request.method.as_str() {
            "PATCH" => {
                let first = request.header("content-range").unwrap().split('-').next().unwrap();
                if first.parse() == Ok(upload.len()) {
                    upload.extend_from_slice(&request.bytes);
                    here(Reply::new(202, ""), &upload)
                } else {
                    here(Reply::new(416, ""), &upload)
                }
            }
            "GET" => here(Reply::new(204, ""), &upload),
            "DELETE" => return Reply::new(204, ""),
            "PUT" => {
                upload.extend_from_slice(&request.bytes);
                let digest =
                    query.split('&').find_map(|part| part.strip_prefix("digest=")).unwrap().to_owned();
                if request.is_cut || sha256(&upload) != digest {
                    return Reply::new(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#);
                }
                held.blobs.insert(digest.clone(), upload);
                return Reply::new(201, "").header("Docker-Content-Digest", digest);
            }
            other => panic!("{other} of an upload"),
        };
        held.uploads.insert(name, upload);
        reply
    }

    fn manifest(held: &mut Held, request: &Request, name: &str) -> Reply {
        if request.method == "PUT" {
            let digest = sha256(&request.bytes);
            held.manifests.insert(name.to_owned(), request.bytes.clone());
            held.manifests.insert(digest.clone(), request.bytes.clone());
            return Reply::new(201, "").header("Docker-Content-Digest", digest);
        }
        match held.manifests.get(name) {
            Some(bytes) => Reply::new(200, bytes.clone())
                .header("Content-Type", MANIFEST)
                .header("Docker-Content-Digest", sha256(bytes)),
            None => Reply::new(404, ""),
        }
    }

    /// Serves it, but for what `fault` answers itself.
    pub fn serve(&self, fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
        let registry = self.clone();
        Server::start(move |request| fault(request).unwrap_or_else(|| registry.answer(request)))
    }

    /// Serves it, and breaks connections.
    pub fn serve_cutting(&self, cuts: impl Fn(&Request) -> Option<usize> + Send + Sync + 'static) -> Server {
        let registry = self.clone();
        Server::start_cutting(move |request| registry.answer(request), cuts)
    }

    /// Checks that the tag leads to an image of which all blobs are there, and gives the manifest.
    #[track_caller]
    pub fn assert_whole(&self, tag: &str) -> serde_json::Value {
        let held = self.held.lock().unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&held.manifests[tag]).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        for descriptor in layers.chain([&manifest["config"]]) {
            let digest = descriptor["digest"].as_str().unwrap();
            assert_eq!(sha256(&held.blobs[digest]), digest);
            assert_eq!(held.blobs[digest].len() as u64, descriptor["size"].as_u64().unwrap());
        }
        manifest
    }
}

/// A store that has an image.
pub struct Stored {
    _folder: TempDir,
    pub store: Store,
}

impl Stored {
    pub fn new(image: &crate::kit::Image) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repo");
        let (store, _) = Store::init(&RealDisk::shared(), &path, &InitOptions::default()).unwrap();
        let server = image.serve(|_, _| None);
        let options = ImportOptions::default();
        let _ =
            import(&store, &source(&server), Some("it"), &options, &Control::new().with_threads(2)).unwrap();
        Self { _folder: folder, store }
    }

    pub fn push_with(
        &self,
        endpoint: RegistryEndpoint,
        server: &Server,
        settings: &RegistrySettings,
        options: &PushOptions,
    ) -> Result<ExportReport, ImportError> {
        let manifest = Catalogue::read(&self.store).unwrap().images()[0].manifest;
        let control = Control::new().with_threads(2);
        push(&self.store, &manifest, &reference(server), endpoint, settings, options, &control)
    }

    /// Pushes in chunks of 100,000 bytes.
    pub fn push(&self, server: &Server) -> Result<ExportReport, ImportError> {
        self.push_with(endpoint(server), server, &chunky(), &PushOptions::default())
    }
}

/// Settings that do not wait long, and send all but the smallest blobs in chunks.
pub fn chunky() -> RegistrySettings {
    let mut settings = quick();
    settings.upload.whole = 10_000;
    settings.upload.chunk = 100_000;
    settings
}
