//! What is on a disk already: partition tables and file systems, known by their magic bytes.
//!
//! What lives here: looking, for the message that names what would be destroyed. What does not: deciding. Nothing is trusted
//! that is read: it is compared, counted and shown.

use sealstone_store::disk::File;

use super::PartitionTable;
use crate::DeployError;

/// Magic bytes, where they are, and what they are of. Sources: libblkid's list, and each format's own description.
const MAGICS: [(u64, &[u8], &str); 20] = [
    (1080, &[0x53, 0xef], "an ext2, ext3 or ext4 file system"),
    (0, b"XFSB", "an XFS file system"),
    (65_600, b"_BHRfS_M", "a btrfs file system"),
    (82, b"FAT32   ", "a FAT32 file system"),
    (54, b"FAT16   ", "a FAT16 file system"),
    (54, b"FAT12   ", "a FAT12 file system"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (1024, &[0xe2, 0xe1, 0xf5, 0xe0], "an EROFS file system"),
    (0, b"hsqs", "a squashfs file system"),
    (32_769, b"CD001", "an ISO 9660 file system"),
    (1024, &[0x10, 0x20, 0xf5, 0xf2], "an F2FS file system"),
    (0, b"LUKS\xba\xbe", "a LUKS volume"),
    (4086, b"SWAPSPACE2", "swap space"),
    (536, b"LVM2 001", "an LVM physical volume"),
    (4096, &[0xfc, 0x4e, 0x2b, 0xa9], "a member of a Linux RAID"),
    (0, &[0xfc, 0x4e, 0x2b, 0xa9], "a member of a Linux RAID"),
    (0, b"QFI\xfb", "a qcow2 image"),
    (0, b"bcache", "a bcache device"),
    (24, &[0xc6, 0x85, 0x73, 0xf6], "a bcache device"),
];

/// The bytes that are looked at: the magics are in them, and partition tables.
const HEAD: usize = 128 << 10;

/// What is found in a file or on a device of this size, in words; nothing, if it looks empty: zeros where it begins, and no
/// copy of a partition table at its end.
///
/// # Errors
/// When the disk fails.
pub fn signatures(file: &File, size: u64) -> Result<Vec<String>, DeployError> {
    let mut head = vec![0; HEAD.min(usize::try_from(size).unwrap_or(HEAD))];
    file.read_exact_at(0, &mut head)?;
    let has = |at: u64, magic: &[u8]| {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        head.get(at..at.saturating_add(magic.len())) == Some(magic)
    };
    let mut found: Vec<String> = partition_table(&head).into_iter().collect();
    for (at, magic, what) in MAGICS {
        if has(at, magic) && !found.iter().any(|found| found == what) {
            found.push(what.to_owned());
        }
    }
    if found.is_empty() && has_copy_of_gpt(file, size)? {
        found.push("the copy of a GPT partition table at the end".to_owned());
    }
    if found.is_empty() && head.iter().any(|byte| *byte != 0) {
        found.push(format!("{size} bytes of something"));
    }
    Ok(found)
}

/// What is in a file that lies in the place of a disk image: even zeros are something, if they take space.
///
/// # Errors
/// When the disk fails.
pub fn signatures_of_file(file: &File) -> Result<Vec<String>, DeployError> {
    let metadata = file.metadata()?;
    if metadata.allocated == 0 {
        return Ok(Vec::new());
    }
    let mut found = signatures(file, metadata.size)?;
    if found.is_empty() {
        found.push(format!("a file of {} bytes", metadata.size));
    }
    Ok(found)
}

/// The partition table that a disk begins with, and the names of its partitions.
fn partition_table(head: &[u8]) -> Option<String> {
    let is_gpt = [512, 4096].iter().any(|&at| head.get(at..at + 8) == Some(b"EFI PART"));
    // What signs an MBR also signs the beginnings of file systems.
    if !is_gpt && !head.get(446..510).is_some_and(has_partition) {
        return None;
    }
    let kind = if is_gpt { "a GPT" } else { "an MBR" };
    match PartitionTable::read(head) {
        Ok(table) => {
            let partitions = &table.partitions;
            let names = partitions.iter().map(|one| if one.name.is_empty() { &one.kind } else { &one.name });
            let names: Vec<String> = names.map(|name| name.escape_default().to_string()).collect();
            let plural = if names.len() == 1 { "" } else { "s" };
            let listed = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
            Some(format!("{kind} partition table with {} partition{plural}{listed}", names.len()))
        }
        Err(_) if is_gpt => Some("a damaged GPT partition table".to_owned()),
        Err(_) => None,
    }
}

/// Whether one of the four entries has a type, and a state that an entry may have.
fn has_partition(table: &[u8]) -> bool {
    table.chunks(16).all(|entry| matches!(entry.first(), Some(0 | 0x80)))
        && table.chunks(16).any(|entry| entry.get(4).is_some_and(|&kind| kind != 0))
}

fn has_copy_of_gpt(file: &File, size: u64) -> Result<bool, DeployError> {
    for sector in [512, 4096] {
        let mut magic = [0; 8];
        if size >= 2 * sector {
            file.read_exact_at(size / sector * sector - sector, &mut magic)?;
        }
        if magic == *b"EFI PART" {
            return Ok(true);
        }
    }
    Ok(false)
}
