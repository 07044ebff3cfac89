//! Any text as a PAX header before a file: never a panic, and never another place of the next header than the size says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::Limits;
use sealstone_import::tar::{Item, Reader, Strictness};

fuzz_target!(|text: &[u8]| {
    let mut tar = Vec::new();
    tar.extend_from_slice(&header(b'x', b"PaxHeaders/x", text.len()));
    tar.extend_from_slice(text);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar.extend_from_slice(&header(b'0', b"file", 0));
    let body = tar.len();
    tar.resize(body + 4096, b'1');
    let mut reader = Reader::new(Limits::default(), Strictness::Normal);
    let mut input = &tar[..];
    if !matches!(reader.next(&mut input).map(|step| step.item), Ok(Item::Entry)) {
        return;
    }
    let entry = reader.entry();
    assert!(!entry.path().contains(&0) && entry.path().len() <= 4095);
    assert!(!entry.path().split(|byte| *byte == b'/').any(|part| part == b".."));
    assert!(entry.xattrs().iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 64 << 10);
    assert!(entry.metadata().mtime.nsec < 1_000_000_000);
    let packed = entry.packed_size();
    let at = reader.offset();
    assert!(at >= body as u64);
    assert_eq!(reader.skip_body(), packed);
    assert_eq!(reader.offset(), at + packed);
});

fn header(typeflag: u8, name: &[u8], size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = typeflag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
