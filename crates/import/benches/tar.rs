//! The importer's own part of the work: reading headers, building a layer's tree, storing it and reading it back.
//!
//! The layer is as large as the corpus "os": 58,000 entries in 4,800 directories. Bodies are empty: they are slices of
//! the input whatever their size.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::expect_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_import::Limits;
use sealstone_import::layer_tree::{FileContent, LayerTree, LayerTreeBuilder};
use sealstone_import::tar::{Entry, Item, Reader, Strictness};
use sealstone_store::{Algorithm, ObjectId};

const ENTRIES: u64 = 58_000;

/// Bytes of the chunks that a decompressor hands over.
const CHUNK: usize = 256 << 10;

/// The layer's tar; with `pax`, an extended header with a time before each entry, as Go's tar writer makes them.
fn layer(pax: bool) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mtime(1_700_000_000);
    header.set_size(0);
    for index in 0..ENTRIES {
        let is_directory = index % 12 == 0;
        header.set_entry_type(if is_directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_mode(if is_directory { 0o755 } else { 0o644 });
        if pax {
            builder.append_pax_extensions([("mtime", &b"1700000000.123456789"[..])]).expect("memory");
        }
        // Directories come in no order, as a file system lists them.
        let package = (index / 12).wrapping_mul(2_654_435_761) % 100_003;
        let directory = format!("usr/share/doc/package-{package}");
        let path =
            if is_directory { directory } else { format!("{directory}/file-{}.txt", index * 7 % 1000) };
        builder.append_data(&mut header, path, &[][..]).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn each_entry(tar: &[u8], mut on_entry: impl FnMut(&Entry)) {
    let mut reader = Reader::new(Limits::default(), Strictness::Normal);
    for chunk in tar.chunks(CHUNK) {
        let mut input = chunk;
        while reader.next(&mut input).expect("an honest tar").item == Item::Entry {
            on_entry(reader.entry());
        }
    }
    reader.finish().expect("an honest tar");
}

fn builder() -> LayerTreeBuilder {
    LayerTreeBuilder::new(Algorithm::Sha256, Limits::default(), Strictness::Normal)
}

fn add(builder: &mut LayerTreeBuilder, entry: &Entry, id: ObjectId) {
    if let Some(slot) = builder.add(entry).expect("an honest tar") {
        builder.set_content(slot, FileContent::Object { id, size: 4096 }).expect("a slot of this builder");
    }
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tar");
    group.throughput(Throughput::Elements(ENTRIES)).sample_size(20);
    for (name, tar) in [("ustar", layer(false)), ("pax", layer(true))] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut bytes = 0;
                each_entry(&tar, |entry| bytes += black_box(entry).path().len());
                bytes
            });
        });
    }
    group.finish();
}

fn trees(criterion: &mut Criterion) {
    let mut entries = Vec::new();
    each_entry(&layer(false), |entry| entries.push(entry.clone()));
    let id = sealstone_store::verity::digest(Algorithm::Sha256, b"content");
    let built = || {
        let mut builder = builder();
        for entry in &entries {
            add(&mut builder, entry, id);
        }
        builder
    };
    let mut group = criterion.benchmark_group("layer_tree");
    group.throughput(Throughput::Elements(ENTRIES)).sample_size(20);
    group.bench_function("build", |bencher| bencher.iter_with_large_drop(built));
    group.bench_function("build_and_finish", |bencher| {
        bencher.iter_with_large_drop(|| built().finish().expect("an honest tar").0);
    });
    let tree = built().finish().expect("an honest tar").0;
    group.bench_function("encode", |bencher| bencher.iter_with_large_drop(|| tree.encode()));
    let bytes = tree.encode();
    let limits = Limits::default();
    group.bench_function("decode", |bencher| {
        bencher.iter_with_large_drop(|| LayerTree::decode(&bytes, &limits).expect("just encoded"));
    });
    group.finish();
}

criterion_group!(benches, reading, trees);
criterion_main!(benches);
