//! A layer's tar, put together again: its headers from the tar-split, its bodies from the layer's folder.
//!
//! Owners, modes and attributes of the files in the folder do not matter, nor do the whiteouts of the driver: all of that
//! is in the headers. What comes out is believed by nobody before its digest is the layer's diff_id.
//!
//! Invariant: a name leads to a file below the layer's folder or to an error: symlinks on its way, which a tar may write
//! through, are taken as if the folder were the root (openat2(2), `RESOLVE_IN_ROOT`).

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use sealstone_store::disk::{Access, Dir, File, FileType, Resolve};

use crate::{
    Limits,
    error::{ImportError, Result},
    source::{Blob, files::FileBlob},
    tar::{Strictness, normalise},
    tar_split::{Piece, TarSplitReader},
};

/// The tar of one layer.
pub(super) struct RebuiltTar {
    pieces: TarSplitReader<'static>,
    files: Dir,
    limits: Limits,
    now: Part,
    /// The raw bytes that are being handed out.
    raw: Vec<u8>,
}

/// What is being handed out.
enum Part {
    /// `raw`, from here on.
    Raw(usize),
    Body {
        blob: FileBlob<File>,
        left: u64,
        path: String,
    },
}

impl RebuiltTar {
    pub(super) fn new(pieces: TarSplitReader<'static>, files: Dir, limits: Limits) -> Self {
        Self { pieces, files, limits, now: Part::Raw(0), raw: Vec::new() }
    }

    fn place(&self) -> String {
        self.files.label().display().to_string()
    }

    /// Goes on to the next piece; says whether there was one.
    fn next(&mut self) -> Result<bool> {
        self.now = match self.pieces.next_piece()? {
            None => return Ok(false),
            Some(Piece::Raw(bytes)) => {
                self.raw.clear();
                self.raw.extend_from_slice(bytes);
                Part::Raw(0)
            }
            Some(Piece::File { size: 0, .. }) => {
                self.raw.clear();
                Part::Raw(0)
            }
            Some(Piece::File { name, size }) => {
                let mut path = Vec::new();
                let shown = String::from_utf8_lossy(name).into_owned();
                if let Err(reason) = normalise("path", name, &mut path, &self.limits, Strictness::Normal) {
                    return Err(ImportError::malformed(
                        format!("{shown:?} in {}", self.place()),
                        reason.to_string(),
                    ));
                }
                let blob = FileBlob::whole(self.open(&path, &shown)?);
                Part::Body { blob, left: size, path: shown }
            }
        };
        Ok(true)
    }

    fn open(&self, path: &[u8], shown: &str) -> Result<File> {
        let file = match self.files.open_file_with(OsStr::from_bytes(path), Access::Read, Resolve::InRoot) {
            Ok(file) => file,
            Err(error) if error.is_missing() => {
                return Err(ImportError::Missing { what: format!("file {shown}"), place: self.place() });
            }
            Err(error) => return Err(error.into()),
        };
        match file.metadata()?.kind {
            FileType::File => Ok(file),
            _ => Err(ImportError::malformed(format!("{}/{shown}", self.place()), "it is not a regular file")),
        }
    }
}

impl Blob for RebuiltTar {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let count = match &mut self.now {
                Part::Raw(given) => {
                    let mut rest = self.raw.get(*given..).unwrap_or_default();
                    let count = rest.read(buffer)?;
                    *given += count;
                    count
                }
                Part::Body { blob, left, path } => {
                    let room = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                    let count = blob.read(buffer.get_mut(..room).unwrap_or_default())?;
                    if count == 0 && *left > 0 && !buffer.is_empty() {
                        let what = format!("{}/{path}", self.files.label().display());
                        return Err(ImportError::malformed(what, format!("it lacks its last {left} bytes")));
                    }
                    *left -= count as u64;
                    count
                }
            };
            if count > 0 || buffer.is_empty() || !self.next()? {
                return Ok(count);
            }
        }
    }
}
