//! [`SplitStreamWriter`]: writes a splitstream while its content comes in.
//!
//! Held in memory: the ids of the objects (once each, with an index of some 12 bytes more), up to 4 MiB of compressed
//! bytes, and the inline bytes since the last place where a chunk may end.

use std::{collections::BTreeMap, io::Write};

use super::{
    header::{HEADER_LEN, INFO_LEN, Info, corrupt},
    spool::Spool,
};
use crate::{Error, ObjectId, Result, Stored, Transaction, id_table::IdTable};

/// zstd's level 1. Measured on the headers of a layer of 35,000 files (30 MB): a fifth faster than level 3, which composefs
/// takes, and 3 % smaller.
const LEVEL: i32 = 1;

/// How many inline bytes have to wait before a chunk ends at a boundary.
const CHUNK: usize = 256 << 10;

/// The largest splitstream that is assembled in memory, in bytes; a larger one is streamed into its object.
const WHOLE: u64 = 8 << 20;

/// Writes a splitstream as an object of a transaction.
pub struct SplitStreamWriter<'a> {
    transaction: &'a Transaction,
    encoder: zstd::stream::write::Encoder<'static, Spool>,
    inline: Vec<u8>,
    objects: UniqueIds,
    streams: UniqueIds,
    named: BTreeMap<String, u32>,
    content_type: u64,
    stream_size: u64,
}

/// Ids in order of their first appearance, as they are written: one after the other.
#[derive(Default)]
struct UniqueIds {
    bytes: Vec<u8>,
    table: IdTable,
    count: u32,
}

impl UniqueIds {
    /// The number of the id.
    fn number(&mut self, id: &ObjectId) -> Result<u32> {
        let key = id.as_bytes();
        let Self { bytes, table, count } = self;
        let same = |number: u32| {
            let start = number as usize * key.len();
            bytes.get(start..start + key.len()) == Some(key)
        };
        if let Some(number) = table.find_or_insert(table.hash(key), *count, same) {
            return Ok(number);
        }
        let number = *count;
        *count = number.checked_add(1).filter(|next| *next < u32::MAX).ok_or_else(|| Error::TooBig {
            what: "splitstream (objects)".to_owned(),
            limit: u64::from(u32::MAX),
        })?;
        bytes.extend_from_slice(key);
        Ok(number)
    }
}

impl<'a> SplitStreamWriter<'a> {
    /// Begins a splitstream; `content_type` says what kind of bytes it is made from.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn new(transaction: &'a Transaction, content_type: u64) -> Result<Self> {
        let spool = Spool::new(transaction.repository().staging()?.clone());
        let encoder = zstd::stream::write::Encoder::new(spool, LEVEL).map_err(|error| failed(&error))?;
        Ok(Self {
            transaction,
            encoder,
            inline: Vec::new(),
            objects: UniqueIds::default(),
            streams: UniqueIds::default(),
            named: BTreeMap::new(),
            content_type,
            stream_size: 0,
        })
    }

    /// Appends bytes that are kept in the splitstream itself.
    pub fn inline(&mut self, bytes: &[u8]) {
        self.stream_size += bytes.len() as u64;
        self.inline.extend_from_slice(bytes);
    }

    /// Says that what was appended so far ends a unit (an entry of a tar, with its padding) that readers take in one
    /// piece. Inline bytes pile up in memory where this is never said.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn boundary(&mut self) -> Result<()> {
        if self.inline.len() >= CHUNK { self.end_chunk() } else { Ok(()) }
    }

    fn end_chunk(&mut self) -> Result<()> {
        if self.inline.is_empty() {
            return Ok(());
        }
        let len = i64::try_from(self.inline.len()).map_err(|_| corrupt("a chunk is too long"))?;
        self.compress(&(-len).to_le_bytes())?;
        let inline = std::mem::take(&mut self.inline);
        self.compress(&inline)?;
        self.inline = inline;
        self.inline.clear();
        Ok(())
    }

    fn compress(&mut self, bytes: &[u8]) -> Result<()> {
        self.encoder.write_all(bytes).map_err(|error| failed(&error))
    }

    /// Appends the content of an object, of `size` bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn external(&mut self, id: &ObjectId, size: u64) -> Result<()> {
        self.end_chunk()?;
        let number = self.objects.number(id)?;
        self.stream_size += size;
        self.compress(&i64::from(number).to_le_bytes())
    }

    /// Keeps an object alive with this stream that is not part of its bytes, such as an expanded sparse file.
    ///
    /// # Errors
    /// [`Error::TooBig`] past 4,294,967,294 objects.
    pub fn reference(&mut self, id: &ObjectId) -> Result<()> {
        self.objects.number(id).map(drop)
    }

    /// Keeps another stream (or image) alive with this one, under a name that means something to the reader.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the name has a NUL.
    pub fn named_reference(&mut self, name: &str, id: &ObjectId) -> Result<()> {
        if name.contains('\0') {
            let reason = "it has a NUL";
            return Err(Error::Invalid { what: "reference name", value: name.to_owned(), reason });
        }
        let number = self.streams.number(id)?;
        self.named.insert(name.to_owned(), number);
        Ok(())
    }

    /// Stores the splitstream. Name it with [`Transaction::name_stream`].
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn finish(mut self) -> Result<Stored> {
        self.end_chunk()?;
        let named_refs = self.named_refs()?;
        let stream = self.encoder.finish().map_err(|error| failed(&error))?;
        let mut end = (HEADER_LEN + INFO_LEN) as u64;
        let mut next = |len: u64| {
            let start = end;
            end += len;
            start..end
        };
        let stream_refs = next(self.streams.bytes.len() as u64);
        let object_refs = next(self.objects.bytes.len() as u64);
        let named = next(named_refs.len() as u64);
        let info = Info {
            stream_refs,
            object_refs,
            stream: next(stream.len()),
            named_refs: named,
            content_type: self.content_type,
            stream_size: self.stream_size,
        };
        let header = info.to_bytes(self.transaction.repository().algorithm());
        let parts = [&header, &self.streams.bytes, &self.objects.bytes, &named_refs];
        if end <= WHOLE {
            let mut file = Vec::with_capacity(usize::try_from(end).unwrap_or_default());
            for part in parts {
                file.extend_from_slice(part);
            }
            stream.drain(|bytes| {
                file.extend_from_slice(bytes);
                Ok(())
            })?;
            return self.transaction.put(&file);
        }
        let mut writer = self.transaction.object_writer(end)?;
        for part in parts {
            writer.write(part)?;
        }
        stream.drain(|bytes| writer.write(bytes))?;
        writer.finish()
    }

    /// The section of names: `number:name` and a NUL for each, in the order of the names, compressed.
    fn named_refs(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        for (name, number) in &self.named {
            text.extend_from_slice(format!("{number}:{name}\0").as_bytes());
        }
        if text.len() as u64 > super::NAMED_REFS_LIMIT {
            let what = "splitstream (bytes of reference names)".to_owned();
            return Err(Error::TooBig { what, limit: super::NAMED_REFS_LIMIT });
        }
        zstd::stream::encode_all(text.as_slice(), LEVEL).map_err(|error| failed(&error))
    }
}

impl std::fmt::Debug for SplitStreamWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitStreamWriter").field("size", &self.stream_size).finish_non_exhaustive()
    }
}

/// A compressor fails only when what it writes into does: our own error, wrapped, is taken out again.
fn failed(error: &std::io::Error) -> Error {
    let errno = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).and_then(Error::errno);
    let errno = errno.or_else(|| rustix::io::Errno::from_io_error(error)).unwrap_or(rustix::io::Errno::IO);
    Error::at("compress", std::path::Path::new("splitstream"), errno)
}
