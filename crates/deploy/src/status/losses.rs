//! Files whose content the repository lost: the part of a deployment's health that costs a look at every object.
//!
//! What lives here: finding them by names, of images, overlays and bound images. What does not: content, which fsck reads; any
//! mending: only the place that an image came from has its files. Why no plan looks: for an image of 58,000 files listing all
//! objects takes tens of milliseconds, and a whole deploy may take 150.

use std::collections::HashSet;

use sealstone_import::streams::layer_stream;
use sealstone_store::{
    Control, ObjectId, Repository,
    tree::{Content, Tree},
};

use super::{Health, Status};
use crate::{
    DeployError, DeploymentId, ImageTrees, Record, Target,
    bound::{checked_bound_condition, stream_objects},
};

/// How many lost files are named.
const NAMED: usize = 2;

/// Adds to a status what was lost of the deployments: looks at the name of every object that they need.
///
/// # Errors
/// When the repository's folders cannot be listed.
pub fn add_losses(
    target: &Target,
    status: &mut Status,
    trees: &ImageTrees,
    control: &Control,
) -> Result<(), DeployError> {
    let records: Vec<Record> =
        status.deployments.iter().map(|deployment| deployment.record.clone()).collect();
    for (id, reason) in find_lost(&target.repository, &records, trees, control)? {
        for deployment in status.deployments.iter_mut().filter(|deployment| deployment.record.id == id) {
            deployment.health = match std::mem::replace(&mut deployment.health, Health::Good) {
                Health::Good => Health::Broken(vec![reason.clone()]),
                Health::Broken(reasons) => Health::Broken([reasons, vec![reason.clone()]].concat()),
            };
        }
    }
    for deployment in &mut status.deployments {
        let (sysroot, repository) = (&target.sysroot, &target.repository);
        deployment.bound = checked_bound_condition(sysroot, repository, &deployment.record, control)?;
    }
    Ok(())
}

/// What of the images and overlays of these deployments is lost, as the end of a sentence. One whose image cannot be read at all
/// is passed over: that is known already.
pub(crate) fn find_lost(
    repository: &Repository,
    records: &[Record],
    trees: &ImageTrees,
    control: &Control,
) -> Result<Vec<(DeploymentId, String)>, DeployError> {
    let mut wanted: HashSet<ObjectId> = HashSet::new();
    for record in records {
        if let Ok(tree) = trees.tree(repository, &record.image.id) {
            wanted.extend(objects_of(&tree).map(|(object, _)| object));
        }
        wanted.extend(overlay_objects(repository, record));
    }
    let lost: HashSet<ObjectId> = repository.lost_objects(wanted, control)?.into_iter().collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let mut reasons = Vec::new();
    for record in records {
        if let Ok(tree) = trees.tree(repository, &record.image.id) {
            reasons.extend(of_image(&tree, &lost).map(|reason| (record.id, reason)));
        }
        if overlay_objects(repository, record).iter().any(|object| lost.contains(object)) {
            reasons.push((record.id, "files of its overlays are lost: deploy it with them again".to_owned()));
        }
    }
    Ok(reasons)
}

/// The objects of an image's files with their sizes, one as often as there are files with it.
pub(super) fn objects_of(tree: &Tree) -> impl Iterator<Item = (ObjectId, u64)> + '_ {
    let mut walk = tree.walk();
    std::iter::from_fn(move || {
        loop {
            let (_, inode) = walk.next_entry()?;
            if let Content::External { object, size } = tree.content(inode) {
                return Some((object, size));
            }
        }
    })
}

fn of_image(tree: &Tree, lost: &HashSet<ObjectId>) -> Option<String> {
    let (mut count, mut named) = (0_usize, Vec::new());
    let mut walk = tree.walk();
    while let Some((path, inode)) = walk.next_entry() {
        if matches!(tree.content(inode), Content::External { object, .. } if lost.contains(&object)) {
            count += 1;
            if named.len() < NAMED {
                named.push(String::from_utf8_lossy(path).into_owned());
            }
        }
    }
    let others = count.saturating_sub(named.len());
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    let way_out = "`store import --verify-existing` of its image brings them back";
    (count > 0).then(|| format!("lost files: {}{more}; {way_out}", named.join(", ")))
}

/// The objects of a deployment's overlays; of one that cannot be read none: its stream is missed elsewhere.
pub(super) fn overlay_objects(repository: &Repository, record: &Record) -> Vec<ObjectId> {
    let streams = record.overlays.iter().filter_map(|overlay| layer_stream(&overlay.diff_id).ok());
    streams.flat_map(|stream| stream_objects(repository, &stream).unwrap_or_default()).collect()
}
