//! What shall be deployed: the one request behind install, deploy, update and switch.
//!
//! What lives here: the request as a value. What does not: what it comes to (`deploy.rs`).

use sealstone_boot::Karg;
use sealstone_import::{
    ConfigDigest, ManifestDigest,
    catalogue::{ImageContent, NamedImage},
};
use sealstone_store::Repository;

use super::{
    sections::Fetch,
    uki::{AddonChanges, plain_image},
};
use crate::{
    BoundImage, DeployError, DeploymentId, EtcPolicy, ImageId, ImageTrees, NotBootable, OverlayChanges,
    Record, RecordedKarg, Retention, Target,
    bound::BoundToCome,
    entries::menu,
    image::{NO_KERNEL, wants_to_boot},
    image_tree::image_tree,
    kargs::Bootloader,
};

/// The deployment from which a new one takes over what is this machine's: kernel arguments, overlays, `/etc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Predecessor {
    /// None: the new one begins as an installation.
    None,
    /// The `/etc` of the one that runs, else of the one that boots by default, if there is any; arguments and overlays of what
    /// would boot next without the new one, since a change of them went there, also before it has ever booted.
    #[default]
    Current,
    /// This one.
    Deployment(DeploymentId),
}

/// When a deployment becomes what boots next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finalise {
    /// With this plan.
    #[default]
    Now,
    /// When the running system shuts down: only then `/etc` has its last changes.
    AtShutdown {
        /// Whether it waits even then, until it is asked for: it is only downloaded.
        locked: bool,
    },
}

/// What shall be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployRequest {
    /// The reference as it was asked for, or the name of the image.
    pub reference: String,
    /// The digest of the document that the reference named: what a registry's HEAD tells.
    pub resolved: Option<String>,
    /// Its manifest.
    pub manifest: ManifestDigest,
    /// Its configuration.
    pub config: ConfigDigest,
    /// The image of the profile `bootable`.
    pub image: ImageId,
    /// Kernel arguments of the caller, in order.
    pub kargs: Vec<Karg>,
    /// Kernel arguments that others than the caller own, such as what opens the root's volume.
    pub source_kargs: Vec<RecordedKarg>,
    /// Kernel arguments of the image or of earlier calls that the caller does not want, as `key=value` or `key`.
    pub karg_deletes: Vec<String>,
    /// How the addons to a unified kernel image differ from the predecessor's.
    pub addons: AddonChanges,
    /// How the layers over `/etc` and `/var` differ from the predecessor's; imported already.
    pub overlays: OverlayChanges,
    /// What becomes of paths of `/etc` that were changed here and in the image.
    pub etc: EtcPolicy,
    /// The bound images of the image, resolved and, unless it is only to be planned, imported already.
    pub bound: Vec<BoundImage>,
    /// What those of them will take that are not imported yet.
    pub bound_to_come: Vec<BoundToCome>,
    /// Whose kernel arguments, overlays and `/etc` are carried over.
    pub predecessor: Predecessor,
    /// The deployment that runs, which only the caller can know.
    pub running: Option<DeploymentId>,
    /// When it becomes what boots next.
    pub finalise: Finalise,
    /// The boot loader that shall boot it; nothing leaves the choice to what was asked for before, then to the image.
    pub boot_loader: Option<Bootloader>,
    /// How often the boot loader tries it before it falls back, 0 for always; nothing leaves it to what there is: an update
    /// is counted where systemd-boot counts, the image says when it has booted well, and another deployment can take over.
    pub tries: Option<u32>,
    /// What older deployments may stay.
    pub retention: Retention,
    /// What was or will be fetched for it, for the plan to say.
    pub fetch: Fetch,
    /// The time of the deployment, in seconds since 1970 UTC.
    pub time: i64,
    /// The image trees that were read already, which planning need not read again.
    pub trees: ImageTrees,
}

impl DeployRequest {
    /// A request for an imported image, which is updated from where it came from, if that is known.
    ///
    /// # Errors
    /// [`DeployError::Unfit`] when it has no bootable image, or its documents are damaged.
    pub fn of(
        repository: &Repository,
        named: &NamedImage,
        kargs: Vec<Karg>,
        time: i64,
    ) -> Result<Self, DeployError> {
        let unfit = |reason: String| DeployError::Unfit { profile: "bootable", reason };
        let content = named.content.as_ref().map_err(|reason| unfit(reason.clone()))?;
        let image = content.bootable.ok_or_else(|| unfit(why_not_bootable(repository, content)))?;
        let image = ImageId::new(image);
        let reference = named.origin.as_ref().map_or(&named.name, |origin| &origin.reference);
        let resolved = named.origin.as_ref().map(|origin| origin.named.to_string());
        let request = Self::new(reference.clone(), named.manifest, content.config, image, time);
        Ok(Self { resolved, kargs, ..request })
    }

    /// Reads side by side what planning it will need, where the caller needs the image's tree before it plans. What fails
    /// fails again, and is told, when it is needed.
    pub fn read_ahead(&self, target: &Target) {
        let Ok((records, _)) = target.sysroot.records() else { return };
        let of = |id: &DeploymentId| records.iter().find(|record| record.id == *id);
        let from = match &self.predecessor {
            Predecessor::None => None,
            Predecessor::Deployment(id) => of(id),
            Predecessor::Current => {
                self.running.as_ref().and_then(of).or_else(|| menu(&records).first().copied())
            }
        };
        self.read_ahead_from(&target.repository, from);
    }

    /// The same, where the predecessor is known.
    pub(super) fn read_ahead_from(&self, repository: &Repository, from: Option<&Record>) {
        let plain = plain_image(repository, &self.config).ok().flatten();
        let from = from.map(|from| &from.image.id);
        self.trees.read_ahead(repository, &self.image, (plain.as_ref(), from));
    }

    /// A request for an image, with nothing else asked for.
    #[must_use]
    pub fn new(
        reference: String,
        manifest: ManifestDigest,
        config: ConfigDigest,
        image: ImageId,
        time: i64,
    ) -> Self {
        Self {
            reference,
            resolved: None,
            manifest,
            config,
            image,
            kargs: Vec::new(),
            source_kargs: Vec::new(),
            karg_deletes: Vec::new(),
            addons: AddonChanges::default(),
            overlays: OverlayChanges::default(),
            etc: EtcPolicy::default(),
            bound: Vec::new(),
            bound_to_come: Vec::new(),
            predecessor: Predecessor::default(),
            running: None,
            finalise: Finalise::default(),
            boot_loader: None,
            tries: None,
            retention: Retention::default(),
            fetch: Fetch::default(),
            time,
            trees: ImageTrees::default(),
        }
    }
}

/// Why no bootable image was made of one: what its plain one lacks.
fn why_not_bootable(repository: &Repository, content: &ImageContent) -> String {
    let plain = content.image.map(|plain| image_tree(repository, &ImageId::new(plain)));
    match plain.map(|tree| tree.map(|tree| wants_to_boot(&tree))) {
        Some(Ok(Err(NotBootable::Unfit(reason)))) => reason,
        Some(Ok(Err(NotBootable::NoKernel))) => NO_KERNEL.to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(Ok(()))) | None => "its import did not end: import it again".to_owned(),
    }
}
