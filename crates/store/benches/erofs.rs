//! How fast an EROFS image is written and read: a tree of 51,001 inodes, as a system has them.
//!
//! `cargo bench -p sealstone-store --bench erofs`; an element is an inode.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_store::{
    Algorithm, erofs,
    tree::{Content, Metadata, Timestamp, Tree},
    verity,
};

const FOLDERS: u64 = 1_000;
const FILES: u64 = 50;

/// Folders of files: most external, some inline, some symlinks; a few folders deep, as under `/usr/share`.
fn system() -> Tree {
    let metadata = |mode, number: u64| Metadata {
        mode,
        uid: 0,
        gid: 0,
        mtime: Timestamp { sec: 1_700_000_000 + (number % 4_000).cast_signed(), nsec: 0 },
    };
    let mut tree = Tree::new(metadata(0o755, 0));
    let no_xattrs = tree.intern_xattrs(&[]).unwrap();
    let capability = tree.intern_xattrs(&[(b"security.capability", &[1; 20])]).unwrap();
    for folder in 0..FOLDERS {
        let directory = tree.add(metadata(0o755, folder), Content::Directory, no_xattrs).unwrap();
        tree.link(tree.root(), format!("package-{folder:04}").as_bytes(), directory).unwrap();
        for file in 0..FILES {
            let number = folder * FILES + file;
            let object = verity::digest(Algorithm::Sha256, &number.to_le_bytes());
            let content = match number % 20 {
                0 => Content::Inline(b"a small file's content"),
                1 | 2 => Content::Symlink(b"../package-0000/file-00"),
                _ => Content::External { object, size: 65 + number * 37 % 100_000 },
            };
            let xattrs = if number % 1_000 == 999 { capability } else { no_xattrs };
            let inode = tree.add(metadata(0o644, number), content, xattrs).unwrap();
            tree.link(directory, format!("file-{file:02}").as_bytes(), inode).unwrap();
        }
    }
    tree
}

fn image(criterion: &mut Criterion) {
    let tree = system();
    let bytes = erofs::write(&tree).unwrap();
    let mut group = criterion.benchmark_group("erofs");
    group.sample_size(20);
    group.throughput(Throughput::Elements(tree.inode_count() as u64));
    group.bench_function("write", |bencher| bencher.iter(|| erofs::write(black_box(&tree)).unwrap().len()));
    group.bench_function("list_objects", |bencher| {
        bencher.iter(|| erofs::Image::open(black_box(&bytes)).unwrap().objects().unwrap().len());
    });
    group.bench_function("read_tree", |bencher| {
        bencher.iter(|| erofs::Image::open(black_box(&bytes)).unwrap().to_tree().unwrap().inode_count());
    });
    group.finish();
}

criterion_group!(benches, image);
criterion_main!(benches);
