//! A layer's tar out of the store: its stream, with the objects at their places.
//!
//! It goes the same way as a blob does, is hashed the same way, and so is believed for the same reason.

use sealstone_store::{
    Repository,
    disk::File,
    splitstream::{Piece, SplitStreamReader},
};

use crate::{error::Result, source::Blob};

/// Reads the tar that a stream was made from.
pub(crate) struct StoredTar<'a> {
    repository: &'a Repository,
    stream: SplitStreamReader<'a>,
    /// What is left of the last inline piece.
    inline: Vec<u8>,
    given: usize,
    /// The object being read, and how far.
    object: Option<(File, u64)>,
}

impl<'a> StoredTar<'a> {
    pub(crate) const fn new(repository: &'a Repository, stream: SplitStreamReader<'a>) -> Self {
        Self { repository, stream, inline: Vec::new(), given: 0, object: None }
    }

    fn read_object(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some((file, at)) = &mut self.object else { return Ok(0) };
        let count = file.read_at(*at, buffer)?;
        *at += count as u64;
        if count == 0 {
            self.object = None;
        }
        Ok(count)
    }
}

impl Blob for StoredTar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let rest = self.inline.get(self.given..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.len());
                for (place, byte) in buffer.iter_mut().zip(rest) {
                    *place = *byte;
                }
                self.given += count;
                return Ok(count);
            }
            let count = self.read_object(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            match self.stream.next_piece()? {
                None => return Ok(0),
                Some(Piece::Inline(bytes)) => {
                    self.inline.clear();
                    self.inline.extend_from_slice(bytes);
                    self.given = 0;
                }
                Some(Piece::External(id)) => self.object = Some((self.repository.open_object(&id)?, 0)),
            }
        }
    }
}
