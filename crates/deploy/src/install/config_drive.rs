//! [`ConfigDrive`]: what `OpenStack` gives a machine to read at its first boot: a partition labelled `config-2`.
//!
//! What lives here: the forms that it comes in (an ISO 9660 or FAT image; the same, gzip and base64, as Ironic hands it on;
//! a folder), and their bytes. What does not: the partition table. Bytes go as a stream, and are the same for the same
//! input. Source: Nova of `OpenStack`, "config drives"; Ironic's `partition_utils.py`.

use std::{path::Path, sync::Arc};

use sealstone_import::{
    decode_base64,
    decompress::{DecodeLimits, Decoder, WindowGate},
};
use sealstone_store::disk::{Disk, File};

use super::iso9660::IsoFolder;
use crate::DeployError;

/// The label of the file system, and the name of its partition.
pub const CONFIG_DRIVE: &str = "config-2";

/// The most bytes of one: 64 MiB, Ironic's limit.
pub const CONFIG_DRIVE_BYTES: u64 = 64 << 20;

/// Bytes that are read and made at a time; a multiple of four, for base64.
const PIECE: usize = 64 << 10;

/// What is looked at to tell whether it is one: the volume descriptor of an ISO 9660 begins at 32 KiB.
const LOOKED_AT: usize = 34 << 10;

/// A config drive that was looked at: its size is known, and that it is one.
#[derive(Debug)]
pub struct ConfigDrive {
    form: Form,
    bytes: u64,
}

#[derive(Debug)]
enum Form {
    /// A file system, as it lies.
    Image(File),
    /// gzip of one, in base64.
    Encoded(File),
    Folder(IsoFolder),
}

impl ConfigDrive {
    /// Takes a file with an ISO 9660 or FAT file system labelled `config-2`, or with gzip and base64 of one; or a folder, of
    /// which an ISO 9660 is made.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when it is none of these, damaged, or larger than 64 MiB.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, DeployError> {
        if let Some(folder) = IsoFolder::read(disk, path, CONFIG_DRIVE)? {
            return Self::checked(Form::Folder(folder), path);
        }
        let mut start = vec![0; LOOKED_AT];
        let file = File::open(disk, path)?;
        let count = file.read_at(0, &mut start)?;
        let form = if is_labelled(start.get(..count).unwrap_or_default()) {
            Form::Image(file)
        } else {
            Form::Encoded(file)
        };
        Self::checked(form, path)
    }

    /// Its bytes, a multiple of 512.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives its bytes in order.
    ///
    /// # Errors
    /// When it cannot be read, or is no longer what it was; and those of `write`.
    pub fn stream(&self, mut write: impl FnMut(&[u8]) -> Result<(), DeployError>) -> Result<(), DeployError> {
        let mut left = self.bytes;
        let mut pass = |bytes: &[u8]| {
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| invalid("", "it changed while it was read"))?;
            write(bytes)
        };
        self.form.stream(&mut pass)?;
        // A partition ends with a sector.
        let padding = usize::try_from(left).ok().and_then(|left| [0; 511].get(..left).map(<[u8]>::to_vec));
        write(&padding.ok_or_else(|| invalid("", "it changed while it was read"))?)
    }

    /// Reads it once, to know.
    fn checked(form: Form, path: &Path) -> Result<Self, DeployError> {
        let (mut bytes, mut start) = (0, Vec::new());
        form.stream(&mut |piece: &[u8]| {
            bytes += piece.len() as u64;
            let room = LOOKED_AT.saturating_sub(start.len()).min(piece.len());
            start.extend_from_slice(piece.get(..room).unwrap_or_default());
            if bytes > CONFIG_DRIVE_BYTES {
                let (what, limit) = ("config drive".to_owned(), CONFIG_DRIVE_BYTES);
                return Err(DeployError::TooBig { what, size: bytes, limit });
            }
            Ok(())
        })?;
        if !is_labelled(&start) {
            let reason = "it is no folder, no ISO 9660 or FAT file system labelled config-2, and no gzip and base64 of one";
            return Err(invalid(&path.display().to_string(), reason));
        }
        Ok(Self { form, bytes: bytes.next_multiple_of(512) })
    }
}

impl Form {
    fn stream(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), DeployError>) -> Result<(), DeployError> {
        match self {
            Self::Image(file) => pieces(file, write),
            Self::Encoded(file) => decode(file, write),
            Self::Folder(folder) => folder.stream(write),
        }
    }
}

fn pieces(file: &File, take: &mut dyn FnMut(&[u8]) -> Result<(), DeployError>) -> Result<(), DeployError> {
    let (mut at, mut piece) = (0, vec![0; PIECE]);
    loop {
        match file.read_at(at, &mut piece)? {
            0 => return Ok(()),
            count => {
                take(piece.get(..count).unwrap_or_default())?;
                at += count as u64;
            }
        }
    }
}

/// base64, with or without line breaks, of gzip.
fn decode(file: &File, write: &mut dyn FnMut(&[u8]) -> Result<(), DeployError>) -> Result<(), DeployError> {
    let label = file.label().display().to_string();
    let mut decoder = Decoder::new(DecodeLimits::default(), WindowGate::default());
    let (mut letters, mut room) = (Vec::with_capacity(PIECE), vec![0; PIECE]);
    let mut unpack = |packed: &[u8]| -> Result<(), DeployError> {
        let mut packed = packed;
        loop {
            let step = decoder.step(packed, &mut room).map_err(|error| invalid(&label, error.to_string()))?;
            packed = packed.get(step.consumed..).unwrap_or_default();
            if step.consumed == 0 && step.produced == 0 {
                return Ok(());
            }
            write(room.get(..step.produced).unwrap_or_default())?;
        }
    };
    let mut take = |letters: &[u8]| -> Result<(), DeployError> {
        let mut packed = Vec::with_capacity(letters.len());
        let wrong = || invalid(&label, "it is not base64");
        decode_base64(letters, &mut packed).ok_or_else(wrong)?;
        unpack(&packed)
    };
    pieces(file, &mut |piece| {
        letters.extend(piece.iter().filter(|letter| !letter.is_ascii_whitespace()));
        // Groups of four letters are decoded by themselves; what may end with padding waits.
        let whole = letters.len().saturating_sub(1) / 4 * 4;
        if whole >= PIECE / 2 {
            let rest = letters.split_off(whole);
            take(&std::mem::replace(&mut letters, rest))?;
        }
        Ok(())
    })?;
    take(&letters)?;
    decoder.finish().map_err(|error| invalid(&file.label().display().to_string(), error.to_string()))
}

/// Whether these are the first bytes of a file system with the label: ISO 9660 (ECMA-119 8.4), or FAT in its two places.
fn is_labelled(start: &[u8]) -> bool {
    let text = |at: usize, len: usize| {
        let text = start.get(at..at + len).unwrap_or_default();
        text.trim_ascii_end().eq_ignore_ascii_case(CONFIG_DRIVE.as_bytes())
    };
    let is_iso = start.get(32_769..32_774) == Some(b"CD001") && text(32_808, 32);
    let is_fat = start.get(510..512) == Some(&[0x55, 0xaa]) && (text(0x2b, 11) || text(0x47, 11));
    is_iso || is_fat
}

fn invalid(text: &str, reason: impl Into<String>) -> DeployError {
    DeployError::Invalid { what: "config drive", text: text.to_owned(), reason: reason.into() }
}
