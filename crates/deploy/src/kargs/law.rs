//! The law by which a deployment gets its kernel arguments: at install, and on each update after.
//!
//! What lives here: one pure function. The order is bootc's: those of the install configuration, those of the image,
//! without what is deleted, then the caller's. On an update all that the machine has for itself (from the caller, a named
//! source, the installation) stays in its order, the image's are replaced as one block where they stood, and what was
//! once deleted of an image's stays deleted.
//!
//! Where bootc differs: it compares two sets of texts, so an image that turns the order of its `console=` arguments round
//! changes nothing, and a local argument goes when an image drops an equal one.

use sealstone_boot::Karg;

use super::{ImageKargs, is_reserved};
use crate::{
    DeployError,
    record::{KargOrigin, RecordedKarg},
};

/// The deployment whose local arguments are carried over.
#[derive(Clone, Copy, Debug)]
pub struct KargsBase<'a> {
    /// Its arguments.
    pub kargs: &'a [RecordedKarg],
    /// What was deleted of an image's arguments.
    pub deletes: &'a [Karg],
}

/// What the caller wants now.
#[derive(Clone, Copy, Debug, Default)]
pub struct KargsWish<'a> {
    /// Arguments to add, in order.
    pub kargs: &'a [Karg],
    /// Arguments to take away, whoever set them: `key=value` that one, `key` all of the key.
    pub deletes: &'a [Karg],
}

/// The arguments of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// The arguments, in order, without those that name the image.
    pub kargs: Vec<RecordedKarg>,
    /// What stays deleted.
    pub deletes: Vec<Karg>,
}

/// The arguments of a deployment of an image: its first one without `base`, else an update of that.
///
/// # Errors
/// [`DeployError::Invalid`] when the caller sets an argument that the deployment sets itself.
pub fn derive(
    image: &ImageKargs,
    base: Option<KargsBase<'_>>,
    wish: KargsWish<'_>,
) -> Result<Derived, DeployError> {
    for karg in wish.kargs.iter().chain(wish.deletes) {
        refuse_reserved(karg)?;
    }
    let (carried, mut deletes) = match base {
        None => (&*image.install.kargs, image.install.karg_deletes.clone()),
        Some(base) => (base.kargs, base.deletes.to_vec()),
    };
    for delete in wish.deletes {
        if !deletes.contains(delete) {
            deletes.push(delete.clone());
        }
    }
    let is_kept = |recorded: &RecordedKarg| {
        let deletes = if is_of_image(recorded) { &deletes } else { wish.deletes };
        !deletes.iter().any(|delete| names(delete, &recorded.karg))
    };
    let block = block_place(carried);
    let local = |list: &[RecordedKarg]| -> Vec<RecordedKarg> {
        let local = list.iter().filter(|recorded| !matches!(recorded.origin, KargOrigin::Image { .. }));
        local.filter(|recorded| is_kept(recorded)).cloned().collect()
    };
    let (before, after) = carried.split_at_checked(block).unwrap_or((carried, &[]));
    let mut kargs = local(before);
    kargs.extend(image.kargs.iter().filter(|recorded| is_kept(recorded)).cloned());
    kargs.extend(local(after));
    let mut is_for_init = false;
    for karg in wish.kargs {
        is_for_init |= karg.as_str() == "--";
        let recorded = RecordedKarg { karg: karg.clone(), origin: KargOrigin::Caller };
        if kargs.contains(&recorded) {
            continue;
        }
        if is_for_init {
            kargs.push(recorded);
        } else {
            append(&mut kargs, recorded);
        }
    }
    Ok(Derived { kargs, deletes })
}

/// Refuses an argument that the deployment sets itself.
pub(super) fn refuse_reserved(karg: &Karg) -> Result<(), DeployError> {
    if !is_reserved(karg) {
        return Ok(());
    }
    let reason = "it names the image, which the deployment does itself".to_owned();
    Err(DeployError::Invalid { what: "kernel argument", text: karg.to_string(), reason })
}

/// Whether a deletion of an earlier day holds for this argument: the image's, and those of the installation.
pub(super) fn is_of_image(recorded: &RecordedKarg) -> bool {
    matches!(recorded.origin, KargOrigin::Image { .. } | KargOrigin::Install { .. })
}

/// Whether a deletion names an argument: `key=value` that one, `key` all of the key.
pub(super) fn names(delete: &Karg, karg: &Karg) -> bool {
    if delete.value().is_some() { delete == karg } else { karg.has_key(delete.key()) }
}

/// Adds an argument at the end, but before a `--`: what follows that belongs to init.
pub(crate) fn append(kargs: &mut Vec<RecordedKarg>, recorded: RecordedKarg) {
    let end = kargs.iter().position(|other| other.karg.as_str() == "--").unwrap_or(kargs.len());
    kargs.insert(end, recorded);
}

/// Where the image's arguments stand: where its first one does, else behind those of the installation.
fn block_place(carried: &[RecordedKarg]) -> usize {
    let first = carried.iter().position(|recorded| matches!(recorded.origin, KargOrigin::Image { .. }));
    first.unwrap_or_else(|| {
        let last = carried.iter().rposition(|recorded| matches!(recorded.origin, KargOrigin::Install { .. }));
        last.map_or(0, |last| last.saturating_add(1))
    })
}

#[cfg(test)]
mod tests;
