//! [`Qcow2`]: a qcow2 image read as a stream (QEMU, docs/interop/qcow2.txt).
//!
//! ```text
//! header → first table → second tables → clusters
//! ```
//!
//! Each names the places of the next; what is named waits among the [`Pieces`] until it comes. QEMU mostly writes tables
//! before what they name, so bytes go to the disk as they pass. What passed unnamed while tables are still missing goes to
//! the [`Spool`], and is found there when its table comes; when all tables came, nothing is kept any more.
//!
//! Invariants: each entry of a table is looked at once, so the work is bounded by the size of the disk; reference counts,
//! snapshots and bitmaps are not looked at.

mod header;
mod packed;
mod pieces;
mod spool;
mod table;
mod window;

use header::{HEADER, Header};
use packed::Unpacker;
use pieces::{Kind, MOST_PIECES, Piece, Pieces};
use spool::Spool;
use window::Window;

use super::{DecodeDisk, DiskSink, runs};
use crate::error::{ImportError, Result};

/// Clusters that are kept although they have passed.
const KEPT_CLUSTERS: u64 = 3;

/// The least that is kept, in bytes.
const KEPT_BYTES: u64 = 512 << 10;

/// A piece of the disk that is taken from the spool at a time.
const COPY: u64 = 1 << 20;

/// See the module.
pub(super) struct Qcow2 {
    name: String,
    disk_bytes: u64,
    window: Window,
    spool: Spool,
    read: Option<Read>,
}

/// What is known once the header came.
struct Read {
    header: Header,
    pieces: Pieces,
    unpacker: Unpacker,
    has_first: bool,
}

impl Qcow2 {
    pub(super) fn new(name: &str, options: &DecodeDisk) -> Self {
        Self {
            name: name.to_owned(),
            disk_bytes: options.disk_bytes,
            window: Window::new(),
            spool: Spool::new(options.spool.clone(), options.spool_bytes),
            read: None,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8], sink: &mut dyn DiskSink) -> Result<()> {
        self.window.push(bytes);
        if self.read.is_none() {
            if self.window.end() < HEADER as u64 {
                return Ok(());
            }
            self.begin(sink)?;
        }
        self.work(sink, false)?;
        self.let_go()
    }

    /// Gives the size of the disk.
    pub(super) fn finish(&mut self, sink: &mut dyn DiskSink) -> Result<u64> {
        if self.read.is_none() {
            self.begin(sink)?;
        }
        self.work(sink, true)?;
        let missing = self.read.as_ref().and_then(|read| read.pieces.next_start());
        if let Some(start) = missing {
            let reason = format!("it ends at {}, and has something at {start}", self.window.end());
            return Err(ImportError::malformed(&self.name, reason));
        }
        Ok(self.read.as_ref().map_or(0, |read| read.header.disk_bytes))
    }

    fn begin(&mut self, sink: &mut dyn DiskSink) -> Result<()> {
        let end = self.window.end().min(HEADER as u64);
        let bytes = self.window.get(0..end).unwrap_or_default();
        let header = Header::parse(&self.name, bytes, self.disk_bytes)?;
        sink.size(header.disk_bytes)?;
        // What no table names is zeros.
        sink.zero(0, header.disk_bytes)?;
        // A header is a cluster at most, and has nothing of the disk; nor have the reference counts.
        self.window.mark_used(0..header.cluster());
        self.window.mark_used(header.refcounts.clone());
        let mut pieces = Pieces::default();
        if header.l1_entries > 0 {
            pieces.add(Piece { start: header.l1_offset, len: header.l1_entries * 8, kind: Kind::First });
        }
        let cluster = usize::try_from(header.cluster()).unwrap_or_default();
        let unpacker = Unpacker::new(header.packing, cluster);
        self.read = Some(Read { header, pieces, unpacker, has_first: false });
        Ok(())
    }

    /// Uses all that came and is named. A compressed cluster may be counted in sectors that an image has not to its end.
    fn work(&mut self, sink: &mut dyn DiskSink, is_end: bool) -> Result<()> {
        let Some(read) = &mut self.read else { return Ok(()) };
        loop {
            let end = self.window.end();
            let ready = |piece: &Piece| match piece.kind {
                Kind::Data(_) => piece.start < end,
                Kind::Packed(_) if is_end => piece.start < end,
                _ => piece.end() <= end,
            };
            let Some(mut piece) = read.pieces.take_if(ready) else { return Ok(()) };
            if let Kind::Data(guest) = piece.kind {
                // As much as there is, and from the spool not too much at a time.
                let stop = if piece.start < self.window.base() {
                    self.window.base().min(piece.start + COPY)
                } else {
                    end
                };
                let now = piece.len.min(stop - piece.start);
                let rest = Piece {
                    start: piece.start + now,
                    len: piece.len - now,
                    kind: Kind::Data(guest.saturating_add(now)),
                };
                if rest.len > 0 {
                    read.pieces.add(rest);
                }
                piece.len = now;
            }
            piece.len = piece.len.min(end - piece.start);
            let late = late(&self.name, &self.window, &self.spool, &piece)?;
            let bytes =
                late.as_deref().or_else(|| self.window.get(piece.start..piece.end())).unwrap_or_default();
            read.use_piece(&self.name, &piece, bytes, sink)?;
            if late.is_none() {
                self.window.mark_used(piece.start..piece.end());
            }
        }
    }

    /// Keeps a little of what passed; the rest goes to the spool, as far as it may be needed.
    fn let_go(&mut self) -> Result<()> {
        let Some(read) = &self.read else { return Ok(()) };
        let keep = (read.header.cluster() * KEPT_CLUSTERS).max(KEPT_BYTES);
        let mut to = self.window.end().saturating_sub(keep);
        // What has come in part and waits for its rest stays.
        if let Some(start) = read.pieces.next_start() {
            to = to.min(start);
        }
        // Cutting the front off costs as much as is left.
        if to < self.window.base() + keep {
            return Ok(());
        }
        let (spool, may_grow, has_first) = (&mut self.spool, read.pieces.may_grow(), read.has_first);
        self.window.let_go(to, |offset, bytes| if may_grow { spool.put(offset, bytes) } else { Ok(()) })?;
        // Before the first table everything may be data: go no further if some of it is lost.
        if !has_first && spool.has_dropped() { Err(too_late(&self.name)) } else { Ok(()) }
    }
}

impl Read {
    fn use_piece(&mut self, name: &str, piece: &Piece, bytes: &[u8], sink: &mut dyn DiskSink) -> Result<()> {
        let malformed = |reason: String| ImportError::malformed(name, reason);
        match piece.kind {
            Kind::First => self.first(name, bytes),
            Kind::Second(number) => self.second(name, number, bytes),
            Kind::Data(guest) => write(sink, guest, bytes),
            Kind::Packed(guest) => {
                let left =
                    usize::try_from(self.header.disk_bytes.saturating_sub(guest)).unwrap_or(usize::MAX);
                let cluster = self.unpacker.unpack(bytes).map_err(malformed)?;
                write(sink, guest, cluster.get(..left).unwrap_or(cluster))
            }
        }
    }

    fn first(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.has_first = true;
        let cluster = self.header.cluster();
        for (number, entry) in (0..).zip(table::entries(bytes)) {
            let found = table::second_table(&self.header, entry);
            if let Some(start) = found.map_err(|reason| ImportError::malformed(name, reason))? {
                self.add(name, Piece { start, len: cluster, kind: Kind::Second(number) })?;
            }
        }
        Ok(())
    }

    fn second(&mut self, name: &str, number: u32, bytes: &[u8]) -> Result<()> {
        let cluster = self.header.cluster();
        let first = u64::from(number) * self.header.l2_entries() * cluster;
        let mut run: Option<Piece> = None;
        for (guest, entry) in (0..).map(|at: u64| first + at * cluster).zip(table::entries(bytes)) {
            if guest >= self.header.disk_bytes {
                break;
            }
            let found = table::cluster(&self.header, entry, guest);
            let Some(next) = found.map_err(|reason| ImportError::malformed(name, reason))? else { continue };
            match &mut run {
                Some(run) if table::goes_on(run, &next) => run.len += next.len,
                _ => {
                    if let Some(run) = run.replace(next) {
                        self.add(name, run)?;
                    }
                }
            }
        }
        run.map_or(Ok(()), |run| self.add(name, run))
    }

    fn add(&mut self, name: &str, piece: Piece) -> Result<()> {
        if self.pieces.add(piece) {
            return Ok(());
        }
        let what = format!("{name} (clusters out of order)");
        Err(ImportError::TooBig { what, limit: MOST_PIECES as u64 })
    }
}

/// The disk is zeros already.
fn write(sink: &mut dyn DiskSink, guest: u64, bytes: &[u8]) -> Result<()> {
    for (offset, run, is_hole) in runs(guest, bytes) {
        if !is_hole {
            sink.write(offset, run)?;
        }
    }
    Ok(())
}

/// The bytes of a piece that began before what the window has, if it did.
fn late(name: &str, window: &Window, spool: &Spool, piece: &Piece) -> Result<Option<Vec<u8>>> {
    let Some(passed) = window.base().checked_sub(piece.start).filter(|passed| *passed > 0) else {
        return Ok(None);
    };
    let mut bytes = vec![0; usize::try_from(piece.len).unwrap_or_default()];
    let passed = usize::try_from(passed.min(piece.len)).unwrap_or_default();
    let (before, here) = bytes.split_at_mut(passed);
    if !spool.get(piece.start, before)? {
        return Err(too_late(name));
    }
    if !here.is_empty() {
        here.copy_from_slice(window.get(window.base()..piece.end()).unwrap_or_default());
    }
    Ok(Some(bytes))
}

fn too_late(name: &str) -> ImportError {
    let reason = "its tables follow its data, by more than the spool may hold: convert it with `qemu-img convert`, or let \
                  the spool be larger";
    ImportError::unsupported(name, reason)
}
