//! What making an image of known layers costs: the merge, the profile's transforms, SELinux labels, the EROFS file.
//!
//! `cargo bench -p sealstone-deploy --bench merge`; 58,000 files in four layers, as a small system has them.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::fmt::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealstone_deploy::{
    Profile, merge,
    selinux::{Policy, PolicyFiles, label},
};
use sealstone_import::{
    Limits,
    layer_tree::{FileContent, LayerTree, LayerTreeBuilder},
    tar::{Item, Reader, Strictness},
};
use sealstone_store::{Algorithm, ObjectId, erofs, tree::Tree};

/// Files of each layer: the last one only removes what the second has.
const FILES: [usize; 4] = [4_400, 10_000, 40_000, 4_000];
const FILES_IN_FOLDER: usize = 20;
const PATTERNS: usize = 5_000;

fn object(number: usize) -> ObjectId {
    format!("{number:064x}").parse().unwrap()
}

fn layer(number: usize) -> LayerTree {
    let mut tar = tar::Builder::new(Vec::new());
    for file in 0..FILES[number] {
        let (owner, prefix) = if number == 3 { (1, ".wh.") } else { (number, "") };
        let (folder, file) = (file / FILES_IN_FOLDER, file % FILES_IN_FOLDER);
        let path = format!("usr/share/layer{owner}/package-{folder:04}/{prefix}file-{file:02}.txt");
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, std::io::empty()).unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let mut reader = Reader::new(Limits::default(), Strictness::default());
    let mut builder = LayerTreeBuilder::new(Algorithm::Sha256, Limits::default(), Strictness::default());
    let mut input = &bytes[..];
    let mut count = 0;
    while reader.next(&mut input).unwrap().item == Item::Entry {
        let slot = builder.add(reader.entry()).unwrap();
        reader.take_body(&mut input).unwrap();
        if let Some(slot) = slot {
            count += 1;
            let content = FileContent::Object { id: object(number << 32 | count), size: 4_000 };
            builder.set_content(slot, content).unwrap();
        }
    }
    builder.finish().unwrap().0
}

fn policy() -> PolicyFiles {
    let mut contexts = String::from("/.*\tsystem_u:object_r:default_t:s0\n");
    for number in 0..PATTERNS {
        let (layer, folder) = (number % 3, number / 3);
        let kind = ["", "--\t", "-d\t"][number % 3];
        writeln!(
            contexts,
            "/usr/share/layer{layer}/package-{folder:04}(/.*)?\t{kind}system_u:object_r:t{number}:s0"
        )
        .unwrap();
    }
    PolicyFiles { contexts, ..PolicyFiles::default() }
}

fn canonical(layers: &[&LayerTree]) -> Tree {
    let mut tree = merge(layers).unwrap();
    Profile::Oci.apply(&mut tree, &|_, _| unreachable!("this profile reads nothing")).unwrap();
    tree
}

fn benches(criterion: &mut Criterion) {
    let layers: Vec<LayerTree> = (0..FILES.len()).map(layer).collect();
    let layers: Vec<&LayerTree> = layers.iter().collect();
    let entries: usize = layers.iter().map(|layer| layer.len()).sum();
    let tree = canonical(&layers);
    let files = policy();
    let mut group = criterion.benchmark_group("image");
    group.sample_size(20);
    group.throughput(Throughput::Elements(entries as u64));
    group.bench_function("merge", |bench| bench.iter(|| canonical(&layers)));
    group
        .bench_function("merge and write", |bench| bench.iter(|| erofs::write(&canonical(&layers)).unwrap()));
    group.bench_function("compile policy", |bench| bench.iter(|| Policy::new(&files).unwrap()));
    group.bench_function("label", |bench| {
        bench.iter(|| {
            let mut labelled = tree.clone();
            label(&mut labelled, &mut Policy::new(&files).unwrap()).unwrap();
            labelled
        });
    });
    group.finish();
}

criterion_group!(image, benches);
criterion_main!(image);
