//! Boot partitions are found in tables of either sector size, and nothing is found in what lies.

use sealstone_store::disk::{Dir, RealDisk};

use super::*;

fn read(bytes: &[u8], block: u64) -> Vec<GptEntry> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("disk"), bytes).unwrap();
    let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
    boot_entries(&dir.open_file("disk").unwrap(), block).unwrap_or_default()
}

/// A disk with partitions of these types, and `change` made to header and entries before their checksums are.
fn disk(block: usize, types: &[[u8; 16]], change: impl Fn(&mut [u8], &mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; 2 * block + 128 * 128];
    let (head, entries) = bytes.split_at_mut(2 * block);
    let header = &mut head[block..];
    header[..8].copy_from_slice(SIGNATURE);
    header[72..80].copy_from_slice(&2_u64.to_le_bytes());
    for (at, number) in [(12, HEADER), (80, 128), (84, 128)] {
        header[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    for (number, (kind, entry)) in (1_u8..).zip(types.iter().zip(entries.chunks_exact_mut(128))) {
        entry[..16].copy_from_slice(kind);
        entry[16..32].copy_from_slice(&[number; 16]);
        entry[32..40].copy_from_slice(&2048_u64.to_le_bytes());
        entry[40..48].copy_from_slice(&4095_u64.to_le_bytes());
    }
    change(header, entries);
    header[88..92].copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
    let sum = header_checksum(&header[..HEADER as usize]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn boot_partitions_are_found_in_blocks_of_either_size() {
    for block in [512, 4096] {
        let found = read(&disk(block, &[[1; 16], ESP, XBOOTLDR], |_, _| ()), block as u64);
        let kinds: Vec<_> = found.iter().map(|entry| (entry.number, entry.kind)).collect();
        assert_eq!(kinds, [(2, PartitionKind::Esp), (3, PartitionKind::Xbootldr)]);
        assert_eq!((found[0].guid, found[0].start, found[0].blocks), ([2; 16], 2048, 2048));
    }
}

#[test]
fn what_is_no_table_or_lies_about_its_size_has_none() {
    assert_eq!(read(&[0; 4096], 512), []);
    assert_eq!(read(b"short", 512), []);
    let whole = disk(512, &[ESP], |_, _| ());
    assert_eq!(read(&whole, 512).len(), 1);
    assert!(read(&whole, 0).is_empty() && read(&whole, 1 << 20).is_empty());
    let with = |at: usize, bytes: &[u8]| {
        disk(512, &[ESP], |header, _| header[at..at + bytes.len()].copy_from_slice(bytes))
    };
    let many = u32::MAX.to_le_bytes();
    for (at, bytes) in
        [(80, &many[..]), (80, &[0; 4]), (84, &[1, 0, 0, 0]), (84, &many), (12, &many), (72, &[0xff; 8])]
    {
        assert_eq!(read(&with(at, bytes), 512), [], "{bytes:?} at {at}");
    }
    let backward = disk(512, &[ESP], |_, entries| entries[40..48].copy_from_slice(&0_u64.to_le_bytes()));
    assert_eq!(read(&backward, 512), []);
}

#[test]
fn a_table_that_is_damaged_anywhere_has_none() {
    let whole = disk(512, &[ESP], |_, _| ());
    for at in [512, 512 + 40, 512 + 72, 512 + 91, 1024, 1024 + 32, 1024 + 127 * 128] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        assert_eq!(read(&damaged, 512), [], "at {at}");
    }
}
