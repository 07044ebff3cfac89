//! An OCI layout in a directory (image-spec, image-layout.md): `oci:DIR`.

use std::{fmt, path::Path, sync::Arc};

use sealstone_store::{
    Error as StoreError,
    disk::{Dir, Disk, File, FileType},
};

use rustix::io::Errno;

use super::{Blob, Choice, Source, select::select};
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
pub(super) const MARKER_LIMIT: u64 = 4096;

/// Reads one of the layout's own files.
fn read_file(dir: &Dir, name: &str, limit: u64) -> Result<Vec<u8>> {
    let place = || dir.label().display().to_string();
    match open_file(dir, name)?.map(|file| file.read_all(limit)) {
        Some(Ok(bytes)) => Ok(bytes),
        None => Err(ImportError::Missing { what: format!("file {name}"), place: place() }),
        Some(Err(StoreError::TooBig { what, limit })) => Err(ImportError::TooBig { what, limit }),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Opens a regular file of the layout, through no symlink; `None` when it is not there.
fn open_file(dir: &Dir, name: &str) -> Result<Option<File>> {
    let refuse = |reason| Err(ImportError::malformed(format!("{}/{name}", dir.label().display()), reason));
    let file = match dir.open_file(name) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) if error.errno() == Some(Errno::LOOP) => {
            return refuse("a symlink is on its way, which could lead anywhere");
        }
        Err(error) => return Err(error.into()),
    };
    match file.metadata()?.kind {
        FileType::File => Ok(Some(file)),
        _ => refuse("it is not a regular file"),
    }
}

/// Checks the file `oci-layout`.
pub(super) fn check_marker(bytes: &[u8], place: &str) -> Result<()> {
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
            Some(file) => Ok(Box::new(FileBlob { file, at: 0 })),
            None => Err(ImportError::Missing {
                what: format!("blob {}", descriptor.digest()),
                place: self.label(),
            }),
        }
    }
}

/// A blob in a file of its own.
struct FileBlob {
    file: File,
    at: u64,
}

impl Blob for FileBlob {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.file.read_at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}
