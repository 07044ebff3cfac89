//! `policy.json`: whether this machine takes images of a registry at all (containers-policy.json(5)).

use sealstone::import::ImportError;
use sealstone::import::registry::RegistryReference;
use sealstone::import::registry::config::{ImageName, Policy, PolicyScope};

use super::Setup;

/// Refuses what the policy rejects, and what it wants signatures for: they are not fetched, so they cannot be checked.
pub fn check(setup: &Setup<'_>, reference: &RegistryReference) -> anyhow::Result<()> {
    let Setup { environment, disk, limits, .. } = setup;
    let Some(policy) = Policy::load(disk, &environment.places.policy_files(), limits)? else { return Ok(()) };
    let text = reference.to_string();
    let name = text.trim_start_matches("docker://").parse::<ImageName>();
    let name = name.map_err(|reason| ImportError::Reference { text: text.clone(), reason })?;
    if policy.demand(disk, &PolicyScope::registry(&name), limits)?.needs_signatures() {
        let reason = "policy.json wants it signed, and signatures are not fetched".to_owned();
        return Err(ImportError::Denied { what: text, reason }.into());
    }
    Ok(())
}
