//! The table of contents, packed while it is written: its entries are never held.

use serde::Serialize;

use super::frames::Frames;
use crate::{
    Digest,
    base64::encode_base64,
    error::{ImportError, Result},
    tar::{Entry, Kind, Spelling},
};

/// A chunk that was written.
pub(super) struct DoneChunk {
    /// Where its first frame begins.
    pub(super) offset: u64,
    /// Its bytes, unpacked.
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) is_zeros: bool,
}

/// An entry, with the keys and the omissions of containers/storage.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    link_name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    modtime: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    dev_major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    dev_minor: u64,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    xattrs: std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    end_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_digest: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    chunk_type: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The table under construction.
pub(super) struct Listing {
    frames: Frames,
    packed: Vec<u8>,
    /// Its bytes so far, unpacked.
    bytes: u64,
    is_empty: bool,
}

impl Listing {
    pub(super) fn new() -> Result<Self> {
        let mut listing = Self { frames: Frames::new()?, packed: Vec::new(), bytes: 0, is_empty: true };
        listing.push(br#"{"version":1,"entries":["#)?;
        Ok(listing)
    }

    fn push(&mut self, text: &[u8]) -> Result<()> {
        self.bytes += text.len() as u64;
        self.frames.write(text, &mut self.packed)
    }

    fn entry(&mut self, wire: &Wire<'_>) -> Result<()> {
        if !std::mem::take(&mut self.is_empty) {
            self.push(b",")?;
        }
        let text = serde_json::to_vec(wire)
            .map_err(|error| ImportError::malformed("an entry", error.to_string()))?;
        self.push(&text)
    }

    /// Adds an entry; a file that is not empty has a digest, chunks, and a place where they end.
    pub(super) fn add(&mut self, entry: &Entry, body: Option<(&Digest, &[DoneChunk], u64)>) -> Result<()> {
        let blank = Spelling::default();
        let spelling = entry.spelling().unwrap_or(&blank);
        // What is no UTF-8 is written as Go writes it, and no reader will take the table for more than a hint.
        let name = String::from_utf8_lossy(&spelling.path);
        let link_name = String::from_utf8_lossy(&spelling.link_target);
        let metadata = entry.metadata();
        let (kind, device) = match entry.kind() {
            Kind::File => ("reg", None),
            Kind::Directory => ("dir", None),
            Kind::Symlink => ("symlink", None),
            Kind::Hardlink => ("hardlink", None),
            Kind::CharDevice(device) => ("char", Some(device)),
            Kind::BlockDevice(device) => ("block", Some(device)),
            Kind::Fifo => ("fifo", None),
        };
        let xattrs = entry.xattrs().iter();
        let mut wire = Wire {
            kind,
            name: &name,
            link_name: &link_name,
            mode: u64::from(metadata.mode),
            size: entry.size(),
            uid: u64::from(metadata.uid),
            gid: u64::from(metadata.gid),
            modtime: Some(rfc3339(metadata.mtime.sec, metadata.mtime.nsec)),
            dev_major: device.map_or(0, |device| u64::from(device.major())),
            dev_minor: device.map_or(0, |device| u64::from(device.minor())),
            xattrs: xattrs
                .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), encode_base64(value)))
                .collect(),
            ..Wire::default()
        };
        let Some((digest, chunks, end)) = body else { return self.entry(&wire) };
        wire.digest = Some(digest.to_string());
        wire.offset = chunks.first().map_or(end, |chunk| chunk.offset);
        wire.end_offset = end;
        if chunks.len() > 1
            && let Some(first) = chunks.first()
        {
            set_chunk(&mut wire, first);
        }
        self.entry(&wire)?;
        let mut filled = 0;
        for (number, chunk) in chunks.iter().enumerate() {
            if number > 0 {
                let mut wire = Wire {
                    kind: "chunk",
                    name: &name,
                    chunk_offset: filled,
                    offset: chunk.offset,
                    ..Wire::default()
                };
                set_chunk(&mut wire, chunk);
                self.entry(&wire)?;
            }
            filled += chunk.size;
        }
        Ok(())
    }

    /// Ends the table: its bytes, packed, and how many they are unpacked.
    pub(super) fn finish(mut self, tar_split: &Digest) -> Result<(Vec<u8>, u64)> {
        self.push(format!(r#"],"tarSplitDigest":"{tar_split}"}}"#).as_bytes())?;
        self.frames.end(&mut self.packed)?;
        Ok((self.packed, self.bytes))
    }
}

fn set_chunk(wire: &mut Wire<'_>, chunk: &DoneChunk) {
    wire.chunk_size = chunk.size;
    wire.chunk_digest = Some(chunk.digest.to_string());
    wire.chunk_type = if chunk.is_zeros { "zeros" } else { "" };
}

/// A time as RFC 3339 writes it, in UTC, without zeros at the end of a fraction (Go's `RFC3339Nano`).
fn rfc3339(sec: i64, nsec: u32) -> String {
    let (days, second) = (sec.div_euclid(86_400), sec.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = format!(".{nsec:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The date of a day after 1970-01-01, in the proleptic Gregorian calendar: 400 years have 146,097 days; years are
/// counted from March, so that a leap day comes last.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (sec, nsec, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, 500_000_000, "2023-11-14T22:13:20.5Z"),
            (951_782_399, 1, "2000-02-28T23:59:59.000000001Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (-1, 999_999_000, "1969-12-31T23:59:59.999999Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(sec, nsec), text);
        }
    }
}
