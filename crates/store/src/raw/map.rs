//! Read-only memory maps of files that do not change.
//!
//! A map is a `&[u8]`, and Rust's rule is that those bytes never change while it lives. What is mapped here keeps that
//! rule by the store's own: an object, an image or a blob is written under no name, or a temporary one, and is never
//! written again once it is named. A program that breaks it from outside (writes into the repository's files) can make
//! us read bytes that change under the check; a program that truncates one makes the read of a lost page raise
//! SIGBUS, which ends the process. So: map only where a whole image or blob is needed at once, and where one that is
//! cut short under us may end the process. Everything else is read with `read`.

use std::{
    io,
    ops::Deref,
    os::fd::{AsFd, AsRawFd as _},
};

use memmap2::{Advice, Mmap, MmapOptions};

/// The whole of a file, mapped for reading: for files that nobody writes to any more.
///
/// A file that another program truncates while it is mapped raises SIGBUS when a lost page is read.
#[derive(Debug)]
pub struct Map(Mmap);

/// Up to this size, in bytes, a map that is read whole gets all its pages at once.
const POPULATED_MAX: usize = 64 << 20;

/// How a map is going to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All of it, now: what is not too large gets its pages in one call instead of by a fault for every few of them, which
    /// for an image in memory is half the time of hashing it.
    Whole,
    /// From front to back: the kernel reads ahead far.
    Sequential,
    /// Here and there.
    Random,
}

impl Map {
    /// Maps an immutable file (named in the store, or a blob of a layout, and never written again).
    ///
    /// # Errors
    /// Those of `mmap`: not a regular file, or one on a file system that cannot map.
    pub fn of(file: impl AsFd, access: Access) -> io::Result<Self> {
        // SAFETY: the file is immutable by the store's rule; what happens when another program breaks it is said at
        // the top of this module, and is never worse than garbage that fails its digest, or SIGBUS.
        let map = unsafe { MmapOptions::new().map(file.as_fd().as_raw_fd()) }?;
        // Advice only: a kernel that refuses it maps all the same.
        let _ = map.advise(match access {
            Access::Whole if map.len() <= POPULATED_MAX => Advice::PopulateRead,
            Access::Whole | Access::Sequential => Advice::Sequential,
            Access::Random => Advice::Random,
        });
        Ok(Self(map))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_map_shows_the_whole_file_even_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in [&b""[..], b"x", &[7; 10_000]] {
            fs::write(&path, content).unwrap();
            let map = Map::of(File::open(&path).unwrap(), Access::Sequential).unwrap();
            assert_eq!(&*map, content);
            let whole = Map::of(File::open(&path).unwrap(), Access::Whole).unwrap();
            assert_eq!(&*whole, content);
            fs::remove_file(&path).unwrap();
            assert_eq!(&*map, content, "a name may go while it is mapped");
        }
        assert!(Map::of(File::open(folder.path()).unwrap(), Access::Random).is_err());
    }
}
