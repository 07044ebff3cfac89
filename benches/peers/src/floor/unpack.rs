//! Reads a blob, hashes it, decompresses it.
//!
//! gzip is inflated by Sealstone's own decoder: the floor says what an import with it costs at least.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use sealstone_import::decompress::{DecodeLimits, Decoder, WindowGate};
use sha2::{Digest, Sha256};

use super::chunk::{Chunk, Pool};
use crate::corpus::layout::{Compression, Layer, hex};

/// Bytes read from the blob at a time.
const READ: usize = 128 << 10;

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
    let limits = DecodeLimits { output_bytes: u64::MAX, ratio: u64::MAX, ..DecodeLimits::default() };
    let mut decoder = Decoder::new(limits, WindowGate::default());
    let mut input = vec![0; READ];
    let (mut start, mut end) = (0, 0);
    let (mut chunk, mut filled) = (pool.take(), 0);
    loop {
        if start == end {
            (start, end) = (0, blob.read(&mut input).context("read a blob")?);
            if end == 0 {
                decoder.finish()?;
                chunk.shorten(filled);
                return send(chunk);
            }
        }
        let step = decoder.step(&input[start..end], &mut chunk[filled..])?;
        start += step.consumed;
        filled += step.produced;
        if filled == chunk.len() {
            send(std::mem::replace(&mut chunk, pool.take()))?;
            filled = 0;
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
