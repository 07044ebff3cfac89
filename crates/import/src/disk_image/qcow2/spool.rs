//! [`Spool`]: bytes that passed and that no table had named yet, in a file without a name, as a ring.
//!
//! Zeros take no room. When the ring is full the oldest bytes go: they may be reference counts or an old snapshot, which
//! nobody ever asks for. Whether that was so, shows when a table does.

use std::collections::BTreeMap;

use sealstone_store::disk::{Dir, File};

use crate::{disk_image::runs, error::Result};

/// Stretches that are remembered, some 64 bytes each. Beyond that the oldest go as well.
const MOST_STRETCHES: usize = 128 << 10;

/// Where bytes went.
#[derive(Clone, Copy)]
struct Stretch {
    len: u64,
    /// Their place in the endless file that the ring stands for; none for zeros.
    place: Option<u64>,
}

/// See the module.
pub(super) struct Spool {
    dir: Option<Dir>,
    limit: u64,
    file: Option<File>,
    /// By their place in the image. They came in order, so the first is the oldest.
    stretches: BTreeMap<u64, Stretch>,
    /// Bytes written altogether.
    written: u64,
    has_dropped: bool,
}

impl Spool {
    pub(super) const fn new(dir: Option<Dir>, limit: u64) -> Self {
        Self { dir, limit, file: None, stretches: BTreeMap::new(), written: 0, has_dropped: false }
    }

    /// Whether anything was let go.
    pub(super) const fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    /// Takes bytes that come after all that it has.
    pub(super) fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        for (at, run, is_hole) in runs(offset, bytes) {
            let len = run.len() as u64;
            if is_hole {
                self.remember(at, Stretch { len, place: None });
            } else if len > self.limit || self.dir.is_none() {
                self.has_dropped = true;
            } else {
                self.make_room(len);
                let place = self.written;
                self.written += len;
                self.store(place, run)?;
                self.remember(at, Stretch { len, place: Some(place) });
            }
        }
        Ok(())
    }

    /// Reads bytes, if all of them are here.
    pub(super) fn get(&self, mut offset: u64, mut bytes: &mut [u8]) -> Result<bool> {
        while !bytes.is_empty() {
            let found = self.stretches.range(..=offset).next_back();
            let Some((start, stretch)) = found.filter(|(start, stretch)| offset < *start + stretch.len)
            else {
                return Ok(false);
            };
            let into = offset - start;
            let count = usize::try_from(stretch.len - into).unwrap_or(usize::MAX).min(bytes.len());
            let Some((now, rest)) = std::mem::take(&mut bytes).split_at_mut_checked(count) else {
                return Ok(false);
            };
            match stretch.place {
                None => now.fill(0),
                Some(place) => self.load(place + into, now)?,
            }
            offset += count as u64;
            bytes = rest;
        }
        Ok(true)
    }

    /// Joins it to the last where both go on.
    fn remember(&mut self, at: u64, stretch: Stretch) {
        if let Some(mut last) = self.stretches.last_entry() {
            let (start, before) = (*last.key(), *last.get());
            let goes_on = match (before.place, stretch.place) {
                (None, None) => true,
                (Some(before_place), Some(place)) => before_place + before.len == place,
                _ => false,
            };
            // A stretch of the ring stays short, so that little goes when its begin is overwritten.
            let is_short = before.len < (self.limit / 16).min(1 << 20);
            if start + before.len == at && goes_on && (stretch.place.is_none() || is_short) {
                last.get_mut().len += stretch.len;
                return;
            }
        }
        self.stretches.insert(at, stretch);
        if self.stretches.len() > MOST_STRETCHES {
            self.stretches.pop_first();
            self.has_dropped = true;
        }
    }

    /// Drops what the next `len` bytes will overwrite.
    fn make_room(&mut self, len: u64) {
        let keep_from = (self.written + len).saturating_sub(self.limit);
        while let Some(first) = self.stretches.first_entry() {
            if first.get().place.is_some_and(|place| place >= keep_from) || keep_from == 0 {
                return;
            }
            first.remove();
            self.has_dropped = true;
        }
    }

    fn store(&mut self, place: u64, bytes: &[u8]) -> Result<()> {
        if self.file.is_none() {
            self.file = self.dir.as_ref().map(|dir| dir.create_temp(0o600)).transpose()?;
        }
        let Some(file) = &self.file else { return Ok(()) };
        let at = place % self.limit;
        let (now, rest) = cut(bytes, self.limit - at);
        file.write_all_at(at, now)?;
        Ok(file.write_all_at(0, rest)?)
    }

    fn load(&self, place: u64, bytes: &mut [u8]) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let at = place % self.limit;
        let count = usize::try_from(self.limit - at).unwrap_or(usize::MAX).min(bytes.len());
        let (now, rest) = bytes.split_at_mut(count);
        file.read_exact_at(at, now)?;
        Ok(file.read_exact_at(0, rest)?)
    }
}

fn cut(bytes: &[u8], at: u64) -> (&[u8], &[u8]) {
    bytes.split_at_checked(usize::try_from(at).unwrap_or(usize::MAX)).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sealstone_store::disk::{Disk, RealDisk};

    use super::*;

    fn spool(limit: u64) -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = RealDisk::shared();
        let dir = Dir::open(&disk, folder.path()).unwrap();
        (folder, Spool::new(Some(dir), limit))
    }

    #[test]
    fn what_was_put_comes_back_until_the_ring_is_full_and_then_the_newest_does() {
        let (folder, mut spool) = spool(100_000);
        let bytes: Vec<u8> = (0..250_000_u32).map(|at| (at % 251) as u8 + 1).collect();
        spool.put(1 << 30, &bytes[..90_000]).unwrap();
        let mut back = vec![0; 70_000];
        assert!(spool.get((1 << 30) + 10_000, &mut back).unwrap());
        assert!(back == bytes[10_000..80_000] && !spool.has_dropped());
        for (number, piece) in bytes[90_000..].chunks(7_000).enumerate() {
            spool.put((1 << 30) + 90_000 + number as u64 * 7_000, piece).unwrap();
        }
        assert!(spool.has_dropped() && !spool.get(1 << 30, &mut back).unwrap());
        assert!(spool.get((1 << 30) + 180_000, &mut back).unwrap());
        assert!(back == bytes[180_000..]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the spool has a name");
    }

    #[test]
    fn zeros_take_no_room_and_nothing_is_made_up() {
        let (_folder, mut spool) = spool(10_000);
        spool.put(0, &vec![0; 1 << 20]).unwrap();
        spool.put(1 << 20, b"end").unwrap();
        let mut back = vec![7; 4_099];
        assert!(spool.get((1 << 20) - 4_096, &mut back).unwrap());
        assert_eq!((&back[..4_096], &back[4_096..]), (&[0; 4_096][..], &b"end"[..]));
        assert!(!spool.get(1 << 20, &mut [0; 4]).unwrap());
        assert!(!spool.get(1 << 21, &mut [0; 1]).unwrap());
        assert_eq!(spool.written, 3);
    }
}
