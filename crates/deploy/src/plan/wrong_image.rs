//! Why a unified kernel image names another image than that of its own files: found out before it is refused.
//!
//! What lives here: from the refusal to one that says what differs. What does not: the search (`explain.rs`).
//! Invariant: the search may fail, the refusal stays.

use sealstone_boot::BootError;
use sealstone_store::{Control, ObjectId, Repository, erofs::Version};

use super::DeployRequest;
use crate::{Cause, DeployError, Profile, Recipe, documents::documents, explain_digest, stored_layers};

/// The same error, with what differs.
pub(super) fn explained(repository: &Repository, request: &DeployRequest, error: BootError) -> DeployError {
    let BootError::WrongImage { uki, named, image, .. } = error else { return error.into() };
    let ids: Vec<ObjectId> = named.iter().filter_map(|id| id.parse().ok()).collect();
    let why =
        why(repository, request, &ids).unwrap_or_else(|error| Some(format!("why is not known: {error}")));
    BootError::WrongImage { uki, named, image, why }.into()
}

fn why(
    repository: &Repository,
    request: &DeployRequest,
    named: &[ObjectId],
) -> Result<Option<String>, DeployError> {
    let (Some(first), ours) = (named.first(), repository.algorithm()) else { return Ok(None) };
    let Some(wanted) = named.iter().find(|id| id.algorithm() == ours) else {
        let theirs = first.algorithm();
        return Ok(Some(format!("it is sealed for a repository of {theirs}, and this one is of {ours}")));
    };
    let layers = stored_layers(repository, &documents(repository, &request.manifest)?.config.diff_ids)?;
    let layers: Vec<_> = layers.iter().collect();
    let found = explain_digest(repository, &layers, wanted, &Control::new())?;
    let text = match &found.cause {
        // It was imported before images of that format were made.
        Cause::Recipe(recipe) if *recipe == Recipe::of(Profile::Bootable, Version::V2) => {
            "an import with --verify-existing makes that image".to_owned()
        }
        _ => {
            let manifest: String = request.manifest.to_string().chars().take(19).collect();
            format!("`store diff --explain {wanted} {manifest}` shows it")
        }
    };
    Ok(Some(format!("{found}; {text}")))
}
