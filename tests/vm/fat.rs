//! A FAT32 file system as firmware and Linux read it, from its bytes, with what a cut may have left wrong in it.
//!
//! Source: Microsoft's "FAT32 File System Specification" 1.03. A long name counts if its checksum is that of the short name
//! that follows, otherwise the short name is the file's.

use std::collections::BTreeMap;

const ENTRY: usize = 32;
const LONG_NAME: u8 = 0x0f;
const FOLDER: u8 = 0x10;
const LABEL: u8 = 0x08;
/// A chain's last cluster has this number or a larger one.
const END: u32 = 0x0fff_fff8;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Its chain leads to a cluster that the table calls free, or that there is not: Linux makes the file system read-only
    /// when it looks at the name.
    LeadsToNothing,
    /// A cluster of it is another name's too: the removal of the one damages the other.
    IsShared,
    /// Its chain ends before its size.
    IsShort,
    /// A folder whose cluster does not begin as one.
    IsNoFolder,
}

/// A file: where its bytes are.
#[derive(Clone, Debug)]
pub struct File {
    clusters: Vec<usize>,
    size: usize,
}

/// All files by their paths, and what is wrong.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: BTreeMap<String, File>,
    pub faults: Vec<(String, Fault)>,
    owned: Vec<bool>,
}

/// The bytes of a file system.
pub struct Fat<'a> {
    bytes: &'a [u8],
    table: usize,
    data: usize,
    cluster: usize,
    root: u32,
}

struct Name {
    text: String,
    is_folder: bool,
    start: u32,
    size: usize,
}

impl<'a> Fat<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let sector = half(bytes, 11) as usize;
        let table = half(bytes, 14) as usize * sector;
        let data = table + bytes[16] as usize * word(bytes, 36) as usize * sector;
        Self { bytes, table, data, cluster: bytes[13] as usize * sector, root: word(bytes, 44) }
    }

    /// Reads all that can be read.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        self.walk(self.root, "", 0, &mut tree);
        tree
    }

    fn walk(&self, start: u32, path: &str, depth: usize, tree: &mut Tree) {
        assert!(depth < 16, "{path} is too deep");
        let clusters = self.chain(start, path, tree);
        let bytes = self.content(&File { size: clusters.len() * self.cluster, clusters });
        let has = |at: usize, name: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(name));
        let is_folder = has(0, b".          ") && has(ENTRY, b"..         ");
        if !path.is_empty() && !is_folder {
            tree.faults.push((path.to_owned(), Fault::IsNoFolder));
            return;
        }
        for name in names(&bytes) {
            let path = format!("{path}/{}", name.text);
            if name.is_folder {
                self.walk(name.start, &path, depth + 1, tree);
            } else {
                let clusters = if name.start == 0 { Vec::new() } else { self.chain(name.start, &path, tree) };
                if clusters.len() * self.cluster < name.size {
                    tree.faults.push((path.clone(), Fault::IsShort));
                }
                tree.files.insert(path, File { clusters, size: name.size });
            }
        }
    }

    /// The bytes of a file, as far as there are any.
    pub fn content(&self, file: &File) -> Vec<u8> {
        let clusters = file.clusters.iter().map(|at| &self.bytes[*at..*at + self.cluster]);
        let mut content = clusters.collect::<Vec<_>>().concat();
        content.truncate(file.size);
        content
    }

    /// Where the clusters of a chain are, up to its end or to where it goes wrong.
    fn chain(&self, start: u32, path: &str, tree: &mut Tree) -> Vec<usize> {
        let (mut clusters, mut number) = (Vec::new(), start);
        while number < END {
            let at = self.data + (number as usize).saturating_sub(2) * self.cluster;
            let slot = self.bytes[..self.data].get(self.table + number as usize * 4..);
            let next = slot.map_or(0, |slot| word(slot, 0) & 0x0fff_ffff);
            if next < 2 || at + self.cluster > self.bytes.len() {
                tree.faults.push((path.to_owned(), Fault::LeadsToNothing));
                break;
            }
            let owned = &mut tree.owned;
            owned.resize(owned.len().max(number as usize + 1), false);
            if std::mem::replace(&mut owned[number as usize], true) {
                tree.faults.push((path.to_owned(), Fault::IsShared));
                break;
            }
            clusters.push(at);
            number = next;
        }
        clusters
    }
}

/// The names in a folder's bytes, without its own and its parent's.
fn names(folder: &[u8]) -> Vec<Name> {
    let (mut found, mut long) = (Vec::new(), Vec::new());
    for entry in folder.chunks_exact(ENTRY) {
        match (entry[0], entry[11]) {
            (0, _) => break,
            (0xe5, _) => long.clear(),
            (order, LONG_NAME) => {
                if order & 0x40 != 0 {
                    long.clear();
                }
                long.push(entry);
            }
            (_, attributes) if attributes & LABEL != 0 => long.clear(),
            (_, attributes) => {
                let text = long_name(&long, &entry[..11]).unwrap_or_else(|| short_name(&entry[..11]));
                long.clear();
                let start = u32::from(half(entry, 20)) << 16 | u32::from(half(entry, 26));
                let name =
                    Name { text, is_folder: attributes & FOLDER != 0, start, size: word(entry, 28) as usize };
                if !matches!(name.text.as_str(), "." | "..") {
                    found.push(name);
                }
            }
        }
    }
    found
}

/// The name of these pieces, last piece first, if they are whole and of this short name.
fn long_name(pieces: &[&[u8]], short: &[u8]) -> Option<String> {
    let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let is_whole =
        pieces.iter().rev().zip(1_u8..).all(|(piece, order)| piece[0] & 0x3f == order && piece[13] == sum);
    if pieces.is_empty() || !is_whole || pieces[0][0] & 0x40 == 0 {
        return None;
    }
    let units = pieces.iter().rev().flat_map(|piece| [&piece[1..11], &piece[14..26], &piece[28..32]]);
    let units = units.flat_map(|part| part.chunks_exact(2)).map(|unit| half(unit, 0));
    String::from_utf16(&units.take_while(|unit| *unit != 0).collect::<Vec<_>>()).ok()
}

fn short_name(name: &[u8]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (stem, extension) = (part(&name[..8]), part(&name[8..]));
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
