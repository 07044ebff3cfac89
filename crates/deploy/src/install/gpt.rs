//! A partition table (GPT), as bytes.
//!
//! What lives here: the protective MBR, both headers and tables, for sectors of 512 and of 4,096 bytes. What does not: which
//! partitions there are (`layout.rs`), the disk. Source: the UEFI specification, section 5.3. Why not a crate: those that
//! there are want the whole disk as a file of theirs and write it themselves, where the order of writing is ours to keep.

use super::ids::Uuid;

/// The entries of a table, and the size of each.
const ENTRIES: u32 = 128;
const ENTRY: u32 = 128;

/// The bytes of a whole table.
const TABLE: usize = 128 * 128;

/// The bytes of a header that its checksum covers.
const HEADER: u32 = 92;

/// A partition. Sectors are counted from 0, the last is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What it is for: the discoverable types of systemd.
    pub kind: Uuid,
    /// Its own id.
    pub id: Uuid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
    /// The attribute bits.
    pub attributes: u64,
    /// At most 36 letters.
    pub name: String,
}

/// A disk's partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    /// The disk's own id.
    pub id: Uuid,
    /// The size of a sector in bytes: 512 or 4,096.
    pub sector: u32,
    /// The sectors of the disk.
    pub sectors: u64,
    /// The partitions, at most 128.
    pub partitions: Vec<Partition>,
}

impl Gpt {
    /// The sectors of a table.
    fn table_sectors(&self) -> u64 {
        u64::from(ENTRIES * ENTRY).div_ceil(self.sector.into())
    }

    /// The first sector that a partition may have.
    #[must_use]
    pub fn first_usable(&self) -> u64 {
        2 + self.table_sectors()
    }

    /// The last sector that a partition may have.
    #[must_use]
    pub fn last_usable(&self) -> u64 {
        self.sectors.saturating_sub(2 + self.table_sectors())
    }

    /// What to write where, in bytes from the disk's beginning: the copy at the end, then the table at the beginning with the
    /// headers, which make it count.
    #[must_use]
    pub fn encode(&self) -> [(u64, Vec<u8>); 2] {
        let (sector, table) = (u64::from(self.sector), self.table());
        let last = self.sectors.saturating_sub(1);
        let copy_at = last.saturating_sub(self.table_sectors());
        let mut copy = table.clone();
        copy.extend(self.header(&table, (last, 1), copy_at));
        let mut head = self.protective_mbr();
        head.extend(self.header(&table, (1, last), 2));
        head.extend(table);
        [(copy_at * sector, copy), (0, head)]
    }

    fn table(&self) -> Vec<u8> {
        let mut table = Vec::new();
        for partition in self.partitions.iter().take(ENTRIES as usize) {
            table.extend(partition.kind.to_guid());
            table.extend(partition.id.to_guid());
            for number in [partition.first, partition.last, partition.attributes] {
                table.extend(number.to_le_bytes());
            }
            let name: Vec<u8> = partition.name.encode_utf16().take(36).flat_map(u16::to_le_bytes).collect();
            table.extend(&name);
            table.resize(table.len().next_multiple_of(ENTRY as usize), 0);
        }
        let size = usize::try_from(self.table_sectors() * u64::from(self.sector)).unwrap_or(TABLE);
        table.resize(size, 0);
        table
    }

    fn header(&self, table: &[u8], (own, other): (u64, u64), table_at: u64) -> Vec<u8> {
        let entries = table.get(..TABLE).unwrap_or(table);
        let mut header = Vec::new();
        header.extend(b"EFI PART");
        // Revision 1.0.
        header.extend([0, 0, 1, 0]);
        header.extend(HEADER.to_le_bytes());
        header.extend([0; 8]);
        for number in [own, other, self.first_usable(), self.last_usable()] {
            header.extend(number.to_le_bytes());
        }
        header.extend(self.id.to_guid());
        header.extend(table_at.to_le_bytes());
        for number in [ENTRIES, ENTRY, crc32fast::hash(entries)] {
            header.extend(number.to_le_bytes());
        }
        let crc = crc32fast::hash(&header).to_le_bytes();
        header.splice(16..20, crc);
        header.resize(self.sector as usize, 0);
        header
    }

    /// One partition over all of the disk, so that nothing that knows no GPT takes it for empty.
    fn protective_mbr(&self) -> Vec<u8> {
        let covered = u32::try_from(self.sectors.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut mbr = vec![0; 446];
        mbr.extend([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
        mbr.extend(1u32.to_le_bytes());
        mbr.extend(covered.to_le_bytes());
        mbr.resize(510, 0);
        mbr.extend([0x55, 0xaa]);
        mbr.resize(self.sector as usize, 0);
        mbr
    }
}
