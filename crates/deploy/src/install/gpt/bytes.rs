//! Numbers and pieces of a table's bytes, wherever they may point.

use sealstone_boot::header_checksum;

/// The bytes at a place; the reason, where they are not all there.
pub(super) fn slice(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], String> {
    let end = at.checked_add(len);
    end.and_then(|end| bytes.get(at..end)).ok_or_else(|| "its GPT is not in its first mebibyte".to_owned())
}

/// Overwrites the bytes at a place.
pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<(), String> {
    let place = bytes.get_mut(at..at + value.len()).ok_or("its GPT is cut off")?;
    place.copy_from_slice(value);
    Ok(())
}

/// A little-endian number of `N` bytes, 8 at most.
pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<u64, String> {
    let mut all = [0; 8];
    all.get_mut(..N).unwrap_or_default().copy_from_slice(slice(bytes, at, N)?);
    Ok(u64::from_le_bytes(all))
}

/// Computes a header's checksum anew.
pub(super) fn seal(header: &mut [u8]) {
    let sum = header_checksum(header).to_le_bytes();
    if let Some(place) = header.get_mut(16..20) {
        place.copy_from_slice(&sum);
    }
}
