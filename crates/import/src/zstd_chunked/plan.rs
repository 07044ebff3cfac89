//! [`PullPlan`]: which contents of a layer are here, and which parts of its blob have to be fetched.

use std::{collections::HashMap, ops::Range};

use sealstone_store::{ContentDigest, ContentIndex, ObjectId};

use super::{Stop, TocFile, sheet::Sheet};
use crate::{Limits, error::Result, tar_split::Piece};

/// Bytes between two parts that are fetched along, rather than asked around: what a connection carries in the time that a
/// request takes. Doubled until there are few enough parts.
const GAP: u64 = 16 << 10;

/// Parts that are asked for at most, as in containers/storage.
const PARTS: usize = 1024;

/// Above this share of a blob, in percent, the whole is fetched: one request, and the blob's own digest is proven.
const SHARE: u64 = 75;

/// Where a file's content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// An object that is here.
    Object { id: ObjectId, size: u64 },
    /// The place in [`PullPlan::wanted`].
    Fetched(usize),
}

/// A part of the blob, and the files in it that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FetchRange {
    pub(super) bytes: Range<u64>,
    pub(super) wanted: Range<usize>,
}

/// What to fetch of a blob.
pub(super) struct PullPlan {
    /// Of the tar's files that are not empty, in its order.
    pub(super) origins: Vec<Origin>,
    /// Each missing content once, in the blob's order.
    pub(super) wanted: Vec<TocFile>,
    pub(super) ranges: Vec<FetchRange>,
    /// Bytes of the tar that comes of it.
    pub(super) tar_bytes: u64,
    /// Bytes of the contents that are here.
    pub(super) reused_bytes: u64,
}

impl PullPlan {
    /// Compares the table with the tar-split and with the store. `blob_bytes` is the blob's size, `spent` what was
    /// fetched of it already.
    pub(super) fn new(
        sheet: &Sheet,
        index: &ContentIndex,
        blob_bytes: u64,
        spent: u64,
        limits: &Limits,
    ) -> Result<Self, Stop> {
        let mut plan = Self {
            origins: Vec::with_capacity(sheet.toc.files().len()),
            wanted: Vec::new(),
            ranges: Vec::new(),
            tar_bytes: tar_bytes(sheet, limits)?,
            reused_bytes: 0,
        };
        let mut known = HashMap::new();
        for file in sheet.toc.files() {
            let origin = match known.get(&file.digest) {
                Some((size, _)) if *size != file.size => {
                    return Err(Stop::unfit("its table of contents gives one content two sizes"));
                }
                Some((_, origin)) => *origin,
                None => plan.origin(file, index)?,
            };
            known.insert(file.digest, (file.size, origin));
            plan.origins.push(origin);
            if matches!(origin, Origin::Object { .. }) {
                plan.reused_bytes += file.size;
            }
        }
        plan.ranges = merge(&plan.wanted);
        let bytes = plan.fetch_bytes().saturating_add(spent);
        if u128::from(bytes) * 100 > u128::from(blob_bytes) * u128::from(SHARE) {
            return Err(Stop::unfit(format!("{bytes} of its {blob_bytes} bytes would have to be fetched")));
        }
        Ok(plan)
    }

    fn origin(&mut self, file: &TocFile, index: &ContentIndex) -> Result<Origin, Stop> {
        let found = index.find(&ContentDigest::new(file.digest))?;
        if let Some(found) = found.filter(|found| found.size == file.size) {
            return Ok(Origin::Object { id: found.object, size: found.size });
        }
        self.wanted.push(*file);
        Ok(Origin::Fetched(self.wanted.len() - 1))
    }

    /// Bytes of the parts.
    pub(super) fn fetch_bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.bytes.end - range.bytes.start).sum()
    }
}

/// Walks the tar-split beside the table: both have the same files, in the same order, with the same sizes. Gives the size
/// of the tar.
fn tar_bytes(sheet: &Sheet, limits: &Limits) -> Result<u64, Stop> {
    let mut files = sheet.toc.files().iter();
    let mut bytes: u64 = 0;
    let mut reader = sheet.tar_split(limits);
    while let Some(piece) = reader.next_piece()? {
        let more = match piece {
            Piece::Raw(raw) => raw.len() as u64,
            Piece::File { size: 0, .. } => 0,
            Piece::File { name, size } => {
                let file = files.next();
                if file.is_none_or(|file| file.size != size || sheet.toc.name(file) != name) {
                    let name = String::from_utf8_lossy(name.get(..200).unwrap_or(name)).into_owned();
                    return Err(Stop::unfit(format!(
                        "its tar-split and its table of contents differ at {name:?}"
                    )));
                }
                size
            }
        };
        bytes = bytes.saturating_add(more);
        if bytes > limits.layer_bytes {
            return Err(Stop::unfit(format!("its tar has more than {} bytes", limits.layer_bytes)));
        }
    }
    if files.next().is_some() {
        return Err(Stop::unfit("its table of contents has a file that its tar-split lacks"));
    }
    Ok(bytes)
}

/// The parts of the blob that the files lie in, close ones together.
fn merge(wanted: &[TocFile]) -> Vec<FetchRange> {
    let mut gap = GAP;
    loop {
        let ranges = merge_by(wanted, gap);
        if ranges.len() <= PARTS {
            return ranges;
        }
        gap = gap.saturating_mul(2);
    }
}

fn merge_by(wanted: &[TocFile], gap: u64) -> Vec<FetchRange> {
    let mut ranges: Vec<FetchRange> = Vec::new();
    for (place, file) in wanted.iter().enumerate() {
        match ranges.last_mut() {
            Some(last) if file.offset - last.bytes.end <= gap => {
                last.bytes.end = file.end;
                last.wanted.end = place + 1;
            }
            _ => ranges.push(FetchRange { bytes: file.offset..file.end, wanted: place..place + 1 }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(places: &[Range<u64>]) -> Vec<TocFile> {
        places.iter().map(|range| TocFile::at(range.start, range.end)).collect()
    }

    #[test]
    fn parts_are_merged_where_little_lies_between() {
        let ranges = merge(&files(&[10..20, 20..30, 30 + GAP..40 + GAP, 41 + 2 * GAP..50 + 2 * GAP]));
        assert_eq!(
            ranges,
            [
                FetchRange { bytes: 10..40 + GAP, wanted: 0..3 },
                FetchRange { bytes: 41 + 2 * GAP..50 + 2 * GAP, wanted: 3..4 }
            ]
        );
        assert_eq!(merge(&[]), []);
    }

    #[test]
    fn there_are_never_more_parts_than_allowed_and_every_file_is_in_one() {
        let many: Vec<_> = (0..5000).map(|number| number * 3 * GAP..number * 3 * GAP + 10).collect();
        let ranges = merge(&files(&many));
        assert!(ranges.len() <= PARTS, "{}", ranges.len());
        let wanted: Vec<usize> = ranges.iter().flat_map(|range| range.wanted.clone()).collect();
        assert_eq!(wanted, (0..5000).collect::<Vec<_>>());
        for range in &ranges {
            let of = |place: usize| many[place].clone();
            assert_eq!(range.bytes, of(range.wanted.start).start..of(range.wanted.end - 1).end);
        }
    }
}
