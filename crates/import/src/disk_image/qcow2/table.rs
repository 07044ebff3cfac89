//! The entries of both tables, and what they say of bytes of the image.

use super::{
    header::Header,
    pieces::{Kind, Piece},
};

/// Bits 9 to 55 of an entry: where something is.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// The cluster is zeros, whatever its place holds (version 3).
const ZERO: u64 = 1;

/// Sectors that compressed clusters are counted in.
const SECTOR: u64 = 512;

/// The entries of a table.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (entries, _) = bytes.as_chunks::<8>();
    entries.iter().map(|entry| u64::from_be_bytes(*entry))
}

/// Where an entry of the first table says that a second one is, if it does.
pub(super) fn second_table(header: &Header, entry: u64) -> Result<Option<u64>, String> {
    let offset = entry & OFFSET;
    match offset % header.cluster() {
        0 => Ok((offset != 0).then_some(offset)),
        _ => Err(format!("a second table at {offset}, which is no cluster's place")),
    }
}

/// What an entry of a second table says of the cluster at `guest` on the disk, if it has bytes.
pub(super) fn cluster(header: &Header, entry: u64, guest: u64) -> Result<Option<Piece>, String> {
    // What lies beyond the end of the disk is never read.
    let len = header.cluster().min(header.disk_bytes.saturating_sub(guest));
    if entry & COMPRESSED != 0 {
        let bits = 62 - (header.cluster_bits - 8);
        let start = entry & ((1 << bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> bits;
        let end = start - start % SECTOR + (sectors + 1) * SECTOR;
        if start >= 1 << 56 {
            return Err(format!("a compressed cluster at {start}"));
        }
        return Ok(Some(Piece { start, len: end - start, kind: Kind::Packed(guest) }));
    }
    let start = entry & OFFSET;
    if header.version == 3 && entry & ZERO != 0 || start == 0 {
        return Ok(None);
    }
    if !start.is_multiple_of(header.cluster()) {
        return Err(format!("a cluster at {start}, which is no cluster's place"));
    }
    Ok(Some(Piece { start, len, kind: Kind::Data(guest) }))
}

/// Whether `next` goes on where `run` ends, in the image and on the disk.
pub(super) fn goes_on(run: &Piece, next: &Piece) -> bool {
    match (run.kind, next.kind) {
        (Kind::Data(at), Kind::Data(next_at)) => run.end() == next.start && at + run.len == next_at,
        _ => false,
    }
}
