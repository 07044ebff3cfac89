//! [`Header`]: where a GPT that is read keeps what, and the changes to it: one more partition, another end of the disk.

use sealstone_store::{Algorithm, verity};

use super::{
    ENTRY, Partition,
    bytes::{number, put, seal, slice},
};
use crate::install::{ids::Uuid, layout::LINUX};

/// A GPT's header, and where its entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sector: u32,
    pub(super) len: usize,
    pub(super) entries_at: usize,
    pub(super) entries_len: usize,
}

impl Header {
    /// How many sectors of a disk come before its second table.
    pub(super) fn usable(&self, disk_bytes: u64) -> Result<u64, String> {
        let sector = u64::from(self.sector);
        let table = (self.entries_len as u64).div_ceil(sector) + 1;
        (disk_bytes / sector).checked_sub(table).ok_or_else(|| "the disk is too small for its GPT".to_owned())
    }

    fn entries<'a>(&self, head: &'a [u8]) -> Result<&'a [u8], String> {
        slice(head, self.entries_at, self.entries_len)
    }

    /// Takes the first free entry; gives its number.
    pub(super) fn add(&self, name: &str, (first, last): (u64, u64), head: &mut [u8]) -> Result<u32, String> {
        let entries = self.entries(head)?;
        let free = entries.chunks_exact(ENTRY).position(|entry| Partition::decode(entry).is_none());
        let free = free.ok_or("its partition table is full")?;
        // The partition's own id is made of the table that it is added to: the same image gets the same.
        let digest = verity::digest(Algorithm::Sha256, &[entries, name.as_bytes()].concat());
        let id = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        let id = Uuid::from_guid(id).of_our_making();
        let name = name.to_owned();
        let partition = Partition { kind: LINUX, id, first, last, attributes: 0, name };
        put(head, self.entries_at + free * ENTRY, &partition.encode())?;
        u32::try_from(free + 1).map_err(|error| error.to_string())
    }

    /// Makes the table in `head` that of a disk of so many bytes; gives the second table, with its place.
    pub(super) fn reach_to(&self, disk_bytes: u64, head: &mut [u8]) -> Result<(u64, Vec<u8>), String> {
        let (sector, at) = (u64::from(self.sector), self.sector as usize);
        let last = (disk_bytes / sector).checked_sub(1).ok_or("the disk has no sectors")?;
        let entries_sectors = (self.entries_len as u64).div_ceil(sector);
        let backup_entries = last.checked_sub(entries_sectors).ok_or("the disk is too small for its GPT")?;
        let last_usable = backup_entries.checked_sub(1).ok_or("the disk is too small for its GPT")?;
        if last_usable < number::<8>(head, at + 48)?.min(self.last_used(head)?) {
            return Err(
                "its partitions reach into the end of the disk, where its second table belongs".to_owned()
            );
        }
        put(head, at + 32, &last.to_le_bytes())?;
        put(head, at + 48, &last_usable.to_le_bytes())?;
        let entries = self.entries(head)?.to_vec();
        put(head, at + 88, &crc32fast::hash(&entries).to_le_bytes())?;
        let mut backup = slice(head, at, self.len)?.to_vec();
        // The second header is at the end, its entries before it.
        put(&mut backup, 24, &last.to_le_bytes())?;
        put(&mut backup, 32, &1_u64.to_le_bytes())?;
        put(&mut backup, 72, &backup_entries.to_le_bytes())?;
        seal(&mut backup);
        let mut header = slice(head, at, self.len)?.to_vec();
        seal(&mut header);
        put(head, at, &header)?;
        super::mbr::protect(head, last)?;
        let mut tail = entries;
        tail.resize(usize::try_from(entries_sectors * sector).unwrap_or_default(), 0);
        tail.extend_from_slice(&backup);
        let len = tail.len().next_multiple_of(at);
        tail.resize(len, 0);
        Ok((backup_entries * sector, tail))
    }

    /// The last sector that a partition has.
    fn last_used(&self, head: &[u8]) -> Result<u64, String> {
        let used = self.entries(head)?.chunks_exact(ENTRY).filter_map(Partition::decode);
        Ok(used.map(|partition| partition.last).max().unwrap_or_default())
    }
}
