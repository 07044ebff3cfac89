//! What is mounted on a folder, by what the kernel lists.
//!
//! Source: proc(5), `/proc/pid/fdinfo` (`mnt_id`) and `/proc/pid/mountinfo` (the mount's id first; after ` - ` the file system
//! and the source).

use std::{
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use crate::{
    Optional, Result,
    disk::{Dir, RealDisk},
};

/// The most bytes of a list of mounts that are read.
const LIST_MAX: u64 = 64 << 20;

/// The source of the mount that a folder is in; `None` when there is no such folder.
pub(super) fn source_of(folder: &Path) -> Result<Option<String>> {
    let disk = RealDisk::shared();
    let Some(folder) = Dir::open(&disk, folder).optional()? else { return Ok(None) };
    let process = Dir::open(&disk, "/proc/self")?;
    let read = |name: &str| {
        let bytes = process.open_file(name)?.read_all(LIST_MAX)?;
        Ok::<_, crate::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let information = read(&format!("fdinfo/{}", folder.as_fd().as_raw_fd()))?;
    let id = information.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
    Ok(id.and_then(|id| source_in(&read("mountinfo").ok()?, id)))
}

/// The source of the mount with this id.
fn source_in(list: &str, id: &str) -> Option<String> {
    let line = list.lines().find(|line| line.split(' ').next() == Some(id))?;
    let (_, rest) = line.split_once(" - ")?;
    rest.split(' ').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_found_by_the_mounts_id_and_not_by_what_a_path_looks_like() {
        let list = "36 35 0:5 / /mnt\\0402 rw shared:1 master:2 - proc proc rw\n\
                    3 36 0:6 / /mnt ro - overlay composefs:abc ro,lowerdir+=/\n";
        assert_eq!(source_in(list, "3").as_deref(), Some("composefs:abc"));
        assert_eq!(source_in(list, "36").as_deref(), Some("proc"));
        assert_eq!(source_in(list, "6"), None);
    }

    #[test]
    fn the_source_of_proc_is_proc() {
        assert_eq!(source_of(Path::new("/proc")).unwrap().as_deref(), Some("proc"));
        assert_eq!(source_of(Path::new("/proc/no such folder")).unwrap(), None);
    }
}
