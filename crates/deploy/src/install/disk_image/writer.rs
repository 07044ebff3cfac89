//! [`DiskWriter`]: bytes onto a disk in any order, the first mebibyte last.

use sealstone_import::{ImportError, artifact::PartialFile, disk_image::DiskSink};
use sealstone_store::{Control, disk::File};

/// How much waits, in bytes.
pub(super) const HEAD: usize = 1 << 20;

/// Where a second partition table may be, from the end of a disk, in bytes.
const TAIL: u64 = 1 << 20;

/// Zeros that are asked for at a time, so that a cancel is heard.
const ZEROS: u64 = 1 << 30;

/// What is written to.
#[derive(Debug)]
pub(super) enum Place {
    /// A device that nobody else uses.
    Device { device: File, bytes: u64 },
    /// A file that is new and has no name of its own yet: what is not written is a hole.
    File(PartialFile),
}

/// A disk on its way.
pub(super) struct DiskWriter {
    place: Place,
    control: Control,
    head: Vec<u8>,
    is_begun: bool,
    /// How far the disk goes, as far as it was told or written.
    len: u64,
    written: u64,
}

impl DiskWriter {
    pub(super) fn new(place: Place, control: &Control) -> Self {
        Self { place, control: control.clone(), head: vec![0; HEAD], is_begun: false, len: 0, written: 0 }
    }

    /// The bytes that wait: partition table, boot code.
    pub(super) fn head(&mut self) -> &mut [u8] {
        &mut self.head
    }

    /// Bytes of the whole disk; a file is as long as its image.
    pub(super) fn disk_bytes(&self) -> u64 {
        match &self.place {
            Place::Device { bytes, .. } => *bytes,
            Place::File(_) => self.len,
        }
    }

    /// Lets a file be longer than its image, to have room for more behind it. A device is as long as it is.
    pub(super) fn make_room(&mut self, bytes: u64) {
        if matches!(self.place, Place::File(_)) {
            self.len = self.len.next_multiple_of(HEAD as u64) + bytes.next_multiple_of(HEAD as u64) + TAIL;
        }
    }

    /// Bytes that were written, zeros aside.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// All is right: makes it durable, and then lets it be started. What belongs at its end goes before.
    pub(super) fn finish(&mut self, tail: Option<(u64, &[u8])>) -> Result<(), ImportError> {
        self.begin()?;
        if let Some((offset, bytes)) = tail {
            self.file().write_all_at(offset, bytes)?;
        }
        // D1: content before what names it.
        self.file().sync()?;
        let head = self.head.get(..usize::try_from(self.len).unwrap_or(HEAD).min(HEAD)).unwrap_or(&self.head);
        self.file().write_all_at(0, head)?;
        match &self.place {
            Place::Device { device, .. } => Ok(device.sync()?),
            Place::File(partial) => partial.publish(self.len),
        }
    }

    /// It does not come to an end: a file goes, a device stays without a table.
    pub(super) fn discard(&self) {
        if let Place::File(partial) = &self.place {
            partial.discard();
        }
    }

    const fn file(&self) -> &File {
        match &self.place {
            Place::Device { device, .. } => device,
            Place::File(partial) => partial.file(),
        }
    }

    /// Takes away what made the device start before, at both of its ends.
    fn begin(&mut self) -> Result<(), ImportError> {
        if self.is_begun {
            return Ok(());
        }
        self.is_begun = true;
        if let Place::Device { device, bytes } = &self.place {
            let head = (HEAD as u64).min(*bytes);
            device.write_all_at(
                0,
                self.head.get(..usize::try_from(head).unwrap_or(HEAD)).unwrap_or_default(),
            )?;
            let tail = bytes.saturating_sub(TAIL).max(head);
            zero(device, tail, bytes - tail)?;
            // D1: gone before anything else changes.
            device.sync()?;
        }
        Ok(())
    }

    /// Keeps what belongs to the head; gives the rest.
    fn split<'a>(&mut self, offset: u64, bytes: &'a [u8]) -> (u64, &'a [u8]) {
        let Some(at) = usize::try_from(offset).ok().filter(|at| *at < HEAD) else { return (offset, bytes) };
        let count = bytes.len().min(HEAD - at);
        let (waits, goes) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        if let Some(place) = self.head.get_mut(at..at + waits.len()) {
            place.copy_from_slice(waits);
        }
        (offset + waits.len() as u64, goes)
    }

    /// Refuses what does not fit.
    fn reach(&mut self, end: u64) -> Result<(), ImportError> {
        if let Place::Device { device, bytes } = &self.place
            && end > *bytes
        {
            let place = device.label().display().to_string();
            return Err(ImportError::NoSpace { place, unit: "bytes", needed: end, free: *bytes, reserve: 0 });
        }
        self.len = self.len.max(end);
        Ok(())
    }
}

impl DiskSink for DiskWriter {
    fn size(&mut self, bytes: u64) -> Result<(), ImportError> {
        self.reach(bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImportError> {
        self.reach(offset.saturating_add(bytes.len() as u64))?;
        self.begin()?;
        self.written += bytes.len() as u64;
        let (offset, goes) = self.split(offset, bytes);
        Ok(self.file().write_all_at(offset, goes)?)
    }

    fn zero(&mut self, offset: u64, bytes: u64) -> Result<(), ImportError> {
        let end = offset.saturating_add(bytes);
        self.reach(end)?;
        self.begin()?;
        if matches!(self.place, Place::File(_)) {
            return Ok(());
        }
        // The head is zeros until somebody writes to it, and nothing is told twice.
        let mut at = offset.max(HEAD as u64);
        while at < end {
            self.control.check()?;
            let len = ZEROS.min(end - at);
            zero(self.file(), at, len)?;
            at += len;
        }
        Ok(())
    }
}

/// Makes bytes zeros by the best way that there is.
fn zero(device: &File, offset: u64, len: u64) -> Result<(), ImportError> {
    const PIECE: u64 = 1 << 20;
    if len == 0 {
        return Ok(());
    }
    // Short runs are written: each request of its own costs more. What is no multiple of a sector cannot be asked for.
    let is_asked = len >= PIECE && offset.is_multiple_of(4096) && len.is_multiple_of(4096);
    if is_asked {
        match device.zero_range(offset, len) {
            Err(error)
                if matches!(error.errno(), Some(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL)) => {
            }
            other => return Ok(other?),
        }
    }
    let zeros = vec![0; usize::try_from(len.min(PIECE)).unwrap_or_default()];
    let mut at = offset;
    while at < offset + len {
        let count = usize::try_from((offset + len - at).min(PIECE)).unwrap_or_default();
        device.write_all_at(at, zeros.get(..count).unwrap_or_default())?;
        at += count as u64;
    }
    Ok(())
}
