//! The ESP: a FAT32 file system made of a staged folder.
//!
//! What lives here: the walk and the measures. What does not: FAT, which the crate `fatfs` writes: mkfs.vfat and mtools would
//! be two more programs on each machine that makes a disk, and set times of their own. Invariant: equal folders and ids give
//! equal bytes; all times are 1980-01-01, the first that FAT knows.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use sealstone_store::{
    Control, Error,
    disk::{Dir, File, FileType},
};

use super::layout::Span;
use crate::DeployError;

/// The size of a cluster: a boot entry has to fit one.
const CLUSTER: u32 = 4096;

/// How much is copied at a time.
const CHUNK: usize = 1 << 20;

/// The volume's name, padded.
const LABEL: [u8; 11] = *b"ESP        ";

/// Writes a FAT32 with all that is in `folder` to a part of a file.
///
/// # Errors
/// [`Error::NoSpace`] when it does not fit, and the disk's.
pub(super) fn write(
    (file, span): (&File, Span),
    folder: &Dir,
    (volume, sector): (u32, u32),
    control: &Control,
) -> Result<(), DeployError> {
    let failed = |error: io::Error| -> DeployError {
        if error.kind() == io::ErrorKind::WriteZero || error.to_string().contains("space") {
            return Error::NoSpace { op: "write the boot partition of", path: file.label().to_owned() }
                .into();
        }
        Error::Io { op: "write the boot partition of", path: file.label().to_owned(), source: error }.into()
    };
    let mut part = Part { file, span, at: 0 };
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_sector(u16::try_from(sector).unwrap_or(512))
        .bytes_per_cluster(CLUSTER)
        .volume_id(volume)
        .volume_label(LABEL);
    fatfs::format_volume(&mut part, options).map_err(failed)?;
    part.at = 0;
    let fat = FileSystem::new(part, FsOptions::new()).map_err(failed)?;
    let mut open = vec![(folder.clone(), String::new())];
    while let Some((from, path)) = open.pop() {
        let mut names = from.read_dir()?;
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for entry in names {
            control.check().map_err(|_| Error::Cancelled)?;
            let name = entry.name.to_string_lossy();
            let path = format!("{path}/{name}");
            if entry.kind == FileType::Directory {
                fat.root_dir().create_dir(&path).map_err(failed)?;
                open.push((from.open_dir(&entry.name)?, path));
                continue;
            }
            let source = from.open_file(&entry.name)?;
            let mut target = fat.root_dir().create_file(&path).map_err(failed)?;
            copy(&source, |piece| target.write_all(piece).map_err(failed))?;
            target.flush().map_err(failed)?;
        }
    }
    fat.unmount().map_err(failed)
}

/// The bytes of the files in a folder, in whole clusters, folders too.
pub(super) fn measure(folder: &Dir) -> Result<u64, DeployError> {
    let mut bytes = 0;
    let mut open = vec![folder.clone()];
    while let Some(dir) = open.pop() {
        bytes += u64::from(CLUSTER);
        for entry in dir.read_dir()? {
            if entry.kind == FileType::Directory {
                open.push(dir.open_dir(&entry.name)?);
            } else {
                bytes += dir.metadata(&entry.name)?.size.next_multiple_of(CLUSTER.into());
            }
        }
    }
    Ok(bytes)
}

fn copy(from: &File, mut to: impl FnMut(&[u8]) -> Result<(), DeployError>) -> Result<(), DeployError> {
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let count = from.read_at(done, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to(buffer.get(..count).unwrap_or_default())?;
        done += count as u64;
    }
}

/// A part of a file with a position, as `fatfs` wants it.
struct Part<'a> {
    file: &'a File,
    span: Span,
    at: u64,
}

impl Part<'_> {
    fn room(&self, len: usize) -> usize {
        usize::try_from(self.span.size.saturating_sub(self.at)).unwrap_or(usize::MAX).min(len)
    }
}

fn errno(error: &Error) -> io::Error {
    error.errno().map_or_else(|| io::Error::other(error.to_string()), Into::into)
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len());
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        let count = self.file.read_at(self.span.start + self.at, buffer).map_err(|error| errno(&error))?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Part<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..self.room(bytes.len())).unwrap_or_default();
        self.file.write_all_at(self.span.start + self.at, bytes).map_err(|error| errno(&error))?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Part<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.span.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
