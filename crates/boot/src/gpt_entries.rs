//! The partitions of a GPT that take part in booting: their numbers, types and GUIDs.
//!
//! What lives here: reading the entries of the first table. What does not: writing one. Source: UEFI 2.10 §5.3. Hostile
//! input: every size is bounded, and a table that is none has no partitions.

use sealstone_store::disk::File;

use crate::{BootError, PartitionKind};

const SIGNATURE: &[u8] = b"EFI PART";
/// More than any tool makes.
const ENTRIES_MAX: u32 = 512;
const ENTRY_SIZES: std::ops::RangeInclusive<u32> = 128..=4096;

/// `C12A7328-F81F-11D2-BA4B-00A0C93EC93B`, the first three parts little endian.
const ESP: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
/// `BC13C2FF-59E6-4262-A352-B275FD6F7172`
const XBOOTLDR: [u8; 16] =
    [0xff, 0xc2, 0x13, 0xbc, 0xe6, 0x59, 0x62, 0x42, 0xa3, 0x52, 0xb2, 0x75, 0xfd, 0x6f, 0x71, 0x72];

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

/// The EFI system and extended boot loader partitions of a disk, whose blocks have this size; none where there is no GPT.
///
/// # Errors
/// When the disk cannot be read.
pub fn boot_entries(disk: &File, block: u64) -> Result<Vec<GptEntry>, BootError> {
    let mut header = [0; 92];
    if disk.read_exact_at(block, &mut header).is_err() || !header.starts_with(SIGNATURE) {
        return Ok(Vec::new());
    }
    let (Some(first), Some(count), Some(size)) =
        (u64_at(&header, 72), u32_at(&header, 80), u32_at(&header, 84))
    else {
        return Ok(Vec::new());
    };
    if count > ENTRIES_MAX || !ENTRY_SIZES.contains(&size) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for number in 0..count {
        let mut entry = [0; 128];
        let place = first.saturating_mul(block).saturating_add(u64::from(number) * u64::from(size));
        disk.read_exact_at(place, &mut entry)?;
        let Some((kind, rest)) = entry.split_first_chunk::<16>() else { continue };
        let kind = match *kind {
            ESP => PartitionKind::Esp,
            XBOOTLDR => PartitionKind::Xbootldr,
            _ => continue,
        };
        let Some((guid, _)) = rest.split_first_chunk::<16>() else { continue };
        let (Some(start), Some(last)) = (u64_at(&entry, 32), u64_at(&entry, 40)) else { continue };
        let Some(blocks) = last.checked_sub(start).and_then(|blocks| blocks.checked_add(1)) else { continue };
        found.push(GptEntry { number: number + 1, kind, guid: *guid, start, blocks });
    }
    Ok(found)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use sealstone_store::disk::{Dir, RealDisk};

    use super::*;

    fn read(bytes: &[u8], block: u64) -> Vec<GptEntry> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("disk"), bytes).unwrap();
        let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
        boot_entries(&dir.open_file("disk").unwrap(), block).unwrap_or_default()
    }

    fn disk(block: usize, types: &[[u8; 16]]) -> Vec<u8> {
        let mut bytes = vec![0; 40 * block];
        bytes[block..block + 8].copy_from_slice(SIGNATURE);
        bytes[block + 72..block + 80].copy_from_slice(&2_u64.to_le_bytes());
        bytes[block + 80..block + 84].copy_from_slice(&128_u32.to_le_bytes());
        bytes[block + 84..block + 88].copy_from_slice(&128_u32.to_le_bytes());
        bytes.resize(2 * block + 128 * 128, 0);
        for (number, kind) in (0_u8..).zip(types) {
            let at = 2 * block + usize::from(number) * 128;
            bytes[at..at + 16].copy_from_slice(kind);
            bytes[at + 16..at + 32].copy_from_slice(&[number + 1; 16]);
            bytes[at + 32..at + 40].copy_from_slice(&2048_u64.to_le_bytes());
            bytes[at + 40..at + 48].copy_from_slice(&4095_u64.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn boot_partitions_are_found_in_blocks_of_either_size() {
        for block in [512, 4096] {
            let found = read(&disk(block, &[[1; 16], ESP, XBOOTLDR]), block as u64);
            let kinds: Vec<_> = found.iter().map(|entry| (entry.number, entry.kind)).collect();
            assert_eq!(kinds, [(2, PartitionKind::Esp), (3, PartitionKind::Xbootldr)]);
            assert_eq!((found[0].guid, found[0].start, found[0].blocks), ([2; 16], 2048, 2048));
        }
    }

    #[test]
    fn what_is_no_table_or_lies_about_its_size_has_none() {
        assert_eq!(read(&[0; 4096], 512), []);
        assert_eq!(read(b"short", 512), []);
        let mut huge = disk(512, &[ESP]);
        huge[512 + 80..512 + 84].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&huge, 512), []);
        let mut tiny = disk(512, &[ESP]);
        tiny[512 + 84..512 + 88].copy_from_slice(&1_u32.to_le_bytes());
        assert_eq!(read(&tiny, 512), []);
        let mut backward = disk(512, &[ESP]);
        backward[1024 + 40..1024 + 48].copy_from_slice(&0_u64.to_le_bytes());
        assert_eq!(read(&backward, 512), []);
        let mut outside = disk(512, &[ESP]);
        outside[512 + 72..512 + 80].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(read(&outside, 512), []);
    }
}
