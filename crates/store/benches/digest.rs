//! How fast the fs-verity digest is: one big body, many small ones, streams, on one thread.
//!
//! `cargo bench -p sealstone-store --bench digest`; bytes are those of the bodies, not of their padding.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_store::{Algorithm, verity};

const SMALL: usize = 3_000;

fn digest(criterion: &mut Criterion) {
    let big: Vec<u8> =
        (0..1u64 << 20).flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    // Lengths from 1 to 5,999 around an average of 3,000 bytes.
    let mut rest = big.as_slice();
    let small: Vec<&[u8]> = (0..2_000)
        .map(|index| {
            let (body, others) = rest.split_at(1 + index * 7_919 % (2 * SMALL - 1));
            rest = others;
            body
        })
        .collect();
    let small_bytes = small.iter().map(|body| body.len() as u64).sum();
    for (algorithm, name) in [(Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        group.throughput(Throughput::Bytes(big.len() as u64));
        group.bench_function("big", |bencher| bencher.iter(|| verity::digest(algorithm, black_box(&big))));
        group.bench_function("stream_64k", |bencher| {
            bencher.iter(|| {
                let mut hasher = verity::Hasher::new(algorithm);
                big.chunks(64 << 10).for_each(|piece| hasher.update(black_box(piece)));
                hasher.finish()
            });
        });
        group.bench_function("stream_10007", |bencher| {
            bencher.iter(|| {
                let mut hasher = verity::Hasher::new(algorithm);
                big.chunks(10_007).for_each(|piece| hasher.update(black_box(piece)));
                hasher.finish()
            });
        });
        group.throughput(Throughput::Bytes(small_bytes));
        group.bench_function("small_one_by_one", |bencher| {
            bencher.iter(|| small.iter().for_each(|body| _ = black_box(verity::digest(algorithm, body))));
        });
        group.bench_function("small_batches_of_64", |bencher| {
            let mut ids = Vec::new();
            bencher.iter(|| {
                ids.clear();
                small.chunks(64).for_each(|batch| verity::digest_many(algorithm, batch, &mut ids));
                black_box(ids.len())
            });
        });
        group.finish();
    }
}

criterion_group!(benches, digest);
criterion_main!(benches);
