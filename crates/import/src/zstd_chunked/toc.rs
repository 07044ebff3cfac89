//! [`Toc`]: a table of contents, as far as it is of use: which content lies where in the blob.
//!
//! Names, owners, modes and all else that makes a tree are not kept: the tree is made from the tar. The JSON is read as a
//! stream and bounded by the caller; what is kept is about 100 bytes a file and 25 a chunk. Invariant of what is handed
//! out: files and chunks lie in the blob in the table's order, before the table, and none overlaps another; a file's
//! chunks make its size.

use std::{collections::HashSet, fmt, hash::BuildHasher as _, io::Read};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::SKIPPABLE_HEADER;
use crate::{Digest, Limits};

/// A table of contents that was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    files: Vec<TocFile>,
    chunks: Vec<Chunk>,
    names: Vec<u8>,
    tar_split_digest: Option<Digest>,
}

/// A regular file that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TocFile {
    name: (usize, usize),
    chunks: (usize, usize),
    /// The SHA-256 of its content.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// Where its first frame begins in the blob.
    pub offset: u64,
    /// Where its last frame ends.
    pub end: u64,
}

/// A part of a file, in frames of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where its frames begin in the blob.
    pub offset: u64,
    /// Where they end.
    pub end: u64,
    /// Its bytes, unpacked.
    pub size: u64,
    /// All of those are zero: nothing has to be fetched.
    pub is_zeros: bool,
}

#[cfg(test)]
impl TocFile {
    /// One that lies there.
    pub(super) fn at(offset: u64, end: u64) -> Self {
        Self { name: (0, 0), chunks: (0, 0), digest: [0; 32], size: 1, offset, end }
    }
}

impl Toc {
    /// Reads a table of contents; `toc_offset` is where its payload lies in the blob: what it names has to lie before.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(json: impl Read, toc_offset: u64, limits: &Limits) -> Result<Self, String> {
        let mut builder = Builder::new(toc_offset.saturating_sub(SKIPPABLE_HEADER), limits);
        let mut deserializer = serde_json::Deserializer::from_reader(json);
        Document(&mut builder).deserialize(&mut deserializer).map_err(|error| error.to_string())?;
        deserializer.end().map_err(|error| error.to_string())?;
        builder.finish()
    }

    /// The files that are not empty, in the tar's order.
    #[must_use]
    pub fn files(&self) -> &[TocFile] {
        &self.files
    }

    /// The chunks of one of its files, at least one.
    #[must_use]
    pub fn chunks(&self, file: &TocFile) -> &[Chunk] {
        self.chunks.get(file.chunks.0..file.chunks.1).unwrap_or_default()
    }

    /// The name of one of its files, as the tar has it.
    #[must_use]
    pub fn name(&self, file: &TocFile) -> &[u8] {
        self.names.get(file.name.0..file.name.1).unwrap_or_default()
    }

    /// The digest of the packed tar-split.
    #[must_use]
    pub const fn tar_split_digest(&self) -> Option<&Digest> {
        self.tar_split_digest.as_ref()
    }
}

/// One entry, as JSON has it. Numbers that mean nothing here may be anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    size: u64,
    digest: Option<String>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    end_offset: u64,
    #[serde(default)]
    chunk_size: u64,
    #[serde(default)]
    chunk_offset: u64,
    #[serde(default)]
    chunk_type: Option<String>,
}

impl Wire {
    fn is_zeros(&self) -> Result<bool, String> {
        match self.chunk_type.as_deref() {
            None | Some("") => Ok(false),
            Some("zeros") => Ok(true),
            Some(_) => Err(format!("{:?} has a chunk of an unknown type", shown(&self.name))),
        }
    }
}

/// The file whose chunks come in.
struct Open {
    file: TocFile,
    /// The table's word on the first chunk; 0 when the file has but one.
    declared: u64,
    /// Bytes of the chunks so far.
    filled: u64,
}

struct Builder<'a> {
    limits: &'a Limits,
    /// Where frames have to end.
    bound: u64,
    toc: Toc,
    open: Option<Open>,
    names: HashSet<u64>,
    /// Where the next file may begin.
    next: u64,
    /// Bytes of all files.
    bytes: u64,
    version: Option<u64>,
}

impl<'a> Builder<'a> {
    fn new(bound: u64, limits: &'a Limits) -> Self {
        let toc = Toc::default();
        Self { limits, bound, toc, open: None, names: HashSet::new(), next: 0, bytes: 0, version: None }
    }

    fn add(&mut self, wire: &Wire) -> Result<(), String> {
        if self.toc.chunks.len() >= self.limits.entries as usize {
            return Err(format!("it has more than {} chunks", self.limits.entries));
        }
        if wire.kind == "chunk" {
            return self.add_chunk(wire);
        }
        self.close()?;
        if wire.kind == "reg" && wire.size > 0 { self.add_file(wire) } else { Ok(()) }
    }

    fn add_file(&mut self, wire: &Wire) -> Result<(), String> {
        let wrong = |reason: &str| format!("file {:?} {reason}", shown(&wire.name));
        let hash = self.names.hasher().hash_one(&wire.name);
        if !self.names.insert(hash) {
            return Err(wrong("is there twice"));
        }
        let Some(Ok(Digest::Sha256(digest))) = wire.digest.as_deref().map(str::parse) else {
            return Err(wrong("has no SHA-256"));
        };
        self.bytes = self
            .bytes
            .checked_add(wire.size)
            .filter(|bytes| *bytes <= self.limits.layer_bytes)
            .ok_or_else(|| format!("its files have more than {} bytes", self.limits.layer_bytes))?;
        if wire.offset < self.next {
            return Err(wrong("overlaps the one before"));
        }
        if wire.end_offset <= wire.offset {
            return Err(wrong("ends before it begins"));
        }
        if wire.end_offset > self.bound {
            return Err(wrong("ends behind the last frame"));
        }
        self.next = wire.end_offset;
        let name = (self.toc.names.len(), self.toc.names.len() + wire.name.len());
        self.toc.names.extend_from_slice(wire.name.as_bytes());
        let start = self.toc.chunks.len();
        let file = TocFile {
            name,
            chunks: (start, start),
            digest,
            size: wire.size,
            offset: wire.offset,
            end: wire.end_offset,
        };
        self.open = Some(Open { file, declared: wire.chunk_size, filled: 0 });
        let size = if wire.chunk_size == 0 { wire.size } else { wire.chunk_size };
        self.push(Chunk { offset: wire.offset, end: wire.end_offset, size, is_zeros: wire.is_zeros()? })
    }

    fn add_chunk(&mut self, wire: &Wire) -> Result<(), String> {
        let wrong = |reason: &str| format!("a chunk of {:?} {reason}", shown(&wire.name));
        let Some(open) = &self.open else { return Err(wrong("follows no file")) };
        if self.toc.name(&open.file) != wire.name.as_bytes() {
            return Err(wrong("follows another file"));
        }
        if open.declared == 0 || wire.chunk_size == 0 {
            return Err(wrong("has no size"));
        }
        if wire.chunk_offset != open.filled {
            return Err(wrong("is not where the one before ends"));
        }
        let end = open.file.end;
        let last = self.toc.chunks.last_mut().ok_or_else(|| wrong("follows no file"))?;
        if wire.offset <= last.offset || wire.offset >= end {
            return Err(wrong("overlaps another, or lies outside its file"));
        }
        last.end = wire.offset;
        self.push(Chunk { offset: wire.offset, end, size: wire.chunk_size, is_zeros: wire.is_zeros()? })
    }

    fn push(&mut self, chunk: Chunk) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let filled = open.filled.checked_add(chunk.size).filter(|filled| *filled <= open.file.size);
        open.filled = filled.ok_or("a file's chunks are bigger than the file")?;
        self.toc.chunks.push(chunk);
        open.file.chunks.1 = self.toc.chunks.len();
        Ok(())
    }

    /// The last chunk of a file has come.
    fn close(&mut self) -> Result<(), String> {
        let Some(Open { file, filled, .. }) = self.open.take() else { return Ok(()) };
        if filled != file.size {
            let name = String::from_utf8_lossy(self.toc.name(&file)).into_owned();
            return Err(format!("the chunks of {:?} make {filled} bytes, not {}", shown(&name), file.size));
        }
        self.toc.files.push(file);
        Ok(())
    }

    fn finish(mut self) -> Result<Toc, String> {
        self.close()?;
        match self.version {
            Some(1) => Ok(self.toc),
            Some(other) => Err(format!("its version is {other}, not 1")),
            None => Err("it has no version".to_owned()),
        }
    }
}

/// A name for a message.
fn shown(name: &str) -> String {
    const LETTERS: usize = 200;
    name.chars().take(LETTERS).collect()
}

/// The whole table, read into a builder.
struct Document<'b, 'a>(&'b mut Builder<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of contents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_entries = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => self.0.version = Some(map.next_value()?),
                "entries" if has_entries => return Err(A::Error::custom("it has two lists of entries")),
                "entries" => {
                    has_entries = true;
                    map.next_value_seed(Entries(self.0))?;
                }
                "tarSplitDigest" => {
                    let text: String = map.next_value()?;
                    let digest = if text.is_empty() { None } else { Some(text.parse()) };
                    self.0.toc.tar_split_digest = digest.transpose().map_err(A::Error::custom)?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The list of entries, read one by one.
struct Entries<'b, 'a>(&'b mut Builder<'a>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(wire) = list.next_element::<Wire>()? {
            self.0.add(&wire).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
