//! The table of an MBR: the one before a GPT, which protects it, and the old one of its own, which is only listed and filled.

use super::{
    bytes::{number, put},
    table::TablePartition,
};

/// Where the four entries are, and the bytes of each.
const TABLE: usize = 446;
const ENTRY: usize = 16;

/// What ends the first sector.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// The type of the entry that a GPT has.
pub(super) const PROTECTIVE: &str = "0xee";

/// One partition over all of the disk, so that nothing that knows no GPT takes it for empty.
pub(super) fn protective(sector: u32, sectors: u64) -> Vec<u8> {
    let covered = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    let mut mbr = vec![0; TABLE];
    mbr.extend([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    mbr.extend(1u32.to_le_bytes());
    mbr.extend(covered.to_le_bytes());
    mbr.resize(510, 0);
    mbr.extend(SIGNATURE);
    mbr.resize(sector as usize, 0);
    mbr
}

/// Whether a disk that begins so has a table at all.
pub(super) fn is_there(head: &[u8]) -> bool {
    head.get(510..512) == Some(&SIGNATURE)
}

/// The partitions, by what the first sector says.
pub(super) fn partitions(head: &[u8]) -> Vec<TablePartition> {
    (0..4).filter_map(|at| partition(head, at)).collect()
}

fn partition(head: &[u8], at: usize) -> Option<TablePartition> {
    let entry = head.get(TABLE + at * ENTRY..TABLE + (at + 1) * ENTRY)?;
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

/// Takes a free entry, of which there are three at most: a fourth would leave none for anybody. In sectors of 512 bytes.
pub(super) fn add(
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
    put(head, TABLE + (number as usize - 1) * ENTRY, &entry)?;
    Ok(number)
}

/// Lets the protective entry span a disk up to its last sector, as far as it can count.
pub(super) fn protect(head: &mut [u8], last: u64) -> Result<(), String> {
    for at in 0..4 {
        if head.get(TABLE + at * ENTRY + 4) == Some(&0xee) {
            let sectors = u32::try_from(last).unwrap_or(u32::MAX);
            return put(head, TABLE + at * ENTRY + 12, &sectors.to_le_bytes());
        }
    }
    Ok(())
}
