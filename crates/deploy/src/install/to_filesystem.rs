//! Installing into a sysroot: import into its own repository, plan, apply.
//!
//! What lives here: the order of the three, and the request that an installation comes to. What does not: any of them.

use sealstone_boot::Karg;
use sealstone_import::{ImportOptions, source::Source};
use sealstone_store::Control;

use super::MountSpecs;
use crate::{
    Applied, DeployError, DeployRequest, Finalise, ImportedImage, Plan, Predecessor, Target,
    adopt::architecture, apply, import_image, kargs::ImageKargs, plan::is_sealed, plan_deploy,
    update_request,
};

/// What shall be installed, beside what the source gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallRequest {
    /// Where updates come from: recorded as what the system follows. The image itself may come from elsewhere.
    pub reference: String,
    /// Kernel arguments of the caller, in order, before those that find the root.
    pub kargs: Vec<Karg>,
    /// Kernel arguments of the image that the caller does not want, as `key=value` or `key`.
    pub karg_deletes: Vec<String>,
    /// Where the root is.
    pub mounts: MountSpecs,
    /// The time of the deployment, in seconds since 1970 UTC.
    pub time: i64,
}

/// What an installation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What the import brought.
    pub imported: ImportedImage,
    /// What was planned, with its warnings.
    pub plan: Plan,
    /// What was done.
    pub applied: Applied,
}

/// Installs what a source gives into a sysroot. Killed anywhere, the same call goes on; the boot entry comes last.
///
/// `adjust` may add to the request what is this machine's own (overlays, bound images); what it gives is kept until the plan
/// was applied.
///
/// # Errors
/// [`DeployError::Unfit`] when the image cannot boot, those of [`import_image`], [`plan_deploy`] and [`apply`], and those of
/// `adjust`.
pub fn to_filesystem<E: From<DeployError>, Held>(
    target: &Target,
    source: &dyn Source,
    install: &InstallRequest,
    (options, control): (&ImportOptions, &Control),
    adjust: impl FnOnce(&Target, &mut DeployRequest) -> Result<Held, E>,
) -> Result<Installed, E> {
    let imported = import_image(&target.repository, source, &install.reference, options, control)?;
    let (mut request, warning) = request(target, install, &imported)?;
    let held = adjust(target, &mut request)?;
    let mut plan = plan_deploy(target, &request)?;
    plan.warnings.extend(warning);
    let applied = apply(target, &plan, control)?;
    drop(held);
    Ok(Installed { imported: imported.into_inner(), plan, applied })
}

/// The request of a first deployment: that of an update, with what only an installation says.
fn request(
    target: &Target,
    install: &InstallRequest,
    imported: &ImportedImage,
) -> Result<(DeployRequest, Option<String>), DeployError> {
    let request = update_request(&install.reference, imported, None, Finalise::Now, install.time)?;
    let tree = request.trees.tree(&target.repository, &request.image)?;
    let architecture = architecture(&target.repository, &request.manifest);
    let image = ImageKargs::read(&target.repository, &tree, architecture.as_ref())?;
    // What is sealed finds its root by itself; what the caller asks for beyond that is refused with the plan.
    let (mut kargs, source_kargs, warning) = if is_sealed(&target.repository, &request)? {
        (install.mounts.asked()?, Vec::new(), None)
    } else {
        let (kargs, warning) = install.mounts.kargs(&image.install, &install.kargs)?;
        let opening = install.mounts.opening(&kargs);
        (kargs, opening, warning)
    };
    kargs.extend(install.kargs.iter().cloned());
    let karg_deletes = install.karg_deletes.clone();
    let predecessor = Predecessor::None;
    Ok((DeployRequest { kargs, source_kargs, karg_deletes, predecessor, ..request }, warning))
}
