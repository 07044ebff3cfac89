//! How much disk each deployment takes: what is its own, and what it shares with others.
//!
//! What lives here: counting the files of images and of state folders. What does not: layers' tars without their file
//! bodies, and images that are not deployed, which `du` counts. Invariant: the own bytes of a deployment are of objects
//! that no other deployment's image names.

use std::collections::HashMap;

use sealstone_store::{
    ObjectId, Optional, Repository,
    disk::{Dir, FileType},
    tree::Content,
};

use super::Status;
use crate::{DeployError, DeploymentId, ImageId, Sysroot, Target, image_tree::image_tree, sysroot::DEPLOY};

/// What a deployment takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DiskUse {
    /// Of objects that only this deployment's image names, the image itself among them.
    pub own_bytes: u64,
    /// Of objects that images of other deployments name as well.
    pub shared_bytes: u64,
    /// Of the files in its state folder: its `/etc`.
    pub state_bytes: u64,
}

/// Who names an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    One(ImageId),
    Several,
}

/// Measures what each deployment of a status takes: reads all images.
///
/// # Errors
/// When the state folders cannot be read.
pub fn measure_disk(target: &Target, status: &mut Status) -> Result<(), DeployError> {
    let ids: Vec<DeploymentId> = status.deployments.iter().map(|deployment| deployment.record.id).collect();
    let uses = disk_use(&target.sysroot, &target.repository, &ids)?;
    for (deployment, disk) in status.deployments.iter_mut().zip(uses) {
        deployment.disk = Some(disk);
    }
    Ok(())
}

/// What each of these deployments takes. One whose image cannot be read has only its state counted.
///
/// # Errors
/// When the state folders cannot be read.
fn disk_use(
    sysroot: &Sysroot,
    repository: &Repository,
    deployments: &[DeploymentId],
) -> Result<Vec<DiskUse>, DeployError> {
    let mut images: Vec<ImageId> = deployments.iter().map(|id| *id.image()).collect();
    images.sort_unstable();
    images.dedup();
    let mut owners: HashMap<ObjectId, (u64, Owner)> = HashMap::new();
    for image in &images {
        note(repository, image, &mut owners);
    }
    let mut by_image: HashMap<ImageId, DiskUse> = HashMap::new();
    let mut shared: HashMap<ImageId, u64> = HashMap::new();
    for (size, owner) in owners.values() {
        if let Owner::One(image) = owner {
            by_image.entry(*image).or_default().own_bytes += size;
        }
    }
    for image in &images {
        let of_others = |(size, owner): &(u64, Owner)| if *owner == Owner::Several { *size } else { 0 };
        let objects = objects(repository, image);
        let bytes = objects.keys().filter_map(|id| owners.get(id)).map(of_others).sum();
        shared.insert(*image, bytes);
    }
    let mut uses = Vec::new();
    for id in deployments {
        let image = id.image();
        let counted = by_image.get(image).copied().unwrap_or_default();
        let shared_bytes = shared.get(image).copied().unwrap_or_default();
        // Two deployments of one image share all of it.
        let is_single = deployments.iter().filter(|other| other.image() == image).count() < 2;
        let (own_bytes, shared_bytes) =
            if is_single { (counted.own_bytes, shared_bytes) } else { (0, counted.own_bytes + shared_bytes) };
        let state = sysroot.dir().open_dir(format!("{DEPLOY}/{id}")).optional()?;
        let state_bytes = state.map(|state| folder_bytes(&state)).transpose()?.unwrap_or_default();
        uses.push(DiskUse { own_bytes, shared_bytes, state_bytes });
    }
    Ok(uses)
}

fn note(repository: &Repository, image: &ImageId, owners: &mut HashMap<ObjectId, (u64, Owner)>) {
    for (id, size) in objects(repository, image) {
        let owner = owners.entry(id).or_insert((size, Owner::One(*image)));
        if owner.1 != Owner::One(*image) {
            owner.1 = Owner::Several;
        }
    }
}

/// The objects of an image with their sizes, each once; none of an image that cannot be read.
fn objects(repository: &Repository, image: &ImageId) -> HashMap<ObjectId, u64> {
    let mut objects = HashMap::new();
    let Ok(tree) = image_tree(repository, image) else { return objects };
    let mut walk = tree.walk();
    while let Some((_, inode)) = walk.next_entry() {
        if let Content::External { object, size } = tree.content(inode) {
            objects.insert(object, size);
        }
    }
    let own = repository.open_object(image.object()).and_then(|file| file.metadata());
    objects.insert(*image.object(), own.map_or(0, |metadata| metadata.size));
    objects
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
    use crate::testing::{Machine, System, file};

    fn system(version: &str, own: usize) -> System<'_> {
        let more = vec![
            file("usr/bin/shared", &"the same in all ".repeat(1000)),
            file("usr/bin/own", &version.repeat(own)),
        ];
        System { more, ..System::new(version) }
    }

    #[test]
    fn what_only_one_image_names_is_its_own_and_the_rest_is_shared() {
        let machine = Machine::new();
        let requests = [machine.import(&system("1", 5000)), machine.import(&system("2", 7000))];
        for request in &requests {
            machine.deploy(request);
        }
        let target = machine.target();
        let ids: Vec<DeploymentId> =
            requests.iter().map(|request| DeploymentId::new(request.image, 0)).collect();
        let uses = disk_use(&target.sysroot, &target.repository, &ids).unwrap();
        let [one, two] = uses.as_slice() else { panic!() };
        assert_eq!(one.shared_bytes, two.shared_bytes);
        assert!((16_000..40_000).contains(&one.shared_bytes), "{one:?}");
        assert_eq!(two.own_bytes - one.own_bytes, 2000, "{uses:?}");
        let origin = machine.read(&format!("sysroot/state/deploy/{0}/{0}.origin", ids[0])).len() as u64;
        assert_eq!(one.state_bytes, "secret".len() as u64 + 2 * 20 * 20 + 1 + origin);
        // One alone shares nothing.
        let alone = disk_use(&target.sysroot, &target.repository, &ids[..1]).unwrap();
        assert_eq!(alone[0].shared_bytes, 0);
        assert_eq!(alone[0].own_bytes, one.own_bytes + one.shared_bytes);
    }

    #[test]
    fn two_deployments_of_one_image_share_it_and_a_lost_image_is_no_failure() {
        let machine = Machine::new();
        let request = machine.import(&system("1", 5000));
        let target = machine.target();
        let (one, two) = (DeploymentId::new(request.image, 0), DeploymentId::new(request.image, 1));
        let uses = disk_use(&target.sysroot, &target.repository, &[one, two]).unwrap();
        assert_eq!((uses[0].own_bytes, uses[1].own_bytes), (0, 0));
        assert!(uses[0].shared_bytes > 0);
        let lost = DeploymentId::new("ab".repeat(64).parse().unwrap(), 0);
        assert_eq!(disk_use(&target.sysroot, &target.repository, &[lost]).unwrap(), [DiskUse::default()]);
    }
}
