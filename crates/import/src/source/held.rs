//! A file that a reference names, made seekable and plain: in place, or by a copy.
//!
//! A plain file is read where it lies. What is compressed, or comes from the standard input, is unpacked into a temporary
//! file of the repository, bounded by [`Limits::copy_bytes`](crate::Limits::copy_bytes).

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use sealstone_store::{
    Error as StoreError, Scratch,
    control::{Unit, Work},
    disk::{File, FileType},
};

use super::{Blob, Opening, Unpacked, files::FileBlob, reference::STANDARD_INPUT};
use crate::{
    decompress::{Compression, DecodeLimits},
    error::{ImportError, Result},
    source::fill,
};

/// How much is written at a time, in bytes.
const STEP: usize = 256 << 10;

/// The standard input's name in messages.
const INPUT: &str = "the standard input";

/// A plain file that can be read in any order.
pub(super) enum Held {
    /// The user's own.
    InPlace(File),
    /// An unpacked copy.
    Copied(Scratch),
}

impl Held {
    pub(super) fn file(&self) -> &File {
        match self {
            Self::InPlace(file) => file,
            Self::Copied(scratch) => scratch.file(),
        }
    }

    /// Opens the file at `path`, or the standard input.
    pub(super) fn open(path: &Path, mut opening: Opening<'_>) -> Result<Self> {
        if path.as_os_str() == STANDARD_INPUT {
            let input = opening
                .input
                .take()
                .ok_or_else(|| ImportError::unsupported(INPUT, "the caller gives none to read from"))?;
            return copy(Box::new(Input(input)), INPUT, &opening);
        }
        let place = path.display().to_string();
        if path.file_name().is_none() {
            return Err(ImportError::Reference { text: place, reason: "it names no file".to_owned() });
        }
        let file = File::open(opening.disk, path)?;
        if file.metadata()?.kind != FileType::File {
            let reason = "it is no regular file; from a pipe, read the standard input: -";
            return Err(ImportError::unsupported(place, reason));
        }
        let mut start = [0; 6];
        let count = fill(&mut FileBlob::whole(&file), &mut start)?;
        match Compression::detect(start.get(..count).unwrap_or_default()) {
            Ok(Compression::None) => Ok(Self::InPlace(file)),
            Ok(_) => copy(Box::new(FileBlob::whole(file)), &place, &opening),
            Err(source) => Err(ImportError::Decode { what: place, source }),
        }
    }
}

/// Unpacks all of `from` into a temporary file.
fn copy(from: Box<dyn Blob>, what: &str, opening: &Opening<'_>) -> Result<Held> {
    let repository = opening.scratch.ok_or_else(|| {
        let reason = "it is compressed or no file, and there is no repository to copy it into";
        ImportError::unsupported(what, reason)
    })?;
    let limits = opening.limits;
    let scratch = repository.scratch()?;
    let mut task = opening.control.start(Work::CopyArchive, what, None, Unit::Bytes);
    let bounds = DecodeLimits { output_bytes: limits.copy_bytes, ..limits.into() };
    let mut plain = Unpacked::new(what, from, bounds);
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    loop {
        opening.control.check()?;
        let count = fill(&mut plain, &mut buffer)?;
        if count == 0 {
            break;
        }
        scratch.file().write_all_at(at, buffer.get(..count).unwrap_or_default())?;
        at += count as u64;
        task.advance(count as u64);
    }
    task.finish();
    Ok(Held::Copied(scratch))
}

/// The standard input, or whatever the caller gave for it.
struct Input(Box<dyn Read + Send>);

impl Blob for Input {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(StoreError::Io { op: "read", path: PathBuf::from(INPUT), source }.into());
                }
                Ok(count) => return Ok(count),
            }
        }
    }
}
