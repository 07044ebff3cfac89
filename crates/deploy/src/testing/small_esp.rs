//! A disk whose boot partition is small: it tells how little is free, and refuses what does not fit.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use sealstone_store::disk::{Call, Disk, RealDisk, Reply, Space};

use super::Machine;

/// The unit of allocation.
const CLUSTER: u64 = 4096;

/// A disk with a small boot partition.
pub(crate) struct SmallEsp {
    esp: PathBuf,
    capacity: u64,
}

impl SmallEsp {
    /// As large as what is on the machine's boot partition, and three clusters.
    pub(crate) fn with_little_room(machine: &Machine) -> Arc<dyn Disk> {
        let esp = machine.path("esp");
        let capacity = used(&esp) + 3 * CLUSTER;
        Arc::new(Self { esp, capacity })
    }
}

/// What the files in a folder take.
fn used(folder: &Path) -> u64 {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.metadata().unwrap() {
        folder if folder.is_dir() => CLUSTER + used(&entry.path()),
        file => file.len().next_multiple_of(CLUSTER),
    };
    entries.map(size).sum()
}

impl Disk for SmallEsp {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        let free = || self.capacity.saturating_sub(used(&self.esp));
        match call {
            Call::Space { dir } if dir.label().starts_with(&self.esp) => Ok(Reply::Space(Space {
                total: self.capacity,
                free: free(),
                available: free(),
                block: CLUSTER,
                free_inodes: 0,
                read_only: false,
            })),
            Call::CreateNew { dir, .. } if dir.label().starts_with(&self.esp) && free() < CLUSTER => {
                Err(Errno::NOSPC)
            }
            other => RealDisk::shared().call(other),
        }
    }
}
