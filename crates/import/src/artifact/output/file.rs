//! [`FileOutput`]: a file that is under another name until its bytes are known to be right.
//!
//! It lies beside its place as `.NAME.DIGITS.partial`, where DIGITS are those of the blob's digest. Runs of zeros are left
//! out as holes. When all of it is right it is synced and renamed, so under its own name there is what was there before, or
//! the whole new file, after a power cut too. What a kill leaves of a file that is its blob's very bytes is gone on with.

use sealstone_store::{
    Optional,
    disk::{Access, Dir, File, FileType, Lock, Rename, Resolve, Wait},
};

use rustix::{io::Errno, process::geteuid};

use super::ArtifactOutput;
use crate::{Digest, DigestHasher, error::Result};

/// What is left out if it is all zeros, in bytes: a block of most file systems.
const BLOCK: usize = 4096;

/// Bytes read at a time of what is there already.
const READ: usize = 1 << 20;

/// The digits of the digest in the temporary name.
const DIGITS: usize = 16;

/// A file on its way.
#[derive(Debug)]
pub struct FileOutput {
    dir: Dir,
    name: String,
    partial: String,
    file: File,
    at: u64,
    can_resume: bool,
}

impl FileOutput {
    /// The file `name` in `dir`, to hold what is made of the blob with this digest. With `can_resume` that is the blob
    /// itself, and what an earlier try has left of it is used.
    ///
    /// # Errors
    /// When it cannot be made there; busy when somebody else is just fetching it.
    pub fn new(dir: &Dir, name: &str, digest: &Digest, can_resume: bool) -> Result<Self> {
        let hex = digest.to_hex();
        let digits = hex.get(..DIGITS).unwrap_or_default();
        // The longest name there is less what is added.
        let end = (0..=name.len().min(220)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let partial = format!(".{}.{digits}.partial", name.get(..end).unwrap_or_default());
        let (file, can_resume) = match (can_resume, open_own(dir, &partial)?) {
            (true, Some(file)) => (file, true),
            (false, Some(_)) => {
                dir.remove_file(&partial)?;
                (dir.create_new(&partial, 0o666)?, false)
            }
            (_, None) => (dir.create_new(&partial, 0o666)?, false),
        };
        match file.lock(Lock::Exclusive, Wait::Try) {
            Err(error) if error.errno() == Some(Errno::WOULDBLOCK) => {
                return Err(
                    sealstone_store::Error::Busy { path: file.label().to_owned(), holder: None }.into()
                );
            }
            other => other?,
        }
        Ok(Self { dir: dir.clone(), name: name.to_owned(), partial, file, at: 0, can_resume })
    }
}

/// Opens what an earlier try of this user left; what is there and is not that, is removed.
fn open_own(dir: &Dir, partial: &str) -> Result<Option<File>> {
    let file = match dir.open_file_with(partial, Access::ReadWrite, Resolve::NoSymlinks) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) if error.errno() == Some(Errno::LOOP) => {
            dir.remove_file(partial)?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    // In a folder for everybody, another user's file could be changed after it was verified.
    let is_own = metadata.kind == FileType::File && metadata.uid == geteuid().as_raw() && metadata.links == 1;
    if is_own {
        return Ok(Some(file));
    }
    dir.remove_file(partial)?;
    Ok(None)
}

impl ArtifactOutput for FileOutput {
    fn resume(&mut self, hasher: &mut DigestHasher) -> Result<u64> {
        if !self.can_resume {
            return Ok(0);
        }
        let mut buffer = vec![0; READ];
        loop {
            match self.file.read_at(self.at, &mut buffer)? {
                0 => return Ok(self.at),
                count => {
                    hasher.update(buffer.get(..count).unwrap_or_default());
                    self.at += count as u64;
                }
            }
        }
    }

    fn restart(&mut self) -> Result<()> {
        self.at = 0;
        Ok(self.file.set_len(0)?)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Up to the next block, then whole ones.
            let into = usize::try_from(self.at % BLOCK as u64).unwrap_or_default();
            let mut end = (BLOCK - into).min(rest.len());
            let is_hole = is_zero(rest.get(..end).unwrap_or_default());
            while let Some(block) = rest.get(end..rest.len().min(end + BLOCK))
                && !block.is_empty()
                && is_zero(block) == is_hole
            {
                end += block.len();
            }
            let (run, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            if !is_hole {
                self.file.write_all_at(self.at, run)?;
            }
            self.at += run.len() as u64;
            rest = after;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        // The last hole has no byte after it.
        self.file.set_len(self.at)?;
        // D3.
        self.file.sync()?;
        self.dir.rename(&self.partial, &self.dir, &self.name, Rename::Replace)?;
        Ok(self.dir.sync()?)
    }

    fn keep(&mut self) {
        if self.at == 0 {
            self.discard();
        }
    }

    fn discard(&mut self) {
        // The name is ours. If it cannot be removed, it is wrong again the next time.
        let _ = self.dir.remove_file(&self.partial).optional();
    }
}

/// Whether all bytes are zero.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::MetadataExt, sync::Arc};

    use sealstone_store::disk::{Disk, RealDisk};

    use super::*;
    use crate::DigestAlgorithm;

    fn output(folder: &std::path::Path, can_resume: bool) -> FileOutput {
        let disk: Arc<dyn Disk> = RealDisk::shared();
        let dir = Dir::open(&disk, folder).unwrap();
        FileOutput::new(&dir, "disk.raw", &Digest::of(DigestAlgorithm::Sha256, b"x"), can_resume).unwrap()
    }

    /// Zeros, bytes, zeros, at no boundary.
    fn body() -> Vec<u8> {
        let mut body = vec![0; 3_000_001];
        body[1_000_003..1_000_007].copy_from_slice(b"data");
        body
    }

    #[test]
    fn zeros_are_holes_and_the_bytes_are_the_same_however_they_come() {
        let body = body();
        for chunk in [1_000, 4_096, 65_537, 5_000_000] {
            let folder = tempfile::tempdir().unwrap();
            let mut output = output(folder.path(), false);
            body.chunks(chunk).for_each(|chunk| output.write(chunk).unwrap());
            assert!(!folder.path().join("disk.raw").exists(), "it is there before it is right");
            output.finish().unwrap();
            let file = folder.path().join("disk.raw");
            assert!(std::fs::read(&file).unwrap() == body);
            assert!(std::fs::metadata(&file).unwrap().blocks() * 512 < 100_000, "chunks of {chunk}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_a_killed_try_left_is_gone_on_with_where_that_is_possible() {
        let (folder, body) = (tempfile::tempdir().unwrap(), body());
        output(folder.path(), true).write(&body[..1_500_000]).unwrap();
        let mut hasher = DigestHasher::new(DigestAlgorithm::Sha256);
        let mut again = output(folder.path(), true);
        // The hole at its end was never written.
        let have = usize::try_from(again.resume(&mut hasher).unwrap()).unwrap();
        assert!((1_000_007..=1_500_000).contains(&have), "{have}");
        assert_eq!(hasher.finish(), Digest::of(DigestAlgorithm::Sha256, &body[..have]));
        again.write(&body[have..]).unwrap();
        again.finish().unwrap();
        assert!(std::fs::read(folder.path().join("disk.raw")).unwrap() == body);
        output(folder.path(), true).write(&body[..1_500_000]).unwrap();
        let mut packed = output(folder.path(), false);
        assert_eq!(packed.resume(&mut DigestHasher::new(DigestAlgorithm::Sha256)).unwrap(), 0);
        packed.discard();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_the_temporary_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let partial = output(folder.path(), false).partial;
        std::fs::write(folder.path().join("victim"), "precious").unwrap();
        for is_hard in [false, true] {
            std::fs::remove_file(folder.path().join(&partial)).unwrap();
            if is_hard {
                std::fs::hard_link(folder.path().join("victim"), folder.path().join(&partial)).unwrap();
            } else {
                std::os::unix::fs::symlink("victim", folder.path().join(&partial)).unwrap();
            }
            output(folder.path(), true).write(b"else").unwrap();
            assert_eq!(std::fs::read(folder.path().join("victim")).unwrap(), b"precious");
        }
    }
}
