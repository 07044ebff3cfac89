//! What an object costs when it is new and when it is there: 2,000 objects of 4 KiB, one thread, without the barrier.
//!
//! `cargo bench -p sealstone-store --bench objects`; an element is an object. The disk is the one of the temporary
//! folder (`TMPDIR`), so figures of different machines do not compare.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::{cell::Cell, path::Path};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sealstone_store::{InitOptions, ObjectId, Repository, disk::RealDisk, verity};

const COUNT: u64 = 2_000;
const SIZE: usize = 4_096;

type Objects = Vec<(ObjectId, Vec<u8>)>;

/// Contents that no other `batch` has.
fn objects(repository: &Repository, batch: u64) -> Objects {
    let content = |number: u64| {
        let mut content = vec![0x5a; SIZE];
        content
            .iter_mut()
            .zip((batch * COUNT + number).to_le_bytes())
            .for_each(|(place, byte)| *place = byte);
        (verity::digest(repository.algorithm(), &content), content)
    };
    (0..COUNT).map(content).collect()
}

fn insert_all(repository: &Repository, objects: &Objects) {
    let transaction = repository.transaction().unwrap();
    for (id, content) in objects {
        transaction.put_known(*id, content).unwrap();
    }
}

fn fresh(folder: &Path) -> Repository {
    Repository::init(&RealDisk::shared(), folder, &InitOptions::default()).unwrap().0
}

fn insert(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let repository = fresh(folder.path());
    let batch = Cell::new(0);
    let mut group = criterion.benchmark_group("objects");
    group.sample_size(10);
    group.throughput(Throughput::Elements(COUNT));
    group.bench_function("insert_new", |bencher| {
        let setup = || {
            batch.set(batch.get() + 1);
            objects(&repository, batch.get())
        };
        bencher.iter_batched(setup, |objects| insert_all(&repository, &objects), BatchSize::PerIteration);
    });
    let known = objects(&repository, 0);
    // Committed: what an unfinished transaction has written is read before it is reused.
    let transaction = repository.transaction().unwrap();
    for (id, content) in &known {
        transaction.put_known(*id, content).unwrap();
    }
    transaction.commit(()).unwrap().into_inner();
    group.bench_function("insert_known", |bencher| bencher.iter(|| insert_all(&repository, &known)));
    group.finish();
}

criterion_group!(benches, insert);
criterion_main!(benches);
