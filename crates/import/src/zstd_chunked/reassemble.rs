//! [`Reassembled`]: a layer's tar, put together from its tar-split and from contents that are here.
//!
//! To whoever reads it it is a blob like any other, and is hashed like any other: nothing here is trusted.

use sealstone_store::{Repository, disk::File};

use super::{
    fetch::Fetched,
    plan::{Origin, PullPlan},
};
use crate::{
    error::{ImportError, Result},
    source::Blob,
    tar_split::{Piece, TarSplitReader},
};

/// Reads the tar.
pub(crate) struct Reassembled<'a> {
    repository: &'a Repository,
    tar_split: TarSplitReader<'a>,
    origins: std::slice::Iter<'a, Origin>,
    fetched: &'a [Fetched],
    /// What is left of the last raw piece, or of a small file.
    raw: Vec<u8>,
    given: usize,
    /// The object being read, how far, and how many bytes are left.
    object: Option<(File, u64, u64)>,
}

impl<'a> Reassembled<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        tar_split: TarSplitReader<'a>,
        plan: &'a PullPlan,
        fetched: &'a [Fetched],
    ) -> Self {
        let origins = plan.origins.iter();
        Self { repository, tar_split, origins, fetched, raw: Vec::new(), given: 0, object: None }
    }

    fn read_object(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some((file, at, left)) = &mut self.object else { return Ok(0) };
        let wanted = usize::try_from(*left).unwrap_or(buffer.len()).min(buffer.len());
        let count = file.read_at(*at, buffer.get_mut(..wanted).unwrap_or_default())?;
        if count == 0 {
            let what = format!("object {}", file.label().display());
            return Err(ImportError::Size { what, expected: *at + *left, actual: *at });
        }
        *at += count as u64;
        *left -= count as u64;
        if *left == 0 {
            self.object = None;
        }
        Ok(count)
    }

    /// Takes the next piece of the tar-split; false after the last.
    fn advance(&mut self) -> Result<bool> {
        let size = match self.tar_split.next_piece()? {
            None => return Ok(false),
            Some(Piece::Raw(raw)) => {
                self.raw.clear();
                self.raw.extend_from_slice(raw);
                self.given = 0;
                return Ok(true);
            }
            Some(Piece::File { size: 0, .. }) => return Ok(true),
            Some(Piece::File { size, .. }) => size,
        };
        // The plan was made by the same walk.
        let id = match self.origins.next() {
            Some(Origin::Object { id, .. }) => *id,
            Some(Origin::Fetched(place)) => match self.fetched.get(*place) {
                Some(Fetched::Object { stored, .. }) => stored.id,
                Some(Fetched::Small(body)) => {
                    self.raw.clone_from(body);
                    self.given = 0;
                    return Ok(true);
                }
                None => return Err(lost()),
            },
            None => return Err(lost()),
        };
        self.object = Some((self.repository.open_object(&id)?, 0, size));
        Ok(true)
    }
}

fn lost() -> ImportError {
    ImportError::malformed("a tar-split", "it has more files than before")
}

impl Blob for Reassembled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let rest = self.raw.get(self.given..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.len());
                for (place, byte) in buffer.iter_mut().zip(rest) {
                    *place = *byte;
                }
                self.given += count;
                return Ok(count);
            }
            if self.object.is_some() {
                return self.read_object(buffer);
            }
            if !self.advance()? {
                return Ok(0);
            }
        }
    }
}
