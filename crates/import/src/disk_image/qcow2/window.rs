//! [`Window`]: the last bytes of the image, and which of them have been used.
//!
//! Some are kept although they have passed: compressed clusters share sectors, and QEMU puts the next one into the space
//! that the last has left, before the table that names it.

use std::{collections::VecDeque, ops::Range};

/// The last bytes that came.
pub(super) struct Window {
    base: u64,
    held: Vec<u8>,
    /// Ranges that were used and need not be kept, in order, from before `base` at most.
    used: VecDeque<Range<u64>>,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { base: 0, held: Vec::new(), used: VecDeque::new() }
    }

    /// Where it begins.
    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    /// How many bytes came.
    pub(super) fn end(&self) -> u64 {
        self.base + self.held.len() as u64
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Bytes, if all of them are here.
    pub(super) fn get(&self, range: Range<u64>) -> Option<&[u8]> {
        let at = |offset: u64| usize::try_from(offset.checked_sub(self.base)?).ok();
        self.held.get(at(range.start)?..at(range.end)?)
    }

    /// These bytes are of no more use.
    pub(super) fn mark_used(&mut self, range: Range<u64>) {
        let at = self.used.partition_point(|used| used.start <= range.start);
        match at.checked_sub(1).and_then(|before| self.used.get_mut(before)) {
            Some(before) if before.end >= range.start => before.end = before.end.max(range.end),
            _ => self.used.insert(at, range),
        }
    }

    /// Lets the bytes before `to` go; those that nobody used are given out first, with their places.
    pub(super) fn let_go<E>(
        &mut self,
        to: u64,
        mut unused: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = self.base;
        while at < to {
            let next = self.used.front().cloned().unwrap_or(u64::MAX..u64::MAX);
            if next.start > at {
                let end = next.start.min(to);
                unused(at, self.get(at..end).unwrap_or_default())?;
                at = end;
            } else {
                at = at.max(next.end.min(to));
            }
            if next.end <= at {
                self.used.pop_front();
            }
        }
        let count = usize::try_from(to.saturating_sub(self.base)).unwrap_or(self.held.len());
        self.held.drain(..count.min(self.held.len()));
        self.base = to.max(self.base);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_not_given_out_and_the_rest_is_in_order() {
        let mut window = Window::new();
        window.push(&(0..100).collect::<Vec<u8>>());
        window.mark_used(50..60);
        window.mark_used(0..10);
        window.mark_used(10..20);
        window.mark_used(55..70);
        let mut given = Vec::new();
        let mut take = |at: u64, bytes: &[u8]| {
            given.push((at, bytes.to_vec()));
            Ok::<_, ()>(())
        };
        window.let_go(30, &mut take).unwrap();
        window.let_go(65, &mut take).unwrap();
        window.let_go(80, &mut take).unwrap();
        assert_eq!(
            given,
            [(20, (20..30).collect()), (30, (30..50).collect()), (70, (70..80).collect::<Vec<u8>>())]
        );
        assert_eq!((window.base(), window.end(), window.get(80..82)), (80, 100, Some(&[80, 81][..])));
        assert_eq!(window.get(79..82), None);
    }
}
