//! What a guest wrote to its disk, in order, and what of it a power cut may leave.
//!
//! QEMU's driver `blklogwrites` keeps the log, in the format of Linux' dm-log-writes (include/linux/device-mapper, "log
//! writes" of the kernel's documentation). What was not flushed when the machine was cut off may be lost, each write by
//! itself: disks promise no more.

use std::fs;
use std::path::Path;

/// Bytes of a sector of the log and of the positions in it.
const SECTOR: usize = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// One request of the guest.
pub struct Request {
    /// Bytes from the begin of the disk.
    pub offset: u64,
    flags: u64,
    /// What is written; of a discard, nothing.
    pub data: Vec<u8>,
}

impl Request {
    /// Whether what was written before is safe when this is answered.
    pub const fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }
}

/// All requests of a run.
pub struct WriteLog {
    requests: Vec<Request>,
}

/// What became of the writes that no flush covered.
#[derive(Debug, Default)]
pub struct Loss {
    pub durable: usize,
    pub landed: usize,
    pub lost: usize,
}

impl WriteLog {
    /// How many requests a log has so far, of which `known` were counted before: as many, and where the next one will be.
    pub fn count(path: &Path, known: (usize, u64)) -> (usize, u64) {
        use std::os::unix::fs::FileExt;
        let file = fs::File::open(path).expect("the log of writes");
        let (mut requests, mut at) = (known.0, known.1.max(SECTOR as u64));
        let mut head = [0; 24];
        while file.read_exact_at(&mut head, at).is_ok() && head != [0; 24] {
            let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight"));
            let data = if word(16) & DISCARD == 0 { word(8) } else { 0 };
            at += SECTOR as u64 * (1 + data);
            requests += 1;
        }
        (requests, at)
    }

    /// Reads a log up to where it ends or was cut off.
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("the log of writes");
        let word =
            |at: usize| bytes.get(at..at + 8).map(|word| u64::from_le_bytes(word.try_into().expect("eight")));
        assert_eq!(word(0), Some(MAGIC), "{} is no log of writes", path.display());
        let mut requests = Vec::new();
        let mut at = SECTOR;
        while let (Some(sector), Some(sectors), Some(flags)) = (word(at), word(at + 8), word(at + 16)) {
            let sectors_of_data = if flags & DISCARD == 0 { sectors } else { 0 };
            let length = usize::try_from(sectors_of_data).expect("a length") * SECTOR;
            let Some(data) = bytes.get(at + SECTOR..at + SECTOR + length) else { break };
            if sector == 0 && sectors == 0 && flags == 0 {
                break; // never written
            }
            requests.push(Request { offset: sector * SECTOR as u64, flags, data: data.to_vec() });
            at += SECTOR + length;
        }
        Self { requests }
    }

    /// All of it, in order.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Writes to `disk`, which has to be as it was before the run, what a cut at the end of the log leaves: all that was
    /// flushed, and of the rest what `lands` says.
    pub fn replay(&self, disk: &Path, mut lands: impl FnMut() -> bool) -> Loss {
        use std::os::unix::fs::FileExt;
        let file = fs::File::options().write(true).open(disk).expect("the disk");
        let flushed = self.requests.iter().rposition(|request| request.flags & FLUSH != 0).unwrap_or(0);
        let mut loss = Loss::default();
        for (position, request) in self.requests.iter().enumerate() {
            // A discard promises nothing of what is read later.
            if request.data.is_empty() || request.flags & DISCARD != 0 {
                continue;
            }
            if position < flushed || request.flags & FUA != 0 {
                loss.durable += 1;
            } else if lands() {
                loss.landed += 1;
            } else {
                loss.lost += 1;
                continue;
            }
            file.write_all_at(&request.data, request.offset).expect("a write");
        }
        loss
    }
}
