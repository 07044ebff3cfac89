//! What a boot loader's file says of itself: systemd-boot has its version in plain text.
//!
//! What lives here: finding that text in bytes that come in pieces, and their digest, in one pass. Source: systemd's section
//! `.sdmagic`, which `bootctl` compares as well: `#### LoaderInfo: systemd-boot 257.9-1 ####`.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{Blob, BootError};

const BEGIN: &[u8] = b"#### LoaderInfo: systemd-boot ";
const END: &[u8] = b" ####";

/// The longest version that is taken for one, in bytes.
const VERSION_MAX: usize = 128;

/// How much of what was seen may begin a text that goes on.
const TAIL: usize = BEGIN.len() + VERSION_MAX + END.len();

/// A pass over a file's bytes.
#[derive(Default)]
pub(crate) struct Scan {
    hasher: Sha256,
    tail: Vec<u8>,
    version: Option<String>,
}

impl Scan {
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        if self.version.is_some() {
            return;
        }
        self.tail.extend_from_slice(piece);
        self.version = version_in(&self.tail);
        let old = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..old);
    }

    /// The SHA-256 in hexadecimal digits, and the version.
    pub(crate) fn finish(self) -> (String, Option<String>) {
        let mut hex = String::with_capacity(64);
        for byte in self.hasher.finalize() {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        (hex, self.version)
    }
}

/// The digest and the version of a blob.
pub(crate) fn scan_blob(blob: &Blob) -> Result<(String, Option<String>), BootError> {
    let mut scan = Scan::default();
    blob.read(|_, piece| {
        scan.feed(piece);
        Ok(())
    })?;
    Ok(scan.finish())
}

fn version_in(bytes: &[u8]) -> Option<String> {
    let start = find(bytes, BEGIN)? + BEGIN.len();
    let rest = bytes.get(start..)?;
    let end = find(rest.get(..rest.len().min(VERSION_MAX + END.len()))?, END)?;
    let version = std::str::from_utf8(rest.get(..end)?).ok()?;
    let is_plain = !version.is_empty() && version.chars().all(|c| c.is_ascii_graphic());
    is_plain.then(|| version.to_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_wherever_the_pieces_end() {
        let mut file = vec![b'#'; 700];
        file.extend_from_slice(b"#### LoaderInfo: systemd-boot 257.9-1~deb13u1 ####");
        file.extend_from_slice(&[0; 700]);
        for size in [1, 7, 64, 513, file.len()] {
            let mut scan = Scan::default();
            file.chunks(size).for_each(|piece| scan.feed(piece));
            let (digest, version) = scan.finish();
            assert_eq!(version.as_deref(), Some("257.9-1~deb13u1"), "{size}");
            assert_eq!(digest.len(), 64);
        }
    }

    #[test]
    fn what_is_not_closed_too_long_or_no_text_is_no_version() {
        let long = format!("#### LoaderInfo: systemd-boot {} ####", "1".repeat(200));
        for bytes in [
            &b"#### LoaderInfo: systemd-boot 257"[..],
            b"#### LoaderInfo: systemd-boot  ####",
            b"#### LoaderInfo: systemd-boot 2\x007 ####",
            b"#### LoaderInfo: GRUB 2.12 ####",
            long.as_bytes(),
        ] {
            let mut scan = Scan::default();
            scan.feed(bytes);
            assert_eq!(scan.finish().1, None, "{}", bytes.escape_ascii());
        }
    }
}
