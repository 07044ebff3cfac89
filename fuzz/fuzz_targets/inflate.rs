//! Any bytes as the deflate stream of a gzip member, against zlib-rs: the same bytes come out, however input and room are
//! cut, and what it refuses is refused for the stream's sake, not for the checksum's.

#![no_main]

use flate2::{Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;
use sealstone_import::decompress::{DecodeError, DecodeLimits, Decoder, WindowGate};

const LIMIT: usize = 4 << 20;
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// What zlib-rs makes of a stream: its bytes, and how long it is.
fn oracle(stream: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut decoder = Decompress::new(false);
    let mut out = Vec::with_capacity(LIMIT);
    match decoder.decompress_vec(stream, &mut out, FlushDecompress::None) {
        Ok(Status::StreamEnd) => Some((out, usize::try_from(decoder.total_in()).unwrap())),
        _ => None,
    }
}

fn ours(blob: &[u8], input: usize, room: usize) -> Result<Vec<u8>, DecodeError> {
    let limits = DecodeLimits { output_bytes: LIMIT as u64, ratio: u64::MAX, ..DecodeLimits::default() };
    let mut decoder = Decoder::new(limits, WindowGate::default());
    let (mut out, mut buffer) = (Vec::new(), vec![0; room]);
    let mut rest = blob;
    loop {
        let cut = rest.len().min(if out.is_empty() { input.max(6) } else { input });
        let step = decoder.step(&rest[..cut], &mut buffer)?;
        out.extend_from_slice(&buffer[..step.produced]);
        rest = &rest[step.consumed..];
        if step.consumed + step.produced == 0 {
            assert!(rest.is_empty(), "no progress");
            return decoder.finish().map(|()| out);
        }
    }
}

fuzz_target!(|stream: &[u8]| {
    let blob = [&HEADER[..], stream].concat();
    match oracle(stream) {
        Some((bytes, length)) => {
            let mut blob = blob[..HEADER.len() + length].to_vec();
            blob.extend(crc32fast::hash(&bytes).to_le_bytes());
            blob.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            for (input, room) in [(1 << 20, 1 << 20), (1, 1 << 16), (13, 509)] {
                assert!(ours(&blob, input, room).as_ref() == Ok(&bytes), "{input} {room}");
            }
        }
        None => match ours(&blob, 1 << 20, 1 << 20) {
            Err(DecodeError::Damaged { reason, .. }) => assert!(!reason.contains("is another"), "accepted: {reason}"),
            Err(DecodeError::Truncated(_) | DecodeError::TooLong(_)) => {}
            other => panic!("{:?}", other.map(drop)),
        },
    }
});
