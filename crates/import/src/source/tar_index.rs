//! An archive's members, found by their headers and read in place: nothing is unpacked.
//!
//! The headers are read by the layers' own tar reader, and refused by its rules. Links between members are followed
//! inside the archive; paths never meet the file system.

use std::collections::HashMap;

use sealstone_store::disk::File;

use super::{files::FileBlob, held::Held};
use crate::{
    Limits,
    error::{ImportError, Result},
    tar::{Item, Kind, Reader, Strictness, normalise},
};

/// How much is read to find one header, in bytes: a block and its PAX records, mostly.
const WINDOW: usize = 2048;

/// The longest path of a member or of a link's target, in bytes; those of images have half of that. Others are passed over,
/// so that an archive of long names takes no memory.
const LONGEST_MEMBER: usize = 256;

/// An archive, indexed.
pub(super) struct TarIndex {
    held: Held,
    /// The archive's name in messages: `oci-archive:os.tar`.
    label: String,
    members: HashMap<Vec<u8>, Member>,
    links: usize,
}

enum Member {
    File(Span),
    /// The path of another member.
    Link(Vec<u8>),
}

/// Where a member's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl TarIndex {
    /// Walks the headers.
    ///
    /// # Errors
    /// When it is no tar, or has one file twice.
    pub(super) fn new(held: Held, label: String, limits: &Limits) -> Result<Self> {
        let mut index = Self { held, label, members: HashMap::new(), links: limits.symlinks_followed };
        let size = index.held.file().metadata()?.size;
        let mut window = vec![0; WINDOW];
        let mut reader = Reader::new(limits.clone(), Strictness::default());
        let mut at = 0;
        while at < size {
            let count = index.held.file().read_at(at, &mut window)?;
            let mut input = window.get(..count).unwrap_or_default();
            if count == 0 {
                break;
            }
            // One step up to an entry or the end of the window; a body is stepped over, never read.
            let item = reader.next(&mut input).map_err(|refusal| index.malformed(refusal.to_string()))?.item;
            at += (count - input.len()) as u64;
            if item == Item::Entry {
                at = index.add(&mut reader, at, limits)?;
            }
        }
        if at > size {
            return Err(index.malformed("it ends in the middle of a file"));
        }
        reader.finish().map_err(|refusal| index.malformed(refusal.to_string()))?;
        Ok(index)
    }

    /// Takes up the entry whose body begins at `offset`, and says where the body ends.
    fn add(&mut self, reader: &mut Reader, offset: u64, limits: &Limits) -> Result<u64> {
        if self.members.len() >= limits.archive_entries {
            let what = format!("number of entries in {}", self.label);
            return Err(ImportError::TooBig { what, limit: limits.archive_entries as u64 });
        }
        let entry = reader.entry();
        let path = entry.path().to_vec();
        let is_file = entry.kind() == Kind::File && entry.sparse().is_none();
        let target = match entry.kind() {
            Kind::Symlink => {
                let folder = path.iter().rposition(|byte| *byte == b'/').and_then(|end| path.get(..end));
                let target = entry.link_target();
                let folder = folder.filter(|_| !target.starts_with(b"/")).unwrap_or_default();
                Some([folder, b"/", target].concat())
            }
            Kind::Hardlink => Some(entry.link_target().to_vec()),
            _ => None,
        };
        let span = Span { offset, len: reader.skip_body() };
        let member = match target {
            None if !is_file => None,
            None => Some(Member::File(span)),
            Some(target) => {
                let mut normal = Vec::new();
                // A link that leads nowhere is no member.
                let normalised = normalise("link", &target, &mut normal, limits, Strictness::Lenient);
                (normalised.is_ok() && normal.len() <= LONGEST_MEMBER).then_some(Member::Link(normal))
            }
        };
        if let Some(member) = member
            && path.len() <= LONGEST_MEMBER
            && self.members.insert(path, member).is_some()
        {
            return Err(self.malformed("it has one file twice"));
        }
        Ok(offset.saturating_add(span.len))
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> ImportError {
        ImportError::malformed(self.label.clone(), reason)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.find(path.as_bytes()).is_some()
    }

    fn find(&self, path: &[u8]) -> Option<Span> {
        let mut path = path;
        for _ in 0..=self.links {
            match self.members.get(path)? {
                Member::File(span) => return Some(*span),
                Member::Link(target) => path = target,
            }
        }
        None
    }

    /// Where a member's body is; links are followed.
    pub(super) fn member(&self, path: &str) -> Result<Span> {
        let missing = || ImportError::Missing { what: format!("file {path}"), place: self.label.clone() };
        self.find(path.as_bytes()).ok_or_else(missing)
    }

    /// A member's bytes, at most `limit` of them.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let span = self.member(path)?;
        if span.len > limit {
            let what = format!("{path} of {} ({} bytes)", self.label, span.len);
            return Err(ImportError::TooBig { what, limit });
        }
        let mut bytes = vec![0; usize::try_from(span.len).unwrap_or_default()];
        self.held.file().read_exact_at(span.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Opens a member for reading.
    pub(super) fn open(&self, span: Span) -> FileBlob<&File> {
        FileBlob::part(self.held.file(), span.offset, span.len)
    }
}

impl std::fmt::Debug for TarIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarIndex")
            .field("label", &self.label)
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}
