//! The ESP: a FAT32 file system made of a staged folder.
//!
//! What lives here: the layout, and the one pass that writes it. What does not: names (`names.rs`), what is on the ESP.
//! Source: Microsoft's FAT specification (fatgen103). Why not a crate or mkfs.vfat and mtools: the crate `fatfs` 0.3.6 gives
//! the entries `.` and `..` long names, which fsck.vfat refuses; the programs would have to be on each machine that makes
//! disks. Invariants: equal folders and ids give equal bytes; every file is in one piece; all times are 1980-01-01.

mod names;

use sealstone_store::{
    Control, Error,
    disk::{Dir, File, FileType},
};

use self::names::Names;
use super::layout::Span;
use crate::DeployError;

/// The size of a cluster: a boot entry has to fit one.
const CLUSTER: u64 = 4096;

/// The sectors before the first table: boot sector, information, and their copies from the sixth on.
const RESERVED: u32 = 32;
const COPY: u64 = 6;

/// The cluster of the root; the two before are none.
const ROOT: u32 = 2;

/// The end of a chain.
const END: u32 = 0x0fff_ffff;

/// How much is copied at a time.
const CHUNK: usize = 1 << 20;

/// The volume's name, padded.
const LABEL: &[u8; 11] = b"ESP        ";

/// A file or folder with its place.
struct Node {
    /// The staged file; a folder's entries.
    content: Content,
    first: u32,
}

enum Content {
    File(File, u64),
    Folder(Vec<u8>),
}

/// Writes a FAT32 with all that is in `folder` to a part of a file, whatever was there.
///
/// # Errors
/// [`Error::NoSpace`] when it does not fit, and the disk's.
pub(super) fn write(
    (file, span): (&File, Span),
    folder: &Dir,
    (volume, sector): (u32, u32),
    control: &Control,
) -> Result<(), DeployError> {
    let measures = Measures::of(span.size, sector);
    let mut made = Making { nodes: Vec::new(), next: ROOT };
    made.folder(folder, None)?;
    let used = made.next - ROOT;
    if used > measures.clusters {
        return Err(
            Error::NoSpace { op: "write the boot partition of", path: file.label().to_owned() }.into()
        );
    }
    let put = |at: u64, bytes: &[u8]| file.write_all_at(span.start + at, bytes);
    for node in &made.nodes {
        let at = measures.place(node.first);
        match &node.content {
            Content::Folder(entries) => put(at, entries)?,
            Content::File(from, size) => {
                copy(from, *size, control, |done, piece| Ok(put(at + done, piece)?))?;
            }
        }
    }
    let table = measures.table(&made.nodes);
    let tables = u64::from(RESERVED) * u64::from(sector);
    put(tables, &table)?;
    put(tables + table.len() as u64, &table)?;
    let boot = measures.boot_sector(volume, span.start);
    let information = measures.information(used);
    let sector = u64::from(sector);
    for at in [COPY * sector, 0] {
        put(at + sector, &information)?;
        put(at, &boot)?;
    }
    Ok(())
}

/// The bytes that the files in a folder take, in whole clusters, folders too.
pub(super) fn measure(folder: &Dir) -> Result<u64, DeployError> {
    let mut made = Making { nodes: Vec::new(), next: ROOT };
    made.folder(folder, None)?;
    Ok(u64::from(made.next - ROOT) * CLUSTER)
}

fn copy(
    from: &File,
    size: u64,
    control: &Control,
    mut to: impl FnMut(u64, &[u8]) -> Result<(), DeployError>,
) -> Result<(), DeployError> {
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < size {
        control.check().map_err(|_| Error::Cancelled)?;
        let now = buffer.len().min(usize::try_from(size - done).unwrap_or(CHUNK));
        let piece = buffer.get_mut(..now).unwrap_or_default();
        from.read_exact_at(done, piece)?;
        to(done, piece)?;
        done += now as u64;
    }
    Ok(())
}

/// A file system in the making: clusters are given out one after the other.
struct Making {
    nodes: Vec<Node>,
    next: u32,
}

impl Making {
    fn take(&mut self, bytes: u64) -> u32 {
        let first = self.next;
        let clusters = u32::try_from(bytes.div_ceil(CLUSTER)).unwrap_or(u32::MAX);
        self.next = self.next.saturating_add(clusters);
        first
    }

    /// Adds a folder with all in it; `above` is the cluster of the one that it is in. Gives its cluster. The depth is that of
    /// what we put on an ESP.
    fn folder(&mut self, folder: &Dir, above: Option<u32>) -> Result<u32, DeployError> {
        let mut listed = folder.read_dir()?;
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut names = Names::default();
        let children: Vec<_> =
            listed.into_iter().map(|entry| (names.add(&entry.name.to_string_lossy()), entry)).collect();
        let own = if above.is_some() { 2 } else { 1 };
        let entries: usize = children.iter().map(|(name, _)| name.entries()).sum();
        let size = ((entries + own) as u64 * 32).next_multiple_of(CLUSTER);
        let first = self.take(size);
        let mut bytes = Vec::new();
        match above {
            // The root is named by 0 there.
            Some(above) => {
                bytes.extend(names::entry(b".          ", true, first, 0));
                bytes.extend(names::entry(b"..         ", true, if above == ROOT { 0 } else { above }, 0));
            }
            None => bytes.extend(names::label(LABEL)),
        }
        for (name, entry) in children {
            let (is_folder, cluster, size) = if entry.kind == FileType::Directory {
                (true, self.folder(&folder.open_dir(&entry.name)?, Some(first))?, 0)
            } else {
                let file = folder.open_file(&entry.name)?;
                let size = file.metadata()?.size;
                (false, self.file(file, size), size)
            };
            let size = u32::try_from(size).map_err(|_| DeployError::TooBig {
                what: format!("file {}", entry.name.to_string_lossy()),
                size,
                limit: u32::MAX.into(),
            })?;
            name.write(&mut bytes, is_folder, cluster, size);
        }
        bytes.resize(usize::try_from(size).unwrap_or(bytes.len()), 0);
        self.nodes.push(Node { content: Content::Folder(bytes), first });
        Ok(first)
    }

    /// Adds a file; an empty one has no cluster.
    fn file(&mut self, file: File, size: u64) -> u32 {
        if size == 0 {
            return 0;
        }
        let first = self.take(size);
        self.nodes.push(Node { content: Content::File(file, size), first });
        first
    }
}

/// The measures of a file system.
struct Measures {
    sector: u32,
    sectors: u32,
    table_sectors: u32,
    clusters: u32,
}

impl Measures {
    fn of(size: u64, sector: u32) -> Self {
        let sectors = u32::try_from(size / u64::from(sector)).unwrap_or(u32::MAX);
        let per_cluster = u32::try_from(CLUSTER).unwrap_or(sector) / sector;
        // As many entries as if the tables took nothing: a few too many at most.
        let entries = u64::from(sectors / per_cluster) + u64::from(ROOT);
        let table_sectors = u32::try_from((entries * 4).div_ceil(sector.into())).unwrap_or(u32::MAX);
        let data = sectors.saturating_sub(RESERVED).saturating_sub(table_sectors.saturating_mul(2));
        Self { sector, sectors, table_sectors, clusters: data / per_cluster }
    }

    /// Where a cluster is, in bytes.
    fn place(&self, cluster: u32) -> u64 {
        let before = u64::from(RESERVED) + 2 * u64::from(self.table_sectors);
        before * u64::from(self.sector) + u64::from(cluster - ROOT) * CLUSTER
    }

    /// The table of all chains: each is in one piece.
    fn table(&self, nodes: &[Node]) -> Vec<u8> {
        let size = u64::from(self.table_sectors) * u64::from(self.sector);
        let mut table = vec![0; usize::try_from(size).unwrap_or_default()];
        let mut set = |cluster: u32, value: u32| put32(&mut table, cluster as usize * 4, value);
        set(0, 0x0fff_fff8);
        set(1, END);
        for node in nodes {
            let bytes = match &node.content {
                Content::File(_, size) => *size,
                Content::Folder(entries) => entries.len() as u64,
            };
            let count = u32::try_from(bytes.div_ceil(CLUSTER)).unwrap_or(u32::MAX);
            let last = node.first + count - 1;
            (node.first..last).for_each(|cluster| set(cluster, cluster + 1));
            set(last, END);
        }
        table
    }

    fn boot_sector(&self, volume: u32, start: u64) -> Vec<u8> {
        let mut boot = vec![0; self.sector as usize];
        let hidden = u32::try_from(start / u64::from(self.sector)).unwrap_or_default();
        put(&mut boot, 0, &[0xeb, 0x58, 0x90]);
        put(&mut boot, 3, b"MSWIN4.1");
        let [low, high, ..] = self.sector.to_le_bytes();
        let per_cluster = (CLUSTER / u64::from(self.sector)).to_le_bytes()[0];
        put(&mut boot, 11, &[low, high, per_cluster]);
        put(&mut boot, 14, &[RESERVED.to_le_bytes()[0], 0, 2]);
        // A disk, with a geometry that nobody asks for.
        put(&mut boot, 21, &[0xf8, 0, 0, 32, 0, 64, 0]);
        for (at, value) in
            [(28, hidden), (32, self.sectors), (36, self.table_sectors), (44, ROOT), (67, volume)]
        {
            put32(&mut boot, at, value);
        }
        put(&mut boot, 48, &[1, 0, COPY.to_le_bytes()[0], 0]);
        put(&mut boot, 64, &[0x80, 0, 0x29]);
        put(&mut boot, 71, LABEL);
        put(&mut boot, 82, b"FAT32   ");
        put(&mut boot, 510, &[0x55, 0xaa]);
        boot
    }

    /// How much is free, and where.
    fn information(&self, used: u32) -> Vec<u8> {
        let mut sector = vec![0; self.sector as usize];
        for (at, value) in [
            (0, 0x4161_5252),
            (484, 0x6141_7272),
            (488, self.clusters - used),
            (492, ROOT + used),
            (508, 0xaa55_0000),
        ] {
            put32(&mut sector, at, value);
        }
        sector
    }
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn put32(buffer: &mut [u8], at: usize, value: u32) {
    put(buffer, at, &value.to_le_bytes());
}
