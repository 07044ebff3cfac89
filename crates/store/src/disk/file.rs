//! [`File`]: an open file. Reads and writes name their offset, so a file has no position and can be shared.
//!
//! Whole reads are bounded by the caller. A file made by [`Dir::create_temp`](super::Dir::create_temp) has no name until
//! it is linked. Durability is the caller's to ask for: nothing here syncs on its own.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;

use super::{Call, Dir, Disk, Lock, Metadata, Reply, Wait, located::LINKS, perform};
use crate::{
    Algorithm, ObjectId,
    error::{Error, Result},
};

/// How much a copy through user space moves at a time, in bytes.
const COPY_CHUNK: usize = 256 << 10;

/// How much a copy inside the kernel moves at a time, in bytes.
const COPY_RANGE: usize = 4 << 20;

/// An open regular file on a disk.
pub struct File {
    fd: OwnedFd,
    label: PathBuf,
    disk: Arc<dyn Disk>,
}

impl File {
    /// Opens a file for reading by a path of the machine, through the symlinks that are on it: for what a user names,
    /// never for what an image does.
    ///
    /// # Errors
    /// When it is not there or is none, or symlinks lead in a circle (ELOOP).
    pub fn open(disk: &Arc<dyn Disk>, path: impl AsRef<Path>) -> Result<Self> {
        let mut path = path.as_ref().to_owned();
        for _ in 0..LINKS {
            let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
                return Err(Error::at("open", &path, Errno::ISDIR));
            };
            let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let dir = Dir::open(disk, folder)?;
            match dir.open_file(name) {
                Err(error) if error.errno() == Some(Errno::LOOP) => path = folder.join(dir.read_link(name)?),
                other => return other,
            }
        }
        Err(Error::at("open", &path, Errno::LOOP))
    }

    pub(super) fn new(fd: OwnedFd, label: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { fd, label, disk }
    }

    fn perform(&self, call: Call<'_>) -> Result<Reply> {
        perform(&self.disk, call)
    }

    /// The path that messages show; not for opening.
    #[must_use]
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// The disk that this file is on.
    #[must_use]
    pub const fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Reads at an offset into the buffer; the count is 0 only at the end of the file.
    ///
    /// # Errors
    /// When the disk fails; EIO where fs-verity finds damage.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.perform(Call::Read { file: self, offset, buffer })?.into_count()
    }

    /// Fills the buffer from an offset on.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the file ends before.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + done as u64, rest)? {
                0 => return Err(Error::corrupt(self.label.display().to_string(), "it ends early")),
                count => done += count,
            }
        }
        Ok(())
    }

    /// The whole content, also of a file that tells no size (as in `/proc`).
    ///
    /// # Errors
    /// [`Error::TooBig`] when there are more than `limit` bytes.
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>> {
        let too_big = || Error::TooBig { what: format!("{} (bytes)", self.label.display()), limit };
        let size = self.metadata()?.size;
        if size > limit {
            return Err(too_big());
        }
        // One more than the size, so that the read that finds the end needs no second buffer.
        let mut content = vec![0; usize::try_from(size).map_err(|_| too_big())?.saturating_add(1)];
        let mut done = 0;
        loop {
            if done == content.len() {
                content.resize(done.saturating_mul(2).max(4096), 0);
            }
            match self.read_at(done as u64, content.get_mut(done..).unwrap_or_default())? {
                0 => break,
                count => done += count,
            }
            if done as u64 > limit {
                return Err(too_big());
            }
        }
        content.truncate(done);
        Ok(content)
    }

    /// Writes all the bytes at an offset.
    ///
    /// # Errors
    /// [`Error::NoSpace`], or when the disk fails; some of the bytes may be written then.
    pub fn write_all_at(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let count = self.perform(Call::Write { file: self, offset, bytes })?.into_count()?;
            if count == 0 {
                return Err(Error::at("write", &self.label, Errno::IO));
            }
            bytes = bytes.get(count..).unwrap_or_default();
            offset += count as u64;
        }
        Ok(())
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_len(&self, len: u64) -> Result<()> {
        self.perform(Call::SetLen { file: self, len }).map(drop)
    }

    /// Tells about the file.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn metadata(&self) -> Result<Metadata> {
        self.perform(Call::FileMetadata { file: self })?.into_metadata()
    }

    /// Sets the permission bits, whatever the umask is.
    ///
    /// # Errors
    /// When the disk fails or the file is another's.
    pub fn set_mode(&self, mode: u16) -> Result<()> {
        self.perform(Call::SetFileMode { file: self, mode }).map(drop)
    }

    /// Makes the content durable.
    ///
    /// # Errors
    /// When the disk fails; what is durable is unknown then, and a second try proves nothing (rule D5).
    pub fn sync(&self) -> Result<()> {
        self.perform(Call::SyncFile { file: self }).map(drop)
    }

    /// Takes, changes or leaves the lock of this open file (flock(2)); it is left when the file is dropped, or its
    /// process is killed.
    ///
    /// # Errors
    /// EWOULDBLOCK with [`Wait::Try`] when somebody else has it.
    pub fn lock(&self, lock: Lock, wait: Wait) -> Result<()> {
        self.perform(Call::LockFile { file: self, lock, wait }).map(drop)
    }

    /// Asks the kernel to begin writing these bytes to the device, so that a later sync is short. Promises nothing.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn start_writeback(&self, offset: u64, len: u64) -> Result<()> {
        self.perform(Call::StartWriteback { file: self, offset, len }).map(drop)
    }

    /// Asks the kernel to begin reading these bytes from the device, so that they are there when they are read. Promises
    /// nothing.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn start_reading(&self, offset: u64, len: u64) -> Result<()> {
        self.perform(Call::StartReading { file: self, offset, len }).map(drop)
    }

    /// Makes bytes of a file or a block device zeros, within its size: by a hole or the device's own command where there is
    /// one, else as the kernel can.
    ///
    /// # Errors
    /// EOPNOTSUPP where zeros have to be written; when the disk fails.
    pub fn zero_range(&self, offset: u64, len: u64) -> Result<()> {
        self.perform(Call::ZeroRange { file: self, offset, len }).map(drop)
    }

    /// Sets or takes away the flag that keeps anybody from changing the file.
    ///
    /// # Errors
    /// EOPNOTSUPP or ENOTTY where the file system has no such flag, EPERM without `CAP_LINUX_IMMUTABLE`.
    pub fn set_immutable(&self, immutable: bool) -> Result<()> {
        self.perform(Call::SetImmutable { file: self, immutable }).map(drop)
    }

    /// Whether the file has that flag; not where the file system has none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn is_immutable(&self) -> Result<bool> {
        Ok(self.perform(Call::IsImmutable { file: self })?.into_count()? != 0)
    }

    /// Opens the same inode again, for reading only: fs-verity wants no writer.
    ///
    /// # Errors
    /// When `/proc` is not mounted or the disk fails.
    pub fn reopen_read_only(&self) -> Result<Self> {
        let fd = self.perform(Call::ReopenReadOnly { file: self })?.into_fd()?;
        Ok(Self::new(fd, self.label.clone(), Arc::clone(&self.disk)))
    }

    /// Makes this file's content that of another by sharing its blocks.
    ///
    /// # Errors
    /// EOPNOTSUPP or EXDEV where blocks cannot be shared.
    pub fn reflink_from(&self, from: &Self) -> Result<()> {
        self.perform(Call::Reflink { from, to: self }).map(drop)
    }

    /// Copies the content of another file: by sharing blocks, else inside the kernel, else through memory.
    /// Gives the size in bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`], or when a disk fails.
    pub fn copy_from(&self, from: &Self) -> Result<u64> {
        if self.reflink_from(from).is_ok() {
            return Ok(self.metadata()?.size);
        }
        let mut done = 0;
        let mut buffer = Vec::new();
        loop {
            let count = match self.copy_range_from(from, done) {
                Ok(count) if buffer.is_empty() && count > 0 => {
                    if count == COPY_RANGE {
                        // The disk writes this piece while the next one is copied, so that a sync has less to wait for.
                        self.start_writeback(done, count as u64)?;
                    }
                    count
                }
                // At the end, or where the kernel cannot: a read tells which.
                _ => {
                    buffer.resize(COPY_CHUNK, 0);
                    let count = from.read_at(done, &mut buffer)?;
                    self.write_all_at(done, buffer.get(..count).unwrap_or_default())?;
                    count
                }
            };
            if count == 0 {
                return Ok(done);
            }
            done += count as u64;
        }
    }

    fn copy_range_from(&self, from: &Self, offset: u64) -> Result<usize> {
        self.perform(Call::CopyRange { from, to: self, offset, len: COPY_RANGE as u64 })?.into_count()
    }

    /// Enables fs-verity: the content can never change again. No descriptor may be open for writing.
    ///
    /// # Errors
    /// EOPNOTSUPP or ENOTTY where the file system has no fs-verity; ETXTBSY when somebody has it open for writing;
    /// EEXIST when it is enabled.
    pub fn enable_verity(&self, algorithm: Algorithm) -> Result<()> {
        self.perform(Call::EnableVerity { file: self, algorithm }).map(drop)
    }

    /// The fs-verity digest that the kernel enforces, or none when it enforces nothing.
    ///
    /// # Errors
    /// When the disk fails, or the digest is of an algorithm that we do not know.
    pub fn measure_verity(&self) -> Result<Option<ObjectId>> {
        self.perform(Call::MeasureVerity { file: self })?.into_digest()
    }
}

/// For mounts and memory maps; reading and writing goes through the methods.
impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.label.display())
    }
}
