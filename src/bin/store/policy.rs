//! `policy.json` for images that are on this machine: by which scopes it may speak of them (containers-policy.json(5)), and
//! the refusal of what it rejects or wants signed. Registries have rules of their own, in `registry/`.

use std::fs;
use std::path::{Path, PathBuf};

use sealstone::import::registry::config::{Policy, PolicyScope};
use sealstone::import::source::Reference;
use sealstone::import::{ImportError, Limits};
use sealstone::store::disk::RealDisk;

use crate::registry::environment::Environment;

/// Refuses what the policy rejects, and what it wants signatures for: local ones are not read, so they cannot be checked.
pub fn check(scope: &PolicyScope, limits: &Limits) -> anyhow::Result<()> {
    let disk = RealDisk::shared();
    let files = Environment::read().places.policy_files();
    let Some(policy) = Policy::load(&disk, &files, limits)? else { return Ok(()) };
    if policy.demand(&disk, scope, limits)?.needs_signatures() {
        let reason = "policy.json wants it signed, and signatures of images on this machine are not read";
        return Err(ImportError::Denied { what: scope.to_string(), reason: reason.to_owned() }.into());
    }
    Ok(())
}

/// The scopes of what a path names, or the standard input; `None` for an image of another kind.
pub fn scope(reference: &Reference) -> anyhow::Result<Option<PolicyScope>> {
    let of_path = |transport, path: &Path| {
        if reference.is_standard_input() {
            return Ok(Some(PolicyScope::whole(transport)));
        }
        Ok(Some(PolicyScope::path(transport, &explicit(path)?)))
    };
    match reference {
        Reference::Layout { path, .. } => of_path("oci", path),
        Reference::Archive { path, .. } => of_path("oci-archive", path),
        Reference::Dir { path } => of_path("dir", path),
        // containers/image has no scopes for these two, and its own name for the last.
        Reference::DockerArchive { .. } => Ok(Some(PolicyScope::whole("docker-archive"))),
        Reference::Tar { .. } => Ok(Some(PolicyScope::whole("tarball"))),
        _ => Ok(None),
    }
}

/// The path from `/` on, without symlinks: a policy speaks of places, not of ways to them.
#[allow(
    clippy::disallowed_methods,
    reason = "a path that the user named, resolved for its name alone; it is opened through the disk"
)]
fn explicit(path: &Path) -> anyhow::Result<PathBuf> {
    // What cannot be resolved cannot be opened either, and opening it says why.
    Ok(fs::canonicalize(path).or_else(|_| std::path::absolute(path))?)
}
