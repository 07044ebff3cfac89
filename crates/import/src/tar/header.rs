//! From a header block, and the extended headers before it, to an [`Entry`].
//!
//! Precedence, as in Go's `archive/tar`: GNU long names, then PAX records, then the header's own fields. GNU tar has PAX
//! first; honest tars do not have both.

use super::block::{Header, until_nul};
use super::pax::{Pax, SparseFormat, owner};
use super::sparse::{TextMap, read_descriptors};
use super::{Device, Entry, Kind, Normalisation, Reason, Strictness, Warning, Warnings, normalise};
use crate::Limits;
use sealstone_store::tree::{Metadata, Timestamp};

/// Extended headers that wait for their entry.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) pax: Pax,
    pub(super) has_pax: bool,
    /// GNU `L`.
    pub(super) long_name: Option<Vec<u8>>,
    /// GNU `K`.
    pub(super) long_link: Option<Vec<u8>>,
}

impl Pending {
    pub(super) const fn is_empty(&self) -> bool {
        !self.has_pax && self.long_name.is_none() && self.long_link.is_none()
    }

    pub(super) fn clear(&mut self) {
        if self.has_pax {
            self.pax.clear();
        }
        self.has_pax = false;
        self.long_name = None;
        self.long_link = None;
    }
}

/// What follows an entry's header.
pub(super) enum Follows {
    /// The packed body, perhaps empty.
    Body,
    /// Blocks with more sparse descriptors, then the body.
    SparseBlocks,
    /// A sparse map of format 1.0 at the beginning of the body.
    SparseText(TextMap),
}

/// Parses one entry, reusing the entry's buffers.
pub(super) struct Parser<'a> {
    pub(super) header: Header<'a>,
    pub(super) pending: &'a mut Pending,
    pub(super) entry: &'a mut Entry,
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) warnings: &'a mut Warnings,
    pub(super) limits: &'a Limits,
    pub(super) strictness: Strictness,
}

impl Parser<'_> {
    pub(super) fn parse(mut self) -> Result<Follows, Reason> {
        self.entry.sparse.clear();
        self.entry.is_sparse = false;
        self.entry.xattrs.clear();
        let ends_with_slash = self.path()?;
        self.entry.kind = self.kind(ends_with_slash)?;
        self.entry.metadata = self.metadata()?;
        self.link_target()?;
        self.size()?;
        let follows = self.sparse()?;
        if self.pending.has_pax {
            std::mem::swap(&mut self.entry.xattrs, &mut self.pending.pax.xattrs);
        }
        self.tell(ends_with_slash);
        Ok(follows)
    }

    /// Notes what the entry has of another spelling; its path's is noted where the path is read.
    fn tell(&mut self, ends_with_slash: bool) {
        let typeflag = self.header.typeflag();
        let is_file = self.entry.kind == Kind::File;
        for (is_so, what) in [
            (is_file && ends_with_slash, Normalisation::FileSlash),
            (typeflag == 0 && self.entry.kind == Kind::Directory, Normalisation::OldDirectory),
            (typeflag == b'7', Normalisation::Contiguous),
            (self.entry.is_sparse, Normalisation::Sparse),
            (self.header.mode().is_some_and(|mode| mode & !0o7777 != 0), Normalisation::Mode),
            (self.pending.has_pax && self.pending.pax.has_decoded_xattr, Normalisation::LibarchiveXattr),
        ] {
            if is_so {
                self.warnings.note(what, &self.entry.path);
            }
        }
    }

    /// Sets the path and says whether it ended with a slash.
    fn path(&mut self) -> Result<bool, Reason> {
        let pax = if self.pending.has_pax { self.pending.pax.path() } else { &[] };
        let gnu = self.pending.long_name.as_deref().map(until_nul).unwrap_or_default();
        let prefix = self.header.prefix();
        let raw = match (pax, gnu) {
            (_, [_, ..]) => gnu,
            ([_, ..], []) => pax,
            ([], []) if prefix.is_empty() => self.header.name(),
            ([], []) => {
                self.scratch.clear();
                self.scratch.extend_from_slice(prefix);
                self.scratch.push(b'/');
                self.scratch.extend_from_slice(self.header.name());
                self.scratch.as_slice()
            }
        };
        if let Some(spelling) = &mut self.entry.spelling {
            raw.clone_into(&mut spelling.path);
        }
        let ends_with_slash = raw.ends_with(b"/");
        let is_conflict = !pax.is_empty() && !gnu.is_empty() && pax != gnu;
        if normalise("path", raw, &mut self.entry.path, self.limits, self.strictness)? {
            self.warnings.add(Warning::ParentInPath { path: self.entry.path.as_slice().into() })?;
        }
        // A slash at the end is how directories are written. Taken away or not, what is left has lost nothing else.
        let bare = raw.strip_suffix(b"/").unwrap_or(raw);
        if bare.len() != self.entry.path.len() && !self.entry.path.is_empty() {
            self.warnings.note(Normalisation::Path, &self.entry.path);
        }
        if is_conflict {
            self.warnings.add(Warning::ConflictingNames { path: self.entry.path.as_slice().into() })?;
        }
        Ok(ends_with_slash)
    }

    fn kind(&self, ends_with_slash: bool) -> Result<Kind, Reason> {
        let device = || {
            let (major, minor) = self.header.device().ok_or(Reason::Number("device number"))?;
            Device::new(major, minor).ok_or(Reason::Number("device number"))
        };
        Ok(match self.header.typeflag() {
            // The first tars had no type for directories.
            0 if ends_with_slash => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice(device()?),
            b'4' => Kind::BlockDevice(device()?),
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(Reason::Type(other)),
        })
    }

    fn metadata(&self) -> Result<Metadata, Reason> {
        let pax = self.pending.has_pax.then_some(&self.pending.pax);
        let header = self.header;
        let mode = header.mode().ok_or(Reason::Number("mode"))?;
        let uid = pax.and_then(|pax| pax.uid).or_else(|| owner(header.uid()?));
        let gid = pax.and_then(|pax| pax.gid).or_else(|| owner(header.gid()?));
        let mtime = pax.and_then(|pax| pax.mtime);
        Ok(Metadata {
            // What else is set are the file type's bits, which the type flag says better.
            mode: u16::try_from(mode & 0o7777).unwrap_or(0),
            uid: uid.ok_or(Reason::Number("uid"))?,
            gid: gid.ok_or(Reason::Number("gid"))?,
            mtime: match mtime {
                Some(mtime) => mtime,
                None => Timestamp { sec: header.mtime().ok_or(Reason::Number("mtime"))?, nsec: 0 },
            },
        })
    }

    fn link_target(&mut self) -> Result<(), Reason> {
        self.entry.link_target.clear();
        if let Some(spelling) = &mut self.entry.spelling {
            spelling.link_target.clear();
        }
        if !matches!(self.entry.kind, Kind::Symlink | Kind::Hardlink) {
            return Ok(());
        }
        let pax = if self.pending.has_pax { self.pending.pax.link_path() } else { &[] };
        let gnu = self.pending.long_link.as_deref().map(until_nul).unwrap_or_default();
        let raw = match (pax, gnu) {
            (_, [_, ..]) => gnu,
            ([_, ..], []) => pax,
            ([], []) => self.header.link_name(),
        };
        if let Some(spelling) = &mut self.entry.spelling {
            raw.clone_into(&mut spelling.link_target);
        }
        if !pax.is_empty() && !gnu.is_empty() && pax != gnu {
            self.warnings.add(Warning::ConflictingNames { path: self.entry.path.as_slice().into() })?;
        }
        if self.entry.kind == Kind::Hardlink {
            let what = "hardlink target";
            if normalise(what, raw, &mut self.entry.link_target, self.limits, self.strictness)? {
                self.warnings.add(Warning::ParentInPath { path: self.entry.path.as_slice().into() })?;
            }
            return Ok(());
        }
        if raw.is_empty() || raw.contains(&0) {
            return Err(Reason::Name { what: "symlink target", problem: "is empty or holds a NUL byte" });
        }
        if raw.len() > self.limits.symlink_bytes {
            let limit = self.limits.symlink_bytes as u64;
            return Err(Reason::TooBig { what: "bytes in a symlink target", limit });
        }
        self.entry.link_target.extend_from_slice(raw);
        Ok(())
    }

    fn size(&mut self) -> Result<(), Reason> {
        let header =
            self.header.size().and_then(|size| u64::try_from(size).ok()).ok_or(Reason::Number("size"))?;
        let pax = if self.pending.has_pax { self.pending.pax.size } else { None };
        let mut size = pax.unwrap_or(header);
        if self.entry.kind != Kind::File && size != 0 {
            // Taken as having a body, the entry could hide the next header from us but not from Go and GNU tar.
            self.warnings.add(Warning::SizeIgnored { path: self.entry.path.as_slice().into() })?;
            size = 0;
        }
        self.check_size(size)?;
        self.entry.size = size;
        self.entry.packed_size = size;
        Ok(())
    }

    fn sparse(&mut self) -> Result<Follows, Reason> {
        let format = if self.pending.has_pax { self.pending.pax.sparse.format()? } else { None };
        if self.header.typeflag() == b'S' {
            return if format.is_some() {
                Err(Reason::Sparse("there are two maps"))
            } else {
                self.gnu_sparse()
            };
        }
        let Some(format) = format else { return Ok(Follows::Body) };
        if self.entry.kind != Kind::File {
            return Err(Reason::Sparse("it belongs to an entry that is no file"));
        }
        self.entry.is_sparse = true;
        let (SparseFormat::InRecords { size } | SparseFormat::InBody { size }) = format;
        self.entry.size = size.unwrap_or(self.entry.packed_size);
        self.check_size(self.entry.size)?;
        if matches!(format, SparseFormat::InBody { .. }) {
            return Ok(Follows::SparseText(TextMap::default()));
        }
        self.entry.sparse = self.pending.pax.sparse.take_map()?;
        self.entry.sparse.complete(self.entry.size, self.entry.packed_size)?;
        Ok(Follows::Body)
    }

    fn gnu_sparse(&mut self) -> Result<Follows, Reason> {
        // Star has a type "S" with another layout.
        if self.header.format() != super::block::Format::Gnu {
            return Err(Reason::Type(b'S'));
        }
        let size = self.header.real_size().and_then(|size| u64::try_from(size).ok());
        self.entry.size = size.ok_or(Reason::Number("real size"))?;
        self.entry.is_sparse = true;
        self.check_size(self.entry.size)?;
        let descriptors = self.header.sparse_descriptors();
        read_descriptors(descriptors, &mut self.entry.sparse, self.limits.sparse_segments)?;
        if self.header.has_more_descriptors() {
            return Ok(Follows::SparseBlocks);
        }
        self.entry.sparse.complete(self.entry.size, self.entry.packed_size)?;
        Ok(Follows::Body)
    }

    fn check_size(&self, size: u64) -> Result<(), Reason> {
        if size > self.limits.file_bytes {
            return Err(Reason::TooBig { what: "bytes in a file", limit: self.limits.file_bytes });
        }
        Ok(())
    }
}
