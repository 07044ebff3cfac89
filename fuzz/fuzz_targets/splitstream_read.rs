//! Any bytes as a splitstream: the reader refuses them, or gives pieces that agree with what it said before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_store::{
    Algorithm,
    splitstream::{Piece, SplitStreamReader},
};

/// Enough to see every path; a bomb of zeros would only be slow.
const PIECES: usize = 10_000;

fuzz_target!(|file: &[u8]| {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let Ok(mut reader) = SplitStreamReader::new(file, algorithm) else { continue };
        let objects: Vec<_> = reader.object_refs().collect();
        let (size, mut inline) = (reader.stream_size(), 0);
        for _ in 0..PIECES {
            match reader.next_piece() {
                Ok(Some(Piece::Inline(bytes))) => inline += bytes.len() as u64,
                Ok(Some(Piece::External(id))) => assert!(objects.contains(&id)),
                Ok(None) | Err(_) => break,
            }
        }
        assert!(inline <= size);
    }
});
