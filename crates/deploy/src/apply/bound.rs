//! The step that makes a deployment's image store: aside, then into its place.

use sealstone_store::{Optional, disk::Rename};

use super::Run;
use crate::{
    DeployError, DeploymentId,
    bound::image_store::{self, MOUNT_POINT, NAME, build, missing_in},
    sysroot::DEPLOY,
};

/// bootc's way to its folder, below the sysroot, and where that leads.
const LINK: (&str, &str, &str) = ("ostree", "bootc", "../composefs/bootc");

impl Run<'_> {
    pub(super) fn make_image_store(&mut self, id: &DeploymentId) -> Result<(), DeployError> {
        let sysroot = &self.target.sysroot;
        let state = sysroot.ensure(DEPLOY)?.open_dir(self.record(id)?.state_id().to_string())?;
        let bound = self.record(id)?.bound.clone();
        let old = state.open_dir(NAME).optional()?;
        if let Some(old) = &old
            && missing_in(old, &bound)?.is_empty()
        {
            return Ok(());
        }
        // Where it will be mounted.
        sysroot.ensure(MOUNT_POINT)?;
        let (folder, name, target) = LINK;
        let folder = sysroot.ensure(folder)?;
        if !folder.exists(name)? {
            folder.symlink(target, name)?;
            folder.sync()?;
        }
        let temporary = sysroot.fresh_temporary(NAME)?;
        let made = temporary.ensure_dir(NAME, 0o700)?;
        self.done.image_store.add(build(&self.target.repository, &bound, &made, self.control)?);
        // D2, D11: all of it is on the disk before it has its name, and what it replaces goes after that.
        temporary.sync_file_system()?;
        let how = if old.is_some() { Rename::Exchange } else { Rename::NoReplace };
        temporary.rename(NAME, &state, image_store::NAME, how)?;
        state.sync()?;
        Ok(temporary.sync()?)
    }
}
