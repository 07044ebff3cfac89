//! Tars written block by block, so that any field can lie: what no tar program writes.
//!
//! Layout: POSIX.1-2017 `pax`, "ustar Interchange Format"; GNU tar's `tar.h`.

use std::ops::Range;

/// A header block under construction: ustar, 0644, 0:0, time 0.
#[derive(Clone)]
pub struct RawHeader(pub [u8; 512]);

impl RawHeader {
    pub fn new(typeflag: u8, name: impl AsRef<[u8]>) -> Self {
        let mut header = Self([0; 512]).field(0..100, name.as_ref());
        header.0[156] = typeflag;
        header
            .field(257..265, b"ustar\x0000")
            .mode(0o644)
            .octal(108..116, 0)
            .octal(116..124, 0)
            .size(0)
            .mtime(0)
    }

    /// Overwrites a field, the rest of it with NULs.
    pub fn field(mut self, range: Range<usize>, value: &[u8]) -> Self {
        assert!(value.len() <= range.len(), "{} bytes do not fit", value.len());
        self.0[range.clone()].fill(0);
        self.0[range.start..range.start + value.len()].copy_from_slice(value);
        self
    }

    /// A number in octal.
    pub fn octal(self, range: Range<usize>, value: u64) -> Self {
        let digits = range.len() - 1;
        self.field(range, format!("{value:0digits$o}").as_bytes())
    }

    pub fn mode(self, mode: u64) -> Self {
        self.octal(100..108, mode)
    }

    pub fn size(self, size: u64) -> Self {
        self.octal(124..136, size)
    }

    pub fn mtime(self, seconds: u64) -> Self {
        self.octal(136..148, seconds)
    }

    pub fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.field(157..257, target.as_ref())
    }

    pub fn device(self, major: u64, minor: u64) -> Self {
        self.octal(329..337, major).octal(337..345, minor)
    }

    /// GNU tar's own format.
    pub fn gnu(self) -> Self {
        self.field(257..265, b"ustar  \0")
    }

    /// Without any magic, as before POSIX.
    pub fn v7(self) -> Self {
        self.field(257..265, b"")
    }

    /// The block with its checksum.
    pub fn done(self) -> [u8; 512] {
        let mut header = self.field(148..156, b"        ");
        let sum: u32 = header.0.iter().map(|byte| u32::from(*byte)).sum();
        header = header.field(148..156, format!("{sum:06o}\0 ").as_bytes());
        header.0
    }
}

/// A tar under construction. Entries are 0:0 with time 0.
#[derive(Clone, Default)]
pub struct RawTar(pub Vec<u8>);

impl RawTar {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A header, and a body padded to whole blocks. The header's size is left as it is.
    pub fn entry(self, header: RawHeader, body: &[u8]) -> Self {
        let padding = body.len().next_multiple_of(512) - body.len();
        self.raw(&header.done()).raw(body).raw(&vec![0; padding])
    }

    pub fn file(self, name: impl AsRef<[u8]>, body: &[u8]) -> Self {
        self.entry(RawHeader::new(b'0', name).size(body.len() as u64), body)
    }

    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(RawHeader::new(b'5', name).mode(0o755), b"")
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(RawHeader::new(b'2', name).mode(0o777).link(target), b"")
    }

    pub fn hardlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(RawHeader::new(b'1', name).link(target), b"")
    }

    /// An extended header of this type with this text.
    pub fn extended(self, typeflag: u8, text: &[u8]) -> Self {
        self.entry(RawHeader::new(typeflag, "PaxHeaders/x").size(text.len() as u64), text)
    }

    /// PAX records for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.extended(b'x', &pax_text(records))
    }

    /// The same of texts.
    pub fn records<K: AsRef<str>, V: AsRef<[u8]>>(self, records: &[(K, V)]) -> Self {
        let records: Vec<_> = records.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
        self.pax(&records)
    }

    pub fn zeros(self, blocks: usize) -> Self {
        self.raw(&vec![0; blocks * 512])
    }

    /// The bytes so far, without an end.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }

    /// The bytes, with the two zero blocks of the end.
    pub fn end(self) -> Vec<u8> {
        self.zeros(2).0
    }
}

/// The body of an extended header.
pub fn pax_text(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while len.to_string().len() + rest != len {
            len = len.to_string().len() + rest;
        }
        text.extend_from_slice(format!("{len} {key}=").as_bytes());
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    text
}
