//! What the kits of several test programs have in common: digests, noise, tars of files.

use std::path::Path;

use sealstone_import::{Digest, DigestAlgorithm};

/// `sha256:` and the digits.
pub fn sha256(bytes: &[u8]) -> String {
    Digest::of(DigestAlgorithm::Sha256, bytes).to_string()
}

/// Bytes that do not compress, the same for the same seed (xorshift64).
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A tar of regular files.
pub fn tar_of<'a, P: AsRef<Path>>(files: impl IntoIterator<Item = (P, &'a [u8])>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, body).unwrap();
    }
    tar.into_inner().unwrap()
}
