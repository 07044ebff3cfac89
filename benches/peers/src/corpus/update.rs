//! Layers made from another image's layers: repacked, or with a part of the files changed in place.
//!
//! Lives here: the rewriting of a tar stream. Invariant: sizes, names and times stay; only bodies change.

use std::fs::File;
use std::io::{BufReader, Read, Write};

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;

use super::layout::Layer;

/// One file in this many is changed, if it has at least `SMALLEST` bytes.
const EVERY: u64 = 15;
const SMALLEST: u64 = 16;
/// The first 16 bytes of each block of this size change.
const STEP: usize = 64 << 10;
const BLOCK: usize = 512;

/// Copies a gzip layer's tar stream as it is.
pub fn repack(layer: &Layer, mut to: impl Write) -> Result<()> {
    std::io::copy(&mut open(layer)?, &mut to).context("repack a layer")?;
    Ok(())
}

/// Copies a gzip layer's tar stream and changes some of its files.
pub fn change(layer: &Layer, mut to: impl Write) -> Result<()> {
    let mut from = open(layer)?;
    let (mut header, mut files) = ([0; BLOCK], 0);
    while read_block(&mut from, &mut header)? {
        to.write_all(&header)?;
        let size = octal(&header[124..136])?;
        let padded = size.next_multiple_of(BLOCK as u64);
        let is_file = matches!(header[156], b'0' | 0) && size >= SMALLEST;
        files += u64::from(is_file);
        if is_file && files % EVERY == 0 {
            copy_changed(&mut from, &mut to, size)?;
            std::io::copy(&mut (&mut from).take(padded - size), &mut to)?;
        } else {
            std::io::copy(&mut (&mut from).take(padded), &mut to)?;
        }
    }
    Ok(())
}

fn open(layer: &Layer) -> Result<impl Read + use<>> {
    let file = File::open(&layer.path).with_context(|| format!("open {}", layer.path.display()))?;
    Ok(MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file)))
}

fn read_block(from: &mut impl Read, block: &mut [u8]) -> Result<bool> {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => bail!("a layer ends inside a block"),
            length => filled += length,
        }
    }
    Ok(true)
}

fn copy_changed(from: &mut impl Read, to: &mut impl Write, size: u64) -> Result<()> {
    let mut left = size;
    let mut block = vec![0; STEP];
    while left > 0 {
        let length = usize::try_from(left.min(STEP as u64))?;
        let part = &mut block[..length];
        from.read_exact(part)?;
        part.iter_mut().take(16).for_each(|byte| *byte ^= 1);
        to.write_all(part)?;
        left -= length as u64;
    }
    Ok(())
}

fn octal(field: &[u8]) -> Result<u64> {
    field.iter().take_while(|byte| !matches!(byte, 0 | b' ')).try_fold(0, |value, byte| match byte {
        b'0'..=b'7' => Ok(value * 8 + u64::from(byte - b'0')),
        _ => bail!("a size that is not octal"),
    })
}
