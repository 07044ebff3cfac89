//! Whether a deployment can boot, and what it lacks if not.
//!
//! What lives here: the judgement by names and sizes. What does not: content, which fsck reads, and the mending.

use sealstone_boot::Rank;
use sealstone_store::{Optional, disk::FileType};

use crate::{
    DeployError, Record, State, Target,
    sysroot::DEPLOY,
    target::{Loss, World},
};

/// Whether a deployment can boot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "reasons")]
pub enum Health {
    /// All that it needs is there.
    Good,
    /// Something is missing or wrong.
    Broken(Vec<String>),
}

impl Health {
    /// Whether all is there.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }
}

/// What a deployment lacks.
pub(super) fn health(
    target: &Target,
    world: &World,
    record: &Record,
    rank: Option<Rank>,
) -> Result<Health, DeployError> {
    let mut reasons = Vec::new();
    if let Some(Loss::Image(reason)) = world.losses.get(&record.id) {
        reasons.push(reason.clone());
    }
    reasons.extend(record.broken.clone().filter(|reason| !reasons.contains(reason)));
    if record.state == State::Making {
        reasons.push("it was begun, and not ended".into());
        return Ok(Health::Broken(reasons));
    }
    reasons.extend(not_finalised(record));
    let state = format!("{DEPLOY}/{}", record.state_id());
    for (name, kind) in [("etc", FileType::Directory), ("var", FileType::Symlink)] {
        let there = target.sysroot.dir().metadata(format!("{state}/{name}")).optional()?;
        if there.is_none_or(|there| there.kind != kind) {
            reasons.push(format!("its state has no {name}"));
        }
    }
    boot_faults(target, world, record, rank, &mut reasons)?;
    Ok(if reasons.is_empty() { Health::Good } else { Health::Broken(reasons) })
}

/// That a staged deployment could not be finalised, and why.
pub(super) fn not_finalised(record: &Record) -> Option<String> {
    let reason = record.unfinalised.as_ref().filter(|_| record.state == State::Staged)?;
    Some(format!("it could not be finalised: {reason}"))
}

/// What is missing on the boot partitions.
fn boot_faults(
    target: &Target,
    world: &World,
    record: &Record,
    rank: Option<Rank>,
    reasons: &mut Vec<String>,
) -> Result<(), DeployError> {
    let id = record.id.to_string();
    for (esp, boot) in target.entry_partitions(world) {
        let entry = boot.ours.values().find(|entry| entry.sealstone_id() == Some(&id));
        if !record.kernel.is_on(esp)? {
            reasons.push(format!("its kernel is not on {}", esp.name()));
        }
        if rank.is_some() && entry.is_none() {
            reasons.push(format!("it has no entry on {}", esp.name()));
        }
    }
    Ok(())
}
