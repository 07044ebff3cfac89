//! Decoders against streams made by the compressors themselves, cut at every kind of place.

use std::io::Write as _;

use flate2::{Compression as Level, write::GzEncoder};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd_frame(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn skippable(payload: &[u8]) -> Vec<u8> {
    let mut frame = 0x184d_2a5e_u32.to_le_bytes().to_vec();
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    frame.extend(payload);
    frame
}

/// Decodes with inputs of `input` bytes (the first one whole enough to detect) and rooms of `room` bytes.
fn decode_with(blob: &[u8], limits: DecodeLimits, input: usize, room: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(limits, WindowGate::default());
    let mut out = Vec::new();
    let mut buffer = vec![0; room];
    let mut at = 0;
    while at < blob.len() {
        let end = blob.len().min(at + if at == 0 { input.max(6) } else { input });
        let step = decoder.step(&blob[at..end], &mut buffer)?;
        assert!(step.consumed + step.produced > 0, "no progress at {at}");
        at += step.consumed;
        out.extend(&buffer[..step.produced]);
    }
    // What is left inside the decoder comes out with no more input.
    loop {
        let step = decoder.step(&[], &mut buffer)?;
        if step.produced == 0 {
            break;
        }
        out.extend(&buffer[..step.produced]);
    }
    decoder.finish().map(|()| out)
}

fn decode(blob: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decode_with(blob, DecodeLimits::default(), 1 << 16, 1 << 16)
}

fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * i / 7 + i % 13) & 255).unwrap()).collect()
}

#[test]
fn any_split_of_input_and_room_gives_the_same_bytes() {
    let (a, b) = (sample(70_001), sample(333));
    let whole: Vec<u8> = [a.clone(), b.clone()].concat();
    let blobs = [
        whole.clone(),
        [gzip(&a), gzip(b""), gzip(&b)].concat(),
        [skippable(b"toc"), zstd_frame(&a, 17), skippable(b""), zstd_frame(&b, 10), skippable(&b)].concat(),
    ];
    for blob in &blobs {
        for (input, room) in [(1, 1), (1, 4096), (7, 13), (4096, 1), (1 << 20, 1 << 20), (5, 1 << 20)] {
            assert_eq!(decode_with(blob, DecodeLimits::default(), input, room).as_ref(), Ok(&whole));
        }
    }
}

#[test]
fn zeros_after_the_last_gzip_member_are_padding_and_anything_else_is_garbage() {
    let mut blob = gzip(b"body");
    blob.extend([0; 700]);
    assert_eq!(decode(&blob), Ok(b"body".to_vec()));
    assert_eq!(decode_with(&blob, DecodeLimits::default(), 3, 2), Ok(b"body".to_vec()));
    blob.push(0x1f);
    assert_eq!(
        decode_with(&blob, DecodeLimits::default(), 3, 2),
        Err(DecodeError::Trailing(Compression::Gzip))
    );
    let blob = [gzip(b"body"), b"x".to_vec()].concat();
    assert_eq!(decode(&blob), Err(DecodeError::Trailing(Compression::Gzip)));
}

#[test]
fn garbage_after_a_zstd_frame_is_refused() {
    let blob = [zstd_frame(b"body", 10), b"garbage".to_vec()].concat();
    assert_eq!(decode(&blob), Err(DecodeError::Trailing(Compression::Zstd)));
}

#[test]
fn a_blob_cut_anywhere_is_truncated_never_whole() {
    let body = sample(3000);
    for blob in [gzip(&body), [zstd_frame(&body, 12), skippable(b"rest")].concat()] {
        let frame_end = blob.len() - if blob[0] == 0x1f { 0 } else { 12 };
        for cut in 6..blob.len() {
            let got = decode(&blob[..cut]);
            assert_eq!(got.is_ok(), cut == frame_end, "cut at {cut} of {}", blob.len());
        }
    }
}

#[test]
fn a_flipped_bit_in_the_gzip_trailer_is_damage() {
    let mut blob = gzip(&sample(500));
    let at = blob.len() - 6;
    blob[at] ^= 4;
    assert!(matches!(decode(&blob), Err(DecodeError::Damaged { compression: Compression::Gzip, .. })));
}

#[test]
fn xz_and_bzip2_are_named_when_refused() {
    assert_eq!(decode(b"\xfd7zXZ\0abc"), Err(DecodeError::Unsupported("xz")));
    assert_eq!(decode(b"BZh91AY&SY"), Err(DecodeError::Unsupported("bzip2")));
}

#[test]
fn a_bomb_stops_at_the_ratio_and_at_the_length() {
    let limits = DecodeLimits { ratio: 100, ratio_after: 1 << 20, ..DecodeLimits::default() };
    let blob = gzip(&vec![0; 4 << 20]);
    assert_eq!(decode_with(&blob, limits, 1 << 16, 1 << 16), Err(DecodeError::Ratio(100)));
    let limits = DecodeLimits { output_bytes: 1 << 20, ..DecodeLimits::default() };
    let blob = zstd_frame(&vec![0; (1 << 20) + 1], 17);
    assert_eq!(decode_with(&blob, limits, 1 << 16, 1 << 16), Err(DecodeError::TooLong(1 << 20)));
}

#[test]
fn a_window_above_the_limit_is_refused_before_it_is_allocated() {
    let blob = zstd_frame(&sample(100), 24);
    let limits = DecodeLimits { window_bytes: 8 << 20, ..DecodeLimits::default() };
    assert_eq!(
        decode_with(&blob, limits, 1 << 16, 1 << 16),
        Err(DecodeError::Window { window: 16 << 20, limit: 8 << 20 })
    );
}

#[test]
fn a_wide_window_holds_the_gate_until_its_decoder_is_gone() {
    let gate = WindowGate::default();
    let mut room = [0; 1 << 12];
    let mut narrow = Decoder::new(DecodeLimits::default(), gate.clone());
    narrow.step(&zstd_frame(&sample(100), 20), &mut room).unwrap();
    assert!(!gate.is_taken());
    let mut wide = Decoder::new(DecodeLimits::default(), gate.clone());
    wide.step(&zstd_frame(&sample(100), 25), &mut room).unwrap();
    assert!(gate.is_taken());
    drop(wide);
    assert!(!gate.is_taken());
}

#[test]
fn a_frame_that_wants_a_dictionary_is_refused() {
    // Magic; descriptor: single segment, one-byte dictionary id; the id; a one-byte content size.
    let blob = [0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 3, 0, 0];
    assert_eq!(decode(&blob), Err(DecodeError::Unsupported("a zstd dictionary")));
}
