//! Layers as zstd:chunked, a registry that has images of them, and repositories that pull from it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sealstone_import::{
    DiffId, ImportError, ImportOptions, ImportPlan, ImportReport, import, plan_import,
    registry::{RegistryEndpoint, RegistryReference, RegistrySettings, RegistrySource},
    streams::layer_stream,
    zstd_chunked::Writer,
};
use sealstone_store::{
    Control, FsckDepth, IndexOptions, InitOptions, ObjectId, Repository, control::Event, disk::RealDisk,
};
use serde_json::{Value, json};

pub use crate::common::{noise, sha256, tar_of};
use crate::server::{Reply, Request, Server};

pub const TOC_DIGEST: &str = "io.github.containers.zstd-chunked.manifest-checksum";
pub const TOC_PLACE: &str = "io.github.containers.zstd-chunked.manifest-position";
pub const SPLIT_PLACE: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// A layer's blob, and what its descriptor carries.
#[derive(Clone, Debug)]
pub struct Layer {
    pub diff_id: String,
    pub blob: Vec<u8>,
    pub annotations: BTreeMap<String, String>,
}

impl Layer {
    pub fn pack(tar: &[u8]) -> Self {
        let mut blob = Vec::new();
        let mut writer = Writer::new().unwrap();
        writer.write(tar, &mut blob).unwrap();
        let list = writer.finish(&mut blob).unwrap().list();
        let annotations = list.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { diff_id: sha256(tar), blob, annotations }
    }

    fn numbers(&self, key: &str) -> Vec<usize> {
        self.annotations[key].split(':').map(|part| part.parse().unwrap()).collect()
    }

    fn part(&self, key: &str) -> Vec<u8> {
        let numbers = self.numbers(key);
        zstd::decode_all(&self.blob[numbers[0]..numbers[0] + numbers[1]]).unwrap()
    }

    pub fn toc(&self) -> Value {
        serde_json::from_slice(&self.part(TOC_PLACE)).unwrap()
    }

    pub fn tar_split(&self) -> String {
        String::from_utf8(self.part(SPLIT_PLACE)).unwrap()
    }

    /// Bytes of the table and the tar-split, as they are fetched.
    pub fn sheet_bytes(&self) -> u64 {
        let (toc, split) = (self.numbers(TOC_PLACE), self.numbers(SPLIT_PLACE));
        (split[0] + split[1] - toc[0]) as u64
    }

    /// The same frames under another table and tar-split; annotations and digests fit them.
    pub fn with_sheet(&self, mut toc: Value, tar_split: &str) -> Self {
        let frames = self.numbers(TOC_PLACE)[0] - 8;
        let mut blob = self.blob[..frames].to_vec();
        let split = zstd::encode_all(tar_split.as_bytes(), 3).unwrap();
        toc["tarSplitDigest"] = json!(sha256(&split));
        let json = toc.to_string();
        let packed = zstd::encode_all(json.as_bytes(), 3).unwrap();
        let mut add = |payload: &[u8]| {
            blob.extend(0x184d_2a50_u32.to_le_bytes());
            blob.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
            let offset = blob.len();
            blob.extend(payload);
            offset
        };
        let (at, split_at) = (add(&packed), add(&split));
        let annotations = [
            (TOC_DIGEST, sha256(&packed)),
            (TOC_PLACE, format!("{at}:{}:{}:1", packed.len(), json.len())),
            (SPLIT_PLACE, format!("{split_at}:{}:{}", split.len(), tar_split.len())),
        ];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value)).into();
        Self { diff_id: self.diff_id.clone(), blob, annotations }
    }

    pub fn digest(&self) -> String {
        sha256(&self.blob)
    }
}

/// Documents and blobs by digest, manifests by tag.
#[derive(Clone, Debug, Default)]
pub struct Images {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub tags: BTreeMap<String, String>,
}

impl Images {
    pub fn of(images: &[(&str, &Layer)]) -> Self {
        let mut all = Self::default();
        for (tag, layer) in images {
            all.add(tag, layer);
        }
        all
    }

    pub fn put(&mut self, kind: &str, bytes: Vec<u8>) -> Value {
        let (digest, size) = (sha256(&bytes), bytes.len());
        self.blobs.insert(digest.clone(), bytes);
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": size})
    }

    fn add(&mut self, tag: &str, layer: &Layer) {
        let config = json!({
            "os": "linux", "architecture": std::env::consts::ARCH,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        });
        let config = self.put("config.v1+json", config.to_string().into_bytes());
        let mut described = self.put("layer.v1.tar+zstd", layer.blob.clone());
        described["annotations"] = json!(layer.annotations);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": [described],
        });
        let manifest = self.put("manifest.v1+json", manifest.to_string().into_bytes());
        self.tags.insert(tag.to_owned(), manifest["digest"].as_str().unwrap().to_owned());
    }

    pub fn answer(&self, request: &Request) -> Reply {
        let name = request.path.rsplit('/').next().unwrap();
        let name = self.tags.get(name).map_or(name, String::as_str);
        let Some(blob) = self.blobs.get(name) else { return Reply::new(404, "{}") };
        if request.path.contains("/manifests/") {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            return Reply::new(200, blob.clone()).header("Content-Type", kind);
        }
        let Some(range) = request.header("range") else { return Reply::new(200, blob.clone()) };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let end = last.parse::<usize>().map_or(blob.len(), |last| last + 1);
        Reply::new(206, &blob[first..end])
            .header("Content-Range", format!("bytes {first}-{}/{}", end - 1, blob.len()))
    }

    /// Serves them, but for what `fault` answers itself: it is told the good answer, and how many parts were asked for
    /// before.
    pub fn serve(
        self,
        fault: impl Fn(&Request, &Reply, usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Server {
        let parts = Mutex::new(0);
        Server::start(move |request| {
            let good = self.answer(request);
            let mut parts = parts.lock().unwrap();
            let before = *parts;
            *parts += usize::from(request.header("range").is_some());
            drop(parts);
            fault(request, &good, before).unwrap_or(good)
        })
    }
}

pub fn source(server: &Server, tag: &str) -> RegistrySource {
    let reference: RegistryReference =
        format!("docker://{}/some/image:{tag}", server.host()).parse().unwrap();
    let mut endpoint = RegistryEndpoint::of(&reference);
    endpoint.is_insecure = true;
    let mut settings = RegistrySettings::default();
    settings.retry.attempts = 3;
    settings.retry.pause = Duration::from_millis(1);
    RegistrySource::new(reference, vec![endpoint], &settings).unwrap()
}

/// A repository in a temporary folder, and what its imports warned of.
pub struct Machine {
    pub folder: tempfile::TempDir,
    pub repository: Repository,
    pub warnings: Arc<Mutex<Vec<String>>>,
    control: Control,
}

impl Machine {
    pub fn new() -> Self {
        // In memory where there is such a place: syncs cost nothing there, and nothing here is about them.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = folder.path().join("repo");
        let (repository, _) = Repository::init(&RealDisk::shared(), &path, &InitOptions::default()).unwrap();
        let warnings = Arc::<Mutex<Vec<String>>>::default();
        let sink = Arc::clone(&warnings);
        let control = Control::new().with_threads(2).with_progress(Arc::new(move |event| {
            if let Event::Warning(text) = event {
                sink.lock().unwrap().push(text);
            }
        }));
        Self { folder, repository, warnings, control }
    }

    pub fn pull(&self, server: &Server, tag: &str) -> Result<ImportReport, ImportError> {
        self.pull_with(server, tag, &ImportOptions::default())
    }

    pub fn pull_with(
        &self,
        server: &Server,
        tag: &str,
        options: &ImportOptions,
    ) -> Result<ImportReport, ImportError> {
        let source = source(server, tag);
        let done = import(&self.repository, &source, Some(tag), options, &self.control)?;
        Ok(done.into_inner())
    }

    pub fn plan(&self, server: &Server, tag: &str) -> ImportPlan {
        plan_import(&self.repository, &source(server, tag), &ImportOptions::default()).unwrap()
    }

    pub fn index(&self) {
        let _ = self.repository.index_contents(&IndexOptions::default(), &self.control).unwrap();
    }

    /// The object of a layer's stream, which fixes its tar.
    pub fn stream(&self, layer: &Layer) -> Option<ObjectId> {
        let diff_id: DiffId = layer.diff_id.parse().unwrap();
        self.repository.stream(&layer_stream(&diff_id).unwrap()).ok()
    }

    pub fn assert_healthy(&self) {
        let report = self.repository.fsck(FsckDepth::Everything, &self.control).unwrap();
        assert_eq!(report.damage, []);
        assert!(report.index_entries > 0, "nothing is indexed");
    }
}

/// The layer as another machine has it after pulling all of it.
pub fn full_pull(layer: &Layer) -> Option<ObjectId> {
    let machine = Machine::new();
    let server = Images::of(&[("full", layer)]).serve(|_, _, _| None);
    let report = machine.pull(&server, "full").unwrap();
    assert!(!report.layers[0].is_partial);
    machine.stream(layer)
}

/// Many files of all sizes, of which every tenth differs by version; the last ones are small, big, and have zeros.
pub fn tree(version: u64) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = (0..100)
        .map(|number| {
            let seed = if number % 10 == 3 { version * 1000 + number } else { number };
            (format!("usr/share/file{number:03}"), noise(3000 + usize::try_from(number).unwrap() * 331, seed))
        })
        .collect();
    files.push(("usr/big".to_owned(), noise(700_000, 7)));
    let mut zeros = noise(2000, 8);
    zeros.resize(300_000, 0);
    zeros.extend(noise(2000, 10 + version));
    files.push(("usr/zeros".to_owned(), zeros));
    files.push(("usr/tiny".to_owned(), b"tiny".to_vec()));
    files.push(("usr/empty".to_owned(), Vec::new()));
    files.push(("usr/twice".to_owned(), noise(3000, version * 1000 + 500)));
    files.push(("usr/twice-again".to_owned(), noise(3000, version * 1000 + 500)));
    tar_of(files.iter().map(|(name, body)| (name.as_str(), body.as_slice())))
}
