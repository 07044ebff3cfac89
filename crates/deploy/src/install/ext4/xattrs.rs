//! Extended attributes: in the inode's second half where they fit, else in one block.

use super::{
    checksum::Crc,
    format::{BLOCK, EXTRA_SIZE, INODE_SIZE, low32, put, put16, put32},
};
use crate::DeployError;

const MAGIC: u32 = 0xea02_0000;

/// What an inode has for them.
const IN_INODE: usize = INODE_SIZE - 128 - EXTRA_SIZE as usize;

/// The header of a block of attributes.
const HEADER: usize = 32;

/// The prefixes that have numbers. Access control lists have a form of their own, and images keep none.
const PREFIXES: [(&[u8], u8); 3] = [(b"user.", 1), (b"trusted.", 4), (b"security.", 6)];

/// The attributes of an inode, where they go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// What follows the inode's fields.
    pub(super) inline: Vec<u8>,
    /// The block, if they are in one; without its checksum.
    pub(super) block: Option<Vec<u8>>,
}

/// An attribute with its prefix as a number.
struct Attribute<'a> {
    index: u8,
    name: &'a [u8],
    value: &'a [u8],
}

/// Places attributes; `path` names their file.
pub(super) fn place(xattrs: &[(Vec<u8>, Vec<u8>)], path: &[u8]) -> Result<Stored, DeployError> {
    if xattrs.is_empty() {
        return Ok(Stored::default());
    }
    let mut attributes =
        xattrs.iter().map(|(key, value)| attribute(key, value, path)).collect::<Result<Vec<_>, _>>()?;
    attributes.sort_by_key(|attribute| (attribute.index, attribute.name.len(), attribute.name));
    let wanted: usize = attributes.iter().map(|attribute| entry_len(attribute) + value_len(attribute)).sum();
    if 4 + wanted + 4 <= IN_INODE {
        let mut inline = vec![0; IN_INODE];
        put32(&mut inline, 0, MAGIC);
        fill(&mut inline, 4, 4, &attributes, false);
        return Ok(Stored { inline, block: None });
    }
    if HEADER + wanted + 4 > BLOCK {
        let what = format!("extended attributes of {}", String::from_utf8_lossy(path));
        return Err(DeployError::TooBig { what, size: wanted as u64, limit: (BLOCK - HEADER - 4) as u64 });
    }
    let mut block = vec![0; BLOCK];
    for (at, value) in [(0, MAGIC), (4, 1), (8, 1)] {
        put32(&mut block, at, value);
    }
    let hashes = fill(&mut block, HEADER, 0, &attributes, true);
    let all = hashes.iter().fold(0u32, |hash, one| hash.rotate_left(16) ^ one);
    put32(&mut block, 12, all);
    Ok(Stored { inline: Vec::new(), block: Some(block) })
}

/// Gives a block its checksum, which depends on its place.
pub(super) fn seal_block(block: &mut [u8], place: u64, seed: Crc) {
    let crc = seed.with(&place.to_le_bytes()).with(block);
    put32(block, 16, crc.value());
}

fn attribute<'a>(key: &'a [u8], value: &'a [u8], path: &[u8]) -> Result<Attribute<'a>, DeployError> {
    let found = PREFIXES.iter().find_map(|(prefix, index)| Some((key.strip_prefix(*prefix)?, *index)));
    match found {
        Some((name, index)) if name.len() < 256 => Ok(Attribute { index, name, value }),
        _ => Err(DeployError::Invalid {
            what: "extended attribute",
            text: String::from_utf8_lossy(key).into_owned(),
            reason: format!("ext4 is written without it ({})", String::from_utf8_lossy(path)),
        }),
    }
}

const fn entry_len(attribute: &Attribute<'_>) -> usize {
    (16 + attribute.name.len()).next_multiple_of(4)
}

const fn value_len(attribute: &Attribute<'_>) -> usize {
    attribute.value.len().next_multiple_of(4)
}

/// Puts entries from `first` on and values from the end down; offsets count from `origin`. Gives the hashes.
fn fill(
    buffer: &mut [u8],
    first: usize,
    origin: usize,
    attributes: &[Attribute<'_>],
    hashed: bool,
) -> Vec<u32> {
    let (mut at, mut end) = (first, buffer.len());
    let mut sums = Vec::new();
    for attribute in attributes {
        end -= value_len(attribute);
        put(buffer, end, attribute.value);
        let name_len = attribute.name.len().to_le_bytes()[0];
        put(buffer, at, &[name_len, attribute.index]);
        let offset = if attribute.value.is_empty() { 0 } else { end - origin };
        put16(buffer, at + 2, super::format::low16(offset as u64));
        put32(buffer, at + 8, low32(attribute.value.len() as u64));
        let hash = if hashed { hash(attribute) } else { 0 };
        put32(buffer, at + 12, hash);
        put(buffer, at + 16, attribute.name);
        sums.push(hash);
        at += entry_len(attribute);
    }
    sums
}

/// The hash of an entry (`ext4_xattr_hash_entry`).
fn hash(attribute: &Attribute<'_>) -> u32 {
    let of_name = attribute.name.iter().fold(0u32, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte));
    attribute.value.chunks(4).fold(of_name, |hash, piece| {
        let mut word = [0; 4];
        word.iter_mut().zip(piece).for_each(|(place, byte)| *place = *byte);
        hash.rotate_left(16) ^ u32::from_le_bytes(word)
    })
}
