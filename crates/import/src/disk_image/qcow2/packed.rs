//! [`Unpacker`]: one compressed cluster, whole, into a cluster of the disk.

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::header::Packing;

/// The widest window of a zstd frame: 2^23 bytes, more than any cluster has.
const WINDOW_LOG: u32 = 23;

/// Decoders, made when they are needed and used again.
pub(super) struct Unpacker {
    packing: Packing,
    room: Vec<u8>,
    deflate: Option<Decompress>,
    zstd: Option<Decoder<'static>>,
}

impl Unpacker {
    pub(super) fn new(packing: Packing, cluster: usize) -> Self {
        Self { packing, room: vec![0; cluster], deflate: None, zstd: None }
    }

    /// The cluster, which has to be whole; what follows its packed bytes is padding.
    pub(super) fn unpack(&mut self, packed: &[u8]) -> Result<&[u8], String> {
        let made = match self.packing {
            Packing::Deflate => self.inflate(packed)?,
            Packing::Zstd => self.unpack_zstd(packed)?,
        };
        let all = self.room.len();
        if made == all {
            Ok(&self.room)
        } else {
            Err(format!("a compressed cluster has {made} bytes, and not {all}"))
        }
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<usize, String> {
        // Without a header. QEMU's window is of 4 KiB, a wider one reads it as well.
        let decoder = self.deflate.get_or_insert_with(|| Decompress::new(false));
        decoder.reset(false);
        let done = decoder.decompress(packed, &mut self.room, FlushDecompress::Finish);
        done.map_err(|error| format!("a compressed cluster is damaged: {error}"))?;
        Ok(usize::try_from(decoder.total_out()).unwrap_or(usize::MAX))
    }

    fn unpack_zstd(&mut self, packed: &[u8]) -> Result<usize, String> {
        let damaged = |error: std::io::Error| format!("a compressed cluster is damaged: {error}");
        if self.zstd.is_none() {
            let mut decoder = Decoder::new().map_err(damaged)?;
            decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(damaged)?;
            self.zstd = Some(decoder);
        }
        let Some(decoder) = &mut self.zstd else { return Ok(0) };
        decoder.reinit().map_err(damaged)?;
        let mut from = InBuffer::around(packed);
        let mut to = OutBuffer::around(&mut self.room);
        loop {
            let before = (from.pos(), to.pos());
            let hint = decoder.run(&mut from, &mut to).map_err(damaged)?;
            if hint == 0 || (from.pos(), to.pos()) == before {
                return Ok(to.pos());
            }
        }
    }
}
