//! A registry in this process, over plain http, that keeps what it was asked: OCI layouts by tag.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::Value;

use super::http::{Head, read_head, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry on a port of its own, as long as the process lives.
pub struct WebRegistry {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Manifests and indexes, by tag and by digest, with their media type.
    documents: HashMap<String, (&'static str, Vec<u8>)>,
    blobs: HashMap<String, Vec<u8>>,
    asked: Vec<String>,
    refuses_head: bool,
    refuses_ranges: bool,
}

impl WebRegistry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let registry = Self { port, state: Arc::default() };
        let state = Arc::clone(&registry.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve(stream, &state));
            }
        });
        registry
    }

    /// The reference of a tag.
    pub fn reference(&self, tag: &str) -> String {
        format!("docker://{}", self.name(tag))
    }

    /// The same without its transport.
    pub fn name(&self, tag: &str) -> String {
        format!("127.0.0.1:{}/some/image:{tag}", self.port)
    }

    /// Serves the image of a layout's `index.json` under a tag, in the place of what it named; gives its digest.
    pub fn push(&self, layout: &Path, tag: &str) -> String {
        let index: Value =
            serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("index.json"))
                .expect("JSON");
        let digest = index["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
        let mut state = self.state();
        for entry in std::fs::read_dir(layout.join("blobs/sha256")).expect("blobs") {
            let path = entry.expect("a blob").path();
            let name = format!("sha256:{}", path.file_name().expect("a name").to_string_lossy());
            state.blobs.insert(name, std::fs::read(path).expect("a blob"));
        }
        let manifest = state.blobs[&digest].clone();
        state.documents.insert(tag.to_owned(), (MANIFEST, manifest.clone()));
        state.documents.insert(digest.clone(), (MANIFEST, manifest));
        digest
    }

    /// Puts an index above what a tag names, for this machine, with this annotation; gives its digest.
    pub fn wrap(&self, tag: &str, annotation: &str) -> String {
        let mut state = self.state();
        let (_, manifest) = state.documents[tag].clone();
        let platform = serde_json::json!({ "os": "linux", "architecture": super::layout::architecture() });
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX, "annotations": { "note": annotation },
            "manifests": [{ "mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len(),
                            "platform": platform }],
        });
        let index = index.to_string().into_bytes();
        let digest = sha256(&index);
        state.documents.insert(sha256(&manifest), (MANIFEST, manifest));
        state.documents.insert(digest.clone(), (INDEX, index.clone()));
        state.documents.insert(tag.to_owned(), (INDEX, index));
        digest
    }

    /// Serves a tag no more.
    pub fn forget(&self, tag: &str) {
        self.state().documents.remove(tag);
    }

    /// From now on no `HEAD` is answered.
    pub fn refuse_head(&self) {
        self.state().refuses_head = true;
    }

    /// From now on every blob comes whole.
    pub fn refuse_ranges(&self) {
        self.state().refuses_ranges = true;
    }

    /// Methods and paths of all requests since the last call; of requests for a part, its first and last byte too.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
    // A greeting of TLS.
    if reader.fill_buf().is_ok_and(|bytes| bytes.first() == Some(&0x16)) {
        return;
    }
    while let Some(head) = read_head(&mut reader) {
        let (status, kind, body) = answer(&head, &mut state.lock().expect("not poisoned"));
        let (status, body, part) = match range(&head, body.len()).filter(|_| status == 206) {
            Some((first, end)) => {
                let part = format!("Content-Range: bytes {first}-{}/{}\r\n", end - 1, body.len());
                (status, body[first..end].to_vec(), part)
            }
            None => (status, body, String::new()),
        };
        let mut text = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n{part}", body.len());
        if let Some(kind) = kind {
            let _ = write!(text, "Content-Type: {kind}\r\nDocker-Content-Digest: {}\r\n", sha256(&body));
        }
        let body = if head.method == "HEAD" { Vec::new() } else { body };
        if stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.write_all(&body)).is_err()
        {
            return;
        }
    }
}

/// The part that is asked for: its first byte, and the one behind it.
fn range(head: &Head, size: usize) -> Option<(usize, usize)> {
    let (first, last) = head.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let end = last.parse::<usize>().map_or(size, |last| last + 1);
    Some((first.parse().ok()?, end)).filter(|(first, end)| first < end && *end <= size)
}

/// Status, media type of a document, and body; 206 where a part of that is to be sent.
fn answer(head: &Head, state: &mut State) -> (u16, Option<&'static str>, Vec<u8>) {
    let part = head.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let part = part.map(|part| format!(" {part}")).unwrap_or_default();
    state.asked.push(format!("{} {}{part}", head.method, head.target));
    let name = head.target.rsplit('/').next().unwrap_or_default();
    if head.target == "/v2/" {
        return (200, None, b"{}".to_vec());
    }
    if head.method == "HEAD" && state.refuses_head {
        return (405, None, Vec::new());
    }
    let document = state.documents.get(name).filter(|_| head.target.contains("/manifests/"));
    let blob = state.blobs.get(name).filter(|_| head.target.contains("/blobs/"));
    match (document, blob) {
        (Some((kind, body)), _) => (200, Some(kind), body.clone()),
        (None, Some(body)) if range(head, body.len()).is_some() && !state.refuses_ranges => {
            (206, None, body.clone())
        }
        (None, Some(body)) => (200, None, body.clone()),
        (None, None) => (404, None, b"{}".to_vec()),
    }
}
