//! Secrets that are given by a descriptor, a pipe or a file: read once, into memory alone.

use std::io::{self, Read};

/// The longest secret, in bytes: tokens are a few thousand.
const MOST_BYTES: u64 = 64 << 10;

/// The bytes of `fd:N`, a file, or `-` for standard input.
#[allow(clippy::disallowed_methods, reason = "a descriptor or file of the user's is no part of a repository")]
pub fn read(place: &str) -> io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    let mut from: Box<dyn Read> = match place.strip_prefix("fd:") {
        Some(number) => {
            let number: u32 = number.parse().map_err(io::Error::other)?;
            Box::new(std::fs::File::open(format!("/proc/self/fd/{number}"))?)
        }
        None if place == "-" => Box::new(io::stdin()),
        None => Box::new(std::fs::File::open(place)?),
    };
    (&mut from).take(MOST_BYTES + 1).read_to_end(&mut secret)?;
    if secret.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(secret)
}
