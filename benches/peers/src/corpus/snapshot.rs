//! What a folder tree looks like at one moment, and how it differs from an earlier moment.
//!
//! Lives here: the scan and the difference. Not here: tar. Invariant: `changed` lists parents before children.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders whose contents never enter an image: run-time state, device nodes and what the build machine left.
const EXCLUDED: &[&str] = &[
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "var/cache/ldconfig",
];
/// Files that belong to the build machine.
const EXCLUDED_FILES: &[&str] = &["etc/resolv.conf", "etc/hostname", "usr/sbin/policy-rc.d"];

/// What tells that a path was touched: inode number, change time (s, ns), mode, size.
type Stamp = (u64, i64, i64, u32, u64);

/// A tree's paths (relative to its root) with their stamps.
#[derive(Default)]
pub struct Snapshot(BTreeMap<PathBuf, Stamp>);

/// What a layer has to hold to turn one snapshot into the next.
pub struct Difference {
    /// New and touched paths, folders included.
    pub changed: Vec<PathBuf>,
    /// Paths that are gone while their folder remains.
    pub removed: Vec<PathBuf>,
}

impl Snapshot {
    /// Scans the tree under `root`.
    pub fn take(root: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(folder) = pending.pop() {
            let full = root.join(&folder);
            for entry in fs::read_dir(&full).with_context(|| format!("read {}", full.display()))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                if EXCLUDED_FILES.iter().any(|file| path == Path::new(file)) {
                    continue;
                }
                let metadata = entry.metadata().with_context(|| format!("stat {}", path.display()))?;
                let size = if metadata.is_file() { metadata.len() } else { 0 };
                let stamp = (metadata.ino(), metadata.ctime(), metadata.ctime_nsec(), metadata.mode(), size);
                if metadata.is_dir() && !EXCLUDED.iter().any(|folder| path == Path::new(folder)) {
                    pending.push(path.clone());
                }
                found.insert(path, stamp);
            }
        }
        Ok(Self(found))
    }

    /// How `self` differs from `earlier`.
    pub fn since(&self, earlier: &Self) -> Difference {
        let changed = self.0.iter().filter(|(path, stamp)| earlier.0.get(*path) != Some(*stamp));
        let removed = earlier.0.keys().filter(|path| {
            let parent = path.parent().unwrap_or(Path::new(""));
            !self.0.contains_key(*path) && (parent == Path::new("") || self.0.contains_key(parent))
        });
        Difference {
            changed: changed.map(|(path, _)| path.clone()).collect(),
            removed: removed.cloned().collect(),
        }
    }
}
