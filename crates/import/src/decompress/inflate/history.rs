//! What was decoded last: the 32 KiB that matches may reach back to, and what nobody has fetched yet.

/// How far back a match may reach, in bytes (RFC 1951 §2).
pub(super) const REACH: usize = 32 << 10;

/// The longest match, in bytes.
pub(super) const LONGEST: usize = 258;

/// In bytes. What is decoded goes through a processor's second cache on its way to where it is wanted; moving the last
/// 32 KiB to the front, each time that the end is reached, costs little beside that.
const SIZE: usize = 256 << 10;

/// The newest decoded bytes.
pub(in super::super) struct History {
    pub(super) bytes: Box<[u8]>,
    /// Before it is nothing that a match may reach.
    pub(super) start: usize,
    /// What is before it was fetched.
    fetched: usize,
    /// Where decoded bytes end.
    pub(super) end: usize,
}

impl History {
    pub(in super::super) fn new() -> Self {
        Self { bytes: vec![0; SIZE].into_boxed_slice(), start: 0, fetched: 0, end: 0 }
    }

    /// Begins a new stream, whose matches do not reach into the old one.
    pub(in super::super) const fn begin(&mut self) {
        self.start = self.end;
    }

    /// Where decoded bytes end now: for [`Self::since`].
    pub(in super::super) const fn end(&self) -> usize {
        self.end
    }

    /// What was decoded since the end was at `end`.
    pub(in super::super) fn since(&self, end: usize) -> &[u8] {
        self.bytes.get(end..self.end).unwrap_or_default()
    }

    /// Whether all that was decoded was fetched.
    pub(in super::super) const fn is_fetched(&self) -> bool {
        self.fetched == self.end
    }

    /// Moves what was decoded into `output`, as much as there is room; says how much.
    pub(in super::super) fn fetch(&mut self, output: &mut [u8]) -> usize {
        let waiting = self.bytes.get(self.fetched..self.end).unwrap_or_default();
        let count = waiting.len().min(output.len());
        if let (Some(to), Some(from)) = (output.get_mut(..count), waiting.get(..count)) {
            to.copy_from_slice(from);
        }
        self.fetched += count;
        count
    }

    /// Makes room for more, when there is little left and all was fetched.
    pub(in super::super) fn make_room(&mut self) {
        let keep = self.end.min(REACH);
        if self.bytes.len() - self.end < SIZE / 4 && self.is_fetched() {
            let gone = self.end - keep;
            self.bytes.copy_within(gone..self.end, 0);
            self.start = self.start.saturating_sub(gone);
            self.end = keep;
            self.fetched = keep;
        }
    }

    /// How many bytes there is room for.
    pub(super) fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// How far back a match may reach now.
    pub(super) const fn reach(&self) -> usize {
        self.end - self.start
    }

    /// Appends as much of `bytes` as there is room for; says how much.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        let room = self.bytes.get_mut(self.end..).and_then(|room| room.get_mut(..count));
        if let (Some(room), Some(bytes)) = (room, bytes.get(..count)) {
            room.copy_from_slice(bytes);
        }
        self.end += count;
        count
    }

    /// Appends a match, for which there is room and which reaches back no further than it may.
    pub(super) fn append_match(&mut self, distance: usize, length: usize) {
        copy_match(&mut self.bytes, self.end, distance, length);
        self.end += length;
    }
}

/// Copies a match to `end`. Where it overlaps itself, it repeats what is between its source and `end`.
#[inline(never)]
pub(super) fn copy_match(bytes: &mut [u8], end: usize, distance: usize, length: usize) {
    let Some(from) = end.checked_sub(distance).filter(|_| bytes.len().saturating_sub(end) >= length) else {
        return;
    };
    let mut done = 0;
    // Each round doubles what can be copied at once.
    while done < length {
        let now = (distance + done).min(length - done);
        if now == 0 {
            return;
        }
        bytes.copy_within(from..from + now, end + done);
        done += now;
    }
}
