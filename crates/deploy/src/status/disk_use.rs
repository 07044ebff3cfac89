//! How much disk each deployment takes: what is its own, and what it shares with others.
//!
//! What lives here: counting the objects of images, overlays and bound images, and the files of state folders. What does not:
//! the tars of layers without their file bodies, and images that are not deployed, which `du` counts. Invariant: the own bytes
//! of a deployment are of objects that no other deployment needs.

use std::collections::HashMap;

use sealstone_store::{
    ObjectId, Optional, Repository,
    disk::{Dir, FileType},
};

use super::{
    Status,
    losses::{objects_of, overlay_objects},
};
use crate::{
    DeployError, ImageTrees, Record, Sysroot, Target,
    bound::{image_store, layer_objects},
    sysroot::DEPLOY,
};

/// What a deployment takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DiskUse {
    /// Of objects that only this deployment needs: the image itself, its files, its overlays and bound images.
    pub own_bytes: u64,
    /// Of objects that other deployments need as well.
    pub shared_bytes: u64,
    /// Of the files in its state folder: its `/etc`.
    pub state_bytes: u64,
    /// Of the files in its image store for podman, whose blocks are the repository's where the file system shares them.
    pub image_store_bytes: u64,
}

/// Measures what each deployment of a status takes: reads all images, each once with what `trees` has.
///
/// # Errors
/// When the state folders cannot be read.
pub fn measure_disk(target: &Target, status: &mut Status, trees: &ImageTrees) -> Result<(), DeployError> {
    let records: Vec<&Record> = status.deployments.iter().map(|deployment| &deployment.record).collect();
    let uses = disk_use(target, &records, trees)?;
    for (deployment, disk) in status.deployments.iter_mut().zip(uses) {
        deployment.disk = Some(disk);
    }
    Ok(())
}

/// What each of these deployments takes. One whose image cannot be read has only the rest counted.
fn disk_use(target: &Target, records: &[&Record], trees: &ImageTrees) -> Result<Vec<DiskUse>, DeployError> {
    let mut needed = Vec::new();
    for record in records {
        needed.push(objects(&target.repository, record, trees)?);
    }
    let mut used_by: HashMap<ObjectId, usize> = HashMap::new();
    for id in needed.iter().flat_map(HashMap::keys) {
        *used_by.entry(*id).or_default() += 1;
    }
    let mut uses = Vec::new();
    for (record, objects) in records.iter().zip(&needed) {
        let mut disk = state_use(&target.sysroot, record)?;
        for (id, size) in objects {
            let is_own = used_by.get(id) == Some(&1);
            let sum = if is_own { &mut disk.own_bytes } else { &mut disk.shared_bytes };
            *sum += size;
        }
        uses.push(disk);
    }
    Ok(uses)
}

/// The bytes of a deployment's state folder.
fn state_use(sysroot: &Sysroot, record: &Record) -> Result<DiskUse, DeployError> {
    let place = format!("{DEPLOY}/{}", record.state_id());
    let Some(state) = sysroot.dir().open_dir(place).optional()? else { return Ok(DiskUse::default()) };
    let store = state.open_dir(image_store::NAME).optional()?;
    let image_store_bytes = store.map(|store| folder_bytes(&store)).transpose()?.unwrap_or_default();
    let state_bytes = folder_bytes(&state)?.saturating_sub(image_store_bytes);
    Ok(DiskUse { state_bytes, image_store_bytes, ..DiskUse::default() })
}

/// The objects that a deployment needs with their sizes, each once; none of an image that cannot be read.
fn objects(
    repository: &Repository,
    record: &Record,
    trees: &ImageTrees,
) -> Result<HashMap<ObjectId, u64>, DeployError> {
    let mut objects = HashMap::new();
    let image = &record.image.id;
    if let Ok(tree) = trees.tree(repository, image) {
        objects.extend(objects_of(&tree));
    }
    let mut others = vec![*image.object()];
    others.extend(overlay_objects(repository, record));
    for bound in &record.bound {
        // What is not there takes nothing, and is told elsewhere.
        others.extend(layer_objects(repository, &bound.manifest).unwrap_or_default());
    }
    for id in others {
        if !objects.contains_key(&id)
            && let Some(size) = repository.object_size(&id)?
        {
            objects.insert(id, size);
        }
    }
    Ok(objects)
}

/// The content of all files in a folder, links not followed.
fn folder_bytes(top: &Dir) -> Result<u64, DeployError> {
    let (mut bytes, mut folders) = (0, vec![top.clone()]);
    while let Some(folder) = folders.pop() {
        // What another process removes meanwhile, or does not let us into, is not counted.
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries {
            match entry.kind {
                FileType::Directory => folders.extend(folder.open_dir(&entry.name).ok()),
                FileType::File => {
                    bytes += folder.metadata(&entry.name).optional()?.map_or(0, |metadata| metadata.size);
                }
                _ => {}
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ImageId,
        testing::{Machine, System, file, record},
    };

    fn system(version: &str, own: usize) -> System<'_> {
        let more = vec![
            file("usr/bin/shared", &"the same in all ".repeat(1000)),
            file("usr/bin/own", &version.repeat(own)),
        ];
        System { more, ..System::new(version) }
    }

    fn uses(target: &Target, records: &[&Record]) -> Vec<DiskUse> {
        disk_use(target, records, &ImageTrees::default()).unwrap()
    }

    #[test]
    fn what_only_one_deployment_needs_is_its_own_and_the_rest_is_shared() {
        let machine = Machine::new();
        for request in [machine.import(&system("1", 5000)), machine.import(&system("2", 7000))] {
            machine.deploy(&request);
        }
        let target = machine.target();
        let (records, _) = target.sysroot.records().unwrap();
        let [two, one] = records.as_slice() else { panic!() };
        let [own, newer] = uses(&target, &[one, two])[..] else { panic!() };
        assert_eq!(own.shared_bytes, newer.shared_bytes);
        assert!((16_000..40_000).contains(&own.shared_bytes), "{own:?}");
        assert_eq!(newer.own_bytes - own.own_bytes, 2000, "{own:?} {newer:?}");
        let origin = machine.read(&format!("sysroot/state/deploy/{0}/{0}.origin", one.id)).len() as u64;
        assert_eq!(own.state_bytes, "secret".len() as u64 + 2 * 20 * 20 + 1 + origin);
        // One alone shares nothing.
        let alone = uses(&target, &[one])[0];
        assert_eq!(alone.shared_bytes, 0);
        assert_eq!(alone.own_bytes, own.own_bytes + own.shared_bytes);
    }

    #[test]
    fn two_deployments_of_one_image_share_it_and_a_lost_image_is_no_failure() {
        let machine = Machine::new();
        machine.deploy(&machine.import(&system("1", 5000)));
        let target = machine.target();
        let (records, _) = target.sysroot.records().unwrap();
        let uses = |records: &[&Record]| uses(&target, records);
        let both = uses(&[&records[0], &records[0]]);
        assert_eq!((both[0].own_bytes, both[1].own_bytes), (0, 0));
        assert!(both[0].shared_bytes > 0);
        let mut lost = Record { id: "ab".repeat(64).parse().unwrap(), ..record() };
        lost.image.id = ImageId::new("ab".repeat(64).parse().unwrap());
        assert_eq!(uses(&[&lost]), [DiskUse::default()]);
    }

    #[test]
    fn files_of_the_image_store_are_not_counted_as_etc() {
        let machine = Machine::new();
        machine.deploy(&machine.import(&system("1", 10)));
        let target = machine.target();
        let (records, _) = target.sysroot.records().unwrap();
        let before = uses(&target, &[&records[0]])[0];
        let store = machine.path(&format!("sysroot/{}", image_store::place(&records[0].id)));
        std::fs::create_dir_all(store.join("overlay")).unwrap();
        std::fs::write(store.join("overlay/file"), [0; 5000]).unwrap();
        let after = uses(&target, &[&records[0]])[0];
        assert_eq!(after, DiskUse { image_store_bytes: 5000, ..before });
    }
}
