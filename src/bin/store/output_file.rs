//! A file that a verb writes for its caller: whole under its name, or not there.
//!
//! What lives here: writing beside the name and moving into its place. What does not: what is written.

use std::path::Path;

use anyhow::Context as _;
use sealstone::store::disk::{Dir, File, RealDisk, Rename};

/// Writes a file by `write`, which gets it empty, and puts it in the place of whatever has the name. What fails leaves
/// nothing behind, and the name as it was.
pub fn write_file<T>(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    place(path, |folder, _, temporary| {
        let file = folder.create_new(temporary, 0o644)?;
        let done = write(&file)?;
        file.sync()?;
        Ok(done)
    })
}

/// The same of a file that `make` makes and syncs, under the path that it gets.
pub fn place_file<T>(path: &Path, make: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    place(path, |_, parent, temporary| make(&parent.join(temporary)))
}

fn place<T>(path: &Path, make: impl FnOnce(&Dir, &Path, &str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let name = path.file_name().context("this is no name of a file")?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = Dir::open(&RealDisk::shared(), parent)?;
    let temporary = format!(".{}.{}", name.to_string_lossy(), std::process::id());
    let placed = make(&folder, parent, &temporary).and_then(|done| {
        // D3: the content, which is synced, before the name, and the name before the answer.
        folder.rename(&temporary, &folder, name, Rename::Replace)?;
        folder.sync()?;
        Ok(done)
    });
    if placed.is_err() {
        // It is only in the way; the first error is the one to tell.
        let _ = folder.remove_file(&temporary);
    }
    placed
}
