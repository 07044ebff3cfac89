//! Opening what a reference names, wherever it is: the flags for registries, and the choice between them and the rest.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sealstone::import::source::{ContainersStorage, Opening, Reference, STANDARD_INPUT, Source};
use sealstone::import::{ImportError, ImportOptions, Limits};
use sealstone::store::Repository;
use sealstone::store::disk::RealDisk;

use crate::context::Context;
use crate::output::escape;
use crate::registry::{self, RegistryArgs};
use crate::{location, policy};

/// Opens the source, if `policy.json` allows it; asks no registry yet. What cannot be read in place is copied into the
/// repository's temporary folder.
pub fn open(
    reference: &Reference,
    args: &RegistryArgs,
    options: &ImportOptions,
    repository: &Repository,
    context: &Context,
) -> anyhow::Result<Box<dyn Source>> {
    open_with(reference, args, options, Some(repository), context)
}

/// The same before there is a repository: what would have to be unpacked is refused.
pub fn open_bare(
    reference: &Reference,
    args: &RegistryArgs,
    options: &ImportOptions,
    context: &Context,
) -> anyhow::Result<Box<dyn Source>> {
    open_with(reference, args, options, None, context)
}

fn open_with(
    reference: &Reference,
    args: &RegistryArgs,
    options: &ImportOptions,
    repository: Option<&Repository>,
    context: &Context,
) -> anyhow::Result<Box<dyn Source>> {
    let what = || format!("open {}", escape(reference.to_string().as_bytes()));
    let (disk, limits) = (RealDisk::shared(), &options.limits);
    match reference {
        Reference::Registry(reference) => {
            let source = registry::open(reference, args, limits, context).with_context(what)?;
            Ok(Box::new(source))
        }
        Reference::ContainersStorage(reference) => {
            let root = location::containers_storage();
            let source = ContainersStorage::open(&disk, reference, &root, limits).with_context(what)?;
            policy::check(source.policy_scope(), limits).with_context(what)?;
            Ok(Box::new(source))
        }
        local => {
            if let Some(scope) = policy::scope(local)? {
                policy::check(&scope, limits).with_context(what)?;
            }
            let opening = Opening::new(&disk, limits)
                .standard_input(std::io::stdin())
                .platform(&options.platform)
                .control(context.progress());
            let opening = match repository {
                Some(repository) => opening.scratch(repository),
                None => opening,
            };
            opening.open(local).with_context(what)
        }
    }
}

/// Opens a place that has artifacts, for verbs without a repository: a registry, or a layout on this machine.
pub fn open_artifact(
    reference: &Reference,
    args: &RegistryArgs,
    limits: &Limits,
    context: &Context,
) -> anyhow::Result<Box<dyn Source>> {
    let what = || format!("open {}", escape(reference.to_string().as_bytes()));
    match reference {
        Reference::Registry(reference) => {
            let source = registry::open(reference, args, limits, context).with_context(what)?;
            Ok(Box::new(source))
        }
        Reference::Layout { .. } | Reference::Archive { .. } => {
            if let Some(scope) = policy::scope(reference)? {
                policy::check(&scope, limits).with_context(what)?;
            }
            Opening::new(&RealDisk::shared(), limits).open(reference).with_context(what)
        }
        other => {
            let reason =
                "artifacts are in registries (docker://, oci://) and OCI layouts (oci:, oci-archive:)";
            let (what, reason) = (other.to_string(), reason.to_owned());
            Err(ImportError::Unsupported { what, reason }.into())
        }
    }
}

/// The reference from anywhere: it is followed by whoever updates later, in whichever folder.
pub fn absolute(reference: Reference) -> anyhow::Result<Reference> {
    let whole = |path: &Path| -> anyhow::Result<PathBuf> {
        std::path::absolute(path).with_context(|| format!("find {}", path.display()))
    };
    Ok(match reference {
        Reference::Layout { path, choice } => Reference::Layout { path: whole(&path)?, choice },
        Reference::Archive { path, choice } if path.as_os_str() != STANDARD_INPUT => {
            Reference::Archive { path: whole(&path)?, choice }
        }
        Reference::DockerArchive { path, choice } if path.as_os_str() != STANDARD_INPUT => {
            Reference::DockerArchive { path: whole(&path)?, choice }
        }
        Reference::Dir { path } => Reference::Dir { path: whole(&path)? },
        Reference::Tar { path } if path.as_os_str() != STANDARD_INPUT => {
            Reference::Tar { path: whole(&path)? }
        }
        other => other,
    })
}
