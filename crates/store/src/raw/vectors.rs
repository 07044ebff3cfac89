//! What the rounds of SHA-2 do with a vector of lanes: add, rotate, choose, and read a block of each lane.
//!
//! Three kinds: sixteen 32-bit words and eight 64-bit words of AVX-512, four 64-bit words of AVX2. What does not live
//! here: the rounds. Safe to call from a function that has the same features, which is all that ever does.
#![allow(clippy::indexing_slicing, reason = "every index is a constant into an array")]
#![allow(clippy::many_single_char_names, reason = "the rows of a matrix")]
#![allow(clippy::wildcard_imports, reason = "a hundred names, all of them with the prefix _mm")]

use std::arch::x86_64::*;

/// The operations that both widths of word have in AVX-512.
macro_rules! avx512_operations {
    ($word:ty, $lanes:literal, $add:ident, $ror:ident, $shift:ident, $splat:ident, $signed:ty) => {
        pub(in crate::raw) type Vector = __m512i;

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn load(words: &[$word; $lanes]) -> Vector {
            // SAFETY: 64 bytes are there to read, and the load needs no alignment.
            unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn store(words: &mut [$word; $lanes], vector: Vector) {
            // SAFETY: there are 64 bytes to write, and the store needs no alignment.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn splat(word: $word) -> Vector {
            $splat(word.cast_signed())
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn add(x: Vector, y: Vector) -> Vector {
            $add(x, y)
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn ror<const N: i32>(x: Vector) -> Vector {
            $ror::<N>(x)
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn shr<const N: u32>(x: Vector) -> Vector {
            $shift::<N>(x)
        }

        // The three-input functions are their truth tables.
        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn xor3(x: Vector, y: Vector, z: Vector) -> Vector {
            _mm512_ternarylogic_epi32::<0x96>(x, y, z)
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn choose(x: Vector, y: Vector, z: Vector) -> Vector {
            _mm512_ternarylogic_epi32::<0xca>(x, y, z)
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        pub(in crate::raw) fn majority(x: Vector, y: Vector, z: Vector) -> Vector {
            _mm512_ternarylogic_epi32::<0xe8>(x, y, z)
        }
    };
}

/// Transposes four vectors of four 128-bit parts.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose_parts([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    // Parts 0 and 2, then 1 and 3, of two vectors.
    let (even_ab, odd_ab) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b));
    let (even_cd, odd_cd) = (_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xdd>(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(even_ab, even_cd),
        _mm512_shuffle_i64x2::<0x88>(odd_ab, odd_cd),
        _mm512_shuffle_i64x2::<0xdd>(even_ab, even_cd),
        _mm512_shuffle_i64x2::<0xdd>(odd_ab, odd_cd),
    ]
}

/// Loads 64 bytes and turns the big-endian words of this mask into the processor's.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load_big_endian(bytes: &[u8; 64], mask: __m128i) -> __m512i {
    // SAFETY: 64 bytes are there to read, and the load needs no alignment.
    let vector = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
    _mm512_shuffle_epi8(vector, _mm512_broadcast_i32x4(mask))
}

/// Sixteen lanes of 32-bit words.
pub(super) mod avx512_32 {
    use super::*;

    avx512_operations!(
        u32,
        16,
        _mm512_add_epi32,
        _mm512_ror_epi32,
        _mm512_srli_epi32,
        _mm512_set1_epi32,
        i32
    );

    /// The words of a block of each lane: word i of all lanes in vector i.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(in crate::raw) fn message(blocks: &[&[u8; 64]; 16]) -> [Vector; 16] {
        let mask = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        // Four rows at a time: vector k of a group has word 4p + k of its four lanes in part p.
        let mut groups = [[_mm512_setzero_si512(); 4]; 4];
        for (group, rows) in groups.iter_mut().zip(blocks.as_chunks::<4>().0) {
            let (a, b) = (load_big_endian(rows[0], mask), load_big_endian(rows[1], mask));
            let (c, d) = (load_big_endian(rows[2], mask), load_big_endian(rows[3], mask));
            let (low_ab, low_cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
            let (high_ab, high_cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
            *group = [
                _mm512_unpacklo_epi64(low_ab, low_cd),
                _mm512_unpackhi_epi64(low_ab, low_cd),
                _mm512_unpacklo_epi64(high_ab, high_cd),
                _mm512_unpackhi_epi64(high_ab, high_cd),
            ];
        }
        let [a, b, c, d] = groups;
        let k0 = transpose_parts([a[0], b[0], c[0], d[0]]);
        let k1 = transpose_parts([a[1], b[1], c[1], d[1]]);
        let k2 = transpose_parts([a[2], b[2], c[2], d[2]]);
        let k3 = transpose_parts([a[3], b[3], c[3], d[3]]);
        [
            k0[0], k1[0], k2[0], k3[0], k0[1], k1[1], k2[1], k3[1], //
            k0[2], k1[2], k2[2], k3[2], k0[3], k1[3], k2[3], k3[3],
        ]
    }
}

/// Eight lanes of 64-bit words.
pub(super) mod avx512_64 {
    use super::*;

    avx512_operations!(u64, 8, _mm512_add_epi64, _mm512_ror_epi64, _mm512_srli_epi64, _mm512_set1_epi64, i64);

    /// The words of a block of each lane: word i of all lanes in vector i.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(in crate::raw) fn message(blocks: &[&[u8; 128]; 8]) -> [Vector; 16] {
        let [a, b] = [half(blocks, 0), half(blocks, 1)];
        [
            a[0], a[4], a[1], a[5], a[2], a[6], a[3], a[7], //
            b[0], b[4], b[1], b[5], b[2], b[6], b[3], b[7],
        ]
    }

    /// The words of half a block of each lane: the even ones, then the odd ones.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn half(blocks: &[&[u8; 128]; 8], half: usize) -> [Vector; 8] {
        let mask = _mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607);
        let (mut even, mut odd) = ([_mm512_setzero_si512(); 4], [_mm512_setzero_si512(); 4]);
        for (pair, rows) in blocks.as_chunks::<2>().0.iter().enumerate() {
            let a = load_big_endian(&rows[0].as_chunks::<64>().0[half], mask);
            let b = load_big_endian(&rows[1].as_chunks::<64>().0[half], mask);
            even[pair] = _mm512_unpacklo_epi64(a, b);
            odd[pair] = _mm512_unpackhi_epi64(a, b);
        }
        let ([a, b, c, d], [e, f, g, h]) = (transpose_parts(even), transpose_parts(odd));
        [a, b, c, d, e, f, g, h]
    }
}

/// Four lanes of 64-bit words, without AVX-512's rotations and three-input functions.
pub(super) mod avx2_64 {
    use super::*;

    pub(in crate::raw) type Vector = __m256i;

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn load(words: &[u64; 4]) -> Vector {
        // SAFETY: 32 bytes are there to read, and the load needs no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn store(words: &mut [u64; 4], vector: Vector) {
        // SAFETY: there are 32 bytes to write, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn splat(word: u64) -> Vector {
        _mm256_set1_epi64x(word.cast_signed())
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn add(x: Vector, y: Vector) -> Vector {
        _mm256_add_epi64(x, y)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn shr<const N: i32>(x: Vector) -> Vector {
        _mm256_srli_epi64::<N>(x)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn ror<const N: i32>(x: Vector) -> Vector {
        let left = _mm256_sll_epi64(x, _mm_cvtsi32_si128(64 - N));
        _mm256_or_si256(_mm256_srli_epi64::<N>(x), left)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn xor3(x: Vector, y: Vector, z: Vector) -> Vector {
        _mm256_xor_si256(_mm256_xor_si256(x, y), z)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn choose(x: Vector, y: Vector, z: Vector) -> Vector {
        _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn majority(x: Vector, y: Vector, z: Vector) -> Vector {
        _mm256_or_si256(_mm256_and_si256(x, y), _mm256_and_si256(z, _mm256_or_si256(x, y)))
    }

    /// The words of a block of each lane: word i of all lanes in vector i.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in crate::raw) fn message(blocks: &[&[u8; 128]; 4]) -> [Vector; 16] {
        let mask = _mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607);
        let mut words = [_mm256_setzero_si256(); 16];
        for (quarter, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut rows = [_mm256_setzero_si256(); 4];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let quarter = &block.as_chunks::<32>().0[quarter];
                // SAFETY: 32 bytes are there to read, and the load needs no alignment.
                let vector = unsafe { _mm256_loadu_si256(quarter.as_ptr().cast()) };
                *row = _mm256_shuffle_epi8(vector, _mm256_broadcastsi128_si256(mask));
            }
            let [a, b, c, d] = rows;
            let (even_ab, even_cd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpacklo_epi64(c, d));
            let (odd_ab, odd_cd) = (_mm256_unpackhi_epi64(a, b), _mm256_unpackhi_epi64(c, d));
            *words = [
                _mm256_permute2x128_si256::<0x20>(even_ab, even_cd),
                _mm256_permute2x128_si256::<0x20>(odd_ab, odd_cd),
                _mm256_permute2x128_si256::<0x31>(even_ab, even_cd),
                _mm256_permute2x128_si256::<0x31>(odd_ab, odd_cd),
            ];
        }
        words
    }
}
