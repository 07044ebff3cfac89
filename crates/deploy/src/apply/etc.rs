//! What is in a deployment's `/etc`: the image's, its overlays, and the changes of another deployment.
//!
//! What lives here: filling a folder that nothing names yet. What does not: how it gets its name (`state.rs`), the merge
//! (`etc/`), which is computed again here: what was changed since the plan was made counts.

use sealstone_store::disk::Dir;

use super::{Run, state::ETC};
use crate::{
    DeployError, DeploymentId, EtcPolicy, ImageId,
    etc::{NewEtc, Renewal},
    overlay::Overlay,
    sysroot::VAR,
};

impl Run<'_> {
    /// Makes `etc` in a folder.
    pub(super) fn fill_etc(
        &mut self,
        id: &DeploymentId,
        from: Option<&DeploymentId>,
        policy: &EtcPolicy,
        parent: &Dir,
    ) -> Result<(), DeployError> {
        let overlays = self.record(id)?.overlays.clone();
        let from = match from {
            Some(from) => Some(self.record(from)?.clone()),
            None => None,
        };
        let (target, control) = (self.target, self.control);
        let (image, trees) = (self.tree(id.image())?, &self.plan.trees);
        let renewal = Renewal { image: &image, overlays: &overlays, from: from.as_ref(), policy, trees };
        let etc = NewEtc::compute(target, &renewal, control)?;
        self.done.populated.add(etc.write(&target.repository, (parent, ETC), control)?);
        Ok(())
    }

    /// Makes `var` in a folder: that of the image, and of the overlays of the deployment that the plan makes.
    pub(super) fn fill_var(&mut self, image: &ImageId, parent: &Dir) -> Result<(), DeployError> {
        let made = self.plan.deployment.as_ref().filter(|record| record.image.id == *image);
        let overlays: Vec<Overlay> = made.map(|record| record.overlays.clone()).unwrap_or_default();
        let (target, control) = (self.target, self.control);
        let policy = EtcPolicy::default();
        let (image, trees) = (self.tree(image)?, &self.plan.trees);
        let renewal = Renewal { image: &image, overlays: &overlays, from: None, policy: &policy, trees };
        let etc = NewEtc::compute(target, &renewal, control)?;
        self.done.populated.add(etc.write_var(&target.repository, (parent, VAR), control)?);
        Ok(())
    }
}
