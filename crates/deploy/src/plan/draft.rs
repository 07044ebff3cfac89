//! What the record of a new deployment will say, from the request, the image's tree and the deployment before it.
//!
//! What lives here: the one place where the parts of a record come together, each from its own module. What does not:
//! how each part is found, whether there is such a deployment already (`deploy.rs`). Nothing is written.

use sealstone_boot::{Kernel, OsRelease, find_ukis};
use sealstone_store::{Repository, Verity, tree::Tree};

use super::DeployRequest;
use crate::{
    BoundImage, DeployError, Overlay, Profile, Record,
    adopt::architecture,
    image_tree::read_text,
    kargs::{ConfigWarning, Derived, ImageKargs, KargsBase, KargsWish, deletes_of, derive},
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
    pub warnings: Vec<ConfigWarning>,
    pub bound: Vec<BoundImage>,
    pub overlays: Vec<Overlay>,
}

impl Draft {
    /// What the request comes to.
    pub(super) fn of(
        repository: &Repository,
        tree: &Tree,
        request: &DeployRequest,
        (predecessor, kargs_of): (Option<&Record>, Option<&Record>),
    ) -> Result<Self, DeployError> {
        let unfit = |reason: String| DeployError::Unfit { profile: "bootable", reason };
        let kernel = Kernel::find(tree)?.ok_or_else(|| match find_ukis(tree).as_slice() {
            [] => unfit("it has no kernel in /usr/lib/modules".into()),
            [uki, ..] => unfit(format!("it boots by a unified kernel image only ({uki})")),
        })?;
        let sizes = kernel.measure(tree, repository)?;
        let os_release = ["/usr/lib/os-release", "/etc/os-release"]
            .iter()
            .find_map(|path| read_text(repository, tree, path, OS_RELEASE_MAX).transpose())
            .transpose()?
            .unwrap_or_default();
        let OsRelease { id, title, version } = OsRelease::parse(&os_release);
        let (kargs, warnings) = kargs(repository, tree, request, kargs_of)?;
        Ok(Self {
            image: image(repository, request),
            os: Os { id, title, version },
            kernel: DeployedKernel { version: kernel.version().to_owned(), sizes, of_bootc: None },
            kargs: kargs.kargs,
            karg_deletes: kargs.deletes.iter().map(ToString::to_string).collect(),
            warnings,
            bound: request.bound.clone(),
            overlays: request.overlays.apply(predecessor.map_or(&[], |record| &record.overlays))?,
        })
    }

    /// Whether a record says just this, however its image was called.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        let image = DeployedImage {
            reference: self.image.reference.clone(),
            resolved: self.image.resolved.clone(),
            ..record.image.clone()
        };
        image == self.image
            && record.kargs == self.kargs
            && record.karg_deletes == self.karg_deletes
            && record.bound == self.bound
            && record.overlays == self.overlays
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
    Ok((derive(&image, base, wish)?, image.warnings))
}

fn image(repository: &Repository, request: &DeployRequest) -> DeployedImage {
    // An offline repository gets its fs-verity before it boots; one without never does.
    let verity = match repository.verity() {
        Verity::Required | Verity::Offline => VerityNeed::Required,
        Verity::Computed => VerityNeed::Optional,
    };
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
