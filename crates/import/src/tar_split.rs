//! tar-split: what of a tar is not the bodies of its files, so that bodies kept elsewhere make the same tar again.
//!
//! One JSON object a line: raw bytes of the tar (headers and padding), or the place of a file's body, with its name and
//! size. containers-storage keeps one beside each layer, zstd:chunked blobs carry one. What never lives here: the bodies,
//! and trust. Whoever puts a tar together hashes it, and compares that with the layer's diff_id; so the checksums that
//! the format has for bodies are not looked at.
//!
//! Invariants: memory is bounded by the longest line, [`Limits::tar_split_line_bytes`]; whatever comes in, the answer is
//! a piece or a typed error.
//!
//! Source of the format: github.com/vbatts/tar-split, `tar/storage/entry.go` and `packer.go`.

use std::{fmt, ops::Range};

use serde::Deserialize;

use crate::{
    Limits,
    base64::decode_base64,
    error::{ImportError, Result},
    source::{Blob, Unpacked},
};

/// How much is read at a time at least, in bytes.
const STEP: usize = 64 << 10;

/// A part of the tar, in the tar's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These very bytes; there may be none.
    Raw(&'a [u8]),
    /// The body of a file: `size` bytes of it, without the padding. Whatever has no body comes as well, with size 0.
    File {
        /// The name as the tar has it: any bytes, not normalised.
        name: &'a [u8],
        /// Bytes of the body.
        size: u64,
    },
}

/// Reads a tar-split, packed by gzip, zstd, or not.
///
/// ```
/// use sealstone_import::{Limits, tar_split::{Piece, TarSplitReader}};
///
/// let text: &[u8] = b"{\"type\":2,\"payload\":\"aGVhZA==\"}\n{\"type\":1,\"name\":\"a\",\"size\":3,\"payload\":null}\n";
/// let mut reader = TarSplitReader::new("the example", Box::new(text), &Limits::default());
/// assert_eq!(reader.next_piece()?, Some(Piece::Raw(b"head")));
/// assert_eq!(reader.next_piece()?, Some(Piece::File { name: b"a", size: 3 }));
/// assert_eq!(reader.next_piece()?, None);
/// # Ok::<(), sealstone_import::ImportError>(())
/// ```
pub struct TarSplitReader<'a> {
    what: String,
    lines: Lines<'a>,
    /// How many lines were read.
    line: u64,
    /// The bytes or the name of the piece handed out last.
    held: Vec<u8>,
}

/// One line. `position` and the checksum in a file's payload are left unread.
#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: Option<String>,
    /// Base64 of a name that is not UTF-8.
    #[serde(default)]
    name_raw: Option<String>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    payload: Option<String>,
}

/// [`Wire::kind`] of a file's body.
const FILE: u8 = 1;
/// [`Wire::kind`] of raw bytes.
const SEGMENT: u8 = 2;

impl<'a> TarSplitReader<'a> {
    /// A reader of `blob`; `what` is its name in errors.
    pub fn new(what: impl Into<String>, blob: Box<dyn Blob + 'a>, limits: &Limits) -> Self {
        let what = what.into();
        let lines = Lines {
            blob: Unpacked::new(what.clone(), blob, limits.into()),
            buffer: Vec::new(),
            unread: 0..0,
            ended: false,
            limit: limits.tar_split_line_bytes,
        };
        Self { what, lines, line: 0, held: Vec::new() }
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// When the blob cannot be read or unpacked, or a line is too long or not what the format allows.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>> {
        let Self { what, lines, line: number, held } = self;
        let Some(line) = lines.next(what)? else { return Ok(None) };
        *number += 1;
        let malformed =
            |reason: &str| ImportError::malformed(what.clone(), format!("line {number}: {reason}"));
        let wire: Wire = serde_json::from_slice(line).map_err(|error| malformed(&error.to_string()))?;
        held.clear();
        let encoded = match wire.kind {
            SEGMENT => wire.payload,
            FILE => wire.name_raw,
            _ => return Err(malformed("its type is neither 1 nor 2")),
        };
        let decoded = encoded.map_or(Some(()), |text| decode_base64(text.as_bytes(), held));
        decoded.ok_or_else(|| malformed("its bytes are no base64"))?;
        if wire.kind == SEGMENT {
            return Ok(Some(Piece::Raw(held)));
        }
        if held.is_empty() {
            held.extend_from_slice(wire.name.unwrap_or_default().as_bytes());
        }
        Ok(Some(Piece::File { name: held, size: wire.size }))
    }
}

impl fmt::Debug for TarSplitReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarSplitReader").field("what", &self.what).field("line", &self.line).finish()
    }
}

/// Lines of a text, none longer than a limit.
struct Lines<'a> {
    blob: Unpacked<'a>,
    buffer: Vec<u8>,
    /// Of `buffer`, what was read and not handed out.
    unread: Range<usize>,
    ended: bool,
    limit: usize,
}

impl Lines<'_> {
    /// The next line that is not empty, without its end.
    fn next(&mut self, what: &str) -> Result<Option<&[u8]>> {
        let line = loop {
            match self.find(what)? {
                Some(line) if line.is_empty() => {}
                Some(line) => break line,
                None => return Ok(None),
            }
        };
        Ok(self.buffer.get(line))
    }

    fn find(&mut self, what: &str) -> Result<Option<Range<usize>>> {
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(self.unread.clone()).unwrap_or_default();
            let new = unread.get(searched..).unwrap_or_default();
            let end = new.iter().position(|byte| *byte == b'\n').map(|at| searched + at);
            searched = end.unwrap_or(unread.len());
            if searched > self.limit {
                let what = format!("a line of {what}, in bytes,");
                return Err(ImportError::TooBig { what, limit: self.limit as u64 });
            }
            let line = self.unread.start..self.unread.start + searched;
            if end.is_some() {
                self.unread.start = line.end + 1;
                return Ok(Some(line));
            }
            if self.ended {
                self.unread = 0..0;
                return Ok((!line.is_empty()).then_some(line));
            }
            self.read_more()?;
        }
    }

    /// Reads behind what is unread, which moves to the front.
    fn read_more(&mut self) -> Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.buffer.len() - self.unread.end < STEP {
            self.buffer.resize((self.buffer.len() * 2).max(STEP * 2), 0);
        }
        let count = self.blob.read(self.buffer.get_mut(self.unread.end..).unwrap_or_default())?;
        self.unread.end += count;
        self.ended = count == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    type Owned = Vec<(Vec<u8>, Option<u64>)>;

    fn read(packed: &[u8], limits: &Limits) -> Result<Owned> {
        let mut reader = TarSplitReader::new("the tar-split", Box::new(packed), limits);
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next_piece()? {
            pieces.push(match piece {
                Piece::Raw(bytes) => (bytes.to_vec(), None),
                Piece::File { name, size } => (name.to_vec(), Some(size)),
            });
        }
        Ok(pieces)
    }

    /// As Go's encoder writes it: positions, checksums, a name that is not UTF-8, a piece without a payload.
    const TEXT: &str = "{\"type\":2,\"payload\":\"AAEC\",\"position\":0}\n\
        {\"type\":1,\"name\":\"./a\\u003cb\",\"size\":7,\"payload\":\"AAAAAAAAAAA=\",\"position\":1}\n\
        {\"type\":1,\"name_raw\":\"/2E=\",\"payload\":null,\"position\":2}\n\n\
        {\"type\":2,\"payload\":null,\"position\":3}";

    fn expected() -> Owned {
        vec![
            (vec![0, 1, 2], None),
            (b"./a<b".to_vec(), Some(7)),
            (vec![0xff, b'a'], Some(0)),
            (Vec::new(), None),
        ]
    }

    #[test]
    fn pieces_come_as_they_were_written_however_they_are_packed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TEXT.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(TEXT.as_bytes(), 1).unwrap();
        for packed in [TEXT.as_bytes(), &gzip, &zstd] {
            assert_eq!(read(packed, &Limits::default()).unwrap(), expected());
        }
        assert!(matches!(read(&gzip[..30], &Limits::default()), Err(ImportError::Decode { .. })));
    }

    #[test]
    fn lines_longer_than_a_step_are_read_whole_and_none_longer_than_the_limit() {
        let payload = crate::base64::encode_base64(&vec![7; STEP * 3]);
        let text = format!("{TEXT}\n{{\"type\":2,\"payload\":\"{payload}\"}}\n{TEXT}\n");
        let pieces = read(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(pieces.len(), 9);
        assert_eq!(pieces[4], (vec![7; STEP * 3], None));
        let limits = Limits { tar_split_line_bytes: STEP, ..Limits::default() };
        assert!(matches!(read(text.as_bytes(), &limits), Err(ImportError::TooBig { .. })));
    }

    #[test]
    fn what_is_no_tar_split_is_refused_with_the_line() {
        for bad in [
            "{}",
            "x",
            "{\"type\":3}",
            "{\"type\":1,\"name\":\"a\",\"size\":-1}",
            "{\"type\":2,\"payload\":\"?\"}",
            "[[[[",
        ] {
            let text = format!("{TEXT}\n{bad}\n");
            let error = read(text.as_bytes(), &Limits::default()).unwrap_err();
            assert!(error.to_string().contains("line 5"), "{bad}: {error}");
        }
    }
}
