//! The writers of the formats: the tar itself, gzip, zstd, and zstd:chunked, which is made elsewhere.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use rustix::io::Errno;
use sealstone_store::Error as StoreError;

use super::{BlobSink, LayerWriter};
use crate::{error::Result, zstd_chunked};

/// zlib's default, and that of every tool which packs layers.
const GZIP_LEVEL: u32 = 6;

/// libzstd's default.
const ZSTD_LEVEL: i32 = 3;

/// The tar as it is.
pub(super) struct Plain;

impl LayerWriter for Plain {
    fn write(&mut self, tar: &[u8], blob: &mut dyn BlobSink) -> Result<()> {
        blob.write(tar)
    }

    fn finish(self: Box<Self>, _blob: &mut dyn BlobSink) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }
}

/// One gzip member, without a name and without a time.
pub(super) struct Gzipped(flate2::write::GzEncoder<Vec<u8>>);

impl Gzipped {
    pub(super) fn new() -> Self {
        Self(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
    }
}

impl LayerWriter for Gzipped {
    fn write(&mut self, tar: &[u8], blob: &mut dyn BlobSink) -> Result<()> {
        self.0.write_all(tar).map_err(|error| failed(&error))?;
        drain(self.0.get_mut(), blob)
    }

    fn finish(self: Box<Self>, blob: &mut dyn BlobSink) -> Result<BTreeMap<String, String>> {
        drain(&mut self.0.finish().map_err(|error| failed(&error))?, blob)?;
        Ok(BTreeMap::new())
    }
}

/// One zstd frame, made by one thread: what several make depends on how many they are.
pub(super) struct Zstandard(zstd::stream::write::Encoder<'static, Vec<u8>>);

impl Zstandard {
    pub(super) fn new() -> Result<Self> {
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL);
        Ok(encoder.map(Self).map_err(|error| failed(&error))?)
    }
}

impl LayerWriter for Zstandard {
    fn write(&mut self, tar: &[u8], blob: &mut dyn BlobSink) -> Result<()> {
        self.0.write_all(tar).map_err(|error| failed(&error))?;
        drain(self.0.get_mut(), blob)
    }

    fn finish(self: Box<Self>, blob: &mut dyn BlobSink) -> Result<BTreeMap<String, String>> {
        drain(&mut self.0.finish().map_err(|error| failed(&error))?, blob)?;
        Ok(BTreeMap::new())
    }
}

/// zstd:chunked, of which updates can be fetched in part.
pub(super) struct Chunked {
    writer: zstd_chunked::Writer,
    made: Vec<u8>,
}

impl Chunked {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { writer: zstd_chunked::Writer::new()?, made: Vec::new() })
    }
}

impl LayerWriter for Chunked {
    fn write(&mut self, tar: &[u8], blob: &mut dyn BlobSink) -> Result<()> {
        self.writer.write(tar, &mut self.made)?;
        drain(&mut self.made, blob)
    }

    fn finish(mut self: Box<Self>, blob: &mut dyn BlobSink) -> Result<BTreeMap<String, String>> {
        let annotations = self.writer.finish(&mut self.made)?;
        drain(&mut self.made, blob)?;
        Ok(annotations.list().into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

fn drain(made: &mut Vec<u8>, blob: &mut dyn BlobSink) -> Result<()> {
    if !made.is_empty() {
        blob.write(made)?;
        made.clear();
    }
    Ok(())
}

/// A compressor that writes into memory fails only for lack of it.
fn failed(error: &io::Error) -> StoreError {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::NOMEM);
    StoreError::at("compress", Path::new("layer"), errno)
}
