//! One segment: entries sorted by digest, behind a header with their checksum. Byte for byte in docs/format.md.
//!
//! A segment is named by its checksum, so that one is never replaced by another, and is written front to back in pieces:
//! its entries need not lie in memory.

use rustix::io::Errno;

use super::{ContentDigest, IndexedContent};
use crate::{
    Access, Algorithm, Error, Map, ObjectId, Result,
    disk::{Dir, File},
    error::Optional,
    verity::Hasher,
};

const MAGIC: &[u8; 8] = b"SEALCTNT";
const VERSION: u32 = 1;

/// The length of the header in bytes: of what the checksum covers, and with it.
const COVERED: usize = 32;
const HEADER: usize = 64;

const DIGEST: usize = 32;
const SIZE: usize = 8;

/// How many bytes are gathered before they are written.
const PIECE: usize = 1 << 20;

/// A segment that was checked.
pub(super) struct Segment {
    name: String,
    map: Map,
    algorithm: Algorithm,
}

impl Segment {
    /// Opens a segment by its name; nothing when it is not there.
    pub(super) fn open(folder: &Dir, name: &str, algorithm: Algorithm) -> Result<Option<Self>, String> {
        let file = folder.open_file(name).optional().map_err(|error| error.to_string())?;
        let Some(file) = file else { return Ok(None) };
        let segment = Self::of(&file, algorithm)?;
        if segment.name != name {
            return Err(format!("its content is that of {}", segment.name));
        }
        Ok(Some(segment))
    }

    /// Reads a segment and checks it.
    pub(super) fn of(file: &File, algorithm: Algorithm) -> Result<Self, String> {
        let map = Map::of(file, Access::Sequential).map_err(|error| format!("cannot map: {error}"))?;
        let (header, entries) = map.split_at_checked(HEADER).ok_or("it is too short")?;
        let (covered, checksum) = header.split_at_checked(COVERED).ok_or("it is too short")?;
        if covered.first_chunk() != Some(MAGIC) {
            return Err("it is no segment".to_owned());
        }
        let count = entries.len() / entry_len(algorithm);
        if covered != head(algorithm, count as u64) || entries.len() % entry_len(algorithm) != 0 {
            return Err("its header is another version's, another algorithm's, or wrong".to_owned());
        }
        let mut hasher = hasher();
        hasher.update(covered);
        hasher.update(entries);
        let found = hasher.finish();
        if found.as_bytes() != checksum {
            return Err("its checksum is wrong".to_owned());
        }
        Ok(Self { name: found.to_hex(), map, algorithm })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[u8] {
        self.map.get(HEADER..).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.entries().len() / entry_len(self.algorithm)
    }

    fn entry(&self, place: usize) -> Option<IndexedContent> {
        let len = entry_len(self.algorithm);
        let start = place.checked_mul(len)?;
        let bytes = self.entries().get(start..start.checked_add(len)?)?;
        let (content, rest) = bytes.split_first_chunk::<DIGEST>()?;
        let (object, size) = rest.split_last_chunk::<SIZE>()?;
        Some(IndexedContent {
            content: ContentDigest::new(*content),
            object: ObjectId::from_digest(self.algorithm, object).ok()?,
            size: u64::from_le_bytes(*size),
        })
    }

    pub(super) fn find(&self, content: &ContentDigest) -> Option<IndexedContent> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let entry = self.entry(middle)?;
            match entry.content.cmp(content) {
                std::cmp::Ordering::Equal => return Some(entry),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// The entries of several segments, ascending, each digest once.
pub(super) fn merge(segments: &[Segment]) -> impl Iterator<Item = IndexedContent> + '_ {
    let mut places = vec![0_usize; segments.len()];
    std::iter::from_fn(move || {
        let heads = || segments.iter().zip(&places).map(|(segment, place)| segment.entry(*place));
        let least = heads().flatten().min_by_key(|entry| entry.content)?;
        let passed: Vec<bool> =
            heads().map(|head| head.is_some_and(|head| head.content <= least.content)).collect();
        for (place, passed) in places.iter_mut().zip(passed) {
            *place += usize::from(passed);
        }
        Some(least)
    })
}

/// Writes a segment of entries that come in ascending order; gives its name.
pub(super) fn write(
    file: &File,
    algorithm: Algorithm,
    count: u64,
    entries: impl Iterator<Item = IndexedContent>,
) -> Result<String> {
    let head = head(algorithm, count);
    let mut hasher = hasher();
    hasher.update(&head);
    let mut offset = HEADER as u64;
    let mut piece = Vec::with_capacity(PIECE);
    let mut flush = |piece: &mut Vec<u8>| {
        hasher.update(piece);
        file.write_all_at(offset, piece)?;
        offset += piece.len() as u64;
        piece.clear();
        Ok::<_, Error>(())
    };
    let mut written = 0;
    for entry in entries {
        piece.extend_from_slice(entry.content.as_bytes());
        piece.extend_from_slice(entry.object.as_bytes());
        piece.extend_from_slice(&entry.size.to_le_bytes());
        written += 1;
        if piece.len() + entry_len(algorithm) > PIECE {
            flush(&mut piece)?;
        }
    }
    flush(&mut piece)?;
    if written != count {
        return Err(Error::at("write", file.label(), Errno::INVAL));
    }
    let checksum = hasher.finish();
    file.write_all_at(0, &head)?;
    file.write_all_at(COVERED as u64, checksum.as_bytes())?;
    Ok(checksum.to_hex())
}

/// What a header says before its checksum.
fn head(algorithm: Algorithm, count: u64) -> [u8; COVERED] {
    let mut head = [0; COVERED];
    let id_len = u32::try_from(algorithm.digest_len()).unwrap_or_default();
    let fields = MAGIC.iter().copied().chain(VERSION.to_le_bytes()).chain(id_len.to_le_bytes());
    for (place, byte) in head.iter_mut().zip(fields.chain(count.to_le_bytes())) {
        *place = byte;
    }
    head
}

const fn entry_len(algorithm: Algorithm) -> usize {
    DIGEST + algorithm.digest_len() + SIZE
}

/// The checksum is an fs-verity digest: it has many lanes.
fn hasher() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}
