//! Splitstreams, version 0: a file (a tar, most often) cut into bytes kept inline and objects named by their ids.
//!
//! What lives here: the format of composefs, written and read, with bounded memory; the bytes that were cut up come
//! back exactly. What does not: what the bytes mean.
//!
//! A file is a header of 32 bytes, an info block, and four sections wherever the info block says (all integers little
//! endian): ids of other streams, ids of objects, the names of references to streams (zstd), and the stream (zstd).
//! The stream is a sequence of chunks, each led by an `i64`: negative, that many bytes follow; otherwise it is the
//! number of an object. A splitstream's own digest depends on the version of zstd, so it is never an identity.

mod header;
mod reader;
mod spool;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{Piece, SplitStreamReader};
pub use writer::SplitStreamWriter;

use crate::{Map, ObjectId, Repository, Result, StreamName};

/// The most bytes that the section with the names of references may have when it is decompressed.
const NAMED_REFS_LIMIT: u64 = 16 << 20;

impl Repository {
    /// The checked bytes of a stream's splitstream, to make a [`SplitStreamReader`] of.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when there is no such stream, [`Error::Corrupt`](crate::Error::Corrupt)
    /// when its bytes are not the ones that were stored.
    pub fn map_stream(&self, name: &StreamName) -> Result<Map> {
        self.map_object(&self.stream(name)?)
    }

    /// Passes the bytes that a splitstream was made from on, piece by piece, each object checked: an error can come
    /// after some of them. Gives the size in bytes.
    ///
    /// # Errors
    /// As [`Repository::map_stream`], [`Error::Corrupt`](crate::Error::Corrupt) for a damaged object, and what `sink`
    /// returns.
    pub fn cat_stream(&self, stream: &ObjectId, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let bytes = self.map_object(stream)?;
        let mut reader = SplitStreamReader::new(&bytes, self.algorithm())?;
        let mut size = 0;
        while let Some(piece) = reader.next_piece()? {
            size += match piece {
                Piece::Inline(bytes) => {
                    sink(bytes)?;
                    bytes.len() as u64
                }
                Piece::External(id) => self.copy_object(&id, &mut sink)?,
            };
        }
        Ok(size)
    }
}
