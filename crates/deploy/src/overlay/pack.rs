//! A folder of the disk, or single files, as the tar of a layer.
//!
//! What lives here: the walk, and what of each file goes along. Invariants: entries come sorted, without times, so the same
//! content is the same tar, wherever and whenever it is packed; symlinks are not followed; of a folder's own attributes,
//! those of the top are left out. SELinux labels never go along: they are computed for the image that they come to.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    sync::Arc,
};

use rustix::io::Errno;
use sealstone_store::{
    Control,
    disk::{self, Dir, DirEntry, Disk, File, FileType},
};

use super::{
    files::{FileBody, OverlayFile},
    tar_writer::{Entry, Kind, TarWriter, Xattr},
};
use crate::{DeployError, selinux::SELINUX_XATTR};

/// How deep folders may lie in each other: each open one is a descriptor.
const DEPTH: usize = 200;

/// Writes a folder's content below `prefix` into a tar. Gives what cannot be packed: sockets, fifos, devices.
pub(super) fn pack_folder(
    folder: &Dir,
    prefix: &[u8],
    tar: &File,
    control: &Control,
) -> Result<Vec<String>, DeployError> {
    let mut packer = Packer { tar: TarWriter::new(tar), links: HashMap::new(), skipped: Vec::new() };
    let mut open = vec![Open::new(folder.clone(), prefix.to_vec())?];
    while let Some(top) = open.last_mut() {
        control.check().map_err(|_| sealstone_store::Error::Cancelled)?;
        let Some(entry) = top.entries.pop() else {
            open.pop();
            continue;
        };
        let mut path = top.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(entry.name.as_bytes());
        let dir = top.dir.clone();
        if open.len() > DEPTH {
            let text = path.escape_ascii().to_string();
            let reason = format!("more than {DEPTH} folders in each other");
            return Err(DeployError::Invalid { what: "folder of an overlay", text, reason });
        }
        open.extend(packer.add(&dir, &entry, path)?);
    }
    packer.tar.finish()?;
    Ok(packer.skipped)
}

/// Writes files into a tar, with the folders that they are in: 0755 where the image has none.
pub(super) fn pack_files(files: &[OverlayFile], disk: &Arc<dyn Disk>, tar: &File) -> Result<(), DeployError> {
    let sorted: BTreeMap<&[u8], &OverlayFile> =
        files.iter().map(|file| (file.path.as_bytes(), file)).collect();
    let mut tar = TarWriter::new(tar);
    for (path, file) in sorted {
        match &file.body {
            FileBody::Bytes(bytes) => {
                tar.add(&plain(path, Kind::Bytes(bytes), file.mode.unwrap_or(0o644)))?;
            }
            FileBody::File(source) => {
                let source = File::open(disk, source)?;
                let found = source.metadata()?;
                if found.kind != FileType::File {
                    let text = source.label().display().to_string();
                    let reason = "it is no regular file".to_owned();
                    return Err(DeployError::Invalid { what: "source of an overlay", text, reason });
                }
                // A secret stays one.
                tar.add(&plain(path, Kind::File(&source, found.size), file.mode.unwrap_or(found.mode)))?;
            }
        }
    }
    tar.finish()
}

/// An entry of root's, without attributes.
const fn plain<'a>(path: &'a [u8], kind: Kind<'a>, mode: u16) -> Entry<'a> {
    Entry { path, kind, mode, uid: 0, gid: 0, xattrs: &[] }
}

struct Open {
    dir: Dir,
    path: Vec<u8>,
    /// What is still to be packed, the first name last.
    entries: Vec<DirEntry>,
}

impl Open {
    fn new(dir: Dir, path: Vec<u8>) -> Result<Self, DeployError> {
        let mut entries = dir.read_dir()?;
        entries.sort_by(|a, b| b.name.cmp(&a.name));
        Ok(Self { dir, path, entries })
    }
}

struct Packer<'a> {
    tar: TarWriter<'a>,
    /// The first name of files with several, by device and inode.
    links: HashMap<((u32, u32), u64), Vec<u8>>,
    skipped: Vec<String>,
}

impl Packer<'_> {
    fn add(&mut self, dir: &Dir, entry: &DirEntry, path: Vec<u8>) -> Result<Option<Open>, DeployError> {
        let found = dir.metadata(&entry.name)?;
        let xattrs = xattrs(dir, &entry.name, &path)?;
        let (uid, gid) = owner(&found);
        let packed = |kind| Entry { path: &path, kind, mode: found.mode, uid, gid, xattrs: &xattrs };
        match found.kind {
            FileType::Directory => {
                // The top folders are the image's: whoever made this one thought of what is in it.
                if path.contains(&b'/') {
                    self.tar.add(&packed(Kind::Folder))?;
                }
                return Ok(Some(Open::new(dir.open_dir(&entry.name)?, path)?));
            }
            FileType::File | FileType::Symlink if found.links > 1 => {
                let first = self.links.entry((found.device, found.inode)).or_insert_with(|| path.clone());
                if *first != path {
                    self.tar.add(&packed(Kind::Link(first)))?;
                    return Ok(None);
                }
            }
            _ => {}
        }
        match found.kind {
            FileType::File => {
                let file = dir.open_file(&entry.name)?;
                let size = file.metadata()?.size;
                self.tar.add(&packed(Kind::File(&file, size)))?;
            }
            FileType::Symlink => {
                let target = dir.read_link(&entry.name)?.into_os_string().into_vec();
                self.tar.add(&packed(Kind::Symlink(&target)))?;
            }
            _ => self.skipped.push(format!("/{}", OsString::from_vec(path).to_string_lossy())),
        }
        Ok(None)
    }
}

/// Who owns a file in the layer: what belongs to whoever packs it belongs to root.
fn owner(found: &disk::Metadata) -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    (if found.uid == uid { 0 } else { found.uid }, if found.gid == gid { 0 } else { found.gid })
}

/// The extended attributes that go along, sorted.
fn xattrs(dir: &Dir, name: &OsStr, path: &[u8]) -> Result<Vec<Xattr>, DeployError> {
    let mut keys = match dir.xattr_keys(name) {
        Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        keys => keys?,
    };
    keys.retain(|key| key != SELINUX_XATTR && !key.starts_with(b"trusted.overlay."));
    keys.sort_unstable();
    let pair = |key: Vec<u8>| {
        if key.contains(&b'=') {
            let text = path.escape_ascii().to_string();
            let reason = format!("its attribute {} has an equals sign", key.escape_ascii());
            return Err(DeployError::Invalid { what: "file of an overlay", text, reason });
        }
        let value = dir.xattr(name, &key)?;
        Ok((key, value))
    };
    keys.into_iter().map(pair).collect()
}
