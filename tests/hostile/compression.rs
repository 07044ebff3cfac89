//! Compressed blobs: bombs, cuts, and streams that lie. Digests and sizes are honest: only decompressing tells.

use std::io::Write;

use super::attack::{Attack, Expect::Refused, Expect::Tree, blob};
use super::layout::{GOOD_TREE, good_tar};
use crate::kit::RawTar;
pub use crate::kit::gzip;

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("zstd")
}

/// A zstd frame's header: this descriptor and these fields.
fn frame(fields: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd], fields].concat()
}

/// A blob that is no tar, under the `diff_id` of the good one.
fn instead(blob: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    (blob, good_tar())
}

fn cut(mut blob: Vec<u8>, bytes: usize) -> (Vec<u8>, Vec<u8>) {
    blob.truncate(blob.len() - bytes);
    instead(blob)
}

fn long() -> Vec<u8> {
    RawTar::new().file("a", &crate::kit::layer::noise(200_000, 1)).end()
}

fn flipped(mut blob: Vec<u8>, from_end: usize) -> (Vec<u8>, Vec<u8>) {
    let at = blob.len() - from_end;
    blob[at] ^= 0x10;
    instead(blob)
}

pub const ATTACKS: &[Attack] = &[
    blob("a zstd bomb of 512 MiB", Refused("decode/ratio"), || {
        let tar = RawTar::new().file("a", b"x").zeros((512 << 20) / 512).cut();
        (zstd(&tar), tar)
    }),
    blob("gzip without its end", Refused("decode/truncated"), || cut(gzip(&long()), 8)),
    blob("gzip cut in the middle", Refused("decode/truncated"), || cut(gzip(&long()), 100_000)),
    blob("zstd cut in the middle", Refused("decode/truncated"), || cut(zstd(&long()), 100_000)),
    blob("a gzip header alone", Refused("decode/truncated"), || instead(gzip(b"")[..10].to_vec())),
    blob("a zstd magic number alone", Refused("decode/truncated"), || instead(frame(&[]))),
    blob("garbage after gzip", Refused("decode/trailing"), || {
        instead([gzip(&good_tar()), b"garbage".to_vec()].concat())
    }),
    blob("garbage after zstd", Refused("decode/trailing"), || {
        instead([zstd(&good_tar()), b"garbage".to_vec()].concat())
    }),
    blob("zstd after gzip", Refused("decode/trailing"), || {
        instead([gzip(&good_tar()), zstd(&good_tar())].concat())
    }),
    blob("a gzip checksum that is wrong", Refused("decode/damaged"), || flipped(gzip(&long()), 8)),
    blob("a gzip length that is wrong", Refused("decode/damaged"), || flipped(gzip(&long()), 1)),
    blob("a gzip method that does not exist", Refused("decode/damaged"), || {
        let mut blob = gzip(&good_tar());
        blob[2] = 7;
        instead(blob)
    }),
    blob("a zstd frame longer than it says", Refused("decode/damaged"), || {
        // One segment of 5 bytes, and a run of 1,000.
        instead(frame(&[0x20, 5, 0x43, 0x1f, 0, b'x']))
    }),
    blob("a zstd frame with a reserved block", Refused("decode/damaged"), || {
        instead(frame(&[0x20, 5, 0x07, 0, 0]))
    }),
    blob("a zstd window of 2 TiB", Refused("decode/window"), || instead(frame(&[0, 0xff, 1, 0, 0]))),
    blob("a zstd segment of 2^64 bytes", Refused("decode/window"), || {
        instead(frame(&[&[0xe0][..], &[0xff; 8], &[1, 0, 0]].concat()))
    }),
    blob("a zstd dictionary", Refused("decode/unsupported"), || instead(frame(&[0x21, 7, 3, 0, 0]))),
    blob("a skippable frame of 4 GiB that is not there", Refused("decode/truncated"), || {
        instead([&[0x50, 0x2a, 0x4d, 0x18], &[0xff; 4], &b"short"[..]].concat())
    }),
    blob("xz", Refused("decode/unsupported"), || instead(b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F".to_vec())),
    blob("bzip2", Refused("decode/unsupported"), || instead(b"BZh91AY&SY".to_vec())),
    blob("gzip in gzip", Refused("layer/checksum"), || {
        let inner = gzip(&long());
        (gzip(&inner), inner)
    }),
    blob("zip", Refused("layer/checksum"), || {
        let zip = [&b"PK\x03\x04"[..], &[0; 600]].concat();
        (zip.clone(), zip)
    }),
    blob("20,000 empty gzip members", Tree(GOOD_TREE), || {
        let tar = good_tar();
        ([gzip(b"").repeat(20_000), gzip(&tar)].concat(), tar)
    }),
    blob("20,000 empty zstd frames", Tree(GOOD_TREE), || {
        let tar = good_tar();
        ([zstd(b"").repeat(20_000), zstd(&tar)].concat(), tar)
    }),
    blob("a gzip header with a name of 4 MiB", Tree(GOOD_TREE), || {
        let tar = good_tar();
        let mut encoder = flate2::GzBuilder::new()
            .filename(vec![b'n'; 4 << 20])
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&tar).expect("gzip");
        (encoder.finish().expect("gzip"), tar)
    }),
    blob("nothing, where a tar should be", Tree(&[]), || (Vec::new(), Vec::new())),
    blob("gzip of nothing", Tree(&[]), || (gzip(b""), Vec::new())),
];

/// What one decoder may take for its window comes on top.
pub const WINDOW_KIB: u64 = 128 << 10;

pub const WIDE: &[Attack] = &[blob("zstd windows of 128 MiB", Tree(GOOD_TREE), || {
    let tar = RawTar::new().file("a", b"x").end();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("zstd");
    encoder.window_log(27).expect("zstd");
    encoder.write_all(&tar).expect("zstd");
    (encoder.finish().expect("zstd"), tar)
})];
