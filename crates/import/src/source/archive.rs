//! A tar of an OCI layout: `oci-archive:FILE`.
//!
//! A plain file is indexed by offsets, header by header, and read in place: nothing is unpacked, nothing copied. One that
//! is compressed, or comes from the standard input, is unpacked into a temporary file first.

use super::{
    Blob, Choice, Source,
    layout::{MARKER_LIMIT, blob_path, check_marker},
    select::select,
    tar_index::TarIndex,
};
use crate::{
    Limits,
    error::{ImportError, Result},
    oci::{Descriptor, Index},
};

/// A tar with `oci-layout`, `index.json` and `blobs/`.
#[derive(Debug)]
pub struct OciArchive {
    index: TarIndex,
    choice: Choice,
}

impl OciArchive {
    /// Takes an indexed archive, and reads nothing of it but its version.
    pub(super) fn new(index: TarIndex, choice: Choice) -> Result<Self> {
        if !index.has("oci-layout") && index.has("manifest.json") {
            let reason = "it is no OCI layout, but what docker save writes: read it as docker-archive:";
            return Err(ImportError::unsupported(index.label(), reason));
        }
        check_marker(&index.read("oci-layout", MARKER_LIMIT)?, index.label())?;
        Ok(Self { index, choice })
    }
}

impl Source for OciArchive {
    fn label(&self) -> String {
        self.index.label().to_owned()
    }

    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>> {
        let bytes = self.index.read("index.json", limits.document_bytes)?;
        let place = self.index.label();
        let index = Index::parse(&bytes)
            .map_err(|reason| ImportError::malformed(format!("index.json of {place}"), reason))?;
        select(index, &self.choice, place)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        let span = self.index.member(&blob_path(descriptor.digest()))?;
        Ok(Box::new(self.index.open(span)))
    }
}
