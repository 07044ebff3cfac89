//! Any bytes as a layer's tar: never a panic, the same entries however they are split, the same bytes again, and, where
//! `tar-core` reads them as well, the same paths and bodies.
//!
//! The first byte chooses the split. Checksums are made right before reading, so that the fuzzer gets past them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::Limits;
use sealstone_import::layer_tree::{FileContent, LayerTreeBuilder};
use sealstone_import::tar::{Entry, Item, Kind, Reader, Refusal, Strictness};
use sealstone_store::Algorithm;

fuzz_target!(|input: &[u8]| {
    let Some((split, tar)) = input.split_first() else { return };
    let mut tar = tar.to_vec();
    tar.chunks_exact_mut(512).for_each(fix_checksum);
    let limits = Limits::default();
    let whole = read(&mut std::iter::once(&tar[..]), &limits);
    let pieces = read(&mut tar.chunks(1 + usize::from(*split) * 5), &limits);
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert!(whole.rebuilt == tar);
            assert!(whole.rebuilt == pieces.rebuilt && whole.entries == pieces.entries);
            compare(whole, &tar);
        }
        (Err(whole), Err(pieces)) => assert_eq!(whole.reason(), pieces.reason()),
        _ => panic!("taken in one split, refused in another"),
    }
    let _ = build(&tar, &limits);
});

/// Blocks that look like headers of a known format get the checksum they should have.
fn fix_checksum(block: &mut [u8]) {
    if &block[257..262] == b"ustar" {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

struct Read {
    entries: Vec<(Entry, Vec<u8>)>,
    rebuilt: Vec<u8>,
}

fn read(chunks: &mut dyn Iterator<Item = &[u8]>, limits: &Limits) -> Result<Read, Refusal> {
    let mut reader = Reader::new(limits.clone(), Strictness::Normal);
    let mut read = Read { entries: Vec::new(), rebuilt: Vec::new() };
    for chunk in chunks {
        let mut input = chunk;
        loop {
            let step = reader.next(&mut input)?;
            read.rebuilt.extend_from_slice(step.raw);
            match step.item {
                Item::Entry => read.entries.push((reader.entry().clone(), Vec::new())),
                Item::Body { bytes, .. } => {
                    read.rebuilt.extend_from_slice(bytes);
                    read.entries.last_mut().unwrap().1.extend_from_slice(bytes);
                }
                Item::NeedInput => break,
            }
        }
    }
    reader.finish()?;
    Ok(read)
}

fn build(tar: &[u8], limits: &Limits) -> Result<(), Refusal> {
    let mut reader = Reader::new(limits.clone(), Strictness::Normal);
    let mut builder = LayerTreeBuilder::new(Algorithm::Sha256, limits.clone(), Strictness::Normal);
    let mut input = tar;
    while reader.next(&mut input)?.item == Item::Entry {
        let slot = builder.add(reader.entry())?;
        let Some(body) = reader.take_body(&mut input) else { break };
        if let Some(slot) = slot {
            builder.set_content(slot, FileContent::Inline(body))?;
        }
    }
    let (tree, _) = builder.finish()?;
    let bytes = tree.encode();
    let decoded = sealstone_import::layer_tree::LayerTree::decode(&bytes, limits).expect("just encoded");
    assert!(decoded == tree);
    Ok(())
}

/// What `tar-core` sees of a tar that we take. It stops where it refuses or meets what we read otherwise on purpose:
/// global headers, sparse files, repeated extended headers, sizes on entries without a body, v7 directories.
fn compare(ours: &Read, tar: &[u8]) {
    use tar_core::parse::{ParseEvent, Parser};
    let mut parser = Parser::with_defaults();
    parser.set_allow_empty_path(true);
    let mut rest = tar;
    for (entry, body) in &ours.entries {
        let Ok(ParseEvent::Entry { consumed, entry: theirs }) = parser.parse(rest) else { return };
        let size = usize::try_from(theirs.size).unwrap_or(usize::MAX);
        let is_plain = entry.sparse().is_none() && theirs.entry_type.as_byte() != b'V';
        if !is_plain
            || size != body.len()
            || (theirs.entry_type.as_byte() == 0 && entry.kind() == Kind::Directory)
        {
            return;
        }
        let normal: Vec<_> =
            theirs.path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
        assert_eq!(normal.join(&b'/').escape_ascii().to_string(), entry.path().escape_ascii().to_string());
        let start = consumed.min(rest.len());
        assert!(rest[start..].starts_with(body));
        let next = start.saturating_add(size.next_multiple_of(512));
        rest = rest.get(next..).unwrap_or_default();
    }
}
