//! Messages side by side in the lanes of one processor.
//!
//! Lanes advance together, a block at a time. What lives here: how bodies of different lengths are kept in step. Each
//! body has whole blocks, which are hashed where they lie, at most one begun block, which is copied and padded, and
//! zeros up to the frame. Where all lanes are at zeros, and in the padding block at the end, the schedule is known
//! beforehand and costs nothing.

use std::{array, slice};

use super::lanes::Frame;
use crate::raw::{
    sha_ni::{Sha256, ShaNi},
    sha2_avx::{Avx2, Avx512, Sha256x16, Sha512x4, Sha512x8},
    sha2_tables::{K256, K512, padding_256, padding_512},
};

/// N hashes in progress, with blocks of B bytes.
trait Lanes<const N: usize, const B: usize> {
    fn absorb(&mut self, blocks: [&[[u8; B]]; N]);
    fn absorb_zeros(&mut self, count: usize);
    fn absorb_padding(&mut self, frame: Frame);
    fn write_digest(&self, lane: usize, out: &mut [u8]);
}

/// Hashes one to sixteen bodies in sixteen lanes.
pub(super) fn sha256_by_16(proof: Avx512, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    hash(Sha256x16::new(proof), frame, bodies, out, 32);
}

/// Hashes one or two bodies in as many lanes.
pub(super) fn sha256_by_2(proof: ShaNi, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    if bodies.len() == 2 {
        hash(Sha256::<2>::new(proof), frame, bodies, out, 32);
    } else {
        hash(Sha256::<1>::new(proof), frame, bodies, out, 32);
    }
}

/// Hashes one to eight bodies in eight lanes.
pub(super) fn sha512_by_8(proof: Avx512, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    hash(Sha512x8::new(proof), frame, bodies, out, 64);
}

/// Hashes one to four bodies in four lanes.
pub(super) fn sha512_by_4(proof: Avx2, frame: Frame, bodies: &[&[u8]], out: &mut [u8]) {
    hash(Sha512x4::new(proof), frame, bodies, out, 64);
}

/// Hashes at most N bodies; lanes without one do as the last body's does.
fn hash<const N: usize, const B: usize>(
    mut lanes: impl Lanes<N, B>,
    frame: Frame,
    bodies: &[&[u8]],
    out: &mut [u8],
    digest_len: usize,
) {
    let body = |lane| *bodies.get(lane).or(bodies.last()).unwrap_or(&&[][..]);
    let bodies: [&[u8]; N] = array::from_fn(body);
    let whole = bodies.map(|body| body.as_chunks::<B>().0);
    lanes.absorb(whole);
    let in_step = whole.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let longest = bodies.iter().map(|body| body.len().div_ceil(B)).max().unwrap_or(0);
    if in_step < longest {
        let begun = bodies.map(|body| {
            let mut block = [0; B];
            block.iter_mut().zip(body.as_chunks::<B>().1).for_each(|(place, byte)| *place = *byte);
            block
        });
        for index in in_step..longest {
            lanes.absorb(array::from_fn(|lane| block_at(whole.get(lane), begun.get(lane), index)));
        }
    }
    lanes.absorb_zeros(frame.len() / B - longest.min(frame.len() / B));
    lanes.absorb_padding(frame);
    out.chunks_exact_mut(digest_len).enumerate().for_each(|(lane, place)| lanes.write_digest(lane, place));
}

/// The block of a lane at an index: a whole one, the begun one after them, zeros after that.
fn block_at<'a, const B: usize>(
    whole: Option<&&'a [[u8; B]]>,
    begun: Option<&'a [u8; B]>,
    index: usize,
) -> &'a [[u8; B]] {
    let whole = whole.copied().unwrap_or_default();
    match whole.get(index) {
        Some(block) => slice::from_ref(block),
        None if index == whole.len() => begun.map_or(&[], slice::from_ref),
        None => const { &[[0; B]] },
    }
}

macro_rules! lanes {
    ($type:ty, $lanes:literal lanes, $word:ty, $zeros:ident, $padding:ident) => {
        impl Lanes<$lanes, { 16 * size_of::<$word>() }> for $type {
            fn absorb(&mut self, blocks: [&[[u8; 16 * size_of::<$word>()]]; $lanes]) {
                self.absorb(blocks);
            }

            fn absorb_zeros(&mut self, count: usize) {
                // The schedule of zeros is zero: the round constants are left.
                self.absorb_scheduled(&$zeros, count);
            }

            fn absorb_padding(&mut self, frame: Frame) {
                static BLOCK: [$word; $zeros.len()] = $padding(Frame::Block.len());
                static DESCRIPTOR: [$word; $zeros.len()] = $padding(Frame::Descriptor.len());
                let schedule = match frame {
                    Frame::Block => &BLOCK,
                    Frame::Descriptor => &DESCRIPTOR,
                };
                self.absorb_scheduled(schedule, 1);
            }

            fn write_digest(&self, lane: usize, out: &mut [u8]) {
                let places = out.as_chunks_mut().0.iter_mut();
                places.zip(self.state(lane)).for_each(|(place, word)| *place = word.to_be_bytes());
            }
        }
    };
}

lanes!(Sha256x16, 16 lanes, u32, K256, padding_256);
lanes!(Sha256<2>, 2 lanes, u32, K256, padding_256);
lanes!(Sha256<1>, 1 lanes, u32, K256, padding_256);
lanes!(Sha512x8, 8 lanes, u64, K512, padding_512);
lanes!(Sha512x4, 4 lanes, u64, K512, padding_512);
