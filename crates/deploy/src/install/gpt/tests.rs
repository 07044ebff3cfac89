//! Partition tables of images that lie are refused, and of those that hold the second one is right wherever it goes.

use proptest::prelude::*;

use super::{bytes::number, *};

const HEAD: usize = 1 << 20;

/// The head of a disk of so many bytes with a GPT, made by the rules of the specification and not by the code under test.
fn head(sector: usize, disk_bytes: u64, partitions: &[(u64, u64, &str)]) -> Vec<u8> {
    let mut head = vec![0; HEAD];
    head[446 + 4] = 0xee;
    head[446 + 8] = 1;
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
    let last = disk_bytes / sector as u64 - 1;
    let table_sectors = (128 * 128_u64).div_ceil(sector as u64);
    for (number, (first, end, name)) in partitions.iter().enumerate() {
        let entry = &mut head[2 * sector + number * 128..][..128];
        entry[..16].fill(0x11);
        entry[16..32].fill(u8::try_from(number).unwrap() + 1);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&end.to_le_bytes());
        for (at, unit) in name.encode_utf16().enumerate() {
            entry[56 + at * 2..58 + at * 2].copy_from_slice(&unit.to_le_bytes());
        }
    }
    let entries = crc32fast::hash(&head[2 * sector..2 * sector + 128 * 128]);
    let header = &mut head[sector..sector + 92];
    header[..8].copy_from_slice(b"EFI PART");
    header[10] = 1;
    for (at, number) in [(12, 92), (80, 128), (84, 128), (88, entries)] {
        header[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    let usable = last - table_sectors - 1;
    for (at, number) in [(24, 1), (32, last), (40, 2 + table_sectors), (48, usable), (72, 2)] {
        header[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    let sum = crc32fast::hash(header);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    head
}

#[test]
fn the_second_table_goes_to_the_end_of_any_disk_that_is_large_enough() {
    for sector in [512, 4096] {
        let mib = (1 << 20) / sector as u64;
        let disk_bytes = 16 << 20;
        let mut head =
            head(sector, disk_bytes, &[(mib, 2 * mib - 1, "esp"), (2 * mib, 14 * mib - 1, "root")]);
        let table = PartitionTable::read(&head).unwrap();
        assert_eq!(table.partitions[1].name, "root");
        assert_eq!((table.partitions[1].offset, table.partitions[1].bytes), (2 << 20, 12 << 20));
        for target in [16_u64 << 20, (20 << 20) + 700, 1 << 40] {
            let (at, tail) = table.reach_to(target, &mut head).unwrap().unwrap();
            assert_eq!(at + tail.len() as u64, target / sector as u64 * sector as u64);
            let again = PartitionTable::read(&head).unwrap();
            assert_eq!(again.partitions, table.partitions);
            // The second header, read as a first one, names its own place and holds.
            let second = &tail[tail.len() - sector..];
            assert_eq!(number::<8>(second, 24).unwrap(), target / sector as u64 - 1);
            assert_eq!(number::<8>(second, 72).unwrap() * sector as u64, at);
            let mut zeroed = second[..92].to_vec();
            zeroed[16..20].fill(0);
            assert_eq!(u64::from(crc32fast::hash(&zeroed)), number::<4>(second, 16).unwrap());
            assert!(tail.starts_with(&head[2 * sector..2 * sector + 128 * 128]));
        }
        assert!(table.reach_to(13 << 20, &mut head).is_err(), "its partitions would be cut");
        assert!(table.reach_to(0, &mut head).is_err());
    }
}

#[test]
fn a_partition_is_added_once_and_only_where_there_is_room() {
    let mut head = head(512, 16 << 20, &[(2048, 8191, "root")]);
    let mut table = PartitionTable::read(&head).unwrap();
    let offset = table.add("config-2", 700_000, 16 << 20, &mut head).unwrap();
    assert_eq!((offset, table.partitions[1].bytes), (14 << 20, 1 << 20));
    table.reach_to(16 << 20, &mut head).unwrap();
    let mut again = PartitionTable::read(&head).unwrap();
    assert_eq!(again, table);
    assert_eq!(again.add("config-2", 700_000, 16 << 20, &mut head).unwrap(), offset);
    assert_eq!(again, table);
    assert!(again.add("other", 11 << 20, 16 << 20, &mut head).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_table_or_none_and_one_that_is_changed_does_not_hold(
        noise in prop::collection::vec(any::<u8>(), 0..5_000),
        at in 512_usize..2_000,
        byte in 1_u8..,
    ) {
        let _ = PartitionTable::read(&noise);
        let mut signed = noise;
        signed.resize(6_000, 0);
        signed[510..512].copy_from_slice(&[0x55, 0xaa]);
        signed[512..520].copy_from_slice(b"EFI PART");
        prop_assert!(PartitionTable::read(&signed).is_err());
        let mut damaged = head(512, 16 << 20, &[(2048, 8191, "root"), (8192, 20_479, "data")]);
        damaged[at] ^= byte;
        // Behind the header, up to the entries, nothing is anybody's.
        prop_assert_eq!(PartitionTable::read(&damaged).is_err(), !(512 + 92..1024).contains(&at));
    }
}
