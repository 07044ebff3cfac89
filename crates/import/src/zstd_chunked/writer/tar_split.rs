//! Writing tar-split: the tar without its files' bodies, one JSON object a line, packed while it is written.
//!
//! Source of the format: github.com/vbatts/tar-split, `tar/storage/packer.go` and `tar/asm/disassemble.go`.

use super::frames::Frames;
use crate::{base64::encode_base64, error::Result, tar::Spelling};

/// Raw bytes in one line at most.
const LINE: usize = 1 << 20;

/// The polynomial of Go's `crc64.ISO`, reversed.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

const TABLE: [u64; 256] = table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u64, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// A tar-split under construction.
pub(super) struct TarSplitWriter {
    frames: Frames,
    packed: Vec<u8>,
    bytes: u64,
    position: u64,
    /// Raw bytes that wait for more.
    raw: Vec<u8>,
    /// Of the body that comes in.
    checksum: u64,
}

impl TarSplitWriter {
    pub(super) fn new() -> Result<Self> {
        let (packed, raw) = (Vec::new(), Vec::new());
        Ok(Self { frames: Frames::new()?, packed, bytes: 0, position: 0, raw, checksum: 0 })
    }

    /// Takes raw bytes of the tar.
    pub(super) fn raw(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(LINE - self.raw.len()));
            self.raw.extend_from_slice(now);
            bytes = later;
            if self.raw.len() == LINE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let payload = encode_base64(&self.raw);
        self.raw.clear();
        let position = self.position;
        self.line(&format!(r#"{{"type":2,"payload":"{payload}","position":{position}}}"#))
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.position += 1;
        self.bytes += text.len() as u64 + 1;
        self.frames.write(text.as_bytes(), &mut self.packed)?;
        self.frames.write(b"\n", &mut self.packed)
    }

    /// A body begins.
    pub(super) const fn begin(&mut self) {
        self.checksum = u64::MAX;
    }

    /// A part of the body.
    pub(super) fn body(&mut self, bytes: &[u8]) {
        self.checksum = update(self.checksum, bytes);
    }

    /// The body has ended.
    pub(super) fn end(&mut self, name: Option<&Spelling>, size: u64) -> Result<()> {
        self.file(name, size, !self.checksum)
    }

    /// An entry, with the checksum of its body.
    pub(super) fn file(&mut self, name: Option<&Spelling>, size: u64, checksum: u64) -> Result<()> {
        self.flush()?;
        let name = name.map(|name| name.path.as_slice()).unwrap_or_default();
        let name = match std::str::from_utf8(name) {
            Ok(name) => format!(r#""name":{}"#, serde_json::Value::from(name)),
            Err(_) => format!(r#""name_raw":"{}""#, encode_base64(name)),
        };
        let position = self.position;
        let body = if size == 0 {
            r#""payload":null"#.to_owned()
        } else {
            format!(r#""size":{size},"payload":"{}""#, encode_base64(&checksum.to_be_bytes()))
        };
        self.line(&format!(r#"{{"type":1,{name},{body},"position":{position}}}"#))
    }

    /// Ends it: its bytes, packed, and how many they are unpacked.
    pub(super) fn finish(mut self) -> Result<(Vec<u8>, u64)> {
        self.flush()?;
        self.frames.end(&mut self.packed)?;
        Ok((self.packed, self.bytes))
    }
}

fn update(checksum: u64, bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| {
        let [low, ..] = sum.to_le_bytes();
        TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default() ^ sum >> 8
    };
    bytes.iter().fold(checksum, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_gos_crc64_iso() {
        // From Go's own tests, hash/crc64/crc64_test.go.
        for (text, checksum) in [
            ("", 0),
            ("a", 0x3420_0000_0000_0000),
            ("ab", 0x36c4_2000_0000_0000),
            ("abc", 0x3776_c420_0000_0000),
        ] {
            assert_eq!(!update(u64::MAX, text.as_bytes()), checksum, "{text}");
        }
    }
}
