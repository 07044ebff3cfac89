//! [`IsoFolder`]: a folder as an ISO 9660 file system (ECMA-119), with Rock Ridge's names, as a stream.
//!
//! What lives here: small folders of plain files, for config drives. What does not: links, devices, owners. The same files
//! give the same bytes: entries are sorted, times are 1980, owners root.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use sealstone_store::{
    Optional,
    disk::{Dir, Disk, File, FileType},
};

use crate::DeployError;

const SECTOR: u64 = 2048;

/// Where descriptors begin: what is before belongs to nobody.
const FIRST: u64 = 16;

/// Folders below each other: ECMA-119's limit.
const DEPTH: usize = 8;

/// Entries that are read.
const MOST: usize = 4096;

/// A time as records have it: the first of January 1980.
const TIME: [u8; 7] = [80, 1, 1, 0, 0, 0, 0];

/// A folder that was read, and where each part of it lies.
#[derive(Debug)]
pub(super) struct IsoFolder {
    label: &'static str,
    folders: Vec<Folder>,
    files: Vec<Placed>,
    sectors: u64,
}

/// A folder: its parent's number, and what is in it, by name.
#[derive(Debug, Default)]
struct Folder {
    name: Vec<u8>,
    parent: usize,
    entries: BTreeMap<Vec<u8>, Entry>,
    at: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Folder(usize),
    File(usize),
}

/// A file, and where it lies.
#[derive(Debug)]
struct Placed {
    file: File,
    at: u64,
    bytes: u64,
}

impl IsoFolder {
    /// Reads what is in a folder; `None` when the path is that of no folder.
    pub(super) fn read(
        disk: &Arc<dyn Disk>,
        path: &Path,
        label: &'static str,
    ) -> Result<Option<Self>, DeployError> {
        let root = match Dir::open(disk, path).optional() {
            Ok(Some(root)) => root,
            Ok(None) => return Ok(None),
            Err(error) if error.errno() == Some(rustix::io::Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut made = Self { label, folders: vec![Folder::default()], files: Vec::new(), sectors: 0 };
        made.walk(&root, 0, 1)?;
        made.place();
        Ok(Some(made))
    }

    fn walk(&mut self, dir: &Dir, number: usize, depth: usize) -> Result<(), DeployError> {
        for found in dir.read_dir()? {
            let name = found.name.as_encoded_bytes().to_vec();
            let kind = dir.metadata(&found.name)?.kind;
            if self.folders.len() + self.files.len() > MOST || depth >= DEPTH || name.len() > 140 {
                return Err(refuse(dir, &found.name, "there is too much, too deep, or its name is too long"));
            }
            let entry = match kind {
                FileType::Directory => {
                    let folder = Folder { name: name.clone(), parent: number, ..Folder::default() };
                    self.folders.push(folder);
                    Entry::Folder(self.folders.len() - 1)
                }
                FileType::File => {
                    let file = dir.open_file(&found.name)?;
                    let bytes = file.metadata()?.size;
                    self.files.push(Placed { file, at: 0, bytes });
                    Entry::File(self.files.len() - 1)
                }
                _ => return Err(refuse(dir, &found.name, "it is neither a file nor a folder")),
            };
            if let Some(folder) = self.folders.get_mut(number) {
                folder.entries.insert(name, entry);
            }
            if let Entry::Folder(below) = entry {
                self.walk(&dir.open_dir(&found.name)?, below, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Folders in the order of the path table: by depth, then parent, then name. A walk gives any order, so it is made here.
    fn place(&mut self) {
        let mut order = vec![0];
        let mut at = 0;
        while let Some(folder) = order.get(at).and_then(|number| self.folders.get(*number)) {
            let below = folder.entries.values().filter_map(|entry| match entry {
                Entry::Folder(number) => Some(*number),
                Entry::File(_) => None,
            });
            order.extend(below.collect::<Vec<_>>());
            at += 1;
        }
        self.renumber(&order);
        let tables = self.table(false).len() as u64;
        let mut next = FIRST + 2 + 2 * tables.div_ceil(SECTOR);
        for number in 0..self.folders.len() {
            let bytes = (self.records(number).len() as u64).next_multiple_of(SECTOR);
            if let Some(folder) = self.folders.get_mut(number) {
                (folder.at, folder.bytes) = (next, bytes);
            }
            next += bytes / SECTOR;
        }
        for number in self.file_order() {
            if let Some(file) = self.files.get_mut(number) {
                file.at = next;
                next += file.bytes.div_ceil(SECTOR);
            }
        }
        self.sectors = next;
    }

    fn renumber(&mut self, order: &[usize]) {
        let mut new = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            if let Some(place) = new.get_mut(*from) {
                *place = to;
            }
        }
        let number = |old: usize| new.get(old).copied().unwrap_or_default();
        let mut folders: Vec<Folder> =
            order.iter().filter_map(|from| self.folders.get_mut(*from).map(std::mem::take)).collect();
        for folder in &mut folders {
            folder.parent = number(folder.parent);
            for entry in folder.entries.values_mut() {
                if let Entry::Folder(old) = entry {
                    *old = number(*old);
                }
            }
        }
        self.folders = folders;
    }

    /// Files in the order of their folders, then by name.
    fn file_order(&self) -> Vec<usize> {
        let entries = self.folders.iter().flat_map(|folder| folder.entries.values());
        entries
            .filter_map(|entry| match entry {
                Entry::File(number) => Some(*number),
                Entry::Folder(_) => None,
            })
            .collect()
    }

    /// Gives the file system's bytes in order.
    pub(super) fn stream(
        &self,
        write: &mut dyn FnMut(&[u8]) -> Result<(), DeployError>,
    ) -> Result<(), DeployError> {
        let mut start = vec![0; usize::try_from(FIRST * SECTOR).unwrap_or_default()];
        start.extend_from_slice(&self.descriptor());
        start.extend_from_slice(&sector(b"\xffCD001\x01"));
        for is_big in [false, true] {
            start.extend_from_slice(&padded(self.table(is_big)));
        }
        write(&start)?;
        for number in 0..self.folders.len() {
            write(&padded(self.records(number)))?;
        }
        for file in self.file_order().into_iter().filter_map(|number| self.files.get(number)) {
            let mut at = 0;
            let mut piece = vec![0; 64 << 10];
            while at < file.bytes {
                let count = usize::try_from(file.bytes - at).unwrap_or(usize::MAX).min(piece.len());
                let bytes = piece.get_mut(..count).unwrap_or_default();
                file.file.read_exact_at(at, bytes)?;
                at += count as u64;
                if at == file.bytes {
                    piece.truncate(count);
                    write(&padded(std::mem::take(&mut piece)))?;
                } else {
                    write(bytes)?;
                }
            }
        }
        Ok(())
    }

    /// The primary volume descriptor (8.4).
    fn descriptor(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        out.extend_from_slice(b"\x01CD001\x01\0");
        out.extend_from_slice(&[b' '; 32]);
        out.extend_from_slice(format!("{:<32}", self.label).as_bytes());
        out.extend_from_slice(&[0; 8]);
        both32(&mut out, self.sectors);
        out.extend_from_slice(&[0; 32]);
        for number in [1, 1, 2048] {
            both16(&mut out, number);
        }
        let table = self.table(false).len() as u64;
        both32(&mut out, table);
        out.extend_from_slice(&le32(FIRST + 2));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&be32(FIRST + 2 + table.div_ceil(SECTOR)));
        out.extend_from_slice(&[0; 4]);
        let (at, bytes) = self.folders.first().map_or((0, 0), |root| (root.at, root.bytes));
        record(&mut out, b"\0", (at, bytes), true, &[]);
        out.extend_from_slice(&[b' '; 128 * 4 + 37 * 3]);
        for _ in 0..4 {
            out.extend_from_slice(b"0000000000000000\0");
        }
        out.push(1);
        sector(&out)
    }

    /// A path table (9.4).
    fn table(&self, is_big: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for folder in &self.folders {
            let name: &[u8] = if folder.name.is_empty() { b"\0" } else { &folder.name };
            let parent = u16::try_from(folder.parent + 1).unwrap_or(u16::MAX);
            out.extend_from_slice(&[u8::try_from(name.len()).unwrap_or(u8::MAX), 0]);
            out.extend_from_slice(&if is_big { be32(folder.at) } else { le32(folder.at) });
            out.extend_from_slice(&if is_big { parent.to_be_bytes() } else { parent.to_le_bytes() });
            out.extend_from_slice(name);
            if name.len() % 2 == 1 {
                out.push(0);
            }
        }
        out
    }

    /// The records of a folder (9.1). None of them crosses a sector.
    fn records(&self, number: usize) -> Vec<u8> {
        let Some(folder) = self.folders.get(number) else { return Vec::new() };
        let place =
            |number: usize| self.folders.get(number).map_or((0, 0), |folder| (folder.at, folder.bytes));
        let mut out = Vec::new();
        // The first record of the root says that what follows is Rock Ridge's (SUSP 5.3).
        let marker: &[u8] = if number == 0 { b"SP\x07\x01\xbe\xef\0" } else { &[] };
        record(&mut out, b"\0", place(number), true, &[marker, &mode(true)].concat());
        record(&mut out, b"\x01", place(folder.parent), true, &mode(true));
        for (name, entry) in &folder.entries {
            let mut one = Vec::new();
            let (at, is_folder) = match entry {
                Entry::Folder(below) => (place(*below), true),
                Entry::File(file) => {
                    (self.files.get(*file).map_or((0, 0), |file| (file.at, file.bytes)), false)
                }
            };
            record(&mut one, name, at, is_folder, &[mode(is_folder), alternate_name(name)].concat());
            let left = 2048 - out.len() % 2048;
            if one.len() > left {
                out.resize(out.len() + left, 0);
            }
            out.extend_from_slice(&one);
        }
        out
    }
}

/// A directory record with what Rock Ridge adds.
fn record(out: &mut Vec<u8>, name: &[u8], (at, bytes): (u64, u64), is_folder: bool, more: &[u8]) {
    // The name of old, cut so that all fits into 255 bytes; Rock Ridge's is whole.
    let short = name.get(..name.len().min(31)).unwrap_or(name);
    let begin = out.len();
    out.extend_from_slice(&[0, 0]);
    both32(out, at);
    both32(out, bytes);
    out.extend_from_slice(&TIME);
    out.extend_from_slice(&[if is_folder { 2 } else { 0 }, 0, 0]);
    both16(out, 1);
    out.push(u8::try_from(short.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(short);
    if short.len().is_multiple_of(2) {
        out.push(0);
    }
    out.extend_from_slice(more);
    if (out.len() - begin) % 2 == 1 {
        out.push(0);
    }
    let len = u8::try_from(out.len() - begin).unwrap_or(u8::MAX);
    if let Some(place) = out.get_mut(begin) {
        *place = len;
    }
}

/// `PX`: mode, links, owner, group (RRIP 4.1.1).
fn mode(is_folder: bool) -> Vec<u8> {
    let mut out = b"PX\x24\x01".to_vec();
    let (mode, links) = if is_folder { (0o040_555, 2) } else { (0o100_444, 1) };
    for number in [mode, links, 0, 0] {
        both32(&mut out, number);
    }
    out
}

/// `NM`: the whole name (RRIP 4.1.4).
fn alternate_name(name: &[u8]) -> Vec<u8> {
    let mut out = b"NM".to_vec();
    out.push(u8::try_from(name.len() + 5).unwrap_or(u8::MAX));
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(name);
    out
}

fn sector(start: &[u8]) -> Vec<u8> {
    padded(start.to_vec())
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len().next_multiple_of(2048);
    bytes.resize(len, 0);
    bytes
}

/// A number in both orders (7.3.3).
fn both32(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&le32(number));
    out.extend_from_slice(&be32(number));
}

fn both16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&number.to_be_bytes());
}

/// Sectors and sizes are far below 2^32: a config drive has 64 MiB at most, which its reader holds.
fn le32(number: u64) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn be32(number: u64) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

fn refuse(dir: &Dir, name: &std::ffi::OsStr, reason: &str) -> DeployError {
    let text = dir.label().join(name).display().to_string();
    DeployError::Invalid { what: "config drive", text, reason: reason.to_owned() }
}
