//! SHA-256 with the x86 SHA instructions, in one lane or several interleaved.
//!
//! One lane waits for each instruction's result; two keep the unit busy. What lives here: the compression of whole
//! blocks in N lanes that advance together. What does not: padding, and which implementation to take.
//!
//! FIPS 180-4's state a–h is held as the instructions want it: (f, e, b, a) and (h, g, d, c) from the lowest word up.
#![allow(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_loadu_si128, _mm_set_epi64x, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_storeu_si128,
};

use super::sha2_tables::{K256, START_256};

/// Proof that this processor has the SHA instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShaNi(());

impl ShaNi {
    /// The proof, if there is one.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("ssse3");
        has.then_some(Self(()))
    }
}

/// N SHA-256 hashes in progress.
#[derive(Clone, Debug)]
pub(crate) struct Sha256<const N: usize> {
    proof: ShaNi,
    states: [[u32; 8]; N],
}

impl<const N: usize> Sha256<N> {
    pub(crate) const fn new(proof: ShaNi) -> Self {
        Self::resume(proof, [START_256; N])
    }

    /// Hashes that have come this far.
    pub(crate) const fn resume(proof: ShaNi, states: [[u32; 8]; N]) -> Self {
        Self { proof, states }
    }

    /// Absorbs as many blocks in each lane as the shortest has.
    pub(crate) fn absorb(&mut self, blocks: [&[[u8; 64]]; N]) {
        let ShaNi(()) = self.proof;
        // SAFETY: the proof says that the processor has the features.
        unsafe { absorb(&mut self.states, blocks) }
    }

    /// Absorbs the same block, of which the schedule is known (constants added), `times` times in each lane.
    pub(crate) fn absorb_scheduled(&mut self, schedule: &[u32; 64], times: usize) {
        let ShaNi(()) = self.proof;
        // SAFETY: the proof says that the processor has the features.
        unsafe { absorb_scheduled(&mut self.states, schedule, times) }
    }

    /// The state of one lane: the digest, when the padding has been absorbed.
    pub(crate) fn state(&self, lane: usize) -> [u32; 8] {
        self.states.get(lane).copied().unwrap_or_default()
    }
}

/// A state as the instructions hold it.
#[derive(Clone, Copy)]
struct Halves {
    feba: __m128i,
    hgdc: __m128i,
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn load4(words: &[u32; 4]) -> __m128i {
    // SAFETY: sixteen bytes are there to read, and the load needs no alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn load_states<const N: usize>(states: &[[u32; 8]; N]) -> [Halves; N] {
    let zero = load4(&[0; 4]);
    let mut halves = [Halves { feba: zero, hgdc: zero }; N];
    for (halves, state) in halves.iter_mut().zip(states) {
        let [a, b, c, d, e, f, g, h] = *state;
        *halves = Halves { feba: load4(&[f, e, b, a]), hgdc: load4(&[h, g, d, c]) };
    }
    halves
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn store_states<const N: usize>(states: &mut [[u32; 8]; N], halves: [Halves; N]) {
    for (state, halves) in states.iter_mut().zip(halves) {
        let (mut first, mut second) = ([0; 4], [0; 4]);
        // SAFETY: there are sixteen bytes to write in each, and the stores need no alignment.
        unsafe {
            _mm_storeu_si128((&raw mut first).cast(), halves.feba);
            _mm_storeu_si128((&raw mut second).cast(), halves.hgdc);
        }
        let ([f, e, b, a], [h, g, d, c]) = (first, second);
        *state = [a, b, c, d, e, f, g, h];
    }
}

/// The sixteen words of a block, four a vector.
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn load_block(block: &[u8; 64]) -> [__m128i; 4] {
    let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut words = [big_endian; 4];
    for (words, quarter) in words.iter_mut().zip(block.as_chunks::<16>().0) {
        // SAFETY: sixteen bytes are there to read, and the load needs no alignment.
        let quarter = unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) };
        *words = _mm_shuffle_epi8(quarter, big_endian);
    }
    words
}

/// Four rounds in each lane; the words of the schedule come with the constants added.
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn four_rounds<const N: usize>(halves: &mut [Halves; N], kw: [__m128i; N]) {
    for (s, kw) in halves.iter_mut().zip(kw) {
        s.hgdc = _mm_sha256rnds2_epu32(s.hgdc, s.feba, kw);
        (s.feba, s.hgdc) = (s.hgdc, s.feba);
    }
    for (s, kw) in halves.iter_mut().zip(kw) {
        s.hgdc = _mm_sha256rnds2_epu32(s.hgdc, s.feba, _mm_shuffle_epi32::<0x0e>(kw));
        (s.feba, s.hgdc) = (s.hgdc, s.feba);
    }
}

/// The next four words of the schedule, from the last sixteen.
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn next_words([a, b, c, d]: [__m128i; 4]) -> __m128i {
    let seven_ago = _mm_alignr_epi8::<4>(d, c);
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b), seven_ago), d)
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn add_states<const N: usize>(halves: &mut [Halves; N], before: [Halves; N]) {
    for (now, before) in halves.iter_mut().zip(before) {
        now.feba = _mm_add_epi32(now.feba, before.feba);
        now.hgdc = _mm_add_epi32(now.hgdc, before.hgdc);
    }
}

// No closures below: what they capture would go through memory where they are not inlined.

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn absorb<const N: usize>(states: &mut [[u32; 8]; N], blocks: [&[[u8; 64]]; N]) {
    let mut halves = load_states(states);
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    for index in 0..count {
        let before = halves;
        let mut w = [[load4(&[0; 4]); 4]; N];
        for (w, blocks) in w.iter_mut().zip(blocks) {
            // SAFETY: every lane has at least `count` blocks.
            *w = load_block(unsafe { blocks.get_unchecked(index) });
        }
        for (step, k) in K256.as_chunks::<4>().0.iter().enumerate() {
            let k = load4(k);
            let mut kw = [k; N];
            for (kw, w) in kw.iter_mut().zip(&mut w) {
                let [a, b, c, d] = *w;
                *kw = _mm_add_epi32(a, k);
                *w = [b, c, d, if step < 12 { next_words(*w) } else { a }];
            }
            four_rounds(&mut halves, kw);
        }
        add_states(&mut halves, before);
    }
    store_states(states, halves);
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn absorb_scheduled<const N: usize>(states: &mut [[u32; 8]; N], schedule: &[u32; 64], times: usize) {
    let mut halves = load_states(states);
    for _ in 0..times {
        let before = halves;
        for kw in schedule.as_chunks::<4>().0 {
            four_rounds(&mut halves, [load4(kw); N]);
        }
        add_states(&mut halves, before);
    }
    store_states(states, halves);
}
