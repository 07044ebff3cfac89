//! What the stages of an import cost one by one: decompression and the tar reader, one thread, from memory.
//!
//! `cargo bench -p sealstone-import --bench layer`; bytes are those of the decompressed stream.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::{hint::black_box, io::Write};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_import::{
    decompress::{DecodeLimits, Decoder, WindowGate},
    tar::{Item, Reader},
};

const FILES: u64 = 10_000;
const CHUNK: usize = 256 << 10;

/// A tar of text files, 3 KiB on average, with the words of a small dictionary.
fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for number in 0..FILES {
        let words = random() % 1_000;
        let body = (0..words).map(|_| format!("word{} ", random() % 3_000)).collect::<Vec<_>>().concat();
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        let path = format!("usr/share/doc/package-{:03}/file-{number:05}", number / 50);
        tar.append_data(&mut header, path, body.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn decompress(blob: &[u8], room: &mut [u8]) -> u64 {
    let mut decoder = Decoder::new(DecodeLimits::default(), WindowGate::default());
    let (mut rest, mut made) = (blob, 0);
    loop {
        let step = decoder.step(rest, room).unwrap();
        rest = &rest[step.consumed..];
        made += step.produced as u64;
        if step.consumed == 0 && step.produced == 0 {
            decoder.finish().unwrap();
            return made;
        }
    }
}

fn read(tar: &[u8]) -> usize {
    let mut reader =
        Reader::new(sealstone_import::Limits::default(), sealstone_import::tar::Strictness::default());
    let mut bodies = 0;
    for chunk in tar.chunks(CHUNK) {
        let mut input = chunk;
        loop {
            match reader.next(&mut input).unwrap().item {
                Item::Entry => {}
                Item::Body { bytes, .. } => bodies += black_box(bytes).len(),
                Item::NeedInput => break,
            }
        }
    }
    reader.finish().unwrap();
    bodies
}

fn stages(criterion: &mut Criterion) {
    let tar = layer();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&tar).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(tar.as_slice(), 3).unwrap();
    let mut room = vec![0; CHUNK];
    let mut group = criterion.benchmark_group("layer");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(tar.len() as u64));
    group.bench_function("gunzip", |bencher| bencher.iter(|| decompress(black_box(&gzip), &mut room)));
    group.bench_function("unzstd", |bencher| bencher.iter(|| decompress(black_box(&zstd), &mut room)));
    group.throughput(Throughput::Elements(FILES));
    group.bench_function("read_tar", |bencher| bencher.iter(|| read(black_box(&tar))));
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
