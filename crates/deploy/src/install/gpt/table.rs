//! [`PartitionTable`]: the table that a disk's first mebibyte has, for people and for what is to be added to it.
//!
//! Hostile input: what a table says of itself is bounded, and nothing holds whose checksums do not. An MBR is only listed.

use sealstone_boot::{GptHeader, GptPartition};

use super::{ENTRY, Partition, SECTORS, bytes::slice, edit::Header, mbr};
use crate::install::layout::{ALIGNMENT, LINUX};

/// What partitions a disk has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionTable {
    /// Bytes of the sectors that a GPT counts in; `None` for an MBR.
    pub sector_bytes: Option<u32>,
    /// The partitions, in the order of the table.
    pub partitions: Vec<TablePartition>,
    gpt: Option<Header>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TablePartition {
    /// Its number, from 1.
    pub number: u32,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its type: a GUID, or the byte of an MBR as `0x83`.
    pub kind: String,
    /// Its name, which only a GPT has. **Text by whoever made the image.**
    pub name: String,
}

impl PartitionTable {
    /// Reads the table out of a disk's first mebibyte.
    ///
    /// # Errors
    /// The reason why there is none, or none that holds.
    pub fn read(head: &[u8]) -> Result<Self, String> {
        if !mbr::is_there(head) {
            return Err("it has no partition table".to_owned());
        }
        for sector in SECTORS {
            if head.get(sector as usize..).is_some_and(GptHeader::is_there) {
                return read_gpt(head, sector);
            }
        }
        let partitions = mbr::partitions(head);
        if partitions.iter().any(|partition| partition.kind == mbr::PROTECTIVE) {
            return Err("its GPT is neither for sectors of 512 bytes nor of 4096".to_owned());
        }
        Ok(Self { sector_bytes: None, partitions, gpt: None })
    }

    /// Adds a partition of at least so many bytes at the end of a disk, or finds the one that has this name already; gives
    /// where it begins. Of a GPT, the checksums are wrong until it [reaches](Self::reach_to) to the end.
    pub(in crate::install) fn add(
        &mut self,
        name: &str,
        bytes: u64,
        disk_bytes: u64,
        head: &mut [u8],
    ) -> Result<u64, String> {
        let old = self.partitions.iter().find(|partition| partition.name == name);
        if let Some(old) = old.filter(|old| old.bytes >= bytes) {
            return Ok(old.offset);
        }
        let (sector, usable) = match &self.gpt {
            Some(gpt) => (u64::from(gpt.sector), gpt.usable(disk_bytes)?),
            // An MBR counts sectors of 512 bytes with 32 bits.
            None => (512, (disk_bytes / 512).min(u64::from(u32::MAX))),
        };
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let end = usable * sector / ALIGNMENT * ALIGNMENT;
        let used =
            self.partitions.iter().map(|one| one.offset.saturating_add(one.bytes)).max().unwrap_or(ALIGNMENT);
        let offset = end.checked_sub(bytes).filter(|offset| *offset >= used);
        let offset =
            offset.ok_or_else(|| format!("behind its partitions there is no room for {bytes} bytes"))?;
        let number = match &self.gpt {
            Some(gpt) => gpt.add(name, (offset / sector, (offset + bytes) / sector - 1), head)?,
            None => mbr::add(&self.partitions, (offset / 512, bytes / 512), head)?,
        };
        let (kind, name) = match self.gpt {
            Some(_) => (LINUX.to_string(), name.to_owned()),
            None => ("0x83".to_owned(), String::new()),
        };
        self.partitions.push(TablePartition { number, offset, bytes, kind, name });
        Ok(offset)
    }

    /// Makes a GPT reach to the end of a disk of so many bytes; gives what belongs at its end: the second table, with its
    /// place. An MBR stays as it is.
    pub(in crate::install) fn reach_to(
        &self,
        disk_bytes: u64,
        head: &mut [u8],
    ) -> Result<Option<(u64, Vec<u8>)>, String> {
        let Some(gpt) = &self.gpt else { return Ok(None) };
        gpt.reach_to(disk_bytes, head).map(Some)
    }
}

fn read_gpt(head: &[u8], sector: u32) -> Result<PartitionTable, String> {
    let at = sector as usize;
    let header = GptHeader::read(slice(head, at, at)?)?;
    if header.entry_bytes as usize != ENTRY {
        return Err("its GPT has entries of an unusual size or number".to_owned());
    }
    let entries_at = header.entries_at.checked_mul(u64::from(sector));
    let entries_at =
        entries_at.and_then(|at| usize::try_from(at).ok()).ok_or("its GPT's entries are far away")?;
    let entries_len = header.entries_len();
    let found = header.partitions(slice(head, entries_at, entries_len)?)?;
    let partitions = found.into_iter().map(|(number, found)| gpt_partition(number, found, sector)).collect();
    let gpt = Header { sector, len: header.len as usize, entries_at, entries_len };
    Ok(PartitionTable { sector_bytes: Some(sector), partitions, gpt: Some(gpt) })
}

/// What an entry says, in bytes.
fn gpt_partition(number: u32, found: GptPartition, sector: u32) -> TablePartition {
    let partition = Partition::from(found);
    let (first, sector) = (partition.first, u64::from(sector));
    TablePartition {
        number,
        offset: first.saturating_mul(sector),
        bytes: partition.last.saturating_add(1).saturating_sub(first).saturating_mul(sector),
        kind: partition.kind.to_string(),
        name: partition.name,
    }
}
