//! Images of whole disks, as they come through a stream: [`DiskDecoder`] says which bytes go where on the disk.
//!
//! What lives here: what format the bytes have, raw disks, and qcow2. What never does: the disk itself, which is
//! a [`DiskSink`] of the caller's, and what a partition table is.
//!
//! Invariants: nothing is read twice from the source; memory is bounded whatever the image says; the one thing that is
//! kept on a disk is the spool of a qcow2 image whose tables follow its data, and that is bounded too; every byte of the
//! disk is told once at most, besides zeros.

mod format;
mod qcow2;
mod raw;
mod zeros;

use sealstone_store::disk::Dir;

use crate::error::{ImportError, Result};
pub use format::DiskFormat;
use qcow2::Qcow2;
use raw::Raw;
pub(crate) use zeros::runs;

/// Where the bytes of a disk go.
pub trait DiskSink {
    /// The disk has this many bytes. Told before anything is written, if the image says it first, as qcow2 does; a raw image
    /// is as long as it turns out to be.
    ///
    /// # Errors
    /// When there is no room for it.
    fn size(&mut self, bytes: u64) -> Result<()>;

    /// These bytes are there, in any order.
    ///
    /// # Errors
    /// When they cannot be written.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// So many bytes are zeros.
    ///
    /// # Errors
    /// When they cannot be written.
    fn zero(&mut self, offset: u64, bytes: u64) -> Result<()>;
}

/// The bounds of a decoder. Start from [`DecodeDisk::default`] and change what you must.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecodeDisk {
    /// What the image is; what its first bytes say if nobody said.
    pub format: Option<DiskFormat>,
    /// The most bytes that the disk may have: 16 TiB.
    pub disk_bytes: u64,
    /// The folder for the spool of a qcow2 image whose tables follow its data: a file without a name, made when it is
    /// needed. Without one, such images are refused unless the way back is short.
    pub spool: Option<Dir>,
    /// The most bytes that the spool may take: 256 MiB.
    pub spool_bytes: u64,
}

impl Default for DecodeDisk {
    fn default() -> Self {
        Self { format: None, disk_bytes: 16 << 40, spool: None, spool_bytes: 256 << 20 }
    }
}

/// Takes the bytes of a disk image in order, and gives those of the disk.
pub struct DiskDecoder {
    name: String,
    options: DecodeDisk,
    state: State,
}

enum State {
    /// So few bytes came that nothing can be said.
    Start(Vec<u8>),
    Raw(Raw),
    Qcow2(Box<Qcow2>),
}

impl DiskDecoder {
    /// A decoder for the image called `name` in errors.
    #[must_use]
    pub fn new(name: impl Into<String>, options: DecodeDisk) -> Self {
        Self { name: name.into(), options, state: State::Start(Vec::new()) }
    }

    /// The format; known after the first bytes.
    #[must_use]
    pub const fn format(&self) -> Option<DiskFormat> {
        match self.state {
            State::Start(_) => None,
            State::Raw(_) => Some(DiskFormat::Raw),
            State::Qcow2(_) => Some(DiskFormat::Qcow2),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ImportError::Malformed`] and [`ImportError::Unsupported`] when the image is not what we read,
    /// [`ImportError::TooBig`] when it passes a bound; and those of the sink.
    pub fn take(&mut self, bytes: &[u8], sink: &mut dyn DiskSink) -> Result<()> {
        match &mut self.state {
            State::Start(held) => {
                held.extend_from_slice(bytes);
                if held.len() < DiskFormat::MAGIC.len() {
                    return Ok(());
                }
                let held = std::mem::take(held);
                self.begin(&held)?;
                self.take(&held, sink)
            }
            State::Raw(raw) => raw.take(bytes, sink),
            State::Qcow2(qcow2) => qcow2.take(bytes, sink),
        }
    }

    /// Says that all bytes came; gives how many the disk has.
    ///
    /// # Errors
    /// [`ImportError::Malformed`] when something is missing; and those of the sink.
    pub fn finish(&mut self, sink: &mut dyn DiskSink) -> Result<u64> {
        if let State::Start(held) = &mut self.state {
            let held = std::mem::take(held);
            self.begin(&held)?;
            self.take(&held, sink)?;
        }
        match &mut self.state {
            State::Start(_) => Ok(0),
            State::Raw(raw) => Ok(raw.len()),
            State::Qcow2(qcow2) => qcow2.finish(sink),
        }
    }

    /// Chooses, by the first bytes and by what was said.
    fn begin(&mut self, start: &[u8]) -> Result<()> {
        let found = DiskFormat::detect(start);
        let stated = self.options.format.unwrap_or(found);
        if stated != found {
            let reason = format!("it is said to be {stated}, and its bytes are {found}");
            return Err(ImportError::malformed(&self.name, reason));
        }
        self.state = match found {
            DiskFormat::Raw => State::Raw(Raw::new(&self.name, self.options.disk_bytes)),
            DiskFormat::Qcow2 => State::Qcow2(Box::new(Qcow2::new(&self.name, &self.options))),
        };
        Ok(())
    }
}

impl std::fmt::Debug for DiskDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskDecoder")
            .field("name", &self.name)
            .field("format", &self.format())
            .finish_non_exhaustive()
    }
}
