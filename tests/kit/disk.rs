//! Disks with partitions, as images of whole disks have them.

use std::fs;

use super::layer::noise;
use super::{Sandbox, tools::tool};

/// A disk of so many bytes with an MBR, made by hand: one partition, from the first mebibyte to one before the end, that
/// begins with a mebibyte of noise.
pub fn mbr_disk(bytes: usize) -> Vec<u8> {
    let mut disk = vec![0; bytes];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[446 + 4] = 0x83;
    let sectors = u32::try_from(bytes / 512).expect("a small disk") - 2 * 2048;
    disk[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    disk[1 << 20..2 << 20].copy_from_slice(&noise(1 << 20, 4));
    disk
}

/// A disk of 24 MiB, `gpt.raw` in the sandbox, with a GPT that sgdisk made, data in two places and zeros elsewhere; none
/// without the tool.
pub fn gpt_disk(sandbox: &Sandbox) -> Option<Vec<u8>> {
    let path = sandbox.path("gpt.raw");
    fs::write(&path, vec![0; 24 << 20]).expect("a disk");
    let args = ["--new=1:2048:+4M", "--change-name=1:esp", "--new=2:0:0", "--change-name=2:root", "gpt.raw"];
    tool(&sandbox.path("."), "sgdisk", &args)?;
    let mut disk = fs::read(&path).expect("a disk");
    for (number, at) in [(1, 2 << 20), (2, 9 << 20)] {
        disk[at..at + (3 << 20)].copy_from_slice(&noise(3 << 20, number));
    }
    fs::write(&path, &disk).expect("a disk");
    Some(disk)
}

/// Holds both tables of a disk against sgdisk's checks, and gives what it lists; none without the tool.
pub fn checked_gpt(sandbox: &Sandbox, disk: &str) -> Option<String> {
    let verified = tool(&sandbox.path("."), "sgdisk", &["--verify", disk])?;
    assert!(verified.contains("No problems found"), "{verified}");
    tool(&sandbox.path("."), "sgdisk", &["--print", disk])
}
