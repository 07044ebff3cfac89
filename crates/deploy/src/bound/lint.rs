//! What is wrong, or will be, with the images that an image binds: for those who build it.

use sealstone_import::{ImportOptions, look};
use sealstone_store::{Control, Repository};

use super::{BoundOpener, BoundRef, BoundReference, UnitFault, resolve::side_by_side};
use crate::DeployError;

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BoundFindingKind {
    /// The unit breaks a rule: the image cannot be deployed.
    Unit,
    /// It names a tag without a digest, so that the same system image brings other containers tomorrow.
    FloatingTag,
    /// It cannot be resolved: the image cannot be deployed from here.
    Unresolvable,
    /// There is no image for the platform.
    WrongPlatform,
}

/// Something that is wrong with a unit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BoundFinding {
    /// The unit.
    pub unit: String,
    /// What it names, as far as that can be read.
    pub reference: Option<String>,
    /// What kind of thing is wrong.
    pub kind: BoundFindingKind,
    /// What is wrong, for people.
    pub message: String,
}

/// Checks units, and asks for the images that they name. Stores nothing.
///
/// # Errors
/// When it was cancelled: all else is a finding.
pub fn lint_bound(
    repository: &Repository,
    units: &[Result<BoundRef, UnitFault>],
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<Vec<BoundFinding>, DeployError> {
    let found = side_by_side(units, control, |unit| {
        Ok(match unit {
            Err(UnitFault { unit, reason }) => {
                vec![BoundFinding {
                    unit: unit.clone(),
                    reference: None,
                    kind: BoundFindingKind::Unit,
                    message: reason.clone(),
                }]
            }
            Ok(bound) => lint_one(repository, bound, opener, options),
        })
    })?;
    control.check().map_err(|_| sealstone_store::Error::Cancelled)?;
    Ok(found.into_iter().flatten().collect())
}

fn lint_one(
    repository: &Repository,
    bound: &BoundRef,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
) -> Vec<BoundFinding> {
    let finding = |kind, message: String| BoundFinding {
        unit: bound.unit.clone(),
        reference: Some(bound.reference.clone()),
        kind,
        message,
    };
    let reference: BoundReference = match bound.reference.parse() {
        Ok(reference) => reference,
        Err(reason) => return vec![finding(BoundFindingKind::Unit, reason)],
    };
    let looked = opener(&reference).and_then(|source| look(Some(repository), &*source, options));
    let mut findings = Vec::new();
    if reference.is_floating() {
        let name = reference.storage_name();
        let place = bound.through.as_ref().map(|unit| format!(" in {unit}")).unwrap_or_default();
        let message = match &looked {
            Ok(image) => format!("{name} may change; write {name}@{}{place}", image.named),
            Err(_) => format!("{name} may change; write a digest behind it{place}"),
        };
        findings.push(finding(BoundFindingKind::FloatingTag, message));
    }
    match looked {
        Ok(image) => {
            if let Some(stated) = image.platform.filter(|stated| options.platform.rank(stated).is_none()) {
                let message = format!("it is for {stated}, and {} was asked for", options.platform);
                findings.push(finding(BoundFindingKind::WrongPlatform, message));
            }
        }
        Err(error @ sealstone_import::ImportError::NoPlatform { .. }) => {
            findings.push(finding(BoundFindingKind::WrongPlatform, error.to_string()));
        }
        Err(error) => findings.push(finding(BoundFindingKind::Unresolvable, error.to_string())),
    }
    findings
}
