//! Any bytes as the beginning of a disk: no partition table, or one of which every partition has another number; and the same
//! with checksums that are made to hold, so that what they guard is read. A table that is made of them is read as it was meant.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_deploy::install::{Gpt, Partition, PartitionTable, Uuid};

fn looked_at(head: &[u8]) {
    let Ok(table) = PartitionTable::read(head) else { return };
    assert!(table.partitions.len() <= 1024);
    assert!(table.partitions.windows(2).all(|pair| pair[0].number < pair[1].number));
}

/// Signs the first sectors, and makes the checksums right where they are in reach.
fn sealed(input: &[u8], sector: usize) -> Option<Vec<u8>> {
    let mut head = input.to_vec();
    head.resize(head.len().max(sector * 4), 0);
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
    head[sector..sector + 8].copy_from_slice(b"EFI PART");
    let number =
        |at: usize| u32::from_le_bytes(head[sector + at..sector + at + 4].try_into().unwrap()) as usize;
    let (len, entries, count) = (number(12), number(72) * sector, number(80));
    let bytes = head.get(entries..entries.checked_add(count.checked_mul(128)?)?)?;
    let sum = crc32fast::hash(bytes).to_le_bytes();
    head[sector + 88..sector + 92].copy_from_slice(&sum);
    let header = head.get_mut(sector..sector + len.min(sector))?;
    header.get_mut(16..20)?.fill(0);
    let sum = crc32fast::hash(header).to_le_bytes();
    header[16..20].copy_from_slice(&sum);
    Some(head)
}

fn made(input: &[u8], sector: u32) {
    let partitions: Vec<_> = input
        .chunks_exact(40)
        .take(128)
        .map(|bytes| {
            let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            let (kind, first) = (Uuid(bytes[..16].try_into().unwrap()), number(16) >> 20);
            let last = first + (number(24) >> 20);
            let name = String::from_utf8_lossy(&bytes[32..]).replace('\0', "");
            Partition { kind, id: kind, first, last, attributes: number(24), name }
        })
        .filter(|partition| partition.kind.0 != [0; 16])
        .collect();
    let gpt = Gpt { id: Uuid([7; 16]), sector, sectors: 1 << 30, partitions };
    let [_, (at, head)] = gpt.encode();
    assert_eq!(at, 0);
    let read = PartitionTable::read(&head).expect("what is made holds");
    assert_eq!(read.sector_bytes, Some(sector));
    assert_eq!(read.partitions.len(), gpt.partitions.len());
    for (read, meant) in read.partitions.iter().zip(&gpt.partitions) {
        assert_eq!((&read.name, &read.kind), (&meant.name, &meant.kind.to_string()));
        assert_eq!(read.offset, meant.first * u64::from(sector));
        assert_eq!(read.bytes, (meant.last - meant.first + 1) * u64::from(sector));
    }
}

fuzz_target!(|input: &[u8]| {
    looked_at(input);
    for sector in [512, 4096] {
        if let Some(head) = sealed(input, sector as usize) {
            looked_at(&head);
        }
        made(input, sector);
    }
});
