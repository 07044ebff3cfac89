//! [`Dir`]: an open directory, and what can be done with the names in it.
//!
//! Names are one component or a relative path; those that are opened or made are resolved without symlinks below the
//! directory unless a [`Resolve`] says otherwise. The methods that take a two-part path without openat2 (rename, link,
//! remove, stat) are for paths that this crate made. Attributes are in `attributes.rs`.

use std::{
    ffi::OsString,
    fmt,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;

use super::{
    Access, Call, DirEntry, Disk, File, FsType, Lock, Metadata, Rename, Reply, Resolve, Space, Wait, perform,
};
use crate::error::{Optional, Result};

/// An open directory on a disk. Cloning shares the descriptor (and with it the lock).
#[derive(Clone)]
pub struct Dir(Arc<Inner>);

struct Inner {
    fd: OwnedFd,
    label: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Dir {
    /// Opens a directory by a path of the caller's; symlinks on the way are followed.
    ///
    /// # Errors
    /// When it is not there, not a directory, or not allowed.
    pub fn open(disk: &Arc<dyn Disk>, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fd = perform(disk, Call::OpenAmbient { path })?.into_fd()?;
        Ok(Self::new(fd, path.to_owned(), Arc::clone(disk)))
    }

    fn new(fd: OwnedFd, label: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self(Arc::new(Inner { fd, label, disk }))
    }

    /// The path that messages show; not for opening.
    #[must_use]
    pub fn label(&self) -> &Path {
        &self.0.label
    }

    /// The disk that this directory is on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.0.disk
    }

    pub(super) fn perform(&self, call: Call<'_>) -> Result<Reply> {
        perform(&self.0.disk, call)
    }

    fn file(&self, fd: OwnedFd, name: &Path) -> File {
        File::new(fd, self.label().join(name), Arc::clone(&self.0.disk))
    }

    /// Opens a directory below this one, through no symlink.
    ///
    /// # Errors
    /// When it is not there, not a directory, or a symlink is on the way (ELOOP).
    pub fn open_dir(&self, name: impl AsRef<Path>) -> Result<Self> {
        self.open_dir_with(name, Resolve::NoSymlinks)
    }

    /// Opens a directory below this one, names resolved as asked.
    ///
    /// # Errors
    /// When it is not there, not a directory, or outside.
    pub fn open_dir_with(&self, name: impl AsRef<Path>, resolve: Resolve) -> Result<Self> {
        let name = name.as_ref();
        let fd = self.perform(Call::OpenDir { dir: self, name, resolve })?.into_fd()?;
        Ok(Self::new(fd, self.label().join(name), Arc::clone(&self.0.disk)))
    }

    /// Opens a directory below this one, made with this mode if it is not there. One level: its parent must exist.
    ///
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn ensure_dir(&self, name: impl AsRef<Path>, mode: u16) -> Result<Self> {
        let name = name.as_ref();
        if let Some(dir) = self.open_dir(name).optional()? {
            return Ok(dir);
        }
        match self.create_dir(name, mode) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {}
            other => other?,
        }
        self.open_dir(name)
    }

    /// Opens a regular file for reading, through no symlink.
    ///
    /// # Errors
    /// When it is not there or a symlink is on the way.
    pub fn open_file(&self, name: impl AsRef<Path>) -> Result<File> {
        self.open_file_with(name, Access::Read, Resolve::NoSymlinks)
    }

    /// Opens a regular file.
    ///
    /// # Errors
    /// When it is not there, not allowed, or outside.
    pub fn open_file_with(&self, name: impl AsRef<Path>, access: Access, resolve: Resolve) -> Result<File> {
        let name = name.as_ref();
        let fd = self.perform(Call::OpenFile { dir: self, name, access, resolve })?.into_fd()?;
        Ok(self.file(fd, name))
    }

    /// Makes a file that must not exist, open for reading and writing. The mode is subject to the umask.
    ///
    /// # Errors
    /// EEXIST when the name is taken, even by a dangling symlink.
    pub fn create_new(&self, name: impl AsRef<Path>, mode: u16) -> Result<File> {
        let name = name.as_ref();
        let fd = self.perform(Call::CreateNew { dir: self, name, mode })?.into_fd()?;
        Ok(self.file(fd, name))
    }

    /// Makes a file without a name on this directory's file system (`O_TMPFILE`): it vanishes if never linked.
    ///
    /// # Errors
    /// EOPNOTSUPP, EISDIR or EINVAL where the file system has no such files (FAT, old overlayfs).
    pub fn create_temp(&self, mode: u16) -> Result<File> {
        let fd = self.perform(Call::CreateTemp { dir: self, mode })?.into_fd()?;
        Ok(self.file(fd, Path::new("(unnamed file)")))
    }

    /// Gives an open file a name here.
    ///
    /// # Errors
    /// EEXIST when the name is taken.
    pub fn link(&self, file: &File, name: impl AsRef<Path>) -> Result<()> {
        self.perform(Call::LinkFile { file, dir: self, name: name.as_ref() }).map(drop)
    }

    /// Gives a file that has a name here another one.
    ///
    /// # Errors
    /// EEXIST when the new name is taken.
    pub fn hard_link(&self, name: impl AsRef<Path>, to_dir: &Self, to_name: impl AsRef<Path>) -> Result<()> {
        let (name, to_name) = (name.as_ref(), to_name.as_ref());
        self.perform(Call::HardLink { dir: self, name, to_dir, to_name }).map(drop)
    }

    /// Moves a name.
    ///
    /// # Errors
    /// As renameat2(2), after the `how`.
    pub fn rename(
        &self,
        name: impl AsRef<Path>,
        to_dir: &Self,
        to_name: impl AsRef<Path>,
        how: Rename,
    ) -> Result<()> {
        let (name, to_name) = (name.as_ref(), to_name.as_ref());
        self.perform(Call::Rename { dir: self, name, to_dir, to_name, how }).map(drop)
    }

    /// Makes a symlink with this text.
    ///
    /// # Errors
    /// EEXIST when the name is taken.
    pub fn symlink(&self, target: impl AsRef<Path>, name: impl AsRef<Path>) -> Result<()> {
        self.perform(Call::Symlink { target: target.as_ref(), dir: self, name: name.as_ref() }).map(drop)
    }

    /// The text of a symlink.
    ///
    /// # Errors
    /// EINVAL when it is something else.
    pub fn read_link(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let bytes = self.perform(Call::ReadLink { dir: self, name: name.as_ref() })?.into_bytes()?;
        Ok(OsString::from_vec(bytes).into())
    }

    /// Makes a directory. The mode is subject to the umask.
    ///
    /// # Errors
    /// EEXIST when the name is taken.
    pub fn create_dir(&self, name: impl AsRef<Path>, mode: u16) -> Result<()> {
        self.perform(Call::CreateDir { dir: self, name: name.as_ref(), mode }).map(drop)
    }

    /// Removes a name of anything but a directory.
    ///
    /// # Errors
    /// ENOENT when it is not there.
    pub fn remove_file(&self, name: impl AsRef<Path>) -> Result<()> {
        self.perform(Call::RemoveFile { dir: self, name: name.as_ref() }).map(drop)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOTEMPTY when it is not empty.
    pub fn remove_dir(&self, name: impl AsRef<Path>) -> Result<()> {
        self.perform(Call::RemoveDir { dir: self, name: name.as_ref() }).map(drop)
    }

    /// Removes a directory with all that is in it, not through symlinks nor mounts.
    ///
    /// # Errors
    /// Stops at the first that cannot be removed; EXDEV at something mounted.
    pub fn remove_dir_all(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        // Depth is bounded by the heap, not by the stack: the path of open directories is a list.
        let mut open = vec![(self.open_dir(name)?, Vec::new())];
        if let Some((dir, entries)) = open.last_mut() {
            *entries = dir.read_dir()?;
        }
        let mut names = vec![name.to_owned()];
        while let Some((dir, entries)) = open.last_mut() {
            if let Some(entry) = entries.pop() {
                if entry.kind == super::FileType::Directory {
                    let child = dir.open_dir(&entry.name)?;
                    let within = child.read_dir()?;
                    names.push(entry.name.into());
                    open.push((child, within));
                } else {
                    dir.remove_file(&entry.name)?;
                }
                continue;
            }
            open.pop();
            if let Some(done) = names.pop() {
                open.last().map_or(self, |(dir, _)| dir).remove_dir(done)?;
            }
        }
        Ok(())
    }

    /// Tells about a name; a symlink is told about itself.
    ///
    /// # Errors
    /// ENOENT when it is not there.
    pub fn metadata(&self, name: impl AsRef<Path>) -> Result<Metadata> {
        self.perform(Call::Metadata { dir: self, name: name.as_ref() })?.into_metadata()
    }

    /// Tells about this directory.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn own_metadata(&self) -> Result<Metadata> {
        self.metadata("")
    }

    /// Whether the name is there, dangling symlinks included.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn exists(&self, name: impl AsRef<Path>) -> Result<bool> {
        Ok(self.metadata(name).optional()?.is_some())
    }

    /// The names in this directory, without `.` and `..`, in no order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read_dir(&self) -> Result<Vec<DirEntry>> {
        self.perform(Call::ReadDir { dir: self })?.into_entries()
    }

    /// Makes the names in this directory durable.
    ///
    /// # Errors
    /// When the disk fails; what is durable is unknown then, and a second try proves nothing (rule D5).
    pub fn sync(&self) -> Result<()> {
        self.perform(Call::SyncDir { dir: self }).map(drop)
    }

    /// Makes everything on this directory's file system durable. Errors of writes since this directory was opened are
    /// seen (Linux 5.8).
    ///
    /// # Errors
    /// As for [`Dir::sync`].
    pub fn sync_file_system(&self) -> Result<()> {
        self.perform(Call::SyncFs { dir: self }).map(drop)
    }

    /// Makes everything on this directory's file system durable, and its journal empty: a reader that replays none, as a boot
    /// loader, sees all of it from here on. The directory should be the file system's root. Where there is no other way the
    /// file system is frozen and thawed: never to be asked for one that the caller itself lives on.
    ///
    /// # Errors
    /// As for [`Dir::sync`]; EBUSY when somebody else keeps it frozen, EPERM without the privilege, EOPNOTSUPP or ENOTTY where
    /// it cannot be done.
    pub fn empty_journal(&self) -> Result<()> {
        self.perform(Call::EmptyJournal { dir: self }).map(drop)
    }

    /// Takes, changes or leaves the lock of this open directory (flock(2)); it is left when the last clone is dropped.
    ///
    /// # Errors
    /// EWOULDBLOCK with [`Wait::Try`] when somebody else has it.
    pub fn lock(&self, lock: Lock, wait: Wait) -> Result<()> {
        self.perform(Call::Lock { dir: self, lock, wait }).map(drop)
    }

    /// The space of the file system.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn space(&self) -> Result<Space> {
        self.perform(Call::Space { dir: self })?.into_space()
    }

    /// The type of the file system.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn fs_type(&self) -> Result<FsType> {
        self.perform(Call::FsType { dir: self })?.into_fs_type()
    }

    /// The UUID of the file system, in the order in which it is written down; `None` where it has none, or the kernel does not
    /// tell: it does from Linux 6.9 on, and of btrfs always.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn fs_uuid(&self) -> Result<Option<[u8; 16]>> {
        Ok(self.perform(Call::FsUuid { dir: self })?.into_bytes()?.try_into().ok())
    }
}

/// For mounts and memory maps; reading and writing goes through the methods.
impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dir({})", self.label().display())
    }
}
