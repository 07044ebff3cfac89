//! What a verb left on a machine, seen as a boot loader and an initramfs see it, and file by file.

use std::{collections::BTreeMap, path::Path};

use sealstone_boot::{BlsEntry, FoundEntry, SIDE_BY_SIDE, menu_order};
use sealstone_store::{Place, disk::RealDisk};

use super::Machine;
use crate::{
    DeploymentId, ImageId,
    adopt::deployment_of,
    image_tree::{image_tree, read_text},
};

/// How often a large initramfs has its line: so that it is written beside a state.
pub(crate) const LARGE: usize = (SIDE_BY_SIDE / 12) as usize + 1;

/// The images whose entries boot: the entry is whole, its files are those that it wants, and image and state folder are
/// there; of ours refs and record as well. In the order of systemd-boot's menu: the first boots by default.
pub(crate) fn bootable(root: &Path) -> Vec<ImageId> {
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let records = target.sysroot.records().unwrap().0;
    let kept = target.repository.refs(Place::Images).unwrap();
    let on_esp = |file: &str| root.join("esp").join(file.trim_start_matches('/'));
    let boots = |entry: &BlsEntry| -> Option<ImageId> {
        let of_bootc: Option<DeploymentId> = deployment_of(entry);
        let id = entry.sealstone_id().and_then(|id| id.parse().ok()).or(of_bootc)?;
        let tree = image_tree(&target.repository, id.image()).unwrap();
        let version = read_text(&target.repository, &tree, "/etc/version", 1 << 20).unwrap()?;
        for (key, name, times) in [("linux", "kernel", 100), ("initrd", "initramfs", 200)] {
            let Some(file) = entry.get(key) else { continue };
            let text = std::fs::read_to_string(on_esp(file)).ok()?;
            let whole = [times, LARGE].map(|times| format!("{name} {version} ").repeat(times));
            assert!(whole.contains(&text), "{file} is torn");
        }
        let etc = root.join(format!("sysroot/state/deploy/{id}/etc/version"));
        assert_eq!(std::fs::read_to_string(etc).ok()?, version);
        if entry.sealstone_id().is_some() {
            records.iter().find(|record| record.id == id)?;
            let name = format!("image {}", id.image());
            assert!(kept.iter().any(|(_, target)| target.to_string() == name), "no ref");
        }
        Some(*id.image())
    };
    // As systemd-boot does: an entry whose kernel is not there (its last line is torn) is no entry.
    let has_kernel =
        |entry: &BlsEntry| entry.linux().or(entry.get("uki")).is_some_and(|file| on_esp(file).is_file());
    let found = target.esps[0].entries().unwrap();
    let entries = found.iter().filter_map(|found| match found {
        FoundEntry::Entry(name, entry) if has_kernel(entry) => Some((name, entry)),
        _ => None,
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|a, b| menu_order(*a, *b));
    // A bootable entry whose deployment does not boot is the one thing that must never be.
    entries
        .into_iter()
        .map(|(_, entry)| boots(entry).unwrap_or_else(|| panic!("{entry} does not boot")))
        .collect()
}

/// Every file of the sysroot's state, of the boot partition and of the repository's names, with its content. Of the orders of
/// records their succession counts, not the numbers.
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
            } else if kind.is_file() {
                let text = String::from_utf8(std::fs::read(&path).unwrap());
                into.insert(name, text.unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string()));
            } else {
                into.insert(name, "a node".to_owned());
            }
        }
    }
    let mut state = BTreeMap::new();
    for part in ["esp", "sysroot/state", "sysroot/composefs/images", "sysroot/composefs/streams"] {
        fill(&root.join(part), root, &mut state);
    }
    let target = Machine::target_on(&RealDisk::shared(), root).unwrap();
    let mut records = target.sysroot.records().unwrap().0;
    records.sort_by_key(|record| record.order);
    for (place, record) in (1..).zip(&records) {
        let file = state.get_mut(&format!("sysroot/state/sealstone/deployments/{}.json", record.id)).unwrap();
        *file = file.replace(&format!("\"order\": {},", record.order), &format!("\"order\": {place},"));
    }
    state
}
