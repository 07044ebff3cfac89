//! Images and dumps of a tree of 100,000 entries, with the crate `composefs` 0.9.4 beside: the ratio is what counts.
//!
//! `cargo bench -p sealstone-store --bench composefs`; an element is an inode.

#![allow(missing_docs, reason = "criterion_group makes undocumented items")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails as a test does")]

#[path = "../tests/trees/mod.rs"]
mod trees;

use composefs::{
    dumpfile::{dumpfile_to_filesystem, write_dumpfile},
    erofs::{
        format::FormatVersion,
        reader::{collect_objects, erofs_to_filesystem},
        writer::{ValidatedFileSystem, mkfs_erofs_versioned},
    },
    fsverity::Sha256HashValue,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_store::{
    dump::{self, Dump},
    erofs::{self, Image},
    tree::Tree,
};
use trees::{oracle, synthetic};

fn entries(tree: &Tree) -> Throughput {
    Throughput::Elements(tree.inode_count() as u64)
}

fn write(c: &mut Criterion) {
    let tree = synthetic::tree(100_000);
    let theirs = ValidatedFileSystem::new(oracle::file_system::<Sha256HashValue>(&tree)).unwrap();
    assert!(erofs::write(&tree).unwrap() == oracle::image(sealstone_store::Algorithm::Sha256, &tree));
    let mut group = c.benchmark_group("erofs write");
    group.throughput(entries(&tree)).sample_size(10);
    group.bench_function("ours", |b| b.iter(|| erofs::write(&tree).unwrap()));
    group.bench_function("composefs", |b| b.iter(|| mkfs_erofs_versioned(&theirs, FormatVersion::V1)));
    group.finish();
}

fn read(c: &mut Criterion) {
    let tree = synthetic::tree(100_000);
    let bytes = erofs::write(&tree).unwrap();
    let image = Image::open(&bytes).unwrap();
    let mut group = c.benchmark_group("erofs objects");
    group.throughput(entries(&tree)).sample_size(10);
    group.bench_function("ours", |b| b.iter(|| image.objects().unwrap()));
    group.bench_function("composefs", |b| b.iter(|| collect_objects::<Sha256HashValue>(&bytes).unwrap()));
    group.finish();
    let mut group = c.benchmark_group("erofs tree");
    group.throughput(entries(&tree)).sample_size(10);
    group.bench_function("ours", |b| b.iter(|| image.to_tree().unwrap()));
    group.bench_function("composefs", |b| b.iter(|| erofs_to_filesystem::<Sha256HashValue>(&bytes).unwrap()));
    group.finish();
}

fn text(c: &mut Criterion) {
    let tree = synthetic::tree(100_000);
    let text = Dump::new(&tree).to_string();
    let mut group = c.benchmark_group("dump write");
    group.throughput(entries(&tree)).sample_size(10);
    let theirs = oracle::file_system::<Sha256HashValue>(&tree);
    group.bench_function("ours", |b| b.iter(|| Dump::new(&tree).to_string()));
    group.bench_function("composefs", |b| {
        b.iter(|| {
            let mut text = Vec::new();
            write_dumpfile(&mut text, &theirs).unwrap();
            text
        });
    });
    group.finish();
    let mut group = c.benchmark_group("dump parse");
    group.throughput(entries(&tree)).sample_size(10);
    let ascii = text.as_str();
    group.bench_function("ours", |b| b.iter(|| dump::parse(ascii.as_bytes()).unwrap()));
    group.bench_function("composefs", |b| {
        b.iter(|| dumpfile_to_filesystem::<Sha256HashValue>(ascii).unwrap());
    });
    group.finish();
}

criterion_group!(benches, write, read, text);
criterion_main!(benches);
