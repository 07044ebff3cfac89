//! [`PartitionTable`]: the table of an image's first mebibyte, and what has to change when its disk is larger.
//!
//! GPT by the UEFI specification (chapter 5), for sectors of 512 and 4,096 bytes; an MBR is only listed. Checksums are held
//! against the bytes, and computed again over what is changed.

use std::fmt::Write as _;

use sealstone_store::{Algorithm, verity};

/// Sectors that GPTs are made for.
const SECTORS: [u32; 2] = [512, 4096];

const SIGNATURE: [u8; 8] = *b"EFI PART";

/// Bytes of a header, and of an entry, as everybody has them.
const HEADER: usize = 92;
const ENTRY: usize = 128;

/// The most entries that we keep; the specification wants room for 128.
const MOST_ENTRIES: u32 = 1024;

/// Linux's generic partition type (`0FC63DAF-8483-4772-8E79-3D69D8477DE4`), which config drives have.
const LINUX_DATA: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

/// Where partitions that are added begin and end, in bytes.
const ALIGNMENT: u64 = 1 << 20;

/// What partitions a disk has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionTable {
    /// Bytes of the sectors that a GPT counts in; `None` for an MBR.
    pub sector_bytes: Option<u32>,
    /// The partitions, in the order of the table.
    pub partitions: Vec<TablePartition>,
    gpt: Option<Gpt>,
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

/// A GPT's header, and where its entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gpt {
    sector: u32,
    header_len: usize,
    entries_at: usize,
    entries_len: usize,
}

impl PartitionTable {
    /// Reads the table out of a disk's first mebibyte.
    ///
    /// # Errors
    /// The reason why there is none, or none that holds.
    pub fn read(head: &[u8]) -> Result<Self, String> {
        if head.get(510..512) != Some(&[0x55, 0xaa]) {
            return Err("it has no partition table".to_owned());
        }
        for sector in SECTORS {
            if head.get(sector as usize..sector as usize + 8) == Some(&SIGNATURE) {
                return read_gpt(head, sector);
            }
        }
        let mbr: Vec<_> = (0..4).filter_map(|at| mbr_partition(head, at)).collect();
        if mbr.iter().any(|partition| partition.kind == "0xee") {
            return Err("its GPT is neither for sectors of 512 bytes nor of 4096".to_owned());
        }
        Ok(Self { sector_bytes: None, partitions: mbr, gpt: None })
    }

    /// Adds a partition of at least so many bytes at the end of a disk, or finds the one that has this name already; gives
    /// where it begins. Of a GPT, the checksums are wrong until it [reaches](Self::reach_to) to the end.
    pub(super) fn add(
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
            None => add_to_mbr(&self.partitions, (offset / 512, bytes / 512), head)?,
        };
        let (kind, name) = match self.gpt {
            Some(_) => (guid(&LINUX_DATA), name.to_owned()),
            None => ("0x83".to_owned(), String::new()),
        };
        self.partitions.push(TablePartition { number, offset, bytes, kind, name });
        Ok(offset)
    }

    /// Makes a GPT reach to the end of a disk of so many bytes; gives what belongs at its end: the second table, with its
    /// place. An MBR stays as it is.
    pub(super) fn reach_to(
        &self,
        disk_bytes: u64,
        head: &mut [u8],
    ) -> Result<Option<(u64, Vec<u8>)>, String> {
        let Some(gpt) = &self.gpt else { return Ok(None) };
        gpt.reach_to(disk_bytes, head).map(Some)
    }
}

/// What the begin of a disk shows, for people; nothing where it is zeros.
pub(super) fn describe(start: &[u8], size: u64) -> Vec<String> {
    if start.iter().all(|byte| *byte == 0) {
        return Vec::new();
    }
    match PartitionTable::read(start) {
        Ok(table) if !table.partitions.is_empty() => table
            .partitions
            .iter()
            .map(|partition| {
                let name = if partition.name.is_empty() { &partition.kind } else { &partition.name };
                format!(
                    "partition {} ({}, {} bytes)",
                    partition.number,
                    name.escape_default(),
                    partition.bytes
                )
            })
            .collect(),
        _ => vec![format!("{size} bytes of something")],
    }
}

fn read_gpt(head: &[u8], sector: u32) -> Result<PartitionTable, String> {
    let at = sector as usize;
    let header_len = number::<4>(head, at + 12)?;
    if !(HEADER as u64..=u64::from(sector)).contains(&header_len) {
        return Err(format!("its GPT has a header of {header_len} bytes"));
    }
    let header_len = usize::try_from(header_len).unwrap_or(HEADER);
    let mut header = slice(head, at, header_len)?.to_vec();
    header.get_mut(16..20).unwrap_or_default().fill(0);
    if u64::from(crc32fast::hash(&header)) != number::<4>(head, at + 16)? {
        return Err("its GPT is damaged: the checksum of the header".to_owned());
    }
    let count = number::<4>(head, at + 80)?;
    if number::<4>(head, at + 84)? != ENTRY as u64 || count > u64::from(MOST_ENTRIES) || count == 0 {
        return Err("its GPT has entries of an unusual size or number".to_owned());
    }
    let entries_at = number::<8>(head, at + 72)?.checked_mul(u64::from(sector));
    let entries_at =
        entries_at.and_then(|at| usize::try_from(at).ok()).ok_or("its GPT's entries are far away")?;
    let entries_len = usize::try_from(count).unwrap_or_default() * ENTRY;
    let entries = slice(head, entries_at, entries_len)?;
    if u64::from(crc32fast::hash(entries)) != number::<4>(head, at + 88)? {
        return Err("its GPT is damaged: the checksum of the entries".to_owned());
    }
    let partitions = (1..)
        .zip(entries.chunks_exact(ENTRY))
        .filter_map(|(number, entry)| gpt_partition(number, entry, sector));
    let partitions = partitions.collect();
    let gpt = Gpt { sector, header_len, entries_at, entries_len };
    Ok(PartitionTable { sector_bytes: Some(sector), partitions, gpt: Some(gpt) })
}

fn gpt_partition(number: u32, entry: &[u8], sector: u32) -> Option<TablePartition> {
    let kind: &[u8; 16] = entry.first_chunk()?;
    if *kind == [0; 16] {
        return None;
    }
    let first = self::number::<8>(entry, 32).ok()?;
    let last = self::number::<8>(entry, 40).ok()?;
    let (units, _) = entry.get(56..)?.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let name =
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let sector = u64::from(sector);
    Some(TablePartition {
        number,
        offset: first.saturating_mul(sector),
        bytes: (last.saturating_add(1)).saturating_sub(first).saturating_mul(sector),
        kind: guid(kind),
        name,
    })
}

fn mbr_partition(head: &[u8], at: usize) -> Option<TablePartition> {
    let entry = head.get(446 + at * 16..446 + (at + 1) * 16)?;
    let kind = *entry.get(4)?;
    let (first, count) = (number::<4>(entry, 8).ok()?, number::<4>(entry, 12).ok()?);
    let (number, offset, bytes) = (u32::try_from(at).ok()? + 1, first * 512, count * 512);
    (kind != 0).then(|| TablePartition {
        number,
        offset,
        bytes,
        kind: format!("{kind:#04x}"),
        name: String::new(),
    })
}

impl Gpt {
    /// How many sectors of a disk come before its second table.
    fn usable(&self, disk_bytes: u64) -> Result<u64, String> {
        let sector = u64::from(self.sector);
        let table = (self.entries_len as u64).div_ceil(sector) + 1;
        (disk_bytes / sector).checked_sub(table).ok_or_else(|| "the disk is too small for its GPT".to_owned())
    }

    /// Takes the first free entry; gives its number.
    fn add(&self, name: &str, (first, last): (u64, u64), head: &mut [u8]) -> Result<u32, String> {
        let entries = slice(head, self.entries_at, self.entries_len)?;
        let free = entries.chunks_exact(ENTRY).position(|entry| entry.first_chunk::<16>() == Some(&[0; 16]));
        let free = free.ok_or("its partition table is full")?;
        // The partition's own id is made of the table that it is added to: the same image gets the same.
        let id = verity::digest(Algorithm::Sha256, &[entries, name.as_bytes()].concat());
        let mut entry = LINUX_DATA.to_vec();
        entry.extend_from_slice(id.as_bytes().get(..16).unwrap_or_default());
        // Version 8 and the variant of RFC 9562; the third field is little-endian.
        for (at, keep, set) in [(23, 0x0f, 0x80), (24, 0x3f, 0x80)] {
            if let Some(byte) = entry.get_mut(at) {
                *byte = *byte & keep | set;
            }
        }
        for number in [first, last, 0] {
            entry.extend_from_slice(&number.to_le_bytes());
        }
        entry.extend(name.encode_utf16().take(36).flat_map(u16::to_le_bytes));
        entry.resize(ENTRY, 0);
        put(head, self.entries_at + free * ENTRY, &entry)?;
        u32::try_from(free + 1).map_err(|error| error.to_string())
    }

    fn reach_to(&self, disk_bytes: u64, head: &mut [u8]) -> Result<(u64, Vec<u8>), String> {
        let (sector, at) = (u64::from(self.sector), self.sector as usize);
        let last = (disk_bytes / sector).checked_sub(1).ok_or("the disk has no sectors")?;
        let entries_sectors = (self.entries_len as u64).div_ceil(sector);
        let backup_entries = last.checked_sub(entries_sectors).ok_or("the disk is too small for its GPT")?;
        let last_usable = backup_entries - 1;
        if last_usable < number::<8>(head, at + 48)?.min(self.last_used(head)?) {
            return Err(
                "its partitions reach into the end of the disk, where its second table belongs".to_owned()
            );
        }
        put(head, at + 32, &last.to_le_bytes())?;
        put(head, at + 48, &last_usable.to_le_bytes())?;
        let entries = slice(head, self.entries_at, self.entries_len)?.to_vec();
        put(head, at + 88, &crc32fast::hash(&entries).to_le_bytes())?;
        let mut backup = slice(head, at, self.header_len)?.to_vec();
        // The second header is at the end, its entries before it.
        put(&mut backup, 24, &last.to_le_bytes())?;
        put(&mut backup, 32, &1_u64.to_le_bytes())?;
        put(&mut backup, 72, &backup_entries.to_le_bytes())?;
        seal(&mut backup)?;
        let mut header = slice(head, at, self.header_len)?.to_vec();
        seal(&mut header)?;
        put(head, at, &header)?;
        protect(head, last)?;
        let mut tail = entries;
        tail.resize(usize::try_from(entries_sectors * sector).unwrap_or_default(), 0);
        tail.extend_from_slice(&backup);
        let len = tail.len().next_multiple_of(at);
        tail.resize(len, 0);
        Ok((backup_entries * sector, tail))
    }

    /// The last sector that a partition has.
    fn last_used(&self, head: &[u8]) -> Result<u64, String> {
        let entries = slice(head, self.entries_at, self.entries_len)?.chunks_exact(ENTRY);
        let used = entries.filter(|entry| entry.first_chunk::<16>() != Some(&[0; 16]));
        used.map(|entry| number::<8>(entry, 40)).try_fold(0, |most, last| Ok(most.max(last?)))
    }
}

/// Takes a free entry of an MBR, of which there are three at most: a fourth would leave none for anybody.
fn add_to_mbr(
    partitions: &[TablePartition],
    (first, count): (u64, u64),
    head: &mut [u8],
) -> Result<u32, String> {
    let is_free = |number: &u32| !partitions.iter().any(|partition| partition.number == *number);
    let number = (1..=4)
        .find(is_free)
        .filter(|_| partitions.len() < 4)
        .ok_or("its MBR has four partitions already")?;
    let small = |number: u64| u32::try_from(number).map_err(|_| "an MBR does not reach so far".to_owned());
    let mut entry = vec![0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff];
    entry.extend_from_slice(&small(first)?.to_le_bytes());
    entry.extend_from_slice(&small(count)?.to_le_bytes());
    put(head, 446 + (number as usize - 1) * 16, &entry)?;
    Ok(number)
}

/// The protective MBR spans the disk, as far as it can count.
fn protect(head: &mut [u8], last: u64) -> Result<(), String> {
    for at in 0..4 {
        if head.get(446 + at * 16 + 4) == Some(&0xee) {
            let sectors = u32::try_from(last).unwrap_or(u32::MAX);
            return put(head, 446 + at * 16 + 12, &sectors.to_le_bytes());
        }
    }
    Ok(())
}

/// Computes a header's checksum anew.
fn seal(header: &mut [u8]) -> Result<(), String> {
    put(header, 16, &[0; 4])?;
    let sum = crc32fast::hash(header);
    put(header, 16, &sum.to_le_bytes())
}

fn slice(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], String> {
    let end = at.checked_add(len);
    end.and_then(|end| bytes.get(at..end)).ok_or_else(|| "its GPT is not in its first mebibyte".to_owned())
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<(), String> {
    let place = bytes.get_mut(at..at + value.len()).ok_or("its GPT is cut off")?;
    place.copy_from_slice(value);
    Ok(())
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<u64, String> {
    let mut all = [0; 8];
    all.get_mut(..N).unwrap_or_default().copy_from_slice(slice(bytes, at, N)?);
    Ok(u64::from_le_bytes(all))
}

/// A GUID as people write it: the first three groups are little-endian.
fn guid(bytes: &[u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (number, at) in ORDER.into_iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{:02x}", bytes.get(at).copied().unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests;
