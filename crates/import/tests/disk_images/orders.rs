//! Any order of an image's parts, any cut, any way that clusters lie: the same disk.

use proptest::prelude::*;
use sealstone_import::{ImportError, disk_image::DiskFormat};

use crate::kit::{Lies, Memory, Qcow2, decode, options};

fn lies() -> impl Strategy<Value = Lies> {
    prop_oneof![
        Just(Lies::Nowhere),
        Just(Lies::AsZero),
        Just(Lies::Plain),
        Just(Lies::Plain),
        Just(Lies::Packed)
    ]
}

/// A disk whose clusters hold what their lies allow.
fn disk(cluster: usize, len: usize, lies: &[Lies]) -> Vec<u8> {
    let mut disk = vec![0; len];
    for (number, (bytes, lies)) in disk.chunks_mut(cluster).zip(lies).enumerate() {
        if matches!(lies, Lies::Plain | Lies::Packed) {
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = (number * 7 + at / 64) as u8;
            }
        }
    }
    disk
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_of_its_parts_an_image_gives_its_disk(
        lies in prop::collection::vec(lies(), 1..300),
        short in 0_usize..512,
        version in 2_u32..=3,
        is_zstd: bool,
        piece in prop_oneof![1_usize..40, 500_usize..5_000, Just(1 << 20)],
        cluster_bits in prop_oneof![Just(9_u32), Just(10), Just(12)],
        seed: u64,
    ) {
        let cluster = 1 << cluster_bits;
        let lies: Vec<Lies> = lies
            .into_iter()
            .map(|lies| if version == 2 && lies == Lies::AsZero { Lies::Nowhere } else { lies })
            .collect();
        let disk = disk(cluster, lies.len() * cluster - short.min(cluster - 1), &lies);
        let mut order: Vec<usize> = (0..Qcow2::units(cluster_bits, lies.len())).collect();
        // A permutation of the seed's; 0 leaves tables before their clusters.
        let mut state = seed;
        if !seed.is_multiple_of(4) {
            for at in (1..order.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                order.swap(at, (state >> 33) as usize % (at + 1));
            }
        }
        let is_zstd = is_zstd && version == 3;
        let image = Qcow2 { cluster_bits, version, is_zstd, disk: &disk, lies: &lies, order: &order }.write();
        let made = decode(&image, piece, options(4 << 20)).unwrap();
        prop_assert!(made.bytes == disk);
        prop_assert_eq!(made.said, Some(disk.len() as u64));
    }
}

/// 12 MiB of noise in clusters of 64 KiB, in this order of its parts.
fn big(order: impl Fn(usize) -> Vec<usize>) -> (Vec<u8>, Vec<u8>) {
    let clusters = 192;
    let mut disk = vec![0; clusters << 16];
    let mut state = 1_u64;
    for word in disk.chunks_exact_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        word.copy_from_slice(&state.to_be_bytes());
    }
    let lies = vec![Lies::Plain; clusters];
    let order = order(Qcow2::units(16, clusters));
    let image =
        Qcow2 { cluster_bits: 16, version: 3, is_zstd: false, disk: &disk, lies: &lies, order: &order }
            .write();
    (disk, image)
}

#[test]
fn tables_that_follow_their_data_need_a_spool_that_holds_it() {
    let (disk, image) = big(|units| (2..units).chain([1, 0]).collect());
    assert!(decode(&image, 100_000, options(16 << 20)).unwrap().bytes == disk);
    let refused = decode(&image, 100_000, options(4 << 20)).err().unwrap();
    assert!(matches!(&refused, ImportError::Unsupported { .. }), "{refused}");
    assert!(refused.to_string().contains("its tables follow its data"), "{refused}");
    let mut none = options(0);
    none.spool = None;
    assert!(decode(&image, 100_000, none.clone()).is_err());
    let (disk, image) = big(|units| (0..units).collect());
    assert!(decode(&image, 100_000, none).unwrap().bytes == disk, "tables first need no spool");
}

#[test]
fn a_raw_image_is_its_disk_and_one_that_is_said_to_be_another_is_refused() {
    let mut bytes = vec![0; 3_000_001];
    bytes[1_500_000..1_600_000].fill(9);
    let Memory { bytes: made, said, written } = decode(&bytes, 77_777, options(0)).unwrap();
    assert!(made == bytes && said.is_none() && written < 120_000);
    assert_eq!(decode(&[], 1, options(0)).unwrap().bytes.len(), 0);
    let mut qcow2 = options(0);
    qcow2.format = Some(DiskFormat::Qcow2);
    let told = decode(&bytes, 77_777, qcow2).err().unwrap().to_string();
    assert!(told.contains("said to be qcow2, and its bytes are raw"), "{told}");
    let mut raw = options(0);
    raw.format = Some(DiskFormat::Raw);
    let (_, image) = big(|units| (0..units).collect());
    assert!(decode(&image, 1 << 16, raw).is_err());
    let mut small = options(0);
    small.disk_bytes = 1 << 20;
    assert!(matches!(decode(&bytes, 77_777, small.clone()), Err(ImportError::TooBig { .. })));
    assert!(matches!(decode(&image, 77_777, small), Err(ImportError::TooBig { .. })));
}
