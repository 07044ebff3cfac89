//! SHA-256 in sixteen lanes of AVX-512, and SHA-512 in eight lanes of AVX-512 or four of AVX2.
//!
//! A lane is one message; the lanes of a hash advance together, a whole block at a time. What lives here: the round
//! function, written once over a vector's operations (`vectors.rs`). What does not: padding, and which implementation
//! to take.
//!
//! Names are FIPS 180-4's: a–h the state, w the message schedule, k the round constants.
#![allow(clippy::indexing_slicing, reason = "every index is a constant into an array")]
#![allow(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]

use super::{
    sha2_tables::{BLOCK_WORDS, K256, K512, START_256, START_512},
    vectors::{avx2_64, avx512_32, avx512_64},
};

/// Proof that this processor has AVX-512 (F and BW).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

/// Proof that this processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx512 {
    /// The proof, if there is one.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }
}

impl Avx2 {
    /// The proof, if there is one.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// A hash in lanes: its name, the proof and features it needs, its vector's operations, word, lanes, rounds, tables,
/// FIPS 180-4's rotations for Σ0, Σ1, σ0 and σ1 (the last number of a σ is a shift), and the numbers of a pass: sixteen
/// rounds, unrolled so that the state and the schedule stay in registers.
macro_rules! lanes {
    ($(#[$doc:meta])* $name:ident, $proof:ident $features:literal, $ops:ident, $word:ty, $lanes:literal,
     $rounds:literal, $k:ident, $start:ident, [$A:literal $B:literal $C:literal] [$D:literal $E:literal $F:literal]
     [$G:literal $H:literal $I:literal] [$J:literal $K:literal $L:literal] $($i:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            proof: $proof,
            /// Word by word, each of all lanes.
            state: [[$word; $lanes]; 8],
        }

        impl $name {
            pub(crate) fn new(proof: $proof) -> Self {
                Self { proof, state: $start.map(|word| [word; $lanes]) }
            }

            /// Absorbs as many blocks in each lane as the shortest has.
            pub(crate) fn absorb(&mut self, blocks: [&[[u8; size_of::<$word>() * BLOCK_WORDS]]; $lanes]) {
                let $proof(()) = self.proof;
                // SAFETY: the proof says that the processor has the features.
                unsafe { Self::absorb_blocks(&mut self.state, blocks) }
            }

            /// Absorbs the same block, of which the schedule is known (constants added), `times` times in each lane.
            pub(crate) fn absorb_scheduled(&mut self, schedule: &[$word; $rounds], times: usize) {
                let $proof(()) = self.proof;
                // SAFETY: the proof says that the processor has the features.
                unsafe { Self::absorb_known(&mut self.state, schedule, times) }
            }

            /// The state of one lane: the digest, when the padding has been absorbed.
            pub(crate) fn state(&self, lane: usize) -> [$word; 8] {
                self.state.map(|word| word.get(lane).copied().unwrap_or_default())
            }

            #[target_feature(enable = $features)]
            fn absorb_blocks(
                state: &mut [[$word; $lanes]; 8],
                blocks: [&[[u8; size_of::<$word>() * BLOCK_WORDS]]; $lanes],
            ) {
                const EMPTY: &[u8; size_of::<$word>() * BLOCK_WORDS] = &[0; _];
                let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
                let mut s = [$ops::splat(0); 8];
                s.iter_mut().zip(&*state).for_each(|(vector, words)| *vector = $ops::load(words));
                for index in 0..count {
                    let before = s;
                    let mut rows = [EMPTY; $lanes];
                    for (row, blocks) in rows.iter_mut().zip(blocks) {
                        // SAFETY: every lane has at least `count` blocks.
                        *row = unsafe { blocks.get_unchecked(index) };
                    }
                    let mut w = $ops::message(&rows);
                    let Some((last, passes)) = $k.as_chunks::<BLOCK_WORDS>().0.split_last() else { return };
                    for k in passes {
                        $(
                            s = Self::round(s, $ops::add(w[$i], $ops::splat(k[$i])));
                            let (x, y) = (w[($i + 1) % 16], w[($i + 14) % 16]);
                            let s0 = $ops::xor3($ops::ror::<$G>(x), $ops::ror::<$H>(x), $ops::shr::<$I>(x));
                            let s1 = $ops::xor3($ops::ror::<$J>(y), $ops::ror::<$K>(y), $ops::shr::<$L>(y));
                            w[$i] = $ops::add($ops::add(w[$i], s0), $ops::add(w[($i + 9) % 16], s1));
                        )*
                    }
                    $( s = Self::round(s, $ops::add(w[$i], $ops::splat(last[$i]))); )*
                    s.iter_mut().zip(before).for_each(|(now, before)| *now = $ops::add(*now, before));
                }
                state.iter_mut().zip(s).for_each(|(words, vector)| $ops::store(words, vector));
            }

            #[target_feature(enable = $features)]
            fn absorb_known(state: &mut [[$word; $lanes]; 8], schedule: &[$word; $rounds], times: usize) {
                let mut s = [$ops::splat(0); 8];
                s.iter_mut().zip(&*state).for_each(|(vector, words)| *vector = $ops::load(words));
                for _ in 0..times {
                    let before = s;
                    for kw in schedule.as_chunks::<BLOCK_WORDS>().0 {
                        $( s = Self::round(s, $ops::splat(kw[$i])); )*
                    }
                    s.iter_mut().zip(before).for_each(|(now, before)| *now = $ops::add(*now, before));
                }
                state.iter_mut().zip(s).for_each(|(words, vector)| $ops::store(words, vector));
            }

            #[target_feature(enable = $features)]
            #[inline]
            fn round([a, b, c, d, e, f, g, h]: [$ops::Vector; 8], kw: $ops::Vector) -> [$ops::Vector; 8] {
                let sum1 = $ops::xor3($ops::ror::<$D>(e), $ops::ror::<$E>(e), $ops::ror::<$F>(e));
                let sum0 = $ops::xor3($ops::ror::<$A>(a), $ops::ror::<$B>(a), $ops::ror::<$C>(a));
                let t1 = $ops::add($ops::add(h, kw), $ops::add(sum1, $ops::choose(e, f, g)));
                let t2 = $ops::add(sum0, $ops::majority(a, b, c));
                [$ops::add(t1, t2), a, b, c, $ops::add(d, t1), e, f, g]
            }
        }
    };
}

lanes! {
    /// Sixteen SHA-256 hashes in progress.
    Sha256x16, Avx512 "avx512f,avx512bw", avx512_32, u32, 16, 64, K256, START_256,
    [2 13 22] [6 11 25] [7 18 3] [17 19 10] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
}
lanes! {
    /// Eight SHA-512 hashes in progress.
    Sha512x8, Avx512 "avx512f,avx512bw", avx512_64, u64, 8, 80, K512, START_512,
    [28 34 39] [14 18 41] [1 8 7] [19 61 6] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
}
lanes! {
    /// Four SHA-512 hashes in progress.
    Sha512x4, Avx2 "avx2", avx2_64, u64, 4, 80, K512, START_512,
    [28 34 39] [14 18 41] [1 8 7] [19 61 6] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
}
