//! `policy.json`: whether this machine takes images of a registry at all, and with whose signature
//! (containers-policy.json(5)).

use sealstone::import::ImportError;
use sealstone::import::registry::RegistryReference;
use sealstone::import::registry::config::{Demand, ImageName, Policy, PolicyScope};

use super::Setup;

/// Refuses what the policy rejects; gives what it wants to be signed, and under which name. `None` without a policy.
pub fn demand(
    setup: &Setup<'_>,
    reference: &RegistryReference,
) -> anyhow::Result<Option<(ImageName, Demand)>> {
    let Setup { environment, disk, limits, .. } = setup;
    let policy = Policy::load(disk, &environment.places.policy_files(), limits)?;
    let Some(policy) = policy else { return Ok(None) };
    let text = reference.to_string();
    let name = text.trim_start_matches("docker://").parse::<ImageName>();
    let name = name.map_err(|reason| ImportError::Reference { text: text.clone(), reason })?;
    let demand = policy.demand(disk, &PolicyScope::registry(&name), limits)?;
    Ok(Some((name, demand)))
}
