//! What a verb left on a machine, seen as a boot loader and an initramfs see it, and file by file.

use std::{collections::BTreeMap, path::Path};

use sealstone_boot::{BlsEntry, FoundEntry};
use sealstone_store::{Place, disk::RealDisk};

use super::Machine;
use crate::{DeploymentId, ImageId, image_tree::image_tree};

/// The images whose entries boot: the entry is whole, its files are those that it wants, and image, refs, state folder
/// and record are there.
pub(crate) fn bootable(root: &Path) -> Vec<ImageId> {
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let records = target.sysroot.records().unwrap().0;
    let kept = target.repository.refs(Place::Images).unwrap();
    let boots = |entry: &BlsEntry| -> Option<ImageId> {
        let id: DeploymentId = entry.sealstone_id()?.parse().ok()?;
        let record = records.iter().find(|record| record.id == id)?;
        for (file, name) in entry.files().zip(["initramfs", "kernel"]) {
            let text = std::fs::read_to_string(root.join("esp").join(file.trim_start_matches('/'))).ok()?;
            let times = if name == "kernel" { 100 } else { 200 };
            assert_eq!(
                text,
                format!("{name} {} ", record.os.version.as_ref()?).repeat(times),
                "{file} is torn"
            );
        }
        let etc = root.join(format!("sysroot/state/deploy/{id}/etc/version"));
        assert_eq!(std::fs::read_to_string(etc).ok()?, *record.os.version.as_ref()?);
        assert!(
            kept.iter().any(|(_, target)| target.to_string() == format!("image {}", id.image())),
            "no ref"
        );
        image_tree(&target.repository, id.image()).unwrap();
        Some(*id.image())
    };
    // As systemd-boot does: an entry whose kernel is not there (its last line is torn) is no entry.
    let has_kernel = |entry: &BlsEntry| {
        entry.linux().is_some_and(|linux| root.join("esp").join(linux.trim_start_matches('/')).is_file())
    };
    let found = target.esps[0].entries().unwrap();
    let entries = found.iter().filter_map(|found| match found {
        FoundEntry::Entry(_, entry) if has_kernel(entry) => Some(entry),
        _ => None,
    });
    // A bootable entry whose deployment does not boot is the one thing that must never be.
    entries.map(|entry| boots(entry).unwrap_or_else(|| panic!("{entry} does not boot"))).collect()
}

/// Every file of the sysroot's state, of the boot partition and of the repository's names, with its content.
pub(crate) fn end_state(root: &Path) -> BTreeMap<String, String> {
    fn fill(dir: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
        for entry in dir.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                fill(&path, root, into);
            } else if kind.is_symlink() {
                into.insert(name, path.read_link().unwrap().display().to_string());
            } else {
                into.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut state = BTreeMap::new();
    for part in ["esp", "sysroot/state", "sysroot/composefs/images", "sysroot/composefs/streams"] {
        fill(&root.join(part), root, &mut state);
    }
    state
}
