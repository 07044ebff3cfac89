//! Where an image of the repository came from: what an update of it asks again.
//!
//! What lives here: the file that an import leaves beside the image's name, written and read. What does not: references
//! themselves, following them. Invariants: it counts only while the name leads to the manifest that was imported then; a file
//! that cannot be read says nothing, and no image depends on it.

use sealstone_store::{Optional, RefName, Repository, Transaction, layout};

use crate::{Digest, ManifestDigest, Result};

/// The most bytes of such a file.
const FILE_MAX: u64 = 16 << 10;

/// The place that an image came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOrigin {
    /// The reference, with its transport.
    pub reference: String,
    /// The digest of what the reference named then: of the manifest, or of the index that led to it.
    pub named: Digest,
}

impl ImageOrigin {
    /// Leaves it beside a name, once the transaction is committed.
    pub(crate) fn note(
        &self,
        transaction: &Transaction,
        name: &RefName,
        manifest: &ManifestDigest,
    ) -> Result<()> {
        let Self { reference, named } = self;
        if reference.contains('\n') {
            return Ok(());
        }
        let text = format!("manifest {manifest}\nnamed {named}\nreference {reference}\n");
        Ok(transaction.note_origin(name, text.as_bytes())?)
    }

    /// What was left beside a name that leads to this manifest.
    pub(crate) fn of(
        repository: &Repository,
        name: &RefName,
        manifest: &ManifestDigest,
    ) -> Result<Option<Self>> {
        let Some(file) = layout::origin_file(name) else { return Ok(None) };
        let path = format!("{}/{}/{file}", layout::OWN, layout::ORIGINS);
        let Some(file) = repository.dir().open_file(path).optional()? else { return Ok(None) };
        let bytes = file.read_all(FILE_MAX).unwrap_or_default();
        Ok(Self::parse(&String::from_utf8_lossy(&bytes), manifest))
    }

    fn parse(text: &str, manifest: &ManifestDigest) -> Option<Self> {
        let mut lines = text.lines();
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        if value("manifest")? != manifest.to_string() {
            return None;
        }
        let named = value("named")?.parse().ok()?;
        Some(Self { reference: value("reference")?.to_owned(), named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_counts_only_for_the_manifest_that_came_from_there() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let (one, two): (ManifestDigest, ManifestDigest) =
            (digest("1").parse().unwrap(), digest("2").parse().unwrap());
        let text = format!("manifest {one}\nnamed {}\nreference docker://quay.io/os:1\n", digest("3"));
        let origin = ImageOrigin::parse(&text, &one).unwrap();
        assert_eq!((&*origin.reference, origin.named.to_string()), ("docker://quay.io/os:1", digest("3")));
        assert_eq!(ImageOrigin::parse(&text, &two), None);
        for torn in 0..text.len() - 1 {
            let whole = ImageOrigin::parse(&text[..torn], &one);
            assert!(whole.is_none_or(|origin| "docker://quay.io/os:1".starts_with(&origin.reference)));
        }
        assert_eq!(ImageOrigin::parse("", &one), None);
    }
}
