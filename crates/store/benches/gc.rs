//! What gc's marking costs: four images of 25,000 files each with their streams, three quarters of the files shared.
//!
//! `cargo bench -p sealstone-store --bench gc`; an element is a reference that is followed. A dry run, with no dead
//! objects to list, so that it is the marking that is measured.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_store::{
    Control, GcOptions, InitOptions, ObjectId, RefName, RefTarget, Repository, StreamName, Transaction,
    disk::RealDisk,
    erofs,
    splitstream::SplitStreamWriter,
    tree::{Content, Metadata, Timestamp, Tree, XattrSet},
    verity,
};

const IMAGES: u64 = 4;
const FILES: u64 = 25_000;
const SHARED: u64 = FILES / 4 * 3;

/// The object of a file; it need not exist to be marked.
fn object(transaction: &Transaction, image: u64, file: u64) -> ObjectId {
    let number = if file < SHARED { file } else { image * FILES + file };
    verity::digest(transaction.repository().algorithm(), &number.to_le_bytes())
}

fn image(transaction: &Transaction, number: u64) -> ObjectId {
    let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };
    let mut tree = Tree::new(metadata(0o755));
    for file in 0..FILES {
        let content = Content::External { object: object(transaction, number, file), size: 100 };
        let inode = tree.add(metadata(0o644), content, XattrSet::EMPTY).unwrap();
        tree.link(tree.root(), format!("file-{file:06}").as_bytes(), inode).unwrap();
    }
    transaction.put(&erofs::write(&tree).unwrap()).unwrap().id
}

fn import(transaction: &Transaction, number: u64) {
    let mut stream = SplitStreamWriter::new(transaction, 0).unwrap();
    for file in 0..FILES {
        stream.inline(&[0; 512]);
        stream.external(&object(transaction, number, file), 100).unwrap();
    }
    let stream = stream.finish().unwrap().id;
    let image = image(transaction, number);
    let name: StreamName = format!("layer-{number}").parse().unwrap();
    transaction.name_stream(name.clone(), stream);
    transaction.name_image(image);
    let place: RefName = format!("bench/{number}").parse().unwrap();
    transaction.set_ref(place.clone(), RefTarget::Stream(name));
    transaction.set_ref(place, RefTarget::Image(image));
}

fn mark(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let repository = Repository::init(&RealDisk::shared(), path, &InitOptions::default()).unwrap().0;
    let transaction = repository.transaction().unwrap();
    for number in 0..IMAGES {
        import(&transaction, number);
    }
    transaction.commit(()).unwrap().into_inner();
    let options = GcOptions { dry_run: true, ..GcOptions::default() };
    let mut group = criterion.benchmark_group("gc");
    group.sample_size(20);
    group.throughput(Throughput::Elements(IMAGES * FILES * 2));
    for threads in [1, 2] {
        let control = Control::new().with_threads(threads);
        group.bench_function(format!("mark_{threads}_threads"), |bencher| {
            bencher.iter(|| repository.gc(&options, &control).unwrap().live_objects);
        });
    }
    group.finish();
}

criterion_group!(benches, mark);
criterion_main!(benches);
