//! A disk image as qcow2, version 3: its tables first, then the clusters that hold anything.
//!
//! What lives here: writing one of a raw image. What does not: reading one. Source: QEMU's `docs/interop/qcow2.txt`.
//! Invariant: a reader that goes from the beginning to the end knows where each cluster goes before it comes.

use sealstone_store::{Control, Error, disk::File};

use crate::DeployError;

/// The bits of a cluster's size: 64 KiB.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: usize = 1 << CLUSTER_BITS;

/// The clusters that one table of the second level, and one block of counts, tell of.
const PER_L2: usize = CLUSTER / 8;
const PER_COUNTS: usize = CLUSTER / 2;

/// The bit of an entry whose cluster is its own.
const OWN: u64 = 1 << 63;

/// The size of the header.
const HEADER: u32 = 104;

/// Writes `raw`, of so many bytes, to an empty file.
///
/// # Errors
/// [`Error::Cancelled`], and the disk's.
pub(super) fn write(raw: &File, size: u64, to: &File, control: &Control) -> Result<(), DeployError> {
    let clusters = usize::try_from(size.div_ceil(CLUSTER as u64)).unwrap_or(usize::MAX);
    let mut buffer = vec![0; CLUSTER];
    let mut held = Vec::new();
    for index in 0..clusters {
        control.check().map_err(|_| Error::Cancelled)?;
        if read(raw, index, size, &mut buffer)?.iter().any(|&byte| byte != 0) {
            held.push(index);
        }
    }
    let plan = Plan::of(clusters, &held);
    write_tables(&plan, size, &held, to)?;
    for (number, index) in held.iter().enumerate() {
        control.check().map_err(|_| Error::Cancelled)?;
        let bytes = read(raw, *index, size, &mut buffer)?;
        to.write_all_at(((plan.data + number) * CLUSTER) as u64, bytes)?;
    }
    // The last cluster is whole, even if the disk is not.
    Ok(to.set_len((plan.all * CLUSTER) as u64)?)
}

/// A cluster of the raw image; the last may be short.
fn read<'a>(raw: &File, index: usize, size: u64, buffer: &'a mut [u8]) -> Result<&'a [u8], DeployError> {
    let at = (index * CLUSTER) as u64;
    let len = usize::try_from(size - at).unwrap_or(usize::MAX).min(CLUSTER);
    let piece = buffer.get_mut(..len).unwrap_or_default();
    raw.read_exact_at(at, piece)?;
    Ok(piece)
}

/// Where the parts are, in clusters: header, counts' table, counts, first level, second level, data.
struct Plan {
    l1_entries: usize,
    /// Which tables of the second level there are.
    l2: Vec<usize>,
    counts_table: usize,
    counts_table_len: usize,
    counts: usize,
    counts_len: usize,
    l1: usize,
    l2_at: usize,
    data: usize,
    all: usize,
}

impl Plan {
    fn of(clusters: usize, held: &[usize]) -> Self {
        let l1_entries = clusters.div_ceil(PER_L2).max(1);
        let mut l2: Vec<usize> = held.iter().map(|index| index / PER_L2).collect();
        l2.dedup();
        let l1_len = (l1_entries * 8).div_ceil(CLUSTER);
        let others = 1 + l1_len + l2.len() + held.len();
        // Counts count themselves: a few rounds find how many it takes.
        let (mut counts_len, mut counts_table_len) = (1, 1);
        for _ in 0..8 {
            counts_len = (others + counts_len + counts_table_len).div_ceil(PER_COUNTS);
            counts_table_len = (counts_len * 8).div_ceil(CLUSTER);
        }
        let counts_table = 1;
        let counts = counts_table + counts_table_len;
        let l1 = counts + counts_len;
        let l2_at = l1 + l1_len;
        let data = l2_at + l2.len();
        let all = data + held.len();
        Self { l1_entries, l2, counts_table, counts_table_len, counts, counts_len, l1, l2_at, data, all }
    }
}

fn write_tables(plan: &Plan, size: u64, held: &[usize], to: &File) -> Result<(), DeployError> {
    let place = |cluster: usize| (cluster * CLUSTER) as u64;
    let table =
        |entries: &mut dyn Iterator<Item = u64>| -> Vec<u8> { entries.flat_map(u64::to_be_bytes).collect() };
    to.write_all_at(0, &header(plan, size))?;
    let counts = (0..plan.counts_len).map(|index| place(plan.counts + index));
    to.write_all_at(place(plan.counts_table), &table(&mut { counts }))?;
    let ones: Vec<u8> = std::iter::repeat_n([0, 1], plan.all).flatten().collect();
    to.write_all_at(place(plan.counts), &ones)?;
    let l1 = (0..plan.l1_entries).map(|index| match plan.l2.binary_search(&index) {
        Ok(number) => place(plan.l2_at + number) | OWN,
        Err(_) => 0,
    });
    to.write_all_at(place(plan.l1), &table(&mut { l1 }))?;
    let mut numbered = held.iter().enumerate().peekable();
    for (number, which) in plan.l2.iter().enumerate() {
        let mut entries = vec![0; PER_L2];
        while let Some((data, index)) = numbered.next_if(|(_, index)| **index / PER_L2 == *which) {
            if let Some(entry) = entries.get_mut(index % PER_L2) {
                *entry = place(plan.data + data) | OWN;
            }
        }
        to.write_all_at(place(plan.l2_at + number), &table(&mut entries.into_iter()))?;
    }
    Ok(())
}

fn header(plan: &Plan, size: u64) -> Vec<u8> {
    let place = |cluster: usize| (cluster * CLUSTER) as u64;
    let short = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = Vec::new();
    bytes.extend(b"QFI\xfb");
    bytes.extend(3u32.to_be_bytes());
    // No backing file.
    bytes.extend([0; 12]);
    bytes.extend(CLUSTER_BITS.to_be_bytes());
    bytes.extend(size.to_be_bytes());
    // Not encrypted.
    bytes.extend([0; 4]);
    bytes.extend(short(plan.l1_entries));
    bytes.extend(place(plan.l1).to_be_bytes());
    bytes.extend(place(plan.counts_table).to_be_bytes());
    bytes.extend(short(plan.counts_table_len));
    // No snapshots, and no feature beyond the version's.
    bytes.extend([0; 4 + 8 + 24]);
    // Counts of 16 bits.
    bytes.extend(4u32.to_be_bytes());
    bytes.extend(HEADER.to_be_bytes());
    // The end of the header's extensions.
    bytes.extend([0; 8]);
    bytes
}
