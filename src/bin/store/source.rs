//! Opening what a reference names, wherever it is: the flags for registries, and the choice between them and the rest.

use anyhow::Context as _;
use sealstone::import::ImportOptions;
use sealstone::import::source::{Opening, Reference, Source};
use sealstone::store::Repository;
use sealstone::store::disk::RealDisk;

use crate::context::Context;
use crate::output::escape;
use crate::registry::{self, RegistryArgs};

/// Opens the source; asks no registry yet. What cannot be read in place is copied into the repository's temporary folder.
pub fn open(
    reference: &Reference,
    args: &RegistryArgs,
    options: &ImportOptions,
    repository: &Repository,
    context: &Context,
) -> anyhow::Result<Box<dyn Source>> {
    let what = || format!("open {}", escape(reference.to_string().as_bytes()));
    match reference {
        Reference::Registry(reference) => {
            let source = registry::open(reference, args, &options.limits, context).with_context(what)?;
            Ok(Box::new(source))
        }
        local => Opening::new(&RealDisk::shared(), &options.limits)
            .scratch(repository)
            .standard_input(std::io::stdin())
            .platform(&options.platform)
            .control(context.progress())
            .open(local)
            .with_context(what),
    }
}
