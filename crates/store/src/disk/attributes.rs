//! Owners, modes, times, extended attributes and device nodes of names in a [`Dir`]. Symlinks are never followed.

use std::path::Path;

use super::{Call, Dir, Node, Timestamp};
use crate::error::Result;

impl Dir {
    /// Sets the permission bits (07777) of a name.
    ///
    /// # Errors
    /// EOPNOTSUPP for a symlink, which has none.
    pub fn set_mode(&self, name: impl AsRef<Path>, mode: u16) -> Result<()> {
        self.perform(Call::SetMode { dir: self, name: name.as_ref(), mode }).map(drop)
    }

    /// Sets the owner and the group of a name. This may clear set-user-id bits: set the mode afterwards.
    ///
    /// # Errors
    /// EPERM without the privilege.
    pub fn set_owner(&self, name: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
        self.perform(Call::SetOwner { dir: self, name: name.as_ref(), uid, gid }).map(drop)
    }

    /// Sets the time of the last change (and of the last access) of a name.
    ///
    /// # Errors
    /// EPERM when the file is another's.
    pub fn set_mtime(&self, name: impl AsRef<Path>, mtime: Timestamp) -> Result<()> {
        self.perform(Call::SetTimes { dir: self, name: name.as_ref(), mtime }).map(drop)
    }

    /// Sets an extended attribute of a name.
    ///
    /// # Errors
    /// EOPNOTSUPP where the file system has none; EPERM without the privilege.
    pub fn set_xattr(&self, name: impl AsRef<Path>, key: &[u8], value: &[u8]) -> Result<()> {
        self.perform(Call::SetXattr { dir: self, name: name.as_ref(), key, value }).map(drop)
    }

    /// The value of an extended attribute of a name.
    ///
    /// # Errors
    /// ENODATA when there is none with this key.
    pub fn xattr(&self, name: impl AsRef<Path>, key: &[u8]) -> Result<Vec<u8>> {
        self.perform(Call::GetXattr { dir: self, name: name.as_ref(), key })?.into_bytes()
    }

    /// The keys of the extended attributes of a name.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn xattr_keys(&self, name: impl AsRef<Path>) -> Result<Vec<Vec<u8>>> {
        let list = self.perform(Call::ListXattrs { dir: self, name: name.as_ref() })?.into_bytes()?;
        Ok(list.split(|&byte| byte == 0).filter(|key| !key.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// Removes an extended attribute of a name.
    ///
    /// # Errors
    /// ENODATA when there is none with this key.
    pub fn remove_xattr(&self, name: impl AsRef<Path>, key: &[u8]) -> Result<()> {
        self.perform(Call::RemoveXattr { dir: self, name: name.as_ref(), key }).map(drop)
    }

    /// Makes a device, fifo or socket. The mode is subject to the umask.
    ///
    /// # Errors
    /// EPERM for a device without the privilege.
    pub fn make_node(&self, name: impl AsRef<Path>, node: Node, mode: u16) -> Result<()> {
        self.perform(Call::MakeNode { dir: self, name: name.as_ref(), node, mode }).map(drop)
    }
}
