//! The durable making of a folder on a boot partition (rule D9).
//!
//! What lives here: where a folder comes to be, and when it gets its name. What does not: what is in it.
//! Why not in its place at once (each state was looked at that a cut could leave of what Linux' vfat wrote in a machine): one
//! sync writes the name, what is in the folder's first cluster, and the table of clusters, in any order. A name that is there
//! first leads to a cluster that is free, or full of what was there before; Linux takes the file system read-only when somebody
//! looks at it, and until that is checked nothing can be updated. So a folder is made at the root, under a name that nobody
//! looks at, and moves when all of it is durable. A cut leaves the other name at worst, which is never touched again: to look at
//! it is what does the harm.

use sealstone_store::{
    Optional,
    disk::{Dir, Rename},
};

use crate::BootError;

/// As many names as there are for folders that are being made. Each is of the kind that takes a single slot.
const NAMES: u32 = 100;

/// Opens a folder at the root, made first if it is missing: by the first installation, before anything boots from there.
pub(super) fn ensure_top(root: &Dir, name: &str) -> Result<Dir, BootError> {
    if let Some(dir) = root.open_dir(name).optional()? {
        return Ok(dir);
    }
    let dir = root.ensure_dir(name, 0o755)?;
    // D3: a new directory is durable when its parent is synced.
    root.sync()?;
    Ok(dir)
}

/// Opens a folder that is not at the root, made first if it is missing. Durable, unless a run that was killed made it: see
/// [`Esp::settle`](super::Esp::settle).
pub(super) fn ensure_dir(root: &Dir, parent: &Dir, name: &str) -> Result<Dir, BootError> {
    if let Some(dir) = parent.open_dir(name).optional()? {
        return Ok(dir);
    }
    let unseen = free_name(root)?;
    let made = make(root, &unseen, parent, name);
    if made.is_err() {
        // It is empty, and in nobody's way, so whether this works does not matter.
        let _ = root.remove_dir(&unseen);
    }
    made
}

fn make(root: &Dir, unseen: &str, parent: &Dir, name: &str) -> Result<Dir, BootError> {
    root.create_dir(unseen, 0o755)?;
    // A sync of any other folder writes the table of clusters and not the name: whatever comes of the name, its cluster is
    // nobody else's.
    parent.sync()?;
    // D3: a new directory is durable when its parent is synced.
    root.sync()?;
    root.rename(unseen, parent, name, Rename::NoReplace)?;
    // The other name goes first: two names of one cluster are worse than none.
    root.sync()?;
    let dir = parent.open_dir(name)?;
    // A rename writes a name that leads nowhere, which is as bad as one that leads to what is free; where it leads comes with a
    // sync of the folder itself, in one write.
    dir.sync()?;
    parent.sync()?;
    Ok(dir)
}

/// A name that is not there, told by the list of names: to look at one does what is described above.
fn free_name(root: &Dir) -> Result<String, BootError> {
    let listed = root.read_dir()?;
    let is_free = |name: &String| !listed.iter().any(|entry| entry.name.eq_ignore_ascii_case(name));
    let name = |number: u32| format!("NEW.D{number:02}");
    (0..NAMES).map(name).find(is_free).ok_or_else(|| BootError::Corrupt {
        what: root.label().display().to_string(),
        reason: format!("cuts left {} to {}: check the file system with fsck.fat", name(0), name(NAMES - 1)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustix::io::Errno;
    use sealstone_store::disk::{Call, Disk, FailingDisk, RealDisk, RecordingDisk};

    use super::*;

    /// What is done with folders, each by its name.
    fn steps(log: &RecordingDisk) -> Vec<String> {
        let is_one = |name: &str| ["CreateDir", "Rename", "SyncDir", "RemoveDir"].contains(&name);
        let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let log = log.log();
        log.iter()
            .filter(|call| is_one(call.name))
            .map(|call| format!("{} {}", call.name, name(&call.path)))
            .collect()
    }

    #[test]
    fn a_folder_gets_its_name_when_all_of_it_is_durable_and_no_leftover_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["parent", "new.d00"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let recording = RecordingDisk::new(RealDisk::shared());
        let disk: Arc<dyn Disk> = recording.clone();
        let root = Dir::open(&disk, folder.path()).unwrap();
        let parent = root.open_dir("parent").unwrap();
        for _ in 0..2 {
            ensure_dir(&root, &parent, "name").unwrap();
        }
        let top = folder.path().file_name().unwrap().to_string_lossy();
        let sync = format!("SyncDir {top}");
        let table = "SyncDir parent";
        let order =
            ["CreateDir NEW.D01", table, &sync, "Rename name", &sync, "SyncDir name", "SyncDir parent"];
        assert_eq!(steps(&recording), order);
        assert!(recording.log().iter().all(|call| !call.path.ends_with("new.d00")));
    }

    #[test]
    fn a_failure_leaves_no_other_name_and_too_many_leftovers_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |call: &Call<'_>| matches!(call, Call::Rename { .. });
        let disk: Arc<dyn Disk> = FailingDisk::new(RealDisk::shared(), 0, true, Errno::IO, fails);
        let root = Dir::open(&disk, folder.path()).unwrap();
        let parent = ensure_top(&root, "parent").unwrap();
        ensure_dir(&root, &parent, "name").unwrap_err();
        assert_eq!(root.read_dir().unwrap().len(), 1);
        assert!(parent.read_dir().unwrap().is_empty());
        for number in 0..NAMES {
            std::fs::create_dir(folder.path().join(format!("NEW.D{number:02}"))).unwrap();
        }
        let error = ensure_dir(&root, &parent, "name").unwrap_err().to_string();
        assert!(error.contains("NEW.D00") && error.contains("fsck.fat"), "{error}");
    }
}
