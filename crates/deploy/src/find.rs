//! Finding a deployment by what people type.
//!
//! What lives here: ids and their beginnings, and the words for places. What does not: images' names (import).

use crate::{DeployError, DeploymentId, State, Target, entries::menu, target::World};

/// The deployment that a text means: `default`, `rollback`, `running`, `staged`, or an id, which may be cut short as long as
/// it is unique (`de37`, `de37.1`); also of one that lost its record, if no other begins so.
///
/// # Errors
/// [`sealstone_store::Error::Missing`] when there is none, [`DeployError::Invalid`] when several begin so.
pub fn find_deployment(
    target: &Target,
    text: &str,
    running: Option<&DeploymentId>,
) -> Result<DeploymentId, DeployError> {
    let world = World::of_names(target)?;
    let records = &world.records;
    let missing = || sealstone_store::Error::Missing { what: format!("deployment {text}") }.into();
    let place = |place: usize| menu(records).get(place).map(|record| record.id);
    let found = match text {
        "default" => place(0),
        "rollback" => place(1),
        "running" => running.copied(),
        "staged" => records.iter().find(|record| record.state == State::Staged).map(|record| record.id),
        id => match by_id(records.iter().map(|record| record.id), id)? {
            // Of what lost its record only the verb that removes it makes anything.
            None => by_id(world.remains().into_iter(), id)?,
            found => found,
        },
    };
    found.ok_or_else(missing)
}

fn by_id(ids: impl Iterator<Item = DeploymentId>, text: &str) -> Result<Option<DeploymentId>, DeployError> {
    let (hex, copy) = text.split_once('.').map_or((text, None), |(hex, copy)| (hex, Some(copy)));
    let fits = |id: &DeploymentId| {
        let is_copy = copy.is_none_or(|copy| id.copy().to_string() == copy);
        !hex.is_empty() && id.image().to_string().starts_with(hex) && is_copy
    };
    let found: Vec<DeploymentId> = ids.filter(fits).collect();
    if let Some(whole) = found.iter().find(|id| id.to_string() == text) {
        return Ok(Some(*whole));
    }
    match found.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(*id)),
        several => Err(DeployError::Invalid {
            what: "deployment",
            text: text.to_owned(),
            reason: format!("{} begin so: give more of it, with the number after the dot", several.len()),
        }),
    }
}
