//! [`FileOutput`]: a file that is under another name until its bytes are known to be right.
//!
//! It lies beside its place as `.NAME.DIGITS.partial`, where DIGITS are those of the blob's digest. Runs of zeros are left
//! out as holes. When all of it is right it is synced and renamed, so under its own name there is what was there before, or
//! the whole new file, after a power cut too. What a kill leaves of a file that is its blob's very bytes is gone on with.

use sealstone_store::disk::Dir;

use super::{ArtifactOutput, PartialFile};
use crate::{Digest, DigestHasher, disk_image::runs, error::Result};

/// Bytes read at a time of what is there already.
const READ: usize = 1 << 20;

/// A file on its way.
#[derive(Debug)]
pub struct FileOutput {
    partial: PartialFile,
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
        let (partial, can_resume) = PartialFile::open(dir, name, digest, can_resume)?;
        Ok(Self { partial, at: 0, can_resume })
    }
}

impl ArtifactOutput for FileOutput {
    fn resume(&mut self, hasher: &mut DigestHasher) -> Result<u64> {
        if !self.can_resume {
            return Ok(0);
        }
        let mut buffer = vec![0; READ];
        loop {
            match self.partial.file().read_at(self.at, &mut buffer)? {
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
        Ok(self.partial.file().set_len(0)?)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for (offset, run, is_hole) in runs(self.at, bytes) {
            if !is_hole {
                self.partial.file().write_all_at(offset, run)?;
            }
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.partial.publish(self.at)
    }

    fn keep(&mut self) {
        if self.at == 0 {
            self.discard();
        }
    }

    fn discard(&mut self) {
        self.partial.discard();
    }
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
        let partial = output(folder.path(), false).partial.temporary_name().to_owned();
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
