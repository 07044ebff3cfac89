//! Authenticode: what of a PE image is signed, and where its signatures are.
//!
//! What lives here: the digest of an image, and the table of signatures at its end. What does not: what a signature says
//! (`signature.rs`), who is trusted (`certificate.rs`).
//! Source: Microsoft's "Windows Authenticode Portable Executable Signature Format", as UEFI has it. Invariant: all bytes of the
//! file are under the digest but its own sum, the entry about signatures, and the signatures, which are its end: what is not
//! signed cannot be there.

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{
    pe::{Pe, Section},
    read_at::{ReadAt, read_range},
};
use crate::BootError;

/// The most bytes of signatures.
const TABLE_MAX: u32 = 1 << 20;

/// The revision and the type of the only kind of signatures that UEFI takes: PKCS#7.
const REVISION: [u8; 2] = [0x00, 0x02];
const PKCS: [u8; 2] = [0x02, 0x00];

/// A hash that signatures may use: none that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The hash of some bytes.
    pub(super) fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn of_ranges(self, file: &dyn ReadAt, ranges: &[(u64, u64)]) -> Result<Vec<u8>, BootError> {
        match self {
            Self::Sha256 => digest_of::<Sha256>(file, ranges),
            Self::Sha384 => digest_of::<Sha384>(file, ranges),
            Self::Sha512 => digest_of::<Sha512>(file, ranges),
        }
    }
}

fn digest_of<D: Digest>(file: &dyn ReadAt, ranges: &[(u64, u64)]) -> Result<Vec<u8>, BootError> {
    let mut hasher = D::new();
    for range in ranges {
        read_range(file, *range, |piece| {
            hasher.update(piece);
            Ok(())
        })?;
    }
    // Signatures begin at a multiple of eight; an image without any is hashed as if they did.
    let end = ranges.last().map_or(0, |(_, end)| *end);
    let padding = usize::try_from(end.next_multiple_of(8) - end).unwrap_or_default();
    hasher.update([0; 8].get(..padding).unwrap_or_default());
    Ok(hasher.finalize().to_vec())
}

/// The digest of an image, without its signatures.
pub(super) fn image_digest(file: &dyn ReadAt, pe: &Pe, name: &str, hash: Hash) -> Result<Vec<u8>, BootError> {
    let layout = &pe.layout;
    check_gapless(pe, name)?;
    let sum = layout.optional as u64 + 64;
    let entry = layout.security_entry;
    let entry = entry.ok_or_else(|| BootError::malformed(name, "it has no place for signatures"))? as u64;
    let (start, size) = layout.security;
    let end = if size == 0 { layout.file_size } else { u64::from(start) };
    hash.of_ranges(file, &[(0, sum), (sum + 4, entry), (entry + 8, end)])
}

/// Firmware hashes the headers, then each section: that all of it is hashed holds where they follow each other.
fn check_gapless(pe: &Pe, name: &str) -> Result<(), BootError> {
    let mut sections: Vec<&Section> = pe.sections().iter().filter(|section| section.raw_size > 0).collect();
    sections.sort_by_key(|section| section.raw_offset);
    let mut end = u64::from(pe.layout.headers);
    for section in sections {
        if section.offset() != end {
            let reason = format!("its section {} does not follow what is before it", section.name());
            return Err(BootError::malformed(name, reason));
        }
        end += u64::from(section.raw_size);
    }
    Ok(())
}

/// The signatures of an image, each as PKCS#7; none of one that is not signed.
pub(super) fn signatures(file: &dyn ReadAt, pe: &Pe, name: &str) -> Result<Vec<Vec<u8>>, BootError> {
    let (start, size) = pe.layout.security;
    let malformed = |reason: &str| BootError::malformed(name, reason);
    if size == 0 {
        return Ok(Vec::new());
    }
    if size > TABLE_MAX {
        return Err(malformed("its signatures are too large"));
    }
    let behind = pe.sections().iter().map(|section| section.offset() + u64::from(section.raw_size)).max();
    if u64::from(start) + u64::from(size) != pe.layout.file_size || u64::from(start) < behind.unwrap_or(0) {
        return Err(malformed("its signatures are not its end"));
    }
    let mut table = vec![0; size as usize];
    file.read_exact_at(u64::from(start), &mut table)?;
    let mut rest = table.as_slice();
    let mut found = Vec::new();
    while let Some((header, _)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, r0, r1, t0, t1] = *header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let body = rest.get(8..length).ok_or_else(|| malformed("a signature is longer than their table"))?;
        if [r0, r1] == REVISION && [t0, t1] == PKCS {
            found.push(body.to_vec());
        }
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err(malformed("there is something behind its signatures"));
    }
    Ok(found)
}
