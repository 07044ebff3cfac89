//! Any bytes as a layer's blob: the decoder gets on with every step, stays within its limits, and gives the same bytes
//! however input and room are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::decompress::{DecodeError, DecodeLimits, Decoder, WindowGate};

const LIMIT: u64 = 4 << 20;

fn decode(blob: &[u8], input: usize, room: usize) -> Result<Vec<u8>, DecodeError> {
    let limits = DecodeLimits { output_bytes: LIMIT, window_bytes: 1 << 20, ..DecodeLimits::default() };
    let mut decoder = Decoder::new(limits, WindowGate::default());
    let (mut out, mut buffer) = (Vec::new(), vec![0; room]);
    let mut rest = blob;
    while !rest.is_empty() {
        let cut = rest.len().min(if out.is_empty() { input.max(6) } else { input });
        let step = decoder.step(&rest[..cut], &mut buffer)?;
        assert!(step.consumed <= cut && step.produced <= room);
        assert!(step.consumed + step.produced > 0, "no progress");
        out.extend_from_slice(&buffer[..step.produced]);
        rest = &rest[step.consumed..];
    }
    loop {
        let step = decoder.step(&[], &mut buffer)?;
        if step.produced == 0 {
            break;
        }
        out.extend_from_slice(&buffer[..step.produced]);
    }
    assert!(out.len() as u64 <= LIMIT);
    decoder.finish().map(|()| out)
}

fuzz_target!(|input: &[u8]| {
    let whole = decode(input, 1 << 16, 1 << 16);
    let pieces = decode(input, 13, 509);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert!(whole == pieces),
        (Err(_), Err(_)) => {}
        (whole, pieces) => panic!("{:?} and {:?}", whole.map(drop), pieces.map(drop)),
    }
});
