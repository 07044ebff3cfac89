//! What cuts at any moment of a run can leave of a partition: of the writes since the last flush, any part.
//!
//! All flushes of the disk count, also those for other partitions. Of a small write each sector lands or not, by itself: the
//! names of FAT are such. A large one, which is a file's data, lands whole or not at all.

use crate::random::Random;
use crate::write_log::Request;

/// Up to so many writes between two flushes every part of them is tried: 2 to the power of it.
const ALL_PARTS: usize = 8;

/// Bytes of a sector, and of the largest write that is torn.
const SECTOR: usize = 512;
const SMALL: usize = 4_096;

/// Of more writes, so many parts of each kind.
const SOME_PARTS: usize = 64;

/// A write into the partition, or a sector of it.
struct Write<'a> {
    at: usize,
    data: &'a [u8],
}

/// The writes between two flushes.
#[derive(Default)]
struct Epoch<'a> {
    /// How many requests of the run came before its flush.
    durable: usize,
    writes: Vec<Write<'a>>,
}

/// The bytes of a partition, and what a run writes to them from flush to flush.
pub struct CutStates<'a> {
    bytes: Vec<u8>,
    epochs: Vec<Epoch<'a>>,
}

/// What a cut leaves.
pub struct State<'a> {
    /// The partition.
    pub bytes: &'a [u8],
    /// How many requests of the run a flush had covered.
    pub durable: usize,
    /// After which flush the cut was, and which of the writes landed since.
    pub name: String,
}

impl<'a> CutStates<'a> {
    /// Of a partition with these bytes that begins at `start` on the disk.
    pub fn new(bytes: Vec<u8>, start: u64, requests: &'a [Request]) -> Self {
        let end = start + bytes.len() as u64;
        let mut epochs = vec![Epoch::default()];
        for (number, request) in requests.iter().enumerate() {
            if request.is_flush() {
                epochs.push(Epoch { durable: number, writes: Vec::new() });
            }
            if (start..end).contains(&request.offset) && !request.data.is_empty() {
                let at = usize::try_from(request.offset - start).expect("a position");
                let size = if request.data.len() <= SMALL { SECTOR } else { request.data.len() };
                let pieces = request.data.chunks(size).enumerate();
                let writes = pieces.map(|(number, data)| Write { at: at + number * size, data });
                epochs.last_mut().expect("one").writes.extend(writes);
            }
        }
        epochs.retain(|epoch| !epoch.writes.is_empty());
        Self { bytes, epochs }
    }

    /// The bytes before any of the writes.
    pub fn before(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes after all of the writes.
    pub fn after(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for epoch in &self.epochs {
            apply(&mut bytes, epoch.writes.iter());
        }
        bytes
    }

    /// Shows every state to `look`, and ends with that of all writes.
    pub fn each(mut self, random: &mut Random, mut look: impl FnMut(&State<'_>)) -> Vec<u8> {
        let bytes = &mut self.bytes;
        for (number, Epoch { durable, writes }) in self.epochs.iter().enumerate() {
            let mut show = |bytes: &[u8], part: &[bool]| {
                let part: String = part.iter().map(|lands| if *lands { '1' } else { '0' }).collect();
                look(&State {
                    bytes,
                    durable: *durable,
                    name: format!("flush {number}, of its writes {part}"),
                });
            };
            for part in parts(writes.len(), random) {
                let landed = writes.iter().zip(&part).filter(|(_, lands)| **lands).map(|(write, _)| write);
                let undo = apply(bytes, landed);
                show(bytes, &part);
                for (at, old) in undo.into_iter().rev() {
                    bytes[at..at + old.len()].copy_from_slice(&old);
                }
            }
            apply(bytes, writes.iter());
            show(bytes, &vec![true; writes.len()]);
        }
        self.bytes
    }
}

/// Writes, and gives what was there before.
fn apply<'a>(bytes: &mut [u8], writes: impl Iterator<Item = &'a Write<'a>>) -> Vec<(usize, Vec<u8>)> {
    let put = |write: &Write<'_>| {
        let place = &mut bytes[write.at..write.at + write.data.len()];
        let old = place.to_vec();
        place.copy_from_slice(write.data);
        (write.at, old)
    };
    writes.map(put).collect()
}

/// Which of so many writes land, but for all of them: every part of few; of many the beginnings, all but one, one alone, and some by chance.
fn parts(writes: usize, random: &mut Random) -> Vec<Vec<bool>> {
    if writes <= ALL_PARTS {
        let all = 0..(1_usize << writes) - 1;
        return all.map(|part| (0..writes).map(|bit| part >> bit & 1 == 1).collect()).collect();
    }
    let mut parts = Vec::new();
    for number in 0..writes.min(SOME_PARTS) {
        // The last ones are a file's entry and the table of clusters.
        let place = writes - 1 - number;
        parts.push((0..writes).map(|write| write < place).collect());
        parts.push((0..writes).map(|write| write != place).collect());
        parts.push((0..writes).map(|write| write == place).collect());
        parts.push((0..writes).map(|_| random.below(2) == 0).collect());
    }
    parts
}
