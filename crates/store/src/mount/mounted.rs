//! What is mounted on a folder, by what the kernel lists.
//!
//! Source: proc(5), `/proc/pid/fdinfo` (`mnt_id`) and `/proc/pid/mountinfo` (the mount's id first, fourth what of the file system
//! is mounted; after ` - ` the file system, the source and the file system's options). Blanks, line ends and backslashes in them
//! are as the kernel writes them, `\040`.

use std::os::fd::{AsFd, AsRawFd};

use crate::{
    ObjectId, Result,
    disk::{Dir, RealDisk},
};

/// The most bytes of a list of mounts that are read.
const LIST_MAX: u64 = 64 << 20;

/// What the source of every mounted image begins with; and of what lies on one and forgets what is written.
pub(super) const IMAGE: &str = "composefs:";
const TRANSIENT: &str = "transient:composefs=";

/// The mount that a folder is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// What of its file system is mounted: a path from the file system's root.
    pub root: String,
    /// What is mounted: a device, or any text.
    pub source: String,
    /// The file system's options, with commas between them.
    pub options: String,
}

impl MountEntry {
    /// The mount that a folder is in; `None` when the kernel lists none.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(folder: &Dir) -> Result<Option<Self>> {
        let process = Dir::open(&RealDisk::shared(), "/proc/self")?;
        let read = |name: &str| {
            let bytes = process.open_file(name)?.read_all(LIST_MAX)?;
            Ok::<_, crate::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let information = read(&format!("fdinfo/{}", folder.as_fd().as_raw_fd()))?;
        let id = information.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
        let Some(id) = id else { return Ok(None) };
        Ok(Self::find(&read("mountinfo")?, id))
    }

    /// The mount with this id in the kernel's list.
    fn find(list: &str, id: &str) -> Option<Self> {
        let line = list.lines().find(|line| line.split(' ').next() == Some(id))?;
        let (mount, of_file_system) = line.split_once(" - ")?;
        let mut fields = of_file_system.split(' ').skip(1).map(str::to_owned);
        let root = mount.split(' ').nth(3)?.to_owned();
        Some(Self { root, source: fields.next()?, options: fields.next()? })
    }

    /// The image that is mounted, as bootc, composefs and we mount it.
    #[must_use]
    pub fn image(&self) -> Option<ObjectId> {
        let id = self.source.strip_prefix(IMAGE).or_else(|| self.source.strip_prefix(TRANSIENT))?;
        id.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_id_and_not_by_what_a_path_looks_like() {
        let list = "36 35 0:5 / /mnt\\0402 rw shared:1 master:2 - proc proc rw\n\
                    3 36 0:6 /state/deploy/a/etc /mnt ro - overlay composefs:abc ro,lowerdir+=/\n";
        let found = MountEntry::find(list, "3").unwrap();
        assert_eq!((found.source.as_str(), found.options.as_str()), ("composefs:abc", "ro,lowerdir+=/"));
        assert_eq!(found.root, "/state/deploy/a/etc");
        assert_eq!(MountEntry::find(list, "36").unwrap().source, "proc");
        assert_eq!(MountEntry::find(list, "6"), None);
    }

    #[test]
    fn an_image_is_known_by_its_source() {
        let of = |source: String| {
            MountEntry { root: "/".to_owned(), source, options: String::new() }
                .image()
                .map(|id| id.to_string())
        };
        let id = "5".repeat(64);
        assert_eq!(of(format!("composefs:{id}")).as_ref(), Some(&id));
        assert_eq!(of(format!("transient:composefs={id}")).as_ref(), Some(&id));
        assert_eq!(of(format!("overlay:{id}")), None);
        assert_eq!(of("composefs:abc".to_owned()), None);
    }

    #[test]
    fn the_source_of_proc_is_proc() {
        let proc = Dir::open(&RealDisk::shared(), "/proc").unwrap();
        let found = MountEntry::of(&proc).unwrap().unwrap();
        assert_eq!((found.root.as_str(), found.source.as_str()), ("/", "proc"));
        assert!(found.options.starts_with("rw"), "{found:?}");
    }
}
