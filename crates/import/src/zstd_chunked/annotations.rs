//! [`Annotations`]: what a manifest says about a zstd:chunked layer.
//!
//! Only these are believed, never the footer in the blob: they are covered by the manifest's digest.

use std::ops::Range;

use super::TABLE_KIND;
use crate::{Digest, oci::Descriptor};

const TOC_DIGEST: &str = "io.github.containers.zstd-chunked.manifest-checksum";
const TOC_PLACE: &str = "io.github.containers.zstd-chunked.manifest-position";
const TAR_SPLIT_PLACE: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// Whether a descriptor says that its blob is zstd:chunked.
pub(crate) fn is_chunked(descriptor: &Descriptor) -> bool {
    descriptor.annotation(TOC_DIGEST).is_some()
}

/// A packed part of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins in the blob.
    pub offset: u64,
    /// Its bytes there.
    pub packed: u64,
    /// Its bytes, unpacked.
    pub unpacked: u64,
}

impl Part {
    /// Where it lies in the blob; nothing when that is past all numbers.
    pub(super) fn range(&self) -> Option<Range<u64>> {
        Some(self.offset..self.offset.checked_add(self.packed)?)
    }
}

/// What a layer's descriptor says about its table of contents and its tar-split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotations {
    pub(super) toc_digest: Digest,
    pub(super) toc: Part,
    pub(super) tar_split: Part,
}

impl Annotations {
    /// Of a table whose packed bytes have this digest, and a tar-split.
    #[must_use]
    pub const fn new(toc_digest: Digest, toc: Part, tar_split: Part) -> Self {
        Self { toc_digest, toc, tar_split }
    }

    /// Reads those of a descriptor; nothing if it has none.
    ///
    /// # Errors
    /// What is wrong with them, in words: the layer can still be read as plain zstd.
    pub fn of(descriptor: &Descriptor) -> Result<Option<Self>, String> {
        let Some(digest) = descriptor.annotation(TOC_DIGEST) else { return Ok(None) };
        let toc_digest = digest.parse().map_err(|error| format!("{TOC_DIGEST}: {error}"))?;
        let place =
            descriptor.annotation(TOC_PLACE).ok_or("there is no position of the table of contents")?;
        let [offset, packed, unpacked, kind] = numbers(place, TOC_PLACE)?;
        if kind != TABLE_KIND {
            return Err(format!("the table of contents is of the kind {kind}, not {TABLE_KIND}"));
        }
        let toc = Part { offset, packed, unpacked };
        let place = descriptor.annotation(TAR_SPLIT_PLACE).ok_or("there is no tar-split")?;
        let [offset, packed, unpacked] = numbers(place, TAR_SPLIT_PLACE)?;
        let annotations = Self { toc_digest, toc, tar_split: Part { offset, packed, unpacked } };
        annotations.check(descriptor.size())?;
        Ok(Some(annotations))
    }

    /// Whether both parts lie in the blob, the table first.
    fn check(&self, size: u64) -> Result<(), String> {
        let both = self.toc.range().zip(self.tar_split.range());
        let (toc, tar_split) = both.ok_or("a position is past all numbers")?;
        if toc.is_empty() || tar_split.is_empty() {
            return Err("the table of contents or the tar-split is empty".to_owned());
        }
        if toc.end > tar_split.start {
            return Err("the tar-split does not lie behind the table of contents".to_owned());
        }
        if tar_split.end > size {
            return Err(format!("the tar-split ends at {}, the blob at {size}", tar_split.end));
        }
        Ok(())
    }

    /// Where both lie in the blob.
    pub(super) const fn range(&self) -> Range<u64> {
        self.toc.offset..self.tar_split.offset.saturating_add(self.tar_split.packed)
    }

    /// Keys and values, for a descriptor.
    #[must_use]
    pub fn list(&self) -> [(&'static str, String); 3] {
        let Part { offset, packed, unpacked } = self.toc;
        let toc = format!("{offset}:{packed}:{unpacked}:{TABLE_KIND}");
        let Part { offset, packed, unpacked } = self.tar_split;
        [
            (TOC_DIGEST, self.toc_digest.to_string()),
            (TOC_PLACE, toc),
            (TAR_SPLIT_PLACE, format!("{offset}:{packed}:{unpacked}")),
        ]
    }
}

/// `N:N:N`.
fn numbers<const N: usize>(text: &str, key: &str) -> Result<[u64; N], String> {
    let mut numbers = [0; N];
    let mut parts = text.split(':');
    for place in &mut numbers {
        // `parse` takes a sign; a position has none.
        let part = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        *place = part.and_then(|part| part.parse().ok()).ok_or_else(|| format!("{key} is malformed"))?;
    }
    if parts.next().is_some() { Err(format!("{key} is malformed")) } else { Ok(numbers) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{DigestAlgorithm, decompress::Compression, oci::MediaType};

    fn described(size: u64, annotations: &[(&str, &str)]) -> Result<Option<Annotations>, String> {
        let digest = Digest::of(DigestAlgorithm::Sha256, b"");
        let list = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let descriptor = Descriptor::new(MediaType::Layer(Compression::Zstd), digest, size);
        Annotations::of(&descriptor.with_annotations(list.collect::<BTreeMap<_, _>>()))
    }

    #[test]
    fn annotations_that_were_written_read_back() {
        let digest = Digest::of(DigestAlgorithm::Sha256, b"toc");
        let annotations = Annotations::new(
            digest,
            Part { offset: 100, packed: 50, unpacked: 900 },
            Part { offset: 158, packed: 20, unpacked: 70 },
        );
        let list = annotations.list();
        let list: Vec<_> = list.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(described(178, &list), Ok(Some(annotations)));
        assert!(described(177, &list).is_err(), "it ends past the blob");
    }

    #[test]
    fn malformed_positions_are_refused_with_a_reason_and_old_keys_are_none() {
        assert_eq!(
            described(1000, &[("io.containers.zstd-chunked.manifest-checksum", "sha256:0")]),
            Ok(None)
        );
        let digest = Digest::of(DigestAlgorithm::Sha256, b"").to_string();
        for (toc, tar_split) in [
            ("1:2:3", "20:2:3"),
            ("1:2:3:2", "20:2:3"),
            ("1:2:3:1:1", "20:2:3"),
            ("+1:2:3:1", "20:2:3"),
            ("1:2:x:1", "20:2:3"),
            ("1:0:3:1", "20:2:3"),
            ("1:2:3:1", "2:2:3"),
            ("1:2:3:1", "20:18446744073709551615:3"),
            ("18446744073709551616:2:3:1", "20:2:3"),
            ("1:2:3:1", ""),
        ] {
            let list = [(TOC_DIGEST, digest.as_str()), (TOC_PLACE, toc), (TAR_SPLIT_PLACE, tar_split)];
            assert!(described(1000, &list).is_err(), "{toc} {tar_split}");
        }
        assert!(described(1000, &[(TOC_DIGEST, &digest), (TOC_PLACE, "1:2:3:1")]).is_err(), "no tar-split");
        assert!(described(1000, &[(TOC_DIGEST, "sha256:zz")]).is_err());
    }
}
