//! The floor: what an import cannot do without.
//!
//! It reads the blobs, hashes them, decompresses, hashes the streams (diff_id) and the files (fs-verity), writes each
//! file once under its digest and syncs. It keeps no metadata, no records and no refs, and trusts its own corpus.
//! Threads per layer: unpack, diff_id, split; the files of all layers are hashed and written by one worker a core, and
//! one thread keeps the disk busy meanwhile.
//! Invariant: memory is bounded by the channels, whatever the sizes of layers and files.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sealstone_store::{Algorithm, verity};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::chunk::{Chunk, Pool};
use self::objects::Objects;
use self::split::{Body, Sink, Splitter};
use crate::corpus::layout::{Layer, Layout, hex};

mod chunk;
mod objects;
mod split;
mod unpack;

/// Chunks that wait between two threads.
const DEPTH: usize = 8;
/// A batch of small files is handed on when it has this many bytes.
const BATCH: usize = 256 << 10;

/// How often it is looked whether there is enough to write back, and what is enough: objects and bytes.
const PAUSE: Duration = Duration::from_millis(50);
const ENOUGH: (u64, u64) = (8192, 128 << 20);

type Batch = Vec<Body>;

/// Runs the floor on a layout and prints what it stored.
pub fn run(layout: &Path, destination: &Path, is_dry: bool) -> Result<()> {
    let mut layers = Layout::open(layout)?.layers;
    layers.sort_by_key(|layer| layer.size().unwrap_or(0));
    let objects = Objects::create(destination, is_dry)?;
    let cores = thread::available_parallelism().context("count the cores")?.get();
    let (pool, queue) = (Pool::default(), Mutex::new(layers));
    let (batches, work) = bounded::<Batch>(2 * cores);
    let (running, over) = bounded::<()>(0);
    thread::scope(|scope| -> Result<()> {
        let objects = &objects;
        let write_back = scope.spawn(move || write_back(objects, &over));
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| work_off(&work, objects))).collect();
        let runners: Vec<_> = (0..cores)
            .map(|_| {
                let batches = batches.clone();
                let (pool, queue) = (&pool, &queue);
                scope.spawn(move || -> Result<()> {
                    while let Some(layer) = queue.lock().ok().and_then(|mut layers| layers.pop()) {
                        import(&layer, pool, objects, &batches)?;
                    }
                    Ok(())
                })
            })
            .collect();
        drop(batches);
        let done =
            runners.into_iter().chain(workers).try_for_each(|thread| thread.join().map_err(|_| dead())?);
        drop(running);
        write_back.join().map_err(|_| dead())??;
        done
    })?;
    let (count, bytes) = objects.totals();
    objects.sync()?;
    println!("{}", json!({ "objects": count, "bytes": bytes }));
    Ok(())
}

fn import(layer: &Layer, pool: &Pool, objects: &Objects, batches: &Sender<Batch>) -> Result<()> {
    let (to_hash, hashed) = bounded::<Arc<Chunk>>(DEPTH);
    let (to_split, split) = bounded::<Arc<Chunk>>(DEPTH);
    thread::scope(|scope| {
        let diff_id = scope.spawn(move || {
            let mut hash = Sha256::new();
            hashed.iter().for_each(|chunk| hash.update(&**chunk));
            format!("sha256:{}", hex(&hash.finalize()))
        });
        let splitter = scope.spawn(move || -> Result<()> {
            let mut splitter =
                Splitter::new(LayerSink { batch: Vec::new(), size: 0, batches, large: None, objects });
            split.iter().try_for_each(|chunk| splitter.feed(&chunk))?;
            splitter.finish().flush()
        });
        let unpacked = unpack::unpack(layer, pool, |chunk| {
            let chunk = Arc::new(chunk);
            to_hash.send(Arc::clone(&chunk)).map_err(|_| dead())?;
            to_split.send(chunk).map_err(|_| dead())
        });
        drop((to_hash, to_split));
        splitter.join().map_err(|_| dead())??;
        unpacked?;
        ensure!(
            diff_id.join().map_err(|_| dead())? == layer.diff_id,
            "{} has a wrong diff_id",
            layer.diff_id
        );
        Ok(())
    })
}

/// Writes back while the import is running, so that the disk is not idle until the end.
fn write_back(objects: &Objects, over: &Receiver<()>) -> Result<()> {
    let mut written = objects.totals();
    while over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        let now = objects.totals();
        if now.0 - written.0 >= ENOUGH.0 || now.1 - written.1 >= ENOUGH.1 {
            written = now;
            objects.sync()?;
        }
    }
    Ok(())
}

/// Hashes and writes batches until there are no more.
fn work_off(work: &Receiver<Batch>, objects: &Objects) -> Result<()> {
    let mut ids = Vec::new();
    for batch in work {
        let bodies: Vec<&[u8]> = batch.iter().map(Body::bytes).collect();
        ids.clear();
        verity::digest_many(Algorithm::Sha256, &bodies, &mut ids);
        ids.iter().zip(bodies).try_for_each(|(id, body)| objects.put(*id, body))?;
    }
    Ok(())
}

struct LargeFile {
    file: File,
    hasher: verity::Hasher,
}

/// Gathers small files into batches and streams large ones.
struct LayerSink<'a> {
    batch: Batch,
    size: usize,
    batches: &'a Sender<Batch>,
    large: Option<LargeFile>,
    objects: &'a Objects,
}

impl LayerSink<'_> {
    fn flush(&mut self) -> Result<()> {
        self.size = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batches.send(std::mem::take(&mut self.batch)).map_err(|_| dead())
    }
}

impl Sink for LayerSink<'_> {
    fn small(&mut self, body: Body) -> Result<()> {
        self.size += body.bytes().len();
        self.batch.push(body);
        if self.size >= BATCH { self.flush() } else { Ok(()) }
    }

    fn large(&mut self, piece: &[u8], is_last: bool) -> Result<()> {
        let begun = match self.large.take() {
            Some(begun) => Ok(begun),
            None => self
                .objects
                .begin()
                .map(|file| LargeFile { file, hasher: verity::Hasher::new(Algorithm::Sha256) }),
        };
        let mut large = begun?;
        large.hasher.update(piece);
        large.file.write_all(piece).context("write an object")?;
        if is_last {
            let size = large.hasher.size();
            self.objects.end(large.hasher.finish(), &large.file, size)?;
        } else {
            self.large = Some(large);
        }
        Ok(())
    }

    fn chunk_end(&mut self) -> Result<()> {
        self.flush()
    }
}

fn dead() -> anyhow::Error {
    anyhow!("another thread of the floor failed")
}
