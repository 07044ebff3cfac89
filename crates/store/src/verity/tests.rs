//! Our digests against the crate `fs-verity`, Debian's `fsverity`, and against each other in every way to get them.

use std::{io::Write as _, process::Command};

use fs_verity::InnerHashAlgorithm;
use proptest::{collection::vec, prelude::*};

use super::{lanes::Processor, *};

const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// The crate `fs-verity`, an independent implementation.
fn oracle(algorithm: Algorithm, data: &[u8]) -> ObjectId {
    let mut hasher = fs_verity::new_dyn(match algorithm {
        Algorithm::Sha256 => InnerHashAlgorithm::Sha256,
        Algorithm::Sha512 => InnerHashAlgorithm::Sha512,
    });
    hasher.write_all(data).unwrap();
    ObjectId::from_digest(algorithm, &hasher.finalize()).unwrap()
}

/// Bytes that differ between sizes and places: a counter scrambled by an odd multiplier.
fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(size).collect()
}

/// Sizes around every edge of the format: SHA's own blocks and padding, one block, one block of digests, one of those.
fn boundary_sizes(algorithm: Algorithm) -> Vec<usize> {
    let fan_out = BLOCK_SIZE / algorithm.digest_len();
    let edges = [64, 128, 256, BLOCK_SIZE, 2 * BLOCK_SIZE, 15 * BLOCK_SIZE, 16 * BLOCK_SIZE, 17 * BLOCK_SIZE]
        .into_iter()
        .chain([fan_out * BLOCK_SIZE, 2 * fan_out * BLOCK_SIZE, 16 * fan_out * BLOCK_SIZE])
        .chain([fan_out * fan_out * BLOCK_SIZE, (fan_out * fan_out + fan_out) * BLOCK_SIZE]);
    let mut sizes = vec![0, 1, 47, 48, 55, 56, 111, 112];
    for edge in edges {
        sizes.extend([edge - BLOCK_SIZE.min(edge), edge - 1, edge, edge + 1, edge + BLOCK_SIZE]);
    }
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[test]
fn every_boundary_size_gives_the_digest_of_the_crate_fs_verity() {
    for algorithm in BOTH {
        let sizes = boundary_sizes(algorithm);
        let data = bytes(*sizes.last().unwrap(), 1);
        for size in sizes {
            let expected = oracle(algorithm, &data[..size]);
            assert_eq!(digest(algorithm, &data[..size]), expected, "{algorithm} {size}");
        }
    }
}

#[test]
fn ten_thousand_random_sizes_give_the_digest_of_the_crate_fs_verity() {
    let data = bytes(600_000, 2);
    let bodies: Vec<&[u8]> = bytes(80_000, 3)
        .as_chunks::<8>()
        .0
        .iter()
        .map(|random| {
            let [kind, a, b, c, start @ ..] = *random;
            // Mostly a few blocks, now and then many.
            let limit = [300, 5_000, 20_000, 60_000][usize::from(kind % 4)];
            let size = u32::from_le_bytes([a, b, c, 0]) as usize % limit;
            let start = u32::from_le_bytes(start) as usize % (data.len() - size);
            &data[start..start + size]
        })
        .collect();
    for algorithm in BOTH {
        for batch in bodies.chunks(100) {
            let mut ids = Vec::new();
            digest_many(algorithm, batch, &mut ids);
            assert_eq!(ids.len(), batch.len());
            for (body, id) in batch.iter().zip(ids) {
                let expected = oracle(algorithm, body);
                assert_eq!(digest(algorithm, body), expected, "{algorithm} {}", body.len());
                assert_eq!(id, expected, "in a batch: {algorithm} {}", body.len());
            }
        }
    }
}

#[test]
fn every_kind_of_lanes_gives_the_digests_of_the_portable_hash() {
    let found = Processor::detect();
    println!("this processor: {found:?}");
    let none = Processor::default();
    #[cfg(target_arch = "x86_64")]
    let kinds = [
        found,
        Processor { sha_ni: found.sha_ni, ..none },
        Processor { avx512: found.avx512, ..none },
        Processor { avx2: found.avx2, ..none },
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let kinds = [found];
    let data = bytes(40 * BLOCK_SIZE, 6);
    let lengths: Vec<usize> =
        bytes(80, 7).as_chunks::<2>().0.iter().map(|pair| usize::from(u16::from_le_bytes(*pair))).collect();
    for (algorithm, frame) in BOTH.into_iter().flat_map(|a| [(a, Frame::Block), (a, Frame::Descriptor)]) {
        for count in 0..=40 {
            // Whole ones, each a byte short, and all lengths.
            let whole: Vec<&[u8]> = data.chunks(frame.len()).take(count).collect();
            let short: Vec<&[u8]> = whole.iter().map(|body| &body[1..]).collect();
            let mixed: Vec<&[u8]> =
                whole.iter().zip(&lengths).map(|(body, n)| &body[..n % (body.len() + 1)]).collect();
            for bodies in [whole, short, mixed] {
                let mut expected = vec![0; count * algorithm.digest_len()];
                none.hash_all(algorithm, frame, &bodies, &mut expected);
                for kind in kinds {
                    let mut digests = vec![0; expected.len()];
                    kind.hash_all(algorithm, frame, &bodies, &mut digests);
                    assert!(digests == expected, "{algorithm} {frame:?} {count} in {kind:?}");
                }
            }
        }
    }
}

#[test]
fn debians_fsverity_gives_the_same_digests() {
    if Command::new("fsverity").arg("--version").output().is_err() {
        println!("skipped: the command fsverity is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (algorithm, name) in [(Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")] {
        let random = bytes(600, 4);
        let random = random
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[a, b, c]| u32::from_le_bytes([*a, *b, if *c < 16 { c % 8 } else { 0 }, 0]) as usize);
        let sizes: Vec<usize> = boundary_sizes(algorithm).into_iter().chain(random).collect();
        let mut command = Command::new("fsverity");
        command.current_dir(folder.path()).args(["digest", "--compact", "--hash-alg", name]);
        let mut expected = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let data = bytes(*size, index as u64);
            std::fs::write(folder.path().join(index.to_string()), &data).unwrap();
            command.arg(index.to_string());
            expected.push(digest(algorithm, &data).to_hex());
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = String::from_utf8(output.stdout).unwrap();
        assert_eq!(theirs.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn zeros_that_are_counted_have_the_digest_of_zeros_that_are_there() {
    for algorithm in BOTH {
        // Up to several full groups of the second level, from aligned and odd places, with data around.
        for (before, zeros, after) in [
            (0, 0, 0),
            (0, 1, 0),
            (0, 4096, 0),
            (0, 9 << 20, 0),
            (5000, 8 << 20, 3),
            (12_288, 24_000_001, 70_000),
        ] {
            let (before, after) = (bytes(before, 5), bytes(after, 6));
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&before);
            hasher.update_zeros(zeros as u64);
            hasher.update(&after);
            let whole = [before, vec![0; zeros], after].concat();
            assert_eq!(hasher.finish(), digest(algorithm, &whole), "{algorithm} {zeros}");
        }
    }
}

#[test]
fn a_hole_of_sixteen_tebibytes_costs_no_more_than_a_small_one() {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update_zeros(16 << 40);
    assert_ne!(hasher.finish(), digest(Algorithm::Sha256, b""));
}

#[test]
fn a_big_body_on_many_threads_has_the_digest_of_one_thread() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for algorithm in BOTH {
        let data = bytes(9 << 20, 5);
        for size in boundary_sizes(algorithm).into_iter().chain([data.len()]) {
            let Some(body) = data.get(..size) else { continue };
            assert_eq!(
                digest_parallel(&pool, algorithm, body),
                digest(algorithm, body),
                "{algorithm} {size}"
            );
            let read = |offset: u64, buffer: &mut [u8]| {
                let start = usize::try_from(offset).unwrap();
                buffer.copy_from_slice(&body[start..start + buffer.len()]);
                Ok::<(), ()>(())
            };
            assert_eq!(digest_read(algorithm, size as u64, read), Ok(digest(algorithm, body)), "{size}");
        }
    }
}

#[test]
fn a_piece_that_cannot_be_read_ends_the_reading_on_both_threads() {
    for failing in [0, 3 << 20, 8 << 20] {
        let read = |offset: u64, _: &mut [u8]| if offset >= failing { Err(offset) } else { Ok(()) };
        let failed = digest_read(Algorithm::Sha512, 9 << 20, read).unwrap_err();
        // Each thread may have taken one piece more before it was told.
        assert!((failing..=failing + (1 << 20)).contains(&failed), "{failing}: {failed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_in_any_pieces_has_the_digest_of_the_whole(
        size in prop_oneof![0..10_000usize, 0..700_000usize],
        pieces in vec(prop_oneof![0..100usize, 4_000..9_000usize, 0..200_000usize], 1..20),
        seed: u64,
    ) {
        let data = bytes(size, seed);
        for algorithm in BOTH {
            let mut hasher = Hasher::new(algorithm);
            let mut rest = data.as_slice();
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).max(1).min(rest.len()));
                hasher.update(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(hasher.size(), size as u64);
            prop_assert_eq!(hasher.finish(), digest(algorithm, &data));
        }
    }

    #[test]
    fn holes_have_the_digest_of_their_zeros(
        pieces in vec((0..70_000usize, prop_oneof![0..10_000u64, 0..3_000_000u64]), 1..6),
        seed: u64,
    ) {
        for algorithm in BOTH {
            let (mut hasher, mut whole) = (Hasher::new(algorithm), Vec::new());
            for (data, hole) in &pieces {
                let data = bytes(*data, seed);
                hasher.update(&data);
                whole.extend_from_slice(&data);
                hasher.update_zeros(*hole);
                whole.resize(whole.len() + usize::try_from(*hole).unwrap(), 0);
            }
            prop_assert_eq!(hasher.size(), whole.len() as u64);
            prop_assert_eq!(hasher.finish(), digest(algorithm, &whole));
        }
    }
}
