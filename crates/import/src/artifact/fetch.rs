//! [`fetch_artifact`]: a body on its way: read and hashed on one thread, unpacked and written on another.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use sealstone_store::{
    Control,
    control::{Task, Unit, Work},
};

use super::{Artifact, ArtifactOutput};
use crate::{
    Digest, DigestHasher, Limits,
    decompress::{Compression, DecodeError, DecodeLimits, Decoder, WindowGate},
    error::{ImportError, Result},
    oci::Descriptor,
    source::{Blob, Source, fill},
};

/// Bytes read at a time, and made at a time.
const PIECE: usize = 256 << 10;

/// Pieces that may wait.
const WAITING: usize = 8;

/// How an artifact is fetched. Start from [`FetchOptions::default`] and change what you must.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FetchOptions {
    /// Writes the blob as it lies, packed or not.
    pub keep_packed: bool,
    /// The bounds: of the file's bytes ([`Limits::file_bytes`]) and of a zstd window. There is none on how many times
    /// its blob a file may be: an empty disk is zeros.
    pub limits: Limits,
}

impl FetchOptions {
    /// How the artifact has to be unpacked.
    #[must_use]
    pub fn unpacks(&self, artifact: &Artifact) -> Compression {
        if self.keep_packed { Compression::None } else { artifact.compression() }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Bytes of the blob that were read from the source.
    pub read_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Of these, those that an earlier try had left.
    pub resumed_bytes: u64,
}

/// Fetches an artifact's file into `output`.
///
/// # Errors
/// The source's faults; [`ImportError::is_untrusted`] ones when the bytes are not what was promised, and then `output` has
/// discarded them; otherwise what a later try can use stays.
pub fn fetch_artifact(
    source: &dyn Source,
    artifact: &Artifact,
    output: &mut dyn ArtifactOutput,
    options: &FetchOptions,
    control: &Control,
) -> Result<Fetched> {
    let packed = options.unpacks(artifact);
    let mut may_resume = packed == Compression::None;
    loop {
        let attempt = Attempt { source, artifact, options, packed, control };
        let (resumed, result) = attempt.run(output, may_resume).unwrap_or_else(|error| (0, Err(error)));
        match result {
            Ok(file_bytes) => {
                output.finish()?;
                let read_bytes = artifact.body.size() - resumed;
                return Ok(Fetched { read_bytes, file_bytes: file_bytes + resumed, resumed_bytes: resumed });
            }
            // What an earlier try left may be what a power cut made of it.
            Err(error) if error.is_untrusted() && resumed > 0 => {
                output.restart()?;
                may_resume = false;
            }
            Err(error) => {
                if error.is_untrusted() || packed != Compression::None {
                    output.discard();
                } else {
                    output.keep();
                }
                return Err(error);
            }
        }
    }
}

/// One try.
struct Attempt<'a> {
    source: &'a dyn Source,
    artifact: &'a Artifact,
    options: &'a FetchOptions,
    packed: Compression,
    control: &'a Control,
}

impl Attempt<'_> {
    /// Gives how many bytes were there, and how many were written, or what is wrong with them.
    fn run(&self, output: &mut dyn ArtifactOutput, may_resume: bool) -> Result<(u64, Result<u64>)> {
        let body = &self.artifact.body;
        let name = format!("file {}", body.digest());
        let mut hasher = DigestHasher::new(body.digest().algorithm());
        let mut resumed = if may_resume { output.resume(&mut hasher)? } else { 0 };
        let mut blob = match resumed {
            0 => Some(self.source.open_blob(body)?),
            some if some < body.size() => self.source.open_range(body, some, body.size() - some)?,
            _ => None,
        };
        if blob.is_none() && resumed != body.size() {
            output.restart()?;
            (resumed, hasher) = (0, DigestHasher::new(body.digest().algorithm()));
            blob = Some(self.source.open_blob(body)?);
        }
        let unpacking = Unpacking::new(self.packed, self.options, &name);
        let digest = body.digest().to_string();
        let mut task = self.control.start(Work::FetchArtifact, digest, Some(body.size()), Unit::Bytes);
        task.advance(resumed);
        let reading = Reading { body, name: &name, control: self.control, at: resumed };
        let result = stream(reading, blob, hasher, unpacking, output, &mut task);
        if result.is_ok() {
            task.finish();
        }
        Ok((resumed, result))
    }
}

/// Brings the blob through; gives how many bytes were written.
fn stream(
    reading: Reading<'_>,
    blob: Option<Box<dyn Blob + '_>>,
    hasher: DigestHasher,
    mut unpacking: Unpacking<'_>,
    output: &mut dyn ArtifactOutput,
    task: &mut Task,
) -> Result<u64> {
    let (full, arriving) = bounded(WAITING);
    let (emptied, spare) = bounded(WAITING + 2);
    let (read, written) = thread::scope(|scope| {
        let reader = scope.spawn(move || reading.run(blob, hasher, &full, &spare, task));
        let written = unpacking.run(&arriving, &emptied, output);
        // Whoever still reads finds nobody listening, unless the bytes alone are at fault.
        drop(arriving);
        (reader.join(), written)
    });
    let read = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match (read, written) {
        // A damaged blob is told as one, and not by what its damage breaks.
        (Err(error), Ok(_)) => Err(error),
        (Err(error), Err(_)) if error.is_untrusted() => Err(error),
        (_, written) => written,
    }
}

/// What is read.
struct Reading<'a> {
    body: &'a Descriptor,
    name: &'a str,
    control: &'a Control,
    at: u64,
}

impl Reading<'_> {
    /// Reads and hashes to the end.
    fn run(
        self,
        blob: Option<Box<dyn Blob + '_>>,
        mut hasher: DigestHasher,
        full: &Sender<Vec<u8>>,
        spare: &Receiver<Vec<u8>>,
        task: &mut Task,
    ) -> Result<()> {
        let mut size = self.at;
        if let Some(mut blob) = blob {
            loop {
                self.control.check()?;
                let mut buffer = spare.try_recv().unwrap_or_default();
                buffer.resize(PIECE, 0);
                let count = fill(&mut *blob, &mut buffer)?;
                buffer.truncate(count);
                size += count as u64;
                if size > self.body.size() || count == 0 {
                    break;
                }
                hasher.update(&buffer);
                task.advance(count as u64);
                if full.send(buffer).is_err() {
                    return Err(ImportError::Cancelled);
                }
            }
        }
        if size != self.body.size() {
            let (what, expected) = (self.name.to_owned(), self.body.size());
            return Err(ImportError::Size { what, expected, actual: size });
        }
        check_digest(self.name, self.body.digest(), hasher)
    }
}

fn check_digest(name: &str, expected: &Digest, hasher: DigestHasher) -> Result<()> {
    let actual = hasher.finish();
    if actual == *expected { Ok(()) } else { Err(ImportError::digest(name, expected, &actual)) }
}

/// What becomes of the bytes.
struct Unpacking<'a> {
    decoder: Decoder,
    packed: Compression,
    limit: u64,
    name: &'a str,
    made: u64,
}

impl<'a> Unpacking<'a> {
    fn new(packed: Compression, options: &FetchOptions, name: &'a str) -> Self {
        let limit = options.limits.file_bytes;
        let limits = DecodeLimits {
            output_bytes: limit,
            ratio: u64::MAX,
            ratio_after: u64::MAX,
            window_bytes: options.limits.zstd_window_bytes,
        };
        let decoder = match packed {
            Compression::None => Decoder::plain(limits),
            _ => Decoder::new(limits, WindowGate::default()),
        };
        Self { decoder, packed, limit, name, made: 0 }
    }

    /// Unpacks and writes all that arrives. After bytes that cannot be unpacked the rest is let through unseen: whether the
    /// blob is damaged is known at its end.
    fn run(
        &mut self,
        arriving: &Receiver<Vec<u8>>,
        emptied: &Sender<Vec<u8>>,
        output: &mut dyn ArtifactOutput,
    ) -> Result<u64> {
        let mut room = vec![0; PIECE];
        let mut fault = None;
        for bytes in arriving {
            if fault.is_none()
                && let Err(error) = self.take(&bytes, &mut room, output)?
            {
                fault = Some(error);
            }
            let _ = emptied.try_send(bytes);
        }
        if fault.is_none() {
            fault = self.end(&mut room, output)?.err();
        }
        match fault {
            None => Ok(self.made),
            Some(Fault::Decode(source)) => Err(ImportError::Decode { what: self.name.to_owned(), source }),
            Some(Fault::Other(found)) => {
                let (stated, found) = (self.packed.name(), found.name());
                let reason = format!("its media type says {stated}, and its bytes are {found}");
                Err(ImportError::malformed(self.name, reason))
            }
        }
    }

    fn take(
        &mut self,
        mut bytes: &[u8],
        room: &mut [u8],
        output: &mut dyn ArtifactOutput,
    ) -> Result<Result<(), Fault>> {
        if self.packed == Compression::None {
            self.made += bytes.len() as u64;
            if self.made > self.limit {
                return Ok(Err(Fault::Decode(DecodeError::TooLong(self.limit))));
            }
            return output.write(bytes).map(Ok);
        }
        while !bytes.is_empty() {
            let step = match self.decoder.step(bytes, room) {
                Ok(step) => step,
                Err(error) => return Ok(Err(Fault::Decode(error))),
            };
            if let Some(found) = self.decoder.compression().filter(|found| *found != self.packed) {
                return Ok(Err(Fault::Other(found)));
            }
            bytes = bytes.get(step.consumed..).unwrap_or_default();
            self.write(room, step.produced, output)?;
        }
        Ok(Ok(()))
    }

    /// What the decoder still holds comes out.
    fn end(&mut self, room: &mut [u8], output: &mut dyn ArtifactOutput) -> Result<Result<(), Fault>> {
        if self.packed == Compression::None {
            return Ok(Ok(()));
        }
        loop {
            match self.decoder.step(&[], room) {
                Ok(step) if step.produced == 0 => break,
                Ok(step) => self.write(room, step.produced, output)?,
                Err(error) => return Ok(Err(Fault::Decode(error))),
            }
        }
        Ok(self.decoder.finish().map_err(Fault::Decode))
    }

    fn write(&mut self, room: &[u8], count: usize, output: &mut dyn ArtifactOutput) -> Result<()> {
        self.made += count as u64;
        output.write(room.get(..count).unwrap_or_default())
    }
}

/// Why bytes cannot be unpacked.
enum Fault {
    Decode(DecodeError),
    /// They are packed in another way than was said.
    Other(Compression),
}
