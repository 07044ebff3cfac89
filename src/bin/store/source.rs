//! Opening what a reference names, wherever it is: the flags for registries, and the choice between them and the rest.

use anyhow::Context as _;
use sealstone::import::Limits;
use sealstone::import::source::{self, Reference, Source};
use sealstone::store::disk::RealDisk;

use crate::context::Context;
use crate::output::escape;
use crate::registry::{self, RegistryArgs};

/// Opens the source; asks nobody yet.
pub fn open(
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
        local => source::open(&RealDisk::shared(), local, limits).with_context(what),
    }
}
