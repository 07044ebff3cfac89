//! Images that lie: each is refused with its reason, or gives a disk of the size that it says; none takes much memory.

use proptest::prelude::*;
use sealstone_import::ImportError;

use crate::kit::{Lies, Qcow2, decode, options};

const LIES: [Lies; 8] = [
    Lies::Plain,
    Lies::Packed,
    Lies::Packed,
    Lies::Nowhere,
    Lies::AsZero,
    Lies::Plain,
    Lies::Plain,
    Lies::Packed,
];

fn image() -> Vec<u8> {
    let disk: Vec<u8> =
        (0_u32..8 << 12).map(|at| if at / 4096 == 3 || at / 4096 == 4 { 0 } else { at as u8 }).collect();
    let order: Vec<usize> = (0..Qcow2::units(12, 8)).collect();
    Qcow2 { cluster_bits: 12, version: 3, is_zstd: false, disk: &disk, lies: &LIES, order: &order }.write()
}

fn refusal(at: usize, bytes: &[u8]) -> ImportError {
    let mut image = image();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    decode(&image, 4096, options(1 << 20)).err().unwrap_or_else(|| panic!("{bytes:?} at {at} is taken"))
}

#[test]
fn what_a_stream_cannot_give_is_refused_by_its_name() {
    for (at, bytes, reason) in [
        (4, &1_u32.to_be_bytes()[..], "version 1"),
        (8, &512_u64.to_be_bytes(), "backing file"),
        (16, &9_u32.to_be_bytes(), "backing file"),
        (32, &2_u32.to_be_bytes(), "encrypted"),
        (72, &4_u64.to_be_bytes(), "in another file"),
        (72, &16_u64.to_be_bytes(), "subclusters"),
        (72, &(1_u64 << 40).to_be_bytes(), "features 0x10000000000"),
        (104, &[7], "compression 7"),
    ] {
        let refused = refusal(at, bytes);
        assert!(matches!(refused, ImportError::Unsupported { .. }), "{refused:?}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

#[test]
fn what_cannot_be_an_image_is_malformed() {
    for (at, bytes, reason) in [
        (20, &8_u32.to_be_bytes()[..], "clusters of 2^8"),
        (20, &22_u32.to_be_bytes(), "clusters of 2^22"),
        (36, &0_u32.to_be_bytes(), "too short"),
        (40, &0_u64.to_be_bytes(), "no first table"),
        (40, &4097_u64.to_be_bytes(), "first table at 4097"),
        (72, &2_u64.to_be_bytes(), "corrupt"),
        (100, &8_u32.to_be_bytes(), "a header of 8 bytes"),
        (104, &[1], "feature bit"),
    ] {
        let refused = refusal(at, bytes);
        assert!(matches!(refused, ImportError::Malformed { .. }), "{refused:?}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    let cut = image();
    let told = decode(&cut[..cut.len() - 8000], 4096, options(1 << 20)).err().unwrap().to_string();
    assert!(told.contains("it ends at"), "{told}");
    assert!(decode(&cut[..50], 7, options(0)).is_err());
}

#[test]
fn a_disk_of_an_immense_size_is_refused_before_anything_is_written() {
    assert!(matches!(refusal(24, &(1_u64 << 50).to_be_bytes()), ImportError::TooBig { .. }));
    // Within the bound of bytes, and too many entries of the first table.
    let mut image = image();
    image[20..24].copy_from_slice(&9_u32.to_be_bytes());
    image[24..32].copy_from_slice(&(1_u64 << 40).to_be_bytes());
    let mut wide = options(0);
    wide.disk_bytes = 1 << 44;
    assert!(matches!(decode(&image, 4096, wide), Err(ImportError::TooBig { .. })));
}

#[test]
fn all_clusters_of_a_disk_at_one_place_cost_what_the_disk_has_and_no_more() {
    let disk = vec![7; 512 << 9];
    let lies = vec![Lies::Plain; 512];
    let order: Vec<usize> = (0..Qcow2::units(9, 512)).collect();
    let mut image =
        Qcow2 { cluster_bits: 9, version: 3, is_zstd: false, disk: &disk, lies: &lies, order: &order }
            .write();
    // The second tables lie behind the first, which is one cluster, and that behind header and reference counts.
    let place = image[3 * 512..3 * 512 + 8].to_vec();
    for table in 0..8 {
        for entry in 0..64 {
            let at = (3 + table) * 512 + entry * 8;
            image[at..at + 8].copy_from_slice(&place);
        }
    }
    let made = decode(&image, 1000, options(1 << 20)).unwrap();
    assert!(made.bytes == disk && made.written == disk.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn damage_anywhere_is_refused_or_gives_a_disk_of_the_size_that_is_said(
        damage in prop::collection::vec((0_usize..5 << 12, any::<u8>()), 1..12),
        piece in 1_usize..9_000,
        spool in prop_oneof![Just(0_u64), Just(3_000), Just(1 << 20)],
    ) {
        let mut image = image();
        for (at, byte) in damage {
            let at = at % image.len();
            image[at] = byte;
        }
        let whole = decode(&image, image.len(), options(1 << 20));
        let cut = decode(&image, piece, options(spool));
        if let (Ok(whole), Ok(cut)) = (whole, cut) {
            prop_assert!(whole.bytes == cut.bytes);
        }
    }
}
