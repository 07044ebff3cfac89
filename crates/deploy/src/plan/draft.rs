//! What the record of a new deployment will say, from the request, the image's tree and the deployment before it.
//!
//! What lives here: the one place where the parts of a record come together, each from its own module. What does not:
//! how each part is found, whether there is such a deployment already (`deploy.rs`). Nothing is written.

use sealstone_boot::{Kernel, OsRelease};
use sealstone_store::{Repository, Verity, tree::Tree};

use super::{
    DeployRequest,
    uki::{SealedKernel, sealed_kernel},
};
use crate::{
    BoundImage, DeployError, Overlay, Profile, Record,
    adopt::architecture,
    image_tree::read_text,
    kargs::{ConfigWarning, Derived, ImageKargs, KargsBase, KargsWish, append, deletes_of, derive},
    record::{DeployedImage, DeployedKernel, Os, RecordedKarg, VerityNeed},
};

/// The most bytes of an os-release file.
const OS_RELEASE_MAX: u64 = 64 << 10;

/// What a record says of what is deployed.
pub(super) struct Draft {
    pub image: DeployedImage,
    pub os: Os,
    pub kernel: DeployedKernel,
    pub kargs: Vec<RecordedKarg>,
    pub karg_deletes: Vec<String>,
    /// What of the image's files was passed over.
    pub warnings: Vec<String>,
    pub bound: Vec<BoundImage>,
    pub overlays: Vec<Overlay>,
}

impl Draft {
    /// What the request comes to; `latest` is the deployment from which it takes over arguments, addons and overlays.
    pub(super) fn of(
        repository: &Repository,
        tree: &Tree,
        request: &DeployRequest,
        latest: Option<&Record>,
    ) -> Result<Self, DeployError> {
        let boots = Boots::of(repository, tree, request, latest)?;
        let os_release = ["/usr/lib/os-release", "/etc/os-release"]
            .iter()
            .find_map(|path| read_text(repository, tree, path, OS_RELEASE_MAX).transpose())
            .transpose()?
            .unwrap_or_default();
        let OsRelease { id, title, version } = OsRelease::parse(&os_release);
        let Boots { kernel, verity, kargs, warnings } = boots;
        Ok(Self {
            image: image(request, verity),
            os: Os { id, title, version },
            kernel,
            kargs: kargs.kargs,
            karg_deletes: kargs.deletes.iter().map(ToString::to_string).collect(),
            warnings,
            bound: request.bound.clone(),
            overlays: request.overlays.apply(latest.map_or(&[], |record| &record.overlays))?,
        })
    }

    /// Whether a record says just this, however its image was called.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        let image = DeployedImage {
            reference: self.image.reference.clone(),
            resolved: self.image.resolved.clone(),
            ..record.image.clone()
        };
        // One of bootc's is where bootc put it, whatever the image has.
        let is_booted_alike = record.kernel.of_bootc.is_some() || self.kernel.has_uki_of(&record.kernel);
        image == self.image
            && is_booted_alike
            && record.kargs == self.kargs
            && record.karg_deletes == self.karg_deletes
            && record.bound == self.bound
            && record.overlays == self.overlays
    }
}

/// How a new deployment boots.
struct Boots {
    kernel: DeployedKernel,
    verity: VerityNeed,
    kargs: Derived,
    warnings: Vec<String>,
}

impl Boots {
    /// By the image's unified kernel image if it has one, else by its kernel.
    fn of(
        repository: &Repository,
        tree: &Tree,
        request: &DeployRequest,
        latest: Option<&Record>,
    ) -> Result<Self, DeployError> {
        if let Some(sealed) = sealed_kernel(repository, tree, request, latest)? {
            let SealedKernel { kernel, verity, notes } = sealed;
            return Ok(Self { kernel, verity, kargs: Derived::default(), warnings: notes });
        }
        let unfit = |reason: &str| DeployError::Unfit { profile: "bootable", reason: reason.into() };
        let kernel = Kernel::find(tree)?.ok_or_else(|| unfit("it has no kernel in /usr/lib/modules"))?;
        if !request.addons.add.is_empty() {
            return Err(unfit("it has no unified kernel image, and only those take addons"));
        }
        let pair = request.trees.boot_pair(repository, &request.image)?;
        let sizes = *pair.ok_or_else(|| unfit("it has no kernel in /usr/lib/modules"))?.sizes();
        let version = kernel.version().to_owned();
        // An offline repository gets its fs-verity before it boots; one without never does.
        let verity = match repository.verity() {
            Verity::Required | Verity::Offline => VerityNeed::Required,
            Verity::Computed => VerityNeed::Optional,
        };
        let (kargs, warnings) = kargs(repository, tree, request, latest)?;
        let kernel = DeployedKernel { version, sizes, of_bootc: None, uki: None };
        let warnings = warnings.iter().map(ToString::to_string).collect();
        Ok(Self { kernel, verity, kargs, warnings })
    }
}

/// The kernel arguments, and what of the image's files was passed over.
fn kargs(
    repository: &Repository,
    tree: &Tree,
    request: &DeployRequest,
    of: Option<&Record>,
) -> Result<(Derived, Vec<ConfigWarning>), DeployError> {
    let architecture = architecture(repository, &request.manifest);
    let image = ImageKargs::read(repository, tree, architecture.as_ref())?;
    let deletes = of.map(|record| deletes_of(&record.karg_deletes)).unwrap_or_default();
    let base = of.map(|record| KargsBase { kargs: &record.kargs, deletes: &deletes });
    let wish = KargsWish { kargs: &request.kargs, deletes: &deletes_of(&request.karg_deletes) };
    let mut derived = derive(&image, base, wish)?;
    let new = request.source_kargs.iter().filter(|karg| !derived.kargs.contains(karg)).cloned();
    for karg in new.collect::<Vec<_>>() {
        append(&mut derived.kargs, karg);
    }
    Ok((derived, image.warnings))
}

fn image(request: &DeployRequest, verity: VerityNeed) -> DeployedImage {
    DeployedImage {
        reference: request.reference.clone(),
        resolved: request.resolved.clone(),
        manifest: request.manifest,
        config: request.config,
        id: request.image,
        profile: Profile::Bootable,
        verity,
    }
}
