//! Any bytes as a tar-split: every piece is bounded by its line, and the end comes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::{
    Limits,
    tar_split::{Piece, TarSplitReader},
};

/// A limit that inputs of a few kilobytes reach.
const LINE: usize = 1 << 10;

fuzz_target!(|input: &[u8]| {
    let mut limits = Limits::default();
    limits.tar_split_line_bytes = LINE;
    limits.layer_bytes = 1 << 20;
    let mut reader = TarSplitReader::new("the tar-split", Box::new(input), &limits);
    let mut out = 0;
    while let Ok(Some(piece)) = reader.next_piece() {
        out += match piece {
            Piece::Raw(bytes) => bytes.len(),
            Piece::File { name, .. } => name.len(),
        };
        assert!(out <= 1 << 20);
    }
});
