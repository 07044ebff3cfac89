//! An OCI layout in a directory (image-spec, image-layout.md): `oci:DIR`.

use std::{fmt, path::Path, sync::Arc};

use sealstone_store::disk::{Dir, Disk};

use super::{
    Blob, Choice, Source,
    files::{FileBlob, open_file, read_file},
    select::select,
};
use crate::{
    Digest, Limits,
    error::{ImportError, Result},
    oci::{Descriptor, Index},
};

/// A directory with `oci-layout`, `index.json` and `blobs/`.
pub struct OciLayout {
    dir: Dir,
    choice: Choice,
}

impl OciLayout {
    /// Opens the layout, and reads nothing of it but its version.
    ///
    /// # Errors
    /// When there is no such directory, or it is no layout of a version that we know.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, choice: Choice) -> Result<Self> {
        let dir = Dir::open(disk, path)?;
        let place = path.display().to_string();
        check_marker(&read_file(&dir, "oci-layout", MARKER_LIMIT)?, &place)?;
        Ok(Self { dir, choice })
    }
}

/// The most that `oci-layout` may hold, in bytes: a version, in JSON.
pub(crate) const MARKER_LIMIT: u64 = 4096;

/// Checks the file `oci-layout`.
pub(crate) fn check_marker(bytes: &[u8], place: &str) -> Result<()> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let marker: Marker = serde_json::from_slice(bytes)
        .map_err(|error| ImportError::malformed(format!("{place}/oci-layout"), error.to_string()))?;
    if marker.image_layout_version.starts_with("1.") {
        Ok(())
    } else {
        let reason = format!("version {:?} is not 1.x", marker.image_layout_version);
        Err(ImportError::unsupported(format!("OCI layout {place}"), reason))
    }
}

/// Where a layout keeps a blob: built from checked bytes alone.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.to_hex())
}

impl fmt::Debug for OciLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciLayout").field("dir", &self.dir.label()).field("choice", &self.choice).finish()
    }
}

impl Source for OciLayout {
    fn label(&self) -> String {
        format!("oci:{}", self.dir.label().display())
    }

    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>> {
        let bytes = read_file(&self.dir, "index.json", limits.document_bytes)?;
        let place = self.label();
        let index = Index::parse(&bytes)
            .map_err(|reason| ImportError::malformed(format!("index.json of {place}"), reason))?;
        select(index, &self.choice, &place)
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        match open_file(&self.dir, &blob_path(descriptor.digest()))? {
            Some(file) => Ok(Box::new(FileBlob::whole(file))),
            None => Err(ImportError::Missing {
                what: format!("blob {}", descriptor.digest()),
                place: self.label(),
            }),
        }
    }
}
