//! Whole layers from a layout into a repository: read, verified, stored, committed.
//!
//! `cargo bench -p sealstone-import --bench import`; bytes are those of the layers' tars. `again` imports into a
//! repository that has every object and no record: what an update pays for what did not change.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, and makes its fixture"
)]

use std::{fs, io::Write, path::Path};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sealstone_import::{Digest, DigestAlgorithm, ImportOptions, import, import_layers, source};
use sealstone_store::{Control, InitOptions, Repository, disk::RealDisk};
use serde_json::{Value, json};

const FILES: u64 = 4000;

/// A tar of files of 0 to 32 KiB, half of it text.
fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for number in 0..FILES {
        let words = random() % 4_000;
        let body: Vec<u8> = (0..words)
            .flat_map(|_| match random() {
                word if number % 2 == 0 => format!("word{:04}", word % 3_000).into_bytes(),
                noise => noise.to_le_bytes().to_vec(),
            })
            .collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        let path = format!("usr/share/package-{:03}/file-{number:05}", number / 50);
        tar.append_data(&mut header, path, body.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A layout with one image of one layer.
fn write_layout(folder: &Path, tar: &[u8], blob: &[u8]) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| -> Value {
        let digest = Digest::of(DigestAlgorithm::Sha256, bytes);
        fs::write(blobs.join(digest.to_hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let layer = put("application/vnd.oci.image.layer.v1.tar", blob);
    let diff_id = Digest::of(DigestAlgorithm::Sha256, tar).to_string();
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [diff_id]}}).to_string();
    let config = put("application/vnd.oci.image.config.v1+json", config.as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let manifest = put("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    fs::write(folder.join("index.json"), index).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn imports(criterion: &mut Criterion) {
    let tar = layer();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).unwrap();
    let blobs = [
        ("plain", tar.clone()),
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::stream::encode_all(tar.as_slice(), 3).unwrap()),
    ];
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Bytes(tar.len() as u64)).sample_size(10);
    let disk = RealDisk::shared();
    let options = ImportOptions::default();
    let init = |path: &Path| Repository::init(&disk, path, &InitOptions::default()).unwrap().0;
    for (name, blob) in blobs {
        let folder = tempfile::tempdir().unwrap();
        write_layout(folder.path(), &tar, &blob);
        let reference = format!("oci:{}", folder.path().display()).parse().unwrap();
        let source = source::open(&disk, &reference, &options.limits).unwrap();
        group.bench_function(format!("{name}, cold"), |bencher| {
            bencher.iter_batched_ref(
                || tempfile::tempdir().unwrap(),
                |folder| {
                    let repository = init(&folder.path().join("repo"));
                    import(&repository, &*source, Some("x"), &options, &Control::new()).unwrap()
                },
                BatchSize::PerIteration,
            );
        });
        let repository = init(&folder.path().join("repo"));
        let fill = repository.transaction().unwrap();
        import_layers(&fill, &*source, &options, &Control::new()).unwrap();
        let _ = fill.commit(()).unwrap();
        group.bench_function(format!("{name}, again"), |bencher| {
            bencher.iter(|| {
                let transaction = repository.transaction().unwrap();
                import_layers(&transaction, &*source, &options, &Control::new()).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, imports);
criterion_main!(benches);
