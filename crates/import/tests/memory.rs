//! Memory is bounded by the budget, not by the layer: a test binary of its own, since it looks at its process's peak.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that fails panics")]
#![allow(clippy::disallowed_methods, reason = "fixtures are made behind the importer's back")]

use std::{
    fs,
    io::{self, Write},
};

use sealstone_import::{Digest, DigestAlgorithm, DigestHasher, ImportOptions, import, source};
use sealstone_store::{Control, InitOptions, Repository, disk::RealDisk};
use serde_json::{Value, json};

/// The file in the layer, in bytes.
const FILE: usize = 384 << 20;

/// The most that the process may ever have had, in KiB, and what it may have had before.
const PEAK: u64 = 64 << 10;

/// Hashes what passes.
struct Hashing<W>(W, DigestHasher, u64);

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.update(&bytes[..count]);
        self.2 += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_layer_of_any_size_takes_the_memory_of_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("layout/blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let describe = |media_type: &str, digest: &Digest, size: u64| -> Value {
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
    };
    let put = |media_type: &str, bytes: &str| -> Value {
        let digest = Digest::of(DigestAlgorithm::Sha256, bytes.as_bytes());
        fs::write(blobs.join(digest.to_hex()), bytes).unwrap();
        describe(media_type, &digest, bytes.len() as u64)
    };
    // A tar with one file of zeros, compressed as it is made: the test may not need the memory either.
    let temporary = blobs.join("layer");
    let blob = Hashing(fs::File::create(&temporary).unwrap(), DigestHasher::new(DigestAlgorithm::Sha256), 0);
    let gzip = flate2::write::GzEncoder::new(blob, flate2::Compression::fast());
    let mut tar = tar::Builder::new(Hashing(gzip, DigestHasher::new(DigestAlgorithm::Sha256), 0));
    let mut header = tar::Header::new_gnu();
    header.set_size(FILE as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "zeros", io::Read::take(io::repeat(0), FILE as u64)).unwrap();
    let Hashing(gzip, diff_id, _) = tar.into_inner().unwrap();
    let Hashing(_, digest, size) = gzip.finish().unwrap();
    let digest = digest.finish();
    fs::rename(temporary, blobs.join(digest.to_hex())).unwrap();
    let layer = describe("application/vnd.oci.image.layer.v1.tar+gzip", &digest, size);
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [diff_id.finish().to_string()]}});
    let config = put("application/vnd.oci.image.config.v1+json", &config.to_string());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = put("application/vnd.oci.image.manifest.v1+json", &manifest.to_string());
    let layout = folder.path().join("layout");
    fs::write(layout.join("index.json"), json!({"schemaVersion": 2, "manifests": [manifest]}).to_string())
        .unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();

    let disk = RealDisk::shared();
    let repository = Repository::init(&disk, folder.path().join("repo"), &InitOptions::default()).unwrap().0;
    let options = ImportOptions::default();
    let reference = format!("oci:{}", layout.display()).parse().unwrap();
    let source = source::open(&disk, &reference, &options.limits).unwrap();
    let report = import(&repository, &*source, None, &options, &Control::new()).unwrap();
    assert_eq!(report.layers[0].new_bytes, FILE as u64);
    assert!(peak() <= PEAK, "the peak was {} KiB", peak());
}
