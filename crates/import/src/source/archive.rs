//! A tar of an OCI layout: `oci-archive:FILE`.
//!
//! The file is indexed by offsets, header by header, and read in place: nothing is unpacked, nothing copied. So it has
//! to be seekable and uncompressed. The headers are read by the layers' own tar reader, and refused by its rules.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use sealstone_store::disk::{Disk, File};

use super::{
    Blob, Choice, Source,
    layout::{MARKER_LIMIT, blob_path, check_marker},
    select::select,
};
use crate::{
    Limits,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Descriptor, Index},
    tar::{Item, Kind, Reader, Strictness},
};

/// How much is read to find one header, in bytes: a block and its PAX records, mostly.
const WINDOW: usize = 2048;

/// The longest path of a file in a layout, in bytes: a blob's with its SHA-512. Others are passed over, so that an
/// archive of long names takes no memory.
const LONGEST_MEMBER: usize = "blobs/sha512/".len() + 128;

/// A seekable tar with `oci-layout`, `index.json` and `blobs/`.
pub struct OciArchive {
    file: File,
    choice: Choice,
    /// Where each regular file's body is: offset and size, by path.
    members: HashMap<Vec<u8>, Span>,
}

#[derive(Clone, Copy)]
struct Span {
    offset: u64,
    len: u64,
}

impl OciArchive {
    /// Opens the archive and indexes it, reading headers only.
    ///
    /// # Errors
    /// When it is no tar of a layout, is compressed, or has one file twice.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, choice: Choice, limits: &Limits) -> Result<Self> {
        let place = path.display().to_string();
        if path.file_name().is_none() {
            let reason = "it names no file".to_owned();
            return Err(ImportError::Reference { text: format!("oci-archive:{place}"), reason });
        }
        let file = File::open(disk, path)?;
        let members = index(&file, &place, limits)?;
        let archive = Self { file, choice, members };
        check_marker(&archive.read_member("oci-layout", MARKER_LIMIT)?, &place)?;
        Ok(archive)
    }

    fn member(&self, path: &str) -> Result<Span> {
        let missing = || ImportError::Missing { what: format!("file {path}"), place: self.label() };
        self.members.get(path.as_bytes()).copied().ok_or_else(missing)
    }

    fn read_member(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let span = self.member(path)?;
        if span.len > limit {
            let what = format!("{path} of {} ({} bytes)", self.label(), span.len);
            return Err(ImportError::TooBig { what, limit });
        }
        let mut bytes = vec![0; usize::try_from(span.len).unwrap_or_default()];
        self.file.read_exact_at(span.offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// Walks the headers.
fn index(file: &File, place: &str, limits: &Limits) -> Result<HashMap<Vec<u8>, Span>> {
    let malformed = |reason: String| ImportError::malformed(format!("archive {place}"), reason);
    let size = file.metadata()?.size;
    let mut members = HashMap::new();
    let mut window = vec![0; WINDOW];
    let mut reader = Reader::new(limits.clone(), Strictness::default());
    let mut at = 0;
    while at < size {
        let count = file.read_at(at, &mut window)?;
        let mut input = window.get(..count).unwrap_or_default();
        if at == 0 && Compression::detect(input) != Ok(Compression::None) {
            let reason = "it is compressed: only a plain, seekable tar is read";
            return Err(ImportError::unsupported(format!("archive {place}"), reason));
        }
        if count == 0 {
            break;
        }
        // One step up to an entry or the end of the window; a body is stepped over, never read.
        let item = reader.next(&mut input).map_err(|refusal| malformed(refusal.to_string()))?.item;
        at += (count - input.len()) as u64;
        if item == Item::Entry {
            if members.len() >= limits.archive_entries {
                let what = format!("number of entries in archive {place}");
                return Err(ImportError::TooBig { what, limit: limits.archive_entries as u64 });
            }
            let entry = reader.entry();
            let path = entry.path().to_vec();
            let is_member =
                entry.kind() == Kind::File && entry.sparse().is_none() && path.len() <= LONGEST_MEMBER;
            let span = Span { offset: at, len: reader.skip_body() };
            at = at.saturating_add(span.len);
            if is_member && members.insert(path, span).is_some() {
                return Err(malformed("it has one file twice".to_owned()));
            }
        }
    }
    if at > size {
        return Err(malformed("it ends in the middle of a file".to_owned()));
    }
    reader.finish().map_err(|refusal| malformed(refusal.to_string()))?;
    Ok(members)
}

impl fmt::Debug for OciArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciArchive")
            .field("file", &self.file.label())
            .field("choice", &self.choice)
            .field("members", &self.members.len())
            .finish()
    }
}

impl Source for OciArchive {
    fn label(&self) -> String {
        format!("oci-archive:{}", self.file.label().display())
    }

    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>> {
        let bytes = self.read_member("index.json", limits.document_bytes)?;
        let place = self.label();
        let index = Index::parse(&bytes)
            .map_err(|reason| ImportError::malformed(format!("index.json of {place}"), reason))?;
        select(index, &self.choice, &place)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        let span = self.member(&blob_path(descriptor.digest()))?;
        Ok(Box::new(MemberBlob { file: &self.file, at: span.offset, left: span.len }))
    }
}

/// A blob within the archive.
struct MemberBlob<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Blob for MemberBlob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_at(self.at, buffer.get_mut(..want).unwrap_or_default())?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
