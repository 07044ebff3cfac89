//! Streams against zlib-rs, which is the oracle: the same bytes out of the same input, and the same streams refused.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use proptest::prelude::*;

use super::*;

/// What a decoder makes of a stream: the bytes, and how much of the input they took; nothing, when it is refused or
/// ends too early.
type Outcome = Option<(Vec<u8>, usize)>;

/// Decodes with inputs of `cut` bytes, the output fetched `room` bytes at a time.
fn ours(stream: &[u8], cut: usize, room: usize) -> Outcome {
    let (mut inflater, mut history) = (Inflater::new(), History::new());
    let (mut out, mut buffer, mut at) = (Vec::new(), vec![0; room], 0);
    loop {
        while !history.is_fetched() {
            let count = history.fetch(&mut buffer);
            out.extend_from_slice(&buffer[..count]);
        }
        history.make_room();
        let input = &stream[at..stream.len().min(at + cut)];
        let (taken, stop) = inflater.run(input, &mut history).ok()?;
        at += taken;
        match stop {
            Stop::End if history.is_fetched() => {
                let ahead = usize::try_from(inflater.count / 8).unwrap();
                return Some((out, at - ahead));
            }
            Stop::Input if at == stream.len() && history.is_fetched() => return None,
            Stop::Input => assert_eq!(taken, input.len()),
            Stop::Room | Stop::End => {}
        }
    }
}

fn oracle(stream: &[u8]) -> Outcome {
    let mut decoder = Decompress::new(false);
    let mut out = Vec::new();
    loop {
        out.reserve(1 << 16);
        let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
        let rest = &stream[usize::try_from(before_in).unwrap()..];
        match decoder.decompress_vec(rest, &mut out, FlushDecompress::None).ok()? {
            Status::StreamEnd => return Some((out, usize::try_from(decoder.total_in()).unwrap())),
            _ if decoder.total_in() == before_in && decoder.total_out() == before_out => return None,
            _ => {}
        }
    }
}

fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(bytes.len() * 2 + 1000);
    assert_eq!(encoder.compress_vec(bytes, &mut out, FlushCompress::Finish).unwrap(), Status::StreamEnd);
    out
}

fn assert_same(stream: &[u8], what: impl std::fmt::Debug) {
    let (got, want) = (ours(stream, 1 << 16, 1 << 16), oracle(stream));
    let brief = |outcome: &Outcome| outcome.as_ref().map(|(bytes, taken)| (bytes.len(), *taken));
    assert!(got == want, "{what:?}: {:?}, zlib-rs {:?}", brief(&got), brief(&want));
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn bytes(&mut self, count: usize, kinds: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(kinds)).unwrap()).collect()
    }
}

/// Bytes of every kind that compressors treat differently: few symbols, many, runs, and repeats from near and far.
fn sample(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let scale = random.below(14);
        let count = 1 + random.below(1 << scale);
        match random.below(6) {
            0 => bytes.extend(random.bytes(count, 256)),
            1 => bytes.extend(random.bytes(count, 64)),
            2 => bytes.extend(random.bytes(count, 3)),
            3 => bytes.extend(std::iter::repeat_n(u8::try_from(random.below(256)).unwrap(), count)),
            _ if bytes.is_empty() => {}
            _ => {
                let scale = 1 + random.below(15);
                let distance = 1 + random.below(bytes.len().min(1 << scale));
                for _ in 0..count.min(random.below(600)) {
                    bytes.push(bytes[bytes.len() - distance]);
                }
            }
        }
    }
    bytes.truncate(length);
    bytes
}

/// Writes streams bit by bit.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Writer {
    fn put(&mut self, value: usize, count: usize) {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |=
                u8::from(bit < 64 && value >> bit & 1 != 0) << (self.count % 8);
            self.count += 1;
        }
    }

    fn stored(&mut self, bytes: &[u8]) {
        self.put(0, 3);
        self.count = self.bytes.len() * 8;
        self.put(bytes.len(), 16);
        self.put(!bytes.len(), 16);
        self.bytes.extend(bytes);
        self.count = self.bytes.len() * 8;
    }

    /// The head of a dynamic block, each length in four bits.
    fn dynamic(&mut self, literals: &[u8], distances: &[u8]) {
        self.put(0b101, 3);
        self.put(literals.len() - 257, 5);
        self.put(distances.len() - 1, 5);
        self.put(15, 4);
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
            self.put(if symbol < 16 { 4 } else { 0 }, 3);
        }
        for length in literals.iter().chain(distances) {
            self.put(usize::from(length.reverse_bits() >> 4), 4);
        }
    }
}

/// A stream of one dynamic block whose codes have these lengths, followed by `bits`.
fn block(literals: &[(usize, u8)], distances: &[u8], bits: &str) -> Vec<u8> {
    let mut lengths = vec![0; 286];
    for (symbol, length) in literals {
        lengths[*symbol] = *length;
    }
    let mut writer = Writer::default();
    writer.dynamic(&lengths, distances);
    for bit in bits.bytes().filter(|byte| *byte != b' ') {
        writer.put(usize::from(bit - b'0'), 1);
    }
    writer.put(0, 100);
    writer.bytes
}

fn damage(stream: &[u8]) -> Option<Damage> {
    assert_same(stream, "a stream made by hand");
    Inflater::new().run(stream, &mut History::new()).err()
}

#[test]
fn every_level_and_kind_of_data_comes_out_as_it_went_in() {
    let mut random = Random(1);
    for level in 0..=9 {
        for length in [0, 1, 2, 300, 70_000, 700_000] {
            let bytes = sample(&mut random, length);
            let stream = deflate(&bytes, level);
            assert!(ours(&stream, 1 << 16, 1 << 16).unwrap() == (bytes, stream.len()), "{level}, {length}");
        }
    }
}

#[test]
fn any_cut_of_the_input_and_of_the_output_gives_the_same() {
    let mut random = Random(2);
    for level in [0, 1, 6, 9] {
        let stream = deflate(&sample(&mut random, 40_000), level);
        let whole = ours(&stream, usize::MAX >> 1, 1 << 20);
        assert!(whole.is_some());
        for step in [1, 2, 3, 7, 8, 9, 15, 64, 1000] {
            assert!(ours(&stream, step, 1 + step * 3) == whole, "steps of {step}");
        }
    }
}

#[test]
fn a_stream_cut_short_is_never_whole() {
    let stream = deflate(&sample(&mut Random(3), 2000), 6);
    for end in 0..stream.len() {
        assert!(ours(&stream[..end], 1 << 16, 1 << 16).is_none(), "cut at {end}");
    }
}

#[test]
fn a_stream_with_flipped_bits_is_decoded_as_zlib_does_or_refused() {
    let mut random = Random(4);
    for level in [1, 6, 9] {
        for length in [40, 600, 30_000] {
            let stream = deflate(&sample(&mut random, length), level);
            for turn in 0..700 {
                let mut stream = stream.clone();
                for _ in 0..=turn % 3 {
                    // The heads of blocks are worth more than their middles.
                    let end = if turn % 2 == 0 { stream.len() } else { stream.len().min(100) };
                    stream[random.below(end)] ^= 1 << random.below(8);
                }
                assert_same(&stream, (level, length, turn));
            }
        }
    }
}

/// Lengths that make a whole code of up to `count` symbols, of at most 15 bits.
fn whole_code(random: &mut Random, count: usize, must: Option<usize>) -> Vec<u8> {
    let wanted = 2 + random.below(count - 1);
    let mut leaves = vec![0_u8];
    while leaves.len() < wanted {
        let at = if random.below(4) == 0 { leaves.len() - 1 } else { random.below(leaves.len()) };
        if leaves[at] < 15 {
            leaves[at] += 1;
            leaves.push(leaves[at]);
        } else if leaves.iter().all(|leaf| *leaf == 15) {
            break;
        } else {
            leaves.rotate_left(1);
        }
    }
    leaves.resize(count, 0);
    for index in 0..count {
        leaves.swap(index, random.below(count));
    }
    if let Some(must) = must {
        let from = leaves.iter().position(|leaf| *leaf > 0).unwrap();
        if leaves[must] == 0 {
            leaves.swap(must, from);
        }
    }
    leaves
}

#[test]
fn any_codes_whole_or_not_are_taken_or_refused_as_zlib_does() {
    let mut random = Random(5);
    let (mut taken, mut refused) = (0, 0);
    for turn in 0..6000 {
        let (literals, distances) = (257 + random.below(30), 1 + random.below(30));
        let mut literals = whole_code(&mut random, literals, Some(256));
        let mut distances = if distances > 1 { whole_code(&mut random, distances, None) } else { vec![1] };
        if turn % 4 == 0 {
            // One length changed: codes with gaps, or too many of them.
            let lengths = if turn % 8 == 0 { &mut literals } else { &mut distances };
            let at = random.below(lengths.len());
            lengths[at] = u8::try_from(random.below(16)).unwrap();
        }
        let mut writer = Writer::default();
        let scale = random.below(16);
        writer.stored(&random.bytes(1 << scale, 256));
        writer.dynamic(&literals, &distances);
        for byte in random.bytes(1500, 256) {
            writer.put(usize::from(byte), 8);
        }
        assert_same(&writer.bytes, (turn, literals, distances));
        match Inflater::new().run(&writer.bytes, &mut History::new()) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 500 && refused > 500, "{taken} taken, {refused} refused");
}

#[test]
fn a_code_with_too_many_or_too_few_codewords_is_refused() {
    // Three codes of one bit; two codes of two bits; and the same among the distances.
    assert_eq!(damage(&block(&[(65, 1), (66, 1), (256, 1)], &[1], "")), Some(Damage::TooManyCodes));
    assert_eq!(damage(&block(&[(65, 2), (256, 2)], &[1], "")), Some(Damage::TooFewCodes));
    assert_eq!(damage(&block(&[(65, 1), (256, 1)], &[1, 1, 1], "")), Some(Damage::TooManyCodes));
    assert_eq!(damage(&block(&[(65, 1), (256, 1)], &[2, 2], "")), Some(Damage::TooFewCodes));
    assert_eq!(damage(&block(&[(65, 1), (256, 1)], &[2], "")), Some(Damage::TooFewCodes));
}

#[test]
fn one_distance_code_of_one_bit_or_none_is_accepted_until_another_is_used() {
    // `a` is 0, the end 10, length 3 is 11.
    let symbols = [(97, 1), (256, 2), (257, 2)];
    assert_eq!(ours(&block(&symbols, &[1], "0 11 0 10"), 99, 99).unwrap().0, b"aaaa");
    assert_eq!(damage(&block(&symbols, &[1], "0 11 1 10")), Some(Damage::DistanceCode));
    assert_eq!(ours(&block(&symbols, &[0], "0 0 10"), 99, 99).unwrap().0, b"aa");
    assert_eq!(damage(&block(&symbols, &[0], "0 11 0 10")), Some(Damage::DistanceCode));
    // The same goes for a block with its end alone.
    assert_eq!(ours(&block(&[(256, 1)], &[0], "0"), 99, 99).unwrap().0, b"");
    assert_eq!(damage(&block(&[(256, 1)], &[0], "1")), Some(Damage::LengthCode));
}

#[test]
fn a_match_reaches_back_to_the_beginning_and_no_further() {
    let symbols = [(97, 1), (256, 2), (257, 2)];
    assert_eq!(ours(&block(&symbols, &[1, 1], "0 0 11 1 10"), 99, 99).unwrap().0, b"aaaaa");
    assert_eq!(damage(&block(&symbols, &[1, 1], "0 11 1 10")), Some(Damage::TooFar));
    // Far from all edges, in the fast loop.
    let bits = format!("0 11 1 {}", "0".repeat(5000));
    assert_eq!(damage(&block(&symbols, &[1, 1], &bits)), Some(Damage::TooFar));
}

#[test]
fn a_new_stream_cannot_reach_into_the_one_before_it() {
    let symbols = [(97, 1), (256, 2), (257, 2)];
    let (mut inflater, mut history) = (Inflater::new(), History::new());
    let (_, stop) = inflater.run(&block(&symbols, &[1], "0 0 0 10"), &mut history).unwrap();
    assert_eq!(stop, Stop::End);
    while inflater.take_byte(&mut &[][..]).is_some() {}
    inflater.begin();
    history.begin();
    let second = inflater.run(&block(&symbols, &[1, 1], "0 11 1 10"), &mut history);
    assert_eq!(second, Err(Damage::TooFar));
}

#[test]
fn symbols_that_nothing_may_use_are_refused() {
    // Fixed blocks: 286 is 11000110, 287 is 11000111; `a` is 10010001, then length 3 with the distances 30 and 31.
    for bits in ["11000110", "11000111", "10010001 0000001 11110", "10010001 0000001 11111"] {
        let mut writer = Writer::default();
        writer.put(0b011, 3);
        bits.bytes().filter(|bit| *bit != b' ').for_each(|bit| writer.put(usize::from(bit - b'0'), 1));
        writer.put(0, 300);
        let distance = bits.len() > 8;
        let expected = if distance { Damage::DistanceCode } else { Damage::LengthCode };
        assert_eq!(damage(&writer.bytes), Some(expected), "{bits}");
    }
}

#[test]
fn heads_of_blocks_that_do_not_add_up_are_refused() {
    assert_eq!(damage(&[0b111]), Some(Damage::BlockType));
    assert_eq!(damage(&[1, 5, 0, 0xfb, 0xff]), Some(Damage::StoredLength));
    assert_eq!(damage(&block(&[(65, 1), (66, 1)], &[1], "")), Some(Damage::NoEnd));
    // 287 literals and lengths; 31 distances.
    assert_eq!(damage(&[0b1111_0101, 0, 0]), Some(Damage::TooManySymbols));
    assert_eq!(damage(&[0b0000_0101, 0b0001_1110, 0]), Some(Damage::TooManySymbols));
    // Length codes: 16 and 0, one bit each. The first says to repeat what is not there.
    let mut writer = Writer::default();
    writer.put(0b101, 3);
    writer.put(0, 14);
    for length in [1, 0, 0, 1] {
        writer.put(length, 3);
    }
    writer.put(1, 100);
    assert_eq!(damage(&writer.bytes), Some(Damage::Repeat));
    // No lengths' code at all.
    assert_eq!(damage(&[0b101, 0, 0, 0, 0, 0, 0]), Some(Damage::TooFewCodes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_was_deflated_is_inflated_whatever_the_cuts(
        seed in any::<u64>(), length in 0_usize..200_000, level in 0_u32..10, step in 1_usize..5000, room in 1_usize..5000,
    ) {
        let bytes = sample(&mut Random(seed), length);
        let stream = deflate(&bytes, level);
        prop_assert!(ours(&stream, step, room) == Some((bytes, stream.len())));
    }

    #[test]
    fn any_bytes_are_decoded_as_zlib_does_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(ours(&bytes, 1 << 16, 1 << 16) == oracle(&bytes));
        prop_assert!(ours(&bytes, 1, 1) == oracle(&bytes));
    }
}
