//! [`runs`]: which bytes of a piece are zeros, block by block, so that they need not be written.

/// What is told apart, in bytes: a block of most file systems.
const BLOCK: u64 = 4096;

/// The runs of a piece that lies at `offset`: each with its place, and whether it is zeros throughout. Blocks are those of
/// the disk, so that pieces may be cut anywhere.
pub(crate) fn runs(offset: u64, bytes: &[u8]) -> Runs<'_> {
    Runs { at: offset, rest: bytes }
}

/// See [`runs`].
pub(crate) struct Runs<'a> {
    at: u64,
    rest: &'a [u8],
}

impl<'a> Iterator for Runs<'a> {
    type Item = (u64, &'a [u8], bool);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let block = |from: u64| usize::try_from(BLOCK - from % BLOCK).unwrap_or(1);
        // Up to the next block, then whole ones.
        let mut end = block(self.at).min(self.rest.len());
        let is_hole = is_zero(self.rest.get(..end).unwrap_or_default());
        while let Some(next) = self.rest.get(end..self.rest.len().min(end + block(0)))
            && !next.is_empty()
            && is_zero(next) == is_hole
        {
            end += next.len();
        }
        let (run, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        let at = self.at;
        self.at += run.len() as u64;
        self.rest = rest;
        Some((at, run, is_hole))
    }
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_the_piece_in_order_and_change_at_blocks() {
        let mut bytes = vec![0; 20_000];
        bytes[9_000] = 1;
        for offset in [0, 1, 4_095, 4_096, 1 << 40] {
            let found: Vec<_> = runs(offset, &bytes).collect();
            let mut at = offset;
            for (place, run, is_hole) in &found {
                assert_eq!(*place, at);
                assert_eq!(*is_hole, run.iter().all(|byte| *byte == 0));
                at += run.len() as u64;
            }
            assert_eq!((at - offset, found.len()), (20_000, 3), "{offset}");
        }
        assert_eq!(runs(7, &[]).count(), 0);
    }
}
