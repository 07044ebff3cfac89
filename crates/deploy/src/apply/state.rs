//! The steps on folders of state: `/var`, a deployment's own folder, its `/etc`.
//!
//! What lives here: making them aside and giving them their names, and taking them away. What does not: what is in an
//! `/etc` (`etc.rs`), the order of steps (the plan). Invariant: a folder is whole on the disk before it has its name, and
//! loses its name before anything in it goes.

use sealstone_store::disk::Rename;

use super::Run;
use crate::{
    DeployError, DeploymentId, EtcPolicy, ImageId,
    origin::Origin,
    sysroot::{DEPLOY, OS, VAR, remove_tree},
};

/// What `var` of a deployment's folder says: the shared one, from `state/deploy/<id>/`.
const SHARED_VAR: &str = "../../os/default/var";

/// The name of a folder on the way, and of one that goes.
const STATE: &str = "state";

pub(super) const ETC: &str = "etc";

impl Run<'_> {
    /// The shared `/var`: of the first image, once and for all.
    pub(super) fn make_var(&mut self, image: &ImageId) -> Result<(), DeployError> {
        let place = self.target.sysroot.ensure(OS)?;
        if place.exists(VAR)? {
            return Ok(());
        }
        let temporary = self.target.sysroot.fresh_temporary(VAR)?;
        self.fill_var(image, &temporary)?;
        // D2: everything in it, before D3: its name.
        temporary.sync_file_system()?;
        temporary.rename(VAR, &place, VAR, Rename::NoReplace)?;
        place.sync()?;
        Ok(temporary.sync()?)
    }

    /// A deployment's own folder, as bootc's initramfs wants it. Whole or not there at all.
    pub(super) fn make_state(
        &mut self,
        id: &DeploymentId,
        from: Option<&DeploymentId>,
        policy: &EtcPolicy,
    ) -> Result<(), DeployError> {
        self.target.sysroot.ensure_bootc_storage()?;
        let place = self.target.sysroot.ensure(DEPLOY)?;
        let name = self.record(id)?.state_id().to_string();
        if place.exists(&name)? {
            return Ok(());
        }
        let temporary = self.target.sysroot.fresh_temporary(STATE)?;
        let state = temporary.ensure_dir(STATE, 0o755)?;
        self.fill_etc(id, from, policy, &state)?;
        state.symlink(SHARED_VAR, VAR)?;
        let origin = state.create_new(format!("{name}.origin"), 0o644)?;
        origin.write_all_at(0, Origin(self.record(id)?).to_string().as_bytes())?;
        origin.set_mode(0o644)?;
        temporary.set_mode(STATE, 0o755)?;
        // D2, D11: the folder is whole on the disk before it has the name that a boot looks for.
        temporary.sync_file_system()?;
        temporary.rename(STATE, &place, &name, Rename::NoReplace)?;
        place.sync()?;
        Ok(temporary.sync()?)
    }

    /// The origin anew, where the folder is.
    pub(super) fn write_origin(&self, id: &DeploymentId) -> Result<(), DeployError> {
        let text = Origin(self.record(id)?).to_string();
        self.target.sysroot.replace_file(&format!("{DEPLOY}/{id}"), &format!("{id}.origin"), text.as_bytes())
    }

    /// A deployment's `/etc` again, with the changes of another one: made aside, then exchanged with the old one.
    pub(super) fn merge_etc(
        &mut self,
        id: &DeploymentId,
        from: &DeploymentId,
        policy: &EtcPolicy,
    ) -> Result<(), DeployError> {
        let name = self.record(id)?.state_id().to_string();
        let state = self.target.sysroot.ensure(DEPLOY)?.open_dir(name)?;
        let temporary = self.target.sysroot.fresh_temporary(ETC)?;
        self.fill_etc(id, Some(from), policy, &temporary)?;
        // D2, D11: both sides are whole on the disk before they are exchanged, and after it before one goes.
        temporary.sync_file_system()?;
        let how = if state.exists(ETC)? { Rename::Exchange } else { Rename::NoReplace };
        temporary.rename(ETC, &state, ETC, how)?;
        state.sync()?;
        Ok(temporary.sync()?)
    }

    /// Takes a state folder's name first, so that no boot and no later run finds half of it.
    pub(super) fn remove_state(&mut self, id: &DeploymentId) -> Result<(), DeployError> {
        let place = self.target.sysroot.ensure(DEPLOY)?;
        if !place.exists(id.to_string())? {
            return Ok(());
        }
        let temporary = self.target.sysroot.fresh_temporary("removed")?;
        place.rename(id.to_string(), &temporary, STATE, Rename::NoReplace)?;
        // D1: the name is gone for good before the content goes.
        place.sync()?;
        temporary.sync()?;
        remove_tree(&temporary, STATE)
    }
}
