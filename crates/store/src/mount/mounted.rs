//! What is mounted on a folder, by what the kernel lists.
//!
//! Source: proc(5), `/proc/pid/fdinfo` (`mnt_id`) and `/proc/pid/mountinfo` (the mount's id first; after ` - ` the file system,
//! the source and the file system's options).

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

/// Where a mount's source and its file system's options are, behind ` - `.
const SOURCE: usize = 1;
const OPTIONS: usize = 2;

/// The source of the mount that a folder is in; `None` when there is no such folder.
pub(super) fn source_of(folder: &Path) -> Result<Option<String>> {
    let Some(folder) = Dir::open(&RealDisk::shared(), folder).optional()? else { return Ok(None) };
    field_of(&folder, SOURCE)
}

/// The options of the file system that a folder is on, as the kernel lists them for the mount that it is in.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn file_system_options(folder: &Dir) -> Result<Option<String>> {
    field_of(folder, OPTIONS)
}

/// A field of the mount that a folder is in.
fn field_of(folder: &Dir, field: usize) -> Result<Option<String>> {
    let process = Dir::open(&RealDisk::shared(), "/proc/self")?;
    let read = |name: &str| {
        let bytes = process.open_file(name)?.read_all(LIST_MAX)?;
        Ok::<_, crate::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let information = read(&format!("fdinfo/{}", folder.as_fd().as_raw_fd()))?;
    let id = information.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
    let Some(id) = id else { return Ok(None) };
    Ok(field_in(&read("mountinfo")?, id, field))
}

/// A field of the mount with this id.
fn field_in(list: &str, id: &str, field: usize) -> Option<String> {
    let line = list.lines().find(|line| line.split(' ').next() == Some(id))?;
    let (_, rest) = line.split_once(" - ")?;
    rest.split(' ').nth(field).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_the_mounts_id_and_not_by_what_a_path_looks_like() {
        let list = "36 35 0:5 / /mnt\\0402 rw shared:1 master:2 - proc proc rw\n\
                    3 36 0:6 / /mnt ro - overlay composefs:abc ro,lowerdir+=/\n";
        assert_eq!(field_in(list, "3", SOURCE).as_deref(), Some("composefs:abc"));
        assert_eq!(field_in(list, "36", SOURCE).as_deref(), Some("proc"));
        assert_eq!(field_in(list, "3", OPTIONS).as_deref(), Some("ro,lowerdir+=/"));
        assert_eq!(field_in(list, "6", SOURCE), None);
    }

    #[test]
    fn the_source_of_proc_is_proc() {
        assert_eq!(source_of(Path::new("/proc")).unwrap().as_deref(), Some("proc"));
        assert_eq!(source_of(Path::new("/proc/no such folder")).unwrap(), None);
        let proc = Dir::open(&RealDisk::shared(), "/proc").unwrap();
        assert!(file_system_options(&proc).unwrap().unwrap().starts_with("rw"));
    }
}
