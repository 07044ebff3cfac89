//! Records that are lost or cannot be read, made again of what else tells of their deployments.
//!
//! What lives here: finding such deployments by their entries, and what their records must have said. What does not: writing
//! them ([`plan_reconcile`](crate::plan_reconcile())), and how an entry and an origin are read (`adopt.rs`). Invariants: a record
//! of a newer version is never replaced; nothing is written. What no other place knows is lost: whether it was pinned, what
//! overlays were called, which kernel arguments programs of this machine had set.

use std::collections::BTreeSet;

use sealstone_boot::{BlsEntry, EntryName, Esp, menu_order};
use sealstone_store::{RefTarget, Repository, tree::Tree};

use crate::{
    BoundImage, DeployError, DeploymentId, Overlay, Record, Target,
    adopt::{is_of_the_disk, record_of_entry},
    bound::bound_refs,
    documents::documents,
    image_tree::image_tree,
    keep::{NumberedRefs, numbered_targets},
    plan::unclaimed,
    target::World,
};

/// What became of deployments without a record.
#[derive(Default)]
pub(crate) struct Rebuilt {
    /// Their records, by the order of the menu.
    pub records: Vec<Record>,
    /// Those of which no record can be made, and why.
    pub refused: Vec<(DeploymentId, String)>,
}

/// The records that can be made again.
pub(crate) fn rebuild(target: &Target, world: &World) -> Result<Rebuilt, DeployError> {
    let mut found: Vec<(EntryName, BlsEntry, &Esp)> = Vec::new();
    for (esp, boot) in target.entry_partitions(world) {
        found.extend(unclaimed(world, boot).into_iter().map(|(name, entry)| (name, entry, esp)));
    }
    found.sort_by(|a, b| menu_order((&a.0, &a.1), (&b.0, &b.1)));
    let (mut rebuilt, mut seen) = (Rebuilt::default(), BTreeSet::new());
    for (name, entry, esp) in &found {
        let Some(id) = entry.sealstone_id().and_then(|id| id.parse::<DeploymentId>().ok()) else { continue };
        if !seen.insert(id) || world.broken.iter().any(|broken| broken.is_of(&id) && broken.is_newer) {
            continue;
        }
        let made = record_of_entry(target, id, (entry, esp))
            .and_then(|record| record.map(|record| with_refs(target, record)).transpose());
        match made {
            Ok(Some(mut record)) => {
                record.tries = name.tries().map(|tries| tries.left + tries.done);
                place(&mut record, (name, entry), (world, &rebuilt.records));
                rebuilt.records.push(record);
            }
            Ok(None) => rebuilt.refused.push((id, "its entry does not say how it boots".into())),
            Err(error) if is_of_the_disk(&error) => return Err(error),
            Err(error) => rebuilt.refused.push((id, error.to_string())),
        }
    }
    Ok(rebuilt)
}

/// Adds what refs alone remember: its overlays and bound images.
fn with_refs(target: &Target, record: Record) -> Result<Record, DeployError> {
    let repository = &target.repository;
    let NumberedRefs { bound, overlays } = numbered_targets(repository, &record.id)?;
    let tree = image_tree(repository, &record.image.id)?;
    let bound = bound_images(repository, &tree, &bound)?;
    let overlay = |(number, target): (usize, &RefTarget)| {
        let RefTarget::Stream(stream) = target else { return None };
        let diff_id = stream.as_str().strip_prefix("oci-layer-")?.parse().ok()?;
        Some(Overlay { name: format!("recovered-{number}").parse().ok()?, diff_id })
    };
    let overlays = overlays.iter().enumerate().filter_map(overlay).collect();
    Ok(Record { bound, overlays, ..record })
}

/// The bound images of a deployment, in the order of their units, as their refs are; none where those do not fit the units.
fn bound_images(
    repository: &Repository,
    tree: &Tree,
    targets: &[RefTarget],
) -> Result<Vec<BoundImage>, DeployError> {
    let mut units = if targets.is_empty() { Vec::new() } else { bound_refs(repository, tree)? };
    units.sort_by(|a, b| a.unit.cmp(&b.unit));
    if units.len() != targets.len() {
        return Ok(Vec::new());
    }
    let image = |(unit, target): (crate::bound::BoundRef, &RefTarget)| {
        let RefTarget::Stream(stream) = target else { return None };
        let manifest: sealstone_import::ManifestDigest =
            stream.as_str().strip_prefix("oci-manifest-")?.parse().ok()?;
        let config = documents(repository, &manifest).ok()?.config_digest;
        let (unit, reference, resolved) = (unit.unit, unit.reference, *manifest.digest());
        Some(BoundImage { unit, reference, resolved, manifest, config, bytes: None })
    };
    Ok(units.into_iter().zip(targets).filter_map(image).collect())
}

/// Puts a record where its entry is in the menu: behind those whose entries come before it, before the others.
fn place(record: &mut Record, entry: (&EntryName, &BlsEntry), (world, rebuilt): (&World, &[Record])) {
    let position = |other: &Record| {
        let id = other.id.to_string();
        let mut entries = world.esps.iter().flat_map(|boot| &boot.ours);
        entries.find(|(_, entry)| entry.sealstone_id() == Some(&id))
    };
    let known = || world.records.iter().chain(rebuilt);
    let (mut before, mut after) = (None, 0);
    for other in known() {
        match position(other).map(|other| menu_order(other, entry)) {
            Some(order) if order.is_lt() => {
                before = Some(before.map_or(other.order, |lowest: u64| lowest.min(other.order)));
            }
            Some(_) => after = after.max(other.order),
            None => {}
        }
    }
    let highest = known().map(|other| other.serial.max(other.order)).max().unwrap_or_default();
    record.order = before.map_or(highest + 1, |before| before.min(after + 1));
    let is_free = known().all(|other| other.serial != record.order);
    record.serial = if is_free { record.order } else { highest + 1 };
}
