//! Any bytes as a stored layer tree: refused, or a tree that can be walked and that encodes to the same bytes.
//!
//! The checksum is made right before decoding, so that the fuzzer gets past it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::Limits;
use sealstone_import::layer_tree::{LayerEntry, LayerTree};
use twox_hash::XxHash3_128;

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.to_vec();
    if let Some(end) = bytes.len().checked_sub(16) {
        let checksum = XxHash3_128::oneshot(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&checksum);
    }
    if let Ok(tree) = LayerTree::decode(&bytes, &Limits::default()) {
        assert_eq!(walk(tree.root()), tree.len());
        assert!(tree.encode() == bytes);
        tree.objects().for_each(drop);
    }
});

fn walk(root: LayerEntry<'_>) -> usize {
    let mut count = 0;
    let mut to_visit = vec![root];
    while let Some(entry) = to_visit.pop() {
        count += 1;
        let _ = (entry.name(), entry.kind(), entry.is_opaque(), entry.removes_lower(), entry.is_implicit());
        if let Some(inode) = entry.inode() {
            let _ = (inode.metadata(), inode.content());
            inode.xattrs().for_each(drop);
        }
        to_visit.extend(entry.children());
    }
    count
}
