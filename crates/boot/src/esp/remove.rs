//! The durable end of files and folders on a boot partition (rule D9).
//!
//! What lives here: the order in which a name and its clusters go. What does not: what may go.
//! Why this order (seen on Linux' vfat, in a machine whose power was cut): a name that is struck out and the table of clusters
//! reach the disk in any order. Where the table comes first, the name still stands and leads to clusters that are free; the
//! next file gets them, and when the name goes at last, so do the clusters of that file. What somebody has open keeps its
//! clusters: so it stays open until its name is durably gone. A cut in between loses room until the next check of the file
//! system, and nothing else.

use sealstone_store::{
    Optional,
    disk::{Dir, FileType},
};

use crate::BootError;

/// Removes a file, if it is there. Durable.
pub(super) fn remove_file(folder: &Dir, name: &str) -> Result<(), BootError> {
    // What cannot be opened goes without.
    let held = folder.open_file(name);
    folder.remove_file(name).optional()?;
    folder.sync()?;
    drop(held);
    Ok(())
}

/// Removes a file or a folder with all that is in it, if it is there. Durable.
pub(super) fn remove_all(folder: &Dir, name: &str) -> Result<(), BootError> {
    match folder.metadata(name).optional()?.map(|there| there.kind) {
        Some(FileType::Directory) => {}
        _ => return remove_file(folder, name),
    }
    let Some(held) = folder.open_dir(name).optional()? else { return remove_file(folder, name) };
    for entry in held.read_dir()? {
        match entry.kind {
            // Nobody of ours makes folders so deep: what is in these is not of our making, and of no boot loader's concern.
            FileType::Directory => held.remove_dir_all(&entry.name).optional().map(drop)?,
            _ => remove_file(&held, &entry.name.to_string_lossy())?,
        }
    }
    folder.remove_dir(name).optional()?;
    folder.sync()?;
    drop(held);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::{Arc, Mutex},
    };

    use rustix::io::Errno;
    use sealstone_store::disk::{Call, Disk, RealDisk, Reply};

    use super::*;

    /// Notes what this process has open of what is gone, whenever a folder is synced.
    struct Watching(Mutex<Vec<String>>);

    impl Disk for Watching {
        fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
            if let Call::SyncDir { dir } = call {
                let below = format!("{}/", dir.label().display());
                let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
                let open = links.filter_map(|link| std::fs::read_link(link.path()).ok());
                let gone = open.filter_map(|path| {
                    let path = path.to_string_lossy().into_owned();
                    Some(path.strip_suffix(" (deleted)")?.strip_prefix(&below)?.to_owned())
                });
                self.0.lock().unwrap().extend(gone);
            }
            RealDisk::shared().call(call)
        }
    }

    fn removed(make: impl Fn(&Path)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let watching = Arc::new(Watching(Mutex::default()));
        let disk: Arc<dyn Disk> = watching.clone();
        let dir = Dir::open(&disk, folder.path()).unwrap();
        for _ in 0..2 {
            remove_all(&dir, "name").unwrap();
        }
        assert!(!folder.path().join("name").exists());
        let seen = watching.0.lock().unwrap();
        seen.clone()
    }

    #[test]
    fn what_is_removed_keeps_its_clusters_until_its_name_is_durably_gone() {
        assert_eq!(removed(|folder| std::fs::write(folder.join("name"), "x").unwrap()), ["name"]);
        let of_a_folder = removed(|folder| {
            std::fs::create_dir_all(folder.join("name/folder/deep")).unwrap();
            std::fs::write(folder.join("name/vmlinuz"), "x").unwrap();
        });
        assert_eq!(of_a_folder, ["vmlinuz", "name"]);
    }
}
