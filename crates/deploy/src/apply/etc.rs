//! What is in a deployment's `/etc`: the image's, its overlays, and the changes of another deployment.
//!
//! What lives here: filling a folder that nothing names yet. What does not: how it gets its name (`state.rs`).

use sealstone_store::disk::Dir;

use super::{Run, state::ETC};
use crate::{DeployError, DeploymentId, EtcPolicy};

impl Run<'_> {
    /// Makes `etc` in a folder.
    pub(super) fn fill_etc(
        &mut self,
        id: &DeploymentId,
        _from: Option<&DeploymentId>,
        _policy: &EtcPolicy,
        parent: &Dir,
    ) -> Result<(), DeployError> {
        self.fill(id.image(), ETC, parent)
    }
}
