//! Writes qcow2 images in any order, and takes disks that come out of a decoder.

use std::sync::Arc;

use sealstone_import::{
    ImportError,
    disk_image::{DecodeDisk, DiskDecoder, DiskSink},
};
use sealstone_store::disk::{Dir, Disk, RealDisk};

/// A disk in memory, which holds what a sink may be told.
#[derive(Default)]
pub struct Memory {
    pub bytes: Vec<u8>,
    pub said: Option<u64>,
    /// Bytes that were written, zeros aside.
    pub written: u64,
}

impl DiskSink for Memory {
    fn size(&mut self, bytes: u64) -> Result<(), ImportError> {
        assert_eq!(self.said.replace(bytes), None, "the size is told twice");
        assert!(self.bytes.is_empty(), "the size comes after bytes");
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImportError> {
        let end = offset as usize + bytes.len();
        assert!(self.said.is_none_or(|said| end as u64 <= said), "a write beyond the disk");
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset as usize..end].copy_from_slice(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn zero(&mut self, offset: u64, bytes: u64) -> Result<(), ImportError> {
        let end = (offset + bytes) as usize;
        assert!(self.said.is_none_or(|said| end as u64 <= said), "zeros beyond the disk");
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset as usize..end].fill(0);
        Ok(())
    }
}

/// Options with a spool of so many bytes.
pub fn options(spool_bytes: u64) -> DecodeDisk {
    let disk: Arc<dyn Disk> = RealDisk::shared();
    let mut options = DecodeDisk::default();
    options.disk_bytes = 1 << 30;
    options.spool = Some(Dir::open(&disk, std::env::temp_dir()).unwrap());
    options.spool_bytes = spool_bytes;
    options
}

/// Decodes an image that comes in pieces of so many bytes.
pub fn decode(image: &[u8], piece: usize, options: DecodeDisk) -> Result<Memory, ImportError> {
    let mut decoder = DiskDecoder::new("disk", options);
    let mut disk = Memory::default();
    for bytes in image.chunks(piece.max(1)) {
        decoder.take(bytes, &mut disk)?;
    }
    let size = decoder.finish(&mut disk)?;
    assert_eq!(disk.bytes.len() as u64, size);
    Ok(disk)
}

/// How a cluster of the disk lies in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// Not at all: zeros.
    Nowhere,
    /// With the bit that says zeros, and a place all the same.
    AsZero,
    Plain,
    Packed,
}

/// An image to be made.
pub struct Qcow2<'a> {
    pub cluster_bits: u32,
    pub version: u32,
    pub is_zstd: bool,
    pub disk: &'a [u8],
    /// For each cluster of the disk.
    pub lies: &'a [Lies],
    /// The order of the image's units (first table, second tables, clusters), by their numbers: see [`Qcow2::units`].
    pub order: &'a [usize],
}

impl Qcow2<'_> {
    fn cluster(&self) -> usize {
        1 << self.cluster_bits
    }

    fn second_tables(&self) -> usize {
        self.lies.len().div_ceil(self.cluster() / 8)
    }

    /// How many units there are: the first table, then the second ones, then the clusters of the disk.
    pub fn units(cluster_bits: u32, clusters: usize) -> usize {
        1 + clusters.div_ceil((1 << cluster_bits) / 8) + clusters
    }

    /// The image. Compressed clusters that follow each other share sectors, as QEMU's do.
    pub fn write(&self) -> Vec<u8> {
        let cluster = self.cluster();
        let tables = self.second_tables();
        let mut image = vec![0; 2 * cluster];
        let mut places = vec![0; 1 + tables];
        let mut entries = vec![0_u64; tables * cluster / 8];
        for unit in self.order {
            let aligned = image.len().next_multiple_of(cluster);
            match unit.checked_sub(1 + tables) {
                None => {
                    places[*unit] = aligned;
                    let len = if *unit == 0 { (tables * 8).next_multiple_of(cluster) } else { cluster };
                    image.resize(aligned + len, 0);
                }
                Some(guest) => entries[guest] = self.put(guest, &mut image),
            }
        }
        let end = image.len().next_multiple_of(512);
        image.resize(end, 0);
        for (table, place) in places[1..].iter().enumerate() {
            let entry = *place as u64 | 1 << 63;
            image[places[0] + table * 8..][..8].copy_from_slice(&entry.to_be_bytes());
            for (at, entry) in entries[table * cluster / 8..][..cluster / 8].iter().enumerate() {
                image[place + at * 8..][..8].copy_from_slice(&entry.to_be_bytes());
            }
        }
        self.header(places[0] as u64, &mut image);
        image
    }

    /// Puts a cluster of the disk; gives its entry.
    fn put(&self, guest: usize, image: &mut Vec<u8>) -> u64 {
        let cluster = self.cluster();
        let from = &self.disk[guest * cluster..self.disk.len().min((guest + 1) * cluster)];
        let mut bytes = from.to_vec();
        bytes.resize(cluster, 0);
        let aligned = image.len().next_multiple_of(cluster);
        match self.lies[guest] {
            Lies::Nowhere => 0,
            Lies::AsZero | Lies::Plain => {
                image.resize(aligned, 0);
                let is_zero = self.lies[guest] == Lies::AsZero;
                image.extend_from_slice(&if is_zero { vec![0xee; cluster] } else { bytes });
                aligned as u64 | 1 << 63 | u64::from(is_zero)
            }
            Lies::Packed => {
                let start = image.len();
                let packed =
                    if self.is_zstd { zstd::bulk::compress(&bytes, 3).unwrap() } else { deflate(&bytes) };
                image.extend_from_slice(&packed);
                let sectors = (image.len() as u64 - 1) / 512 - start as u64 / 512;
                1 << 62 | sectors << (62 - (self.cluster_bits - 8)) | start as u64
            }
        }
    }

    fn header(&self, first_table: u64, image: &mut [u8]) {
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"QFI\xfb");
        put(4, &self.version.to_be_bytes());
        put(20, &self.cluster_bits.to_be_bytes());
        put(24, &(self.disk.len() as u64).to_be_bytes());
        put(36, &(self.second_tables() as u32).to_be_bytes());
        put(40, &first_table.to_be_bytes());
        put(48, &(self.cluster() as u64).to_be_bytes());
        put(56, &1_u32.to_be_bytes());
        if self.version == 3 {
            put(72, &u64::from(u8::from(self.is_zstd) << 3).to_be_bytes());
            put(96, &4_u32.to_be_bytes());
            put(100, &112_u32.to_be_bytes());
            put(104, &[u8::from(self.is_zstd)]);
        }
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
