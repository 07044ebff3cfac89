//! The kernel arguments of a new deployment: the image's, this machine's, the caller's.
//!
//! What lives here: the list and where each came from. What does not: the argument that names the image
//! (`entries.rs`).

use crate::{
    Record,
    plan::DeployRequest,
    record::{KargOrigin, RecordedKarg},
};

/// The arguments of a deployment: this machine's of the one before it, then the caller's, each once.
pub(crate) fn wanted_kargs(request: &DeployRequest, predecessor: Option<&Record>) -> Vec<RecordedKarg> {
    let carried = predecessor.into_iter().flat_map(|record| &record.kargs);
    let mut kargs: Vec<RecordedKarg> =
        carried.filter(|recorded| recorded.origin.is_local()).cloned().collect();
    for karg in &request.kargs {
        if !kargs.iter().any(|recorded| recorded.karg == *karg) {
            kargs.push(RecordedKarg { karg: karg.clone(), origin: KargOrigin::Caller });
        }
    }
    kargs
}

/// What of the image the caller does not want: what was deleted before, and now.
pub(crate) fn wanted_deletes(request: &DeployRequest, predecessor: Option<&Record>) -> Vec<String> {
    let mut deletes = predecessor.map(|record| record.karg_deletes.clone()).unwrap_or_default();
    for delete in &request.karg_deletes {
        if !deletes.contains(delete) {
            deletes.push(delete.clone());
        }
    }
    deletes
}
