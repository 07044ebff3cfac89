//! Damaged tars: refused or read, never a panic, never more memory than the bounds say.

use proptest::prelude::*;
use sealstone_import::Limits;
use sealstone_import::tar::Strictness;

use crate::chunking::sample;
use crate::kit::{build, lines, read_chunks};

/// Writes the checksum of the block that holds `at`, so that the damage gets past it.
fn repair(tar: &mut [u8], at: usize) {
    let start = at / 512 * 512;
    if let Some(block) = tar.get_mut(start..start + 512) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damage_is_read_or_refused(
        damage in prop::collection::vec((0_usize..20_000, any::<u8>(), any::<bool>()), 1..6),
        cut in 0_usize..20_000,
        size in 1_usize..3000,
    ) {
        let mut tar = sample();
        for (at, value, is_repaired) in damage {
            let at = at % tar.len();
            tar[at] = value;
            if is_repaired {
                repair(&mut tar, at);
            }
        }
        tar.truncate(tar.len() - cut % tar.len() / 7);
        let whole = read_chunks(&mut [&tar[..]].into_iter(), &Limits::default(), Strictness::Normal);
        let pieces = read_chunks(&mut tar.chunks(size), &Limits::default(), Strictness::Normal);
        match (whole, pieces) {
            (Ok(whole), Ok(pieces)) => {
                prop_assert!(whole.2 == tar);
                prop_assert!(whole == pieces);
            }
            (Err(whole), Err(pieces)) => prop_assert_eq!(whole.reason(), pieces.reason()),
            _ => prop_assert!(false, "taken in one split, refused in another"),
        }
        if let Ok((tree, _)) = build(&tar, Strictness::Normal) {
            lines(&tree);
        }
    }

    #[test]
    fn noise_is_refused_or_read(noise in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = build(&noise, Strictness::Normal);
    }
}
