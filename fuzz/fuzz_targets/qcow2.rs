//! Any bytes as a disk image: refused, or a disk of the size that it says; nothing is written beyond that, and it is the same
//! disk however the image is cut. The first byte chooses the cut.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealstone_import::{
    ImportError,
    disk_image::{DecodeDisk, DiskDecoder, DiskSink},
};
use sealstone_store::disk::{Dir, RealDisk};

const MOST: u64 = 1 << 20;

static OPTIONS: LazyLock<DecodeDisk> = LazyLock::new(|| {
    let mut options = DecodeDisk::default();
    options.disk_bytes = MOST;
    options.spool = Dir::open(&RealDisk::shared(), std::env::temp_dir()).ok();
    options.spool_bytes = 64 << 10;
    options
});

#[derive(Default, PartialEq)]
struct Disk {
    bytes: Vec<u8>,
    said: Option<u64>,
}

impl Disk {
    fn place(&mut self, offset: u64, len: u64) -> &mut [u8] {
        let end = offset.checked_add(len).expect("no overflow");
        assert!(end <= self.said.unwrap_or(MOST), "beyond the disk");
        let end = end as usize;
        self.bytes.resize(self.bytes.len().max(end), 0);
        &mut self.bytes[offset as usize..end]
    }
}

impl DiskSink for Disk {
    fn size(&mut self, bytes: u64) -> Result<(), ImportError> {
        assert!(bytes <= MOST);
        self.said = Some(bytes);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImportError> {
        self.place(offset, bytes.len() as u64).copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&mut self, offset: u64, bytes: u64) -> Result<(), ImportError> {
        self.place(offset, bytes).fill(0);
        Ok(())
    }
}

fn decode(image: &[u8], piece: usize) -> Option<Disk> {
    let mut decoder = DiskDecoder::new("fuzz", OPTIONS.clone());
    let mut disk = Disk::default();
    for bytes in image.chunks(piece) {
        decoder.take(bytes, &mut disk).ok()?;
    }
    let size = decoder.finish(&mut disk).ok()?;
    assert_eq!(size, disk.bytes.len() as u64);
    Some(disk)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, image)) = input.split_first() else { return };
    let whole = decode(image, image.len().max(1));
    let pieces = decode(image, usize::from(*cut) * 7 + 1);
    // Whether bytes that passed are still there depends on the cut; what comes out does not.
    if let (Some(whole), Some(pieces)) = (whole, pieces) {
        assert!(whole == pieces);
    }
});
