//! Reading a GPT: its header, its entries, and those of them that take part in booting.
//!
//! What lives here: the one reader that there is, for the disk of a machine and for the head of an image that is installed. What
//! does not: making and changing a table (the deploy crate's `install/gpt`), MBRs. Source: UEFI 2.10 §5.3. Hostile input: every
//! size is bounded, and nothing holds whose checksums do not.

#[cfg(test)]
mod tests;

use sealstone_store::disk::File;

use crate::{BootError, PartitionKind};

const SIGNATURE: &[u8] = b"EFI PART";

/// The bytes of a header that the specification names.
const HEADER: u32 = 92;

/// More than any tool makes; the specification wants room for 128.
const ENTRIES_MAX: u32 = 1024;

/// The bytes of an entry: 128, and room for more.
const ENTRY: usize = 128;
const ENTRY_MAX: u32 = 4096;

/// The sizes of a disk's sectors.
const SECTORS: std::ops::RangeInclusive<u32> = 512..=4096;

/// `C12A7328-F81F-11D2-BA4B-00A0C93EC93B`, the first three parts little endian.
const ESP: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
/// `BC13C2FF-59E6-4262-A352-B275FD6F7172`
const XBOOTLDR: [u8; 16] =
    [0xff, 0xc2, 0x13, 0xbc, 0xe6, 0x59, 0x62, 0x42, 0xa3, 0x52, 0xb2, 0x75, 0xfd, 0x6f, 0x71, 0x72];

/// A header that holds: where the entries are, and what their checksum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptHeader {
    /// The bytes that the header's checksum covers.
    pub len: u32,
    /// Where the entries begin, in sectors.
    pub entries_at: u64,
    /// How many entries there are, free ones too; at most 1,024.
    pub entries: u32,
    /// The bytes of each: 128 but for odd tables.
    pub entry_bytes: u32,
    checksum: u32,
}

impl GptHeader {
    /// Whether a sector says that it is a header.
    #[must_use]
    pub fn is_there(sector: &[u8]) -> bool {
        sector.starts_with(SIGNATURE)
    }

    /// Reads the header out of its sector, all of it: the second one of a disk.
    ///
    /// # Errors
    /// The reason why it is none, or does not hold.
    pub fn read(sector: &[u8]) -> Result<Self, String> {
        let cut_off = || "its GPT is cut off".to_owned();
        if !Self::is_there(sector) {
            return Err("it has no GPT".to_owned());
        }
        let len = u32_at(sector, 12).ok_or_else(cut_off)?;
        let header = sector.get(..len as usize).filter(|_| len >= HEADER);
        let header = header.ok_or_else(|| format!("its GPT has a header of {len} bytes"))?;
        if Some(header_checksum(header)) != u32_at(header, 16) {
            return Err("its GPT is damaged: the checksum of the header".to_owned());
        }
        let entries = u32_at(header, 80).filter(|count| (1..=ENTRIES_MAX).contains(count));
        let entry_bytes = u32_at(header, 84).filter(|size| *size <= ENTRY_MAX && *size as usize >= ENTRY);
        let (Some(entries), Some(entry_bytes)) = (entries, entry_bytes) else {
            return Err("its GPT has entries of an unusual size or number".to_owned());
        };
        let entries_at = u64_at(header, 72).ok_or_else(cut_off)?;
        let checksum = u32_at(header, 88).ok_or_else(cut_off)?;
        Ok(Self { len, entries_at, entries, entry_bytes, checksum })
    }

    /// The bytes of all entries; 4 MiB at most.
    #[must_use]
    pub const fn entries_len(&self) -> usize {
        self.entries as usize * self.entry_bytes as usize
    }

    /// What the entries say, those that are not free, with their numbers from 1.
    ///
    /// # Errors
    /// The reason why these bytes are not the header's entries.
    pub fn partitions(&self, entries: &[u8]) -> Result<Vec<(u32, GptPartition)>, String> {
        if entries.len() != self.entries_len() || crc32fast::hash(entries) != self.checksum {
            return Err("its GPT is damaged: the checksum of the entries".to_owned());
        }
        let each = (1..).zip(entries.chunks_exact(self.entry_bytes as usize));
        Ok(each.filter_map(|(number, entry)| Some((number, GptPartition::decode(entry)?))).collect())
    }
}

/// The checksum of a header: that of its bytes, with zeros in the checksum's place.
#[must_use]
pub fn header_checksum(header: &[u8]) -> u32 {
    let (before, rest) = header.split_at_checked(16).unwrap_or((header, &[]));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&[0; 4]);
    hasher.update(rest.get(4..).unwrap_or_default());
    hasher.finalize()
}

/// What an entry says, as it says it. Sectors are counted from 0, the last is part of the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptPartition {
    /// What it is for: a GUID, the first three parts little endian.
    pub kind: [u8; 16],
    /// Its own.
    pub id: [u8; 16],
    /// Its first sector.
    pub first: u64,
    /// Its last sector; nothing says that it is behind the first.
    pub last: u64,
    /// The attribute bits.
    pub attributes: u64,
    /// At most 36 letters. **Text by whoever made the table.**
    pub name: String,
}

impl GptPartition {
    /// What an entry says; nothing, if it is free or cut off.
    #[must_use]
    pub fn decode(entry: &[u8]) -> Option<Self> {
        let (kind, rest) = entry.split_first_chunk::<16>()?;
        let id = rest.first_chunk::<16>()?;
        let (units, _) = entry.get(56..ENTRY)?.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
        let letters = char::decode_utf16(units);
        (*kind != [0; 16]).then_some(Self {
            kind: *kind,
            id: *id,
            first: u64_at(entry, 32)?,
            last: u64_at(entry, 40)?,
            attributes: u64_at(entry, 48)?,
            name: letters.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
        })
    }
}

/// A partition that takes part in booting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptEntry {
    /// Its number, from 1.
    pub number: u32,
    /// What it is.
    pub kind: PartitionKind,
    /// Its GUID, as the table has it.
    pub guid: [u8; 16],
    /// Its first block.
    pub start: u64,
    /// Its length in blocks.
    pub blocks: u64,
}

/// The EFI system and extended boot loader partitions of a disk, whose blocks have this size; none where there is no GPT that
/// holds.
///
/// # Errors
/// When the disk cannot be read.
pub fn boot_entries(disk: &File, block: u64) -> Result<Vec<GptEntry>, BootError> {
    let Some(size) = u32::try_from(block).ok().filter(|size| SECTORS.contains(size)) else {
        return Ok(Vec::new());
    };
    let mut sector = vec![0; size as usize];
    if disk.read_exact_at(block, &mut sector).is_err() {
        return Ok(Vec::new());
    }
    let Ok(header) = GptHeader::read(&sector) else { return Ok(Vec::new()) };
    let mut entries = vec![0; header.entries_len()];
    disk.read_exact_at(header.entries_at.saturating_mul(block), &mut entries)?;
    let found = header.partitions(&entries).unwrap_or_default();
    Ok(found.iter().filter_map(|(number, partition)| boot_entry(*number, partition)).collect())
}

fn boot_entry(number: u32, partition: &GptPartition) -> Option<GptEntry> {
    let kind = match partition.kind {
        ESP => PartitionKind::Esp,
        XBOOTLDR => PartitionKind::Xbootldr,
        _ => return None,
    };
    let blocks = partition.last.checked_sub(partition.first)?.checked_add(1)?;
    Some(GptEntry { number, kind, guid: partition.id, start: partition.first, blocks })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
