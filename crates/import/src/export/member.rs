//! The header of a member of an archive that we write: files and folders of nobody in particular.

use crate::tar::Ustar;

/// The header of a file or, with a slash at the end of its name, of a folder. Names are ours: shorter than 100 bytes.
pub(super) fn header(name: &str, size: u64) -> [u8; 512] {
    let (kind, mode) = if name.ends_with('/') { (b'5', 0o755) } else { (b'0', 0o644) };
    Ustar { kind, path: name.as_bytes(), target: b"", mode, uid: 0, gid: 0, size }.block()
}
