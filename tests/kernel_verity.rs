//! What a kernel with fs-verity holds us to: its digests are ours, and what is sealed cannot be changed unseen.
//!
//! Runs in the guest of `make test-vm` (which sets `SEALSTONE_VM`, so that nothing is skipped there), and anywhere else
//! where the temporary folder is on a file system with fs-verity.
#![allow(clippy::disallowed_methods, reason = "the files under test are ordinary files")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

#[allow(unused, reason = "part of the kit")]
mod kit;

use std::fs::{self, File};

use sealstone::store::{Algorithm, BLOCK_SIZE, verity};

const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// A folder on a file system with fs-verity, or `None` with a word about it. In the guest there has to be one.
fn folder_with_verity(test: &str) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let probe = folder.path().join("probe");
    fs::write(&probe, b"probe").unwrap();
    match verity::enable(File::open(&probe).unwrap(), Algorithm::Sha256) {
        Ok(()) => Some(folder),
        Err(why) if std::env::var_os("SEALSTONE_VM").is_some() => panic!("the guest has no fs-verity: {why}"),
        Err(why) => {
            kit::skip(test, &why.to_string());
            None
        }
    }
}

/// Bytes without a pattern that a mistake in the tree could hide behind.
fn bytes(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.flat_map(u64::to_le_bytes).take(size).collect()
}

#[test]
fn the_kernel_measures_the_digest_that_we_compute() {
    let Some(folder) = folder_with_verity("the_kernel_measures_the_digest_that_we_compute") else { return };
    let mut compared = 0;
    for algorithm in BOTH {
        let fan_out = BLOCK_SIZE / algorithm.digest_len();
        let edges = [64, 128, 256, BLOCK_SIZE, 2 * BLOCK_SIZE, 16 * BLOCK_SIZE, fan_out * BLOCK_SIZE];
        let around = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
        // From here on the tree has three levels.
        let three_levels = fan_out * fan_out * BLOCK_SIZE + 1;
        // And many of no particular size, small ones mostly.
        let random = bytes(1_000)
            .chunks_exact(2)
            .map(|pair| usize::from(pair[0]) * usize::from(pair[1]))
            .collect::<Vec<_>>();
        let sizes: Vec<usize> =
            [0, 1].into_iter().chain(around).chain(random).chain([three_levels]).collect();
        let data = bytes(sizes.iter().copied().max().unwrap());
        for size in sizes {
            let path = folder.path().join("file");
            fs::write(&path, &data[..size]).unwrap();
            let file = File::open(&path).unwrap();
            verity::enable(&file, algorithm).unwrap();
            let ours = verity::digest(algorithm, &data[..size]);
            assert_eq!(verity::measure(&file), Ok(ours), "{algorithm}, {size} bytes");
            fs::remove_file(&path).unwrap();
            compared += 1;
        }
    }
    println!("{compared} files measured by the kernel");
}

#[test]
fn a_sealed_file_is_sealed_once_and_refuses_writers() {
    let Some(folder) = folder_with_verity("a_sealed_file_is_sealed_once_and_refuses_writers") else { return };
    let path = folder.path().join("file");
    fs::write(&path, b"body").unwrap();
    let file = File::open(&path).unwrap();
    assert_eq!(verity::measure(&file), Err(verity::VerityError::NotSealed));
    let writer = File::options().write(true).open(&path).unwrap();
    assert_eq!(verity::enable(&file, Algorithm::Sha256), Err(verity::VerityError::OpenForWriting));
    drop(writer);
    assert_eq!(verity::enable(&file, Algorithm::Sha256), Ok(()));
    assert_eq!(verity::enable(&file, Algorithm::Sha256), Err(verity::VerityError::AlreadySealed));
    assert!(File::options().write(true).open(&path).is_err());
}
