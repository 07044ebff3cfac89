//! One layer, from its stream in the store to a blob without a name.
//!
//! Two threads: one puts the tar together again and hashes it, the other makes the blob, hashes that, and writes it. The
//! blob is handed out only when the tar's digest is the layer's diff_id: what the store has is not believed either.

use std::{collections::BTreeMap, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use sealstone_store::{
    Control, Error as StoreError, Repository,
    control::{Task, Unit, Work},
    disk::Dir,
    splitstream::SplitStreamReader,
};

use super::{BlobFormat, BlobSink, spool::Spool};
use crate::{
    DiffId, Digest, DigestAlgorithm, DigestHasher,
    error::{ImportError, Result},
    pipeline::StoredTar,
    source::fill,
    streams::{LAYER, layer_stream},
};

/// Bytes of the tar in one piece, and of the blob in one write.
const PIECE: usize = 256 << 10;

/// How many pieces may wait for the compressor.
const WAITING: usize = 4;

/// A blob, complete, in a file without a name.
pub(crate) struct Packed {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// What its descriptor has to say.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Bytes of the tar.
    pub(crate) tar_bytes: u64,
    pub(crate) spool: Spool,
}

/// Makes the blob of a layer, in a file on the file system of `scratch`.
pub(crate) fn pack(
    repository: &Repository,
    diff_id: &DiffId,
    format: BlobFormat,
    algorithm: DigestAlgorithm,
    scratch: &Dir,
    control: &Control,
) -> Result<Packed> {
    let map = repository.map_object(&repository.stream(&layer_stream(diff_id)?)?)?;
    let reader = SplitStreamReader::new(&map, repository.algorithm())?;
    if reader.content_type() != LAYER {
        let reason = "it is of another type";
        return Err(StoreError::corrupt(format!("stream of layer {diff_id}"), reason).into());
    }
    let total = Some(reader.stream_size());
    let task = control.start(Work::ExportLayer, diff_id.to_string(), total, Unit::Bytes);
    let mut tar = StoredTar::new(repository, reader);
    let (send, receive) = bounded(WAITING);
    let (give_back, spare) = bounded(WAITING + 2);
    thread::scope(|scope| {
        let reading = scope.spawn(|| read(&mut tar, diff_id, send, &spare, task, control));
        let made = write(receive, &give_back, format, algorithm, scratch);
        drop(give_back);
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Why the tar ended early comes before what became of what there was of it.
        match (made, read) {
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(packed), Ok(tar_bytes)) => Ok(Packed { tar_bytes, ..packed }),
        }
    })
}

/// Passes the tar on to its end, and compares its digest. Gives its size.
fn read(
    tar: &mut StoredTar<'_>,
    diff_id: &DiffId,
    pieces: Sender<Vec<u8>>,
    spare: &Receiver<Vec<u8>>,
    mut task: Task,
    control: &Control,
) -> Result<u64> {
    let mut hasher = DigestHasher::new(diff_id.digest().algorithm());
    let mut size = 0;
    loop {
        control.check()?;
        let mut piece = spare.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let count = fill(tar, &mut piece)?;
        piece.truncate(count);
        if count == 0 {
            break;
        }
        hasher.update(&piece);
        size += count as u64;
        task.advance(count as u64);
        if pieces.send(piece).is_err() {
            return Ok(size); // the writer has failed, and says why
        }
    }
    drop(pieces); // so that the writer ends
    let digest = hasher.finish();
    if digest != *diff_id.digest() {
        let reason = format!("the tar made of it has the digest {digest}");
        return Err(StoreError::corrupt(format!("layer {diff_id}"), reason).into());
    }
    task.finish();
    Ok(size)
}

fn write(
    pieces: Receiver<Vec<u8>>,
    give_back: &Sender<Vec<u8>>,
    format: BlobFormat,
    algorithm: DigestAlgorithm,
    scratch: &Dir,
) -> Result<Packed> {
    let spool = Spool::create(scratch)?;
    let mut blob =
        SpooledBlob { spool: &spool, hasher: DigestHasher::new(algorithm), size: 0, buffer: Vec::new() };
    let mut writer = format.writer()?;
    for piece in pieces {
        writer.write(&piece, &mut blob)?;
        // The reader has as many as it wants: then this one is dropped.
        let _ = give_back.try_send(piece);
    }
    let annotations = writer.finish(&mut blob)?;
    blob.flush()?;
    let (digest, size) = (blob.hasher.finish(), blob.size);
    Ok(Packed { digest, size, annotations, tar_bytes: 0, spool })
}

/// A blob while it is written.
struct SpooledBlob<'a> {
    spool: &'a Spool,
    hasher: DigestHasher,
    /// What is in the file.
    size: u64,
    buffer: Vec<u8>,
}

impl SpooledBlob<'_> {
    fn flush(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        self.spool.file().write_all_at(self.size, &self.buffer)?;
        self.size += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl BlobSink for SpooledBlob<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }
}

/// Reads a file back and says whether it has this digest.
pub(crate) fn has_digest(
    file: &sealstone_store::disk::File,
    digest: &Digest,
    size: u64,
    control: &Control,
) -> Result<bool> {
    if file.metadata()?.size != size {
        return Ok(false);
    }
    let mut hasher = DigestHasher::new(digest.algorithm());
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    loop {
        control.check().map_err(ImportError::from)?;
        let count = file.read_at(at, &mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish() == *digest);
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
}
