//! A boot variable's value, `EFI_LOAD_OPTION`: what the firmware's own menu starts.
//!
//! What lives here: its bytes, there and back. Source: UEFI 2.10 §3.1.3 and §10.3: attributes, the length of the device path,
//! a description in UTF-16, and the device path: a hard drive by its GPT partition, and a file.

use super::{text_of, utf16};
use crate::BootError;

/// `LOAD_OPTION_ACTIVE`
const ACTIVE: u32 = 1;
/// Media, hard drive: its type, subtype and length.
const HARD_DRIVE: [u8; 4] = [4, 1, 42, 0];
/// Media, file path.
const FILE: [u8; 2] = [4, 4];
/// The end of a device path.
const END: [u8; 4] = [0x7f, 0xff, 4, 0];
/// The partition table is a GPT, and the signature a GUID.
const GPT: [u8; 2] = [2, 2];

/// A partition as the firmware knows it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootPartitionId {
    /// Its number, from 1.
    pub number: u32,
    /// Its first block, in blocks of the disk.
    pub start: u64,
    /// Its length, in blocks of the disk.
    pub blocks: u64,
    /// Its GUID, as the partition table has it: the first three parts little endian.
    pub guid: [u8; 16],
}

/// What the firmware's menu starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootOption {
    /// What the menu shows.
    pub title: String,
    /// The partition.
    pub partition: BootPartitionId,
    /// The program on it, with slashes and without one before: `EFI/systemd/systemd-bootx64.efi`.
    pub path: String,
}

impl BootOption {
    /// The variable's value.
    ///
    /// # Errors
    /// [`BootError::TooBig`] when the path is longer than a device path may be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BootError> {
        let path = self.device_path()?;
        let len = u16::try_from(path.len()).map_err(|_| too_long(path.len()))?;
        let mut bytes = ACTIVE.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend(utf16(&self.title));
        bytes.extend(path);
        Ok(bytes)
    }

    fn device_path(&self) -> Result<Vec<u8>, BootError> {
        let mut path = HARD_DRIVE.to_vec();
        path.extend(self.partition.number.to_le_bytes());
        path.extend(self.partition.start.to_le_bytes());
        path.extend(self.partition.blocks.to_le_bytes());
        path.extend(self.partition.guid);
        path.extend(GPT);
        let file = utf16(&format!("\\{}", self.path.replace('/', "\\")));
        let len = u16::try_from(file.len() + 4).map_err(|_| too_long(file.len()))?;
        path.extend(FILE);
        path.extend(len.to_le_bytes());
        path.extend(file);
        path.extend(END);
        Ok(path)
    }

    /// Reads a value; `None` when it starts something else than a file on a GPT partition.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (_, rest) = bytes.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let title = text_of(rest);
        let path = rest.get(utf16(&title).len()..)?;
        let path = path.get(..usize::from(u16::from_le_bytes(*len)))?;
        let drive = path.strip_prefix(&HARD_DRIVE)?;
        let (number, drive) = drive.split_first_chunk::<4>()?;
        let (start, drive) = drive.split_first_chunk::<8>()?;
        let (blocks, drive) = drive.split_first_chunk::<8>()?;
        let (guid, drive) = drive.split_first_chunk::<16>()?;
        let file = drive.strip_prefix(&GPT)?.strip_prefix(&FILE)?;
        let (len, file) = file.split_first_chunk::<2>()?;
        let file = text_of(file.get(..usize::from(u16::from_le_bytes(*len)).checked_sub(4)?)?);
        let partition = BootPartitionId {
            number: u32::from_le_bytes(*number),
            start: u64::from_le_bytes(*start),
            blocks: u64::from_le_bytes(*blocks),
            guid: *guid,
        };
        Some(Self { title, partition, path: file.trim_start_matches('\\').replace('\\', "/") })
    }

    /// Whether both start the same program of the same partition. Firmware compares names as FAT does.
    #[must_use]
    pub fn starts_same(&self, other: &Self) -> bool {
        self.partition.guid == other.partition.guid && self.path.eq_ignore_ascii_case(&other.path)
    }
}

fn too_long(size: usize) -> BootError {
    BootError::TooBig {
        what: "device path of a boot variable".into(),
        size: size as u64,
        limit: u64::from(u16::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn option() -> BootOption {
        let guid =
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        let partition = BootPartitionId { number: 1, start: 2048, blocks: 1_048_576, guid };
        BootOption { title: "Linux".into(), partition, path: "EFI/systemd/systemd-bootx64.efi".into() }
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let bytes = option().to_bytes().unwrap();
        let expected = concat!(
            "01000000",
            "7400",
            "4c0069006e0075007800",
            "0000",
            "04012a00",
            "01000000",
            "0008000000000000",
            "0000100000000000",
            "28732ac11ff8d211ba4b00a0c93ec93b",
            "0202",
            "04044600",
            "5c004500460049005c00730079007300740065006d0064005c00",
            "730079007300740065006d0064002d0062006f006f0074007800360034002e006500660069000000",
            "7fff0400",
        );
        let hex: String = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(hex, expected);
        assert_eq!(BootOption::parse(&bytes), Some(option()));
    }

    #[test]
    fn what_starts_something_else_is_told_apart() {
        let mut network = option().to_bytes().unwrap();
        let at = network.windows(4).position(|bytes| bytes == HARD_DRIVE).unwrap();
        network[at] = 3;
        assert_eq!(BootOption::parse(&network), None);
        let upper =
            BootOption { path: "EFI/SYSTEMD/SYSTEMD-BOOTX64.EFI".into(), title: "x".into(), ..option() };
        assert!(option().starts_same(&upper));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = BootOption::parse(&bytes);
        }

        #[test]
        fn a_cut_value_never_panics(cut in 0..200_usize) {
            let bytes = option().to_bytes().unwrap();
            let _ = BootOption::parse(&bytes[..cut.min(bytes.len())]);
        }
    }
}
