//! What a check says of bound images: tags that lead elsewhere now, and what a new image will bind as far as that is known.
//!
//! What lives here: the questions, each as cheap as can be: one `HEAD` for each floating tag where nothing else is new; the
//! documents of bound images where the new image's units are known, or small parts of its layers tell them. What does not: the rules (`bound/`). What cannot be
//! found out is a warning: a check tells, and an update says why it cannot go on.

use sealstone_import::{ImportOptions, source::Source};
use sealstone_store::Control;

use super::{CheckedBound, Standing, UpdateCheck, Verdict};
use crate::{
    DeployError, Record, Target,
    bound::{
        BoundImage, BoundOffer, BoundOpener, BoundRef, OfferedBound, moved_bound, offered_bound,
        resolve_bound,
    },
};

/// Adds to a check what it leaves open of bound images; `source` is what was checked. A system whose tags lead elsewhere has
/// an update.
///
/// # Errors
/// When it was cancelled.
pub fn check_bound(
    target: &Target,
    standing: &Standing,
    check: &mut UpdateCheck,
    source: &dyn Source,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<(), DeployError> {
    let asked = match check.verdict {
        Verdict::Withdrawn | Verdict::Broken => Ok(()),
        Verdict::Current | Verdict::Queued => {
            // What bootc's deployments bind is not known.
            let known = check.deployment.filter(|id| !standing.adopted.contains(id));
            let record = known.and_then(|id| standing.record(&id));
            record.map_or(Ok(()), |record| tags(target, check, record, opener, options, control))
        }
        Verdict::Available => news(target, check, (&standing.records, source), opener, options, control),
    };
    control.check().map_err(|_| sealstone_store::Error::Cancelled)?;
    if let Err(error) = asked {
        check.warnings.push(format!("bound images: {error}"));
    }
    Ok(())
}

/// Asks what the floating tags of a deployment lead to now.
fn tags(
    target: &Target,
    check: &mut UpdateCheck,
    record: &Record,
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<(), DeployError> {
    check.bound = Some(record.bound.iter().map(CheckedBound::of).collect());
    let moved = moved_bound(&record.bound, opener, options, control)?;
    if moved.is_empty() {
        return Ok(());
    }
    let one = |image: &&BoundImage| BoundRef {
        unit: image.unit.clone(),
        reference: image.reference.clone(),
        through: None,
    };
    let refs: Vec<_> = moved.iter().map(one).collect();
    let found = resolve_bound(&target.repository, &refs, &[], opener, options, control)?;
    check.verdict = Verdict::Available;
    check.changed = true;
    // The image itself is the one that is here.
    check.available = check.available.take().or_else(|| check.current.clone());
    for one in found {
        check.bytes_to_fetch += one.bytes_to_fetch;
        let bound = check.bound.iter_mut().flatten().find(|bound| bound.unit == one.image.unit);
        if let Some(bound) = bound {
            *bound = CheckedBound { moved: true, ..CheckedBound::of(&one.image) };
        }
    }
    Ok(())
}

/// Asks for the images that a new image binds, if it is known which.
fn news(
    target: &Target,
    check: &mut UpdateCheck,
    (records, source): (&[Record], &dyn Source),
    opener: &BoundOpener<'_>,
    options: &ImportOptions,
    control: &Control,
) -> Result<(), DeployError> {
    let Some(image) = &check.seen else { return Ok(()) };
    let offer = offered_bound(&target.repository, source, image, options, control)?;
    let refs = offer.refs();
    let BoundOffer::Known(how, offered) = offer else { return Ok(()) };
    check.bound_source = Some(how);
    if offered.iter().all(|one| one.manifest.is_some() && one.bytes.is_some()) {
        // An annotation says all of it: nobody has to be asked.
        check.bound = Some(offered.into_iter().map(CheckedBound::offered).collect());
        return Ok(());
    }
    let known: Vec<_> = records.iter().flat_map(|record| record.bound.clone()).collect();
    let refs = refs.unwrap_or_default();
    check.bound = Some(offered.into_iter().map(CheckedBound::offered).collect());
    let found = resolve_bound(&target.repository, &refs, &known, opener, options, control)?;
    check.bytes_to_fetch += found.iter().map(|one| one.bytes_to_fetch).sum::<u64>();
    check.bound = Some(found.iter().map(|one| CheckedBound::of(&one.image)).collect());
    Ok(())
}

impl CheckedBound {
    /// Of an image that was resolved.
    pub(super) fn of(image: &BoundImage) -> Self {
        Self {
            unit: image.unit.clone(),
            reference: image.reference.clone(),
            manifest: Some(image.manifest.to_string()),
            bytes: image.bytes,
            moved: false,
        }
    }

    fn offered(offered: OfferedBound) -> Self {
        let OfferedBound { unit, reference, manifest, bytes } = offered;
        Self { unit, reference, manifest, bytes, moved: false }
    }
}
