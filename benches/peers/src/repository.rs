//! A composefs repository seen from outside: names of objects, streams and images, read with nothing but the file
//! system, so that neither program under test vouches for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The names of all objects, in hex.
pub fn objects(repository: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let root = repository.join("objects");
    for folder in fs::read_dir(&root).with_context(|| format!("read {}", root.display()))? {
        let folder = folder?;
        for object in fs::read_dir(folder.path())? {
            let (first, rest) = (folder.file_name(), object?.file_name());
            found.insert(format!("{}{}", first.to_string_lossy(), rest.to_string_lossy()));
        }
    }
    Ok(found)
}

/// The symlinks of `streams` or `images`, by name, with the object that each names; none if there is no such folder.
pub fn names(repository: &Path, folder: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let folder = repository.join(folder);
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            let target = fs::read_link(entry.path())?;
            let id = target.to_string_lossy().replace("../objects/", "").replace('/', "");
            found.insert(entry.file_name().to_string_lossy().into_owned(), id);
        }
    }
    Ok(found)
}

/// The digest of the one image's configuration, and the object of its stream.
pub fn config(repository: &Path) -> Result<(String, String)> {
    let streams = names(repository, "streams")?;
    let config = streams.iter().find_map(|(name, object)| Some((name.strip_prefix("oci-config-")?, object)));
    let (config, object) = config.context("a repository without a config")?;
    Ok((config.to_owned(), object.clone()))
}

/// Where an object is.
pub fn object_path(repository: &Path, id: &str) -> PathBuf {
    let (first, rest) = id.split_at(2);
    repository.join("objects").join(first).join(rest)
}
