//! Reads a blob, hashes it, decompresses it.
//!
//! gzip: deflate alone, since the blob's digest makes the checksum of the format superfluous. Only headers without
//! optional fields are understood: the corpus has no others.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use flate2::{Decompress, FlushDecompress, Status};
use sha2::{Digest, Sha256};

use super::chunk::{Chunk, Pool};
use crate::corpus::layout::{Compression, Layer, hex};

/// Bytes read from the blob at a time.
const READ: usize = 128 << 10;
const GZIP_HEADER: [u8; 4] = [0x1f, 0x8b, 8, 0];
const GZIP_HEADER_LENGTH: usize = 10;

/// Decompresses `layer` into chunks; the blob's digest must be the one of its descriptor.
pub fn unpack(layer: &Layer, pool: &Pool, send: impl FnMut(Chunk) -> Result<()>) -> Result<()> {
    let file = File::open(&layer.path).with_context(|| format!("open {}", layer.path.display()))?;
    let mut blob = Blob { file, hash: Sha256::new() };
    match layer.compression {
        Compression::Gzip => gzip(&mut blob, pool, send)?,
        Compression::Zstd => zstd(&mut blob, pool, send)?,
    }
    std::io::copy(&mut blob, &mut std::io::sink()).context("read a blob's end")?;
    ensure!(hex(&blob.hash.finalize()) == layer.digest()?, "{} is damaged", layer.path.display());
    Ok(())
}

/// A blob that is hashed as it is read.
struct Blob {
    file: File,
    hash: Sha256,
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

fn gzip(blob: &mut Blob, pool: &Pool, mut send: impl FnMut(Chunk) -> Result<()>) -> Result<()> {
    let mut header = [0; GZIP_HEADER_LENGTH];
    blob.read_exact(&mut header).context("read a gzip header")?;
    ensure!(header.starts_with(&GZIP_HEADER), "not a plain gzip header");
    let mut inflate = Decompress::new(false);
    let mut input = vec![0; READ];
    let (mut start, mut end) = (0, 0);
    let (mut chunk, mut filled) = (pool.take(), 0);
    loop {
        if start == end {
            (start, end) = (0, blob.read(&mut input).context("read a blob")?);
            ensure!(end > 0, "a gzip stream ends early");
        }
        let (consumed, produced) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(&input[start..end], &mut chunk[filled..], FlushDecompress::None)?;
        start += usize::try_from(inflate.total_in() - consumed)?;
        filled += usize::try_from(inflate.total_out() - produced)?;
        let is_end = status == Status::StreamEnd;
        if filled == chunk.len() || is_end {
            chunk.shorten(filled);
            send(std::mem::replace(&mut chunk, pool.take()))?;
            filled = 0;
        }
        match status {
            Status::StreamEnd => return Ok(()),
            Status::BufError if start < end && filled > 0 => bail!("a gzip stream is stuck"),
            _ => {}
        }
    }
}

fn zstd(blob: &mut Blob, pool: &Pool, mut send: impl FnMut(Chunk) -> Result<()>) -> Result<()> {
    let mut decoder = zstd::stream::read::Decoder::new(blob).context("start a zstd decoder")?;
    loop {
        let (mut chunk, mut filled) = (pool.take(), 0);
        while filled < chunk.len() {
            match decoder.read(&mut chunk[filled..]).context("decompress zstd")? {
                0 => break,
                length => filled += length,
            }
        }
        let is_end = filled < chunk.len();
        chunk.shorten(filled);
        send(chunk)?;
        if is_end {
            return Ok(());
        }
    }
}
