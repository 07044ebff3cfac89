//! [`StreamOutput`]: bytes go out as they come; only the end says whether they were right.

use std::{fmt, io::Write};

use sealstone_store::Error as StoreError;

use super::ArtifactOutput;
use crate::error::Result;

/// A pipe or the standard output. What was written cannot be taken back: whoever reads has to wait for the answer of
/// [`fetch_artifact`](crate::artifact::fetch_artifact).
pub struct StreamOutput {
    stream: Box<dyn Write + Send>,
    name: String,
}

impl StreamOutput {
    /// Writes to `stream`, called `name` in errors.
    pub fn new(name: &str, stream: impl Write + Send + 'static) -> Self {
        Self { stream: Box::new(stream), name: name.to_owned() }
    }

    fn on(&mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
        let path = self.name.clone().into();
        Ok(write(&mut *self.stream).map_err(|source| StoreError::Io { op: "write", path, source })?)
    }
}

impl ArtifactOutput for StreamOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.on(|stream| stream.write_all(bytes))
    }

    fn finish(&mut self) -> Result<()> {
        self.on(|stream| stream.flush())
    }
}

impl fmt::Debug for StreamOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOutput").field("name", &self.name).finish_non_exhaustive()
    }
}
