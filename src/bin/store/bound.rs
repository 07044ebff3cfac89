//! Bound images for the verbs: how a unit's reference is opened, with this machine's settings for registries.

use sealstone::deploy::bound::{BoundReference, KnownBound, PreparedBound, prepare_bound};
use sealstone::deploy::{DeployRequest, ImageId, ImageTrees, Target};
use sealstone::import::source::{Reference, Source};
use sealstone::import::{ImportError, ImportOptions, ManifestDigest};
use sealstone::store::{Error as StoreError, Repository};

use crate::context::Context;
use crate::registry::RegistryArgs;
use crate::source;

/// What opens a unit's reference.
pub fn opener<'a>(
    args: &'a RegistryArgs,
    options: &'a ImportOptions,
    repository: &'a Repository,
    context: &'a Context,
) -> impl Fn(&BoundReference) -> Result<Box<dyn Source>, ImportError> + Sync + 'a {
    move |reference| {
        let reference = Reference::Registry(reference.registry().clone());
        source::open(&reference, args, options, repository, context).map_err(import_error)
    }
}

/// The images that an image binds, fetched unless `is_dry`: what a deployment of it needs.
pub fn prepare(
    (repository, trees): (&Repository, &ImageTrees),
    image: (&ImageId, &ManifestDigest),
    known: KnownBound<'_>,
    (args, options): (&RegistryArgs, &ImportOptions),
    is_dry: bool,
    context: &Context,
) -> anyhow::Result<PreparedBound> {
    let opener = opener(args, options, repository, context);
    Ok(prepare_bound((repository, trees), image, known, &opener, options, is_dry, context.control()?)?)
}

/// Adds the images that are bound to the one that shall be deployed, fetched unless `is_dry`. What is returned keeps gc
/// away from them until the plan was applied.
pub fn bind(
    request: &mut DeployRequest,
    target: &Target,
    settings: (&RegistryArgs, &ImportOptions),
    is_dry: bool,
    context: &Context,
) -> anyhow::Result<PreparedBound> {
    bind_known(request, target, settings, (is_dry, false), context)
}

/// The same; if `is_enough`, what another deployment here binds is taken as it has it, without asking where its tag leads.
pub fn bind_known(
    request: &mut DeployRequest,
    target: &Target,
    settings: (&RegistryArgs, &ImportOptions),
    (is_dry, is_enough): (bool, bool),
    context: &Context,
) -> anyhow::Result<PreparedBound> {
    let (records, _) = target.sysroot.records()?;
    let known: Vec<_> = records.into_iter().flat_map(|record| record.bound).collect();
    let image = (&request.image, &request.manifest);
    let known = KnownBound { images: &known, is_enough };
    request.read_ahead(target);
    let bound = prepare((&target.repository, &request.trees), image, known, settings, is_dry, context)?;
    request.bound.clone_from(&bound.images);
    request.bound_to_come.clone_from(&bound.to_come);
    request.fetch.bytes += bound.fetch_bytes;
    Ok(bound)
}

/// The library's error in one of the command's.
fn import_error(error: anyhow::Error) -> ImportError {
    let error = match error.downcast::<ImportError>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    match error.downcast::<StoreError>() {
        Ok(error) => ImportError::Store(error),
        Err(error) => {
            ImportError::Config { what: "the registry's settings".to_owned(), reason: format!("{error:#}") }
        }
    }
}
