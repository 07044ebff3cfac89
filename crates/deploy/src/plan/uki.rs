//! The unified kernel image of a new deployment: found in the image, and held against it before anything is written.
//!
//! What lives here: which image and which addons a request comes to, and the reasons against it. What does not: PE and command
//! lines (the boot crate), writing.
//! Invariants: what is sealed names the image that is deployed, and the repository can give the fs-verity that it insists on;
//! nobody believes that an argument is set which the image does not take.

use std::collections::BTreeSet;

use sealstone_boot::{Blob, BootError, Esp, FoundUki, Kernel, KernelSizes, Uki};
use sealstone_import::{ConfigDigest, ImageKind, streams::linked_images};
use sealstone_store::{Repository, Verity, tree::Tree};

use super::{DeployRequest, wrong_image::explained};
use crate::{
    BootcKernel, DeployError, DeployedAddon, DeployedKernel, DeployedUki, ImageId, Record, Target,
    record::VerityNeed,
};

/// Addons to a unified kernel image that the caller wants, by the names that the image has for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddonChanges {
    /// Those that are taken beside the predecessor's.
    pub add: Vec<String>,
    /// Those of the predecessor's that are left out.
    pub remove: Vec<String>,
}

impl AddonChanges {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// What boots a new deployment, if it is a unified kernel image.
pub(super) struct SealedKernel {
    pub kernel: DeployedKernel,
    pub verity: VerityNeed,
    /// What is worth telling.
    pub notes: Vec<String>,
}

/// The unified kernel image of the request's image, if it has one: then it boots by that and by nothing else, as with
/// bootc. `tree` is the image that boots, whose `/boot` is empty.
pub(super) fn sealed_kernel(
    repository: &Repository,
    tree: &Tree,
    request: &DeployRequest,
    predecessor: Option<&Record>,
) -> Result<Option<SealedKernel>, DeployError> {
    let found = ukis(repository, request)?;
    let Some((first, others)) = found.split_first() else { return Ok(None) };
    let mut notes: Vec<String> = others
        .iter()
        .map(|other| {
            format!("the image has {} as well, which is not used: {} comes first", other.path, first.path)
        })
        .collect();
    refuse_kargs(request)?;
    notes.extend(note_of_kargs(predecessor));
    let missing = || malformed(first, "it is too short");
    let blob = Blob::Object(repository.clone(), first.object.ok_or_else(missing)?, first.size);
    let file = repository.open_object(&first.object.ok_or_else(missing)?)?;
    // The bytes are checked against their id before anything is believed that they say.
    blob.read(|_, _| Ok(()))?;
    let uki = Uki::read(&file, &first.path)?;
    let arg = uki.check_image(&[*request.image.object()]);
    let arg = arg.map_err(|error| explained(repository, request, error))?;
    if !arg.is_verity_optional() && repository.verity() == Verity::Computed {
        let reason =
            format!("{} insists on fs-verity, which the repository's file system has not", first.path);
        return Err(DeployError::Unfit { profile: "bootable", reason });
    }
    let addons = addons(repository, first, request, predecessor)?;
    let version = match (&uki.base().uname, Kernel::find(tree)) {
        (Some(uname), _) => uname.clone(),
        (None, Ok(Some(kernel))) => kernel.version().to_owned(),
        (None, _) => String::new(),
    };
    let digest = uki.boot_digest(&file)?;
    let kernel = DeployedKernel {
        version,
        sizes: KernelSizes { digest, vmlinuz: first.size, initramfs: 0 },
        of_bootc: None,
        uki: Some(DeployedUki {
            file: Esp::uki_path(&request.image.to_string()),
            object: first.object.ok_or_else(missing)?,
            addons,
        }),
    };
    let verity = if arg.is_verity_optional() { VerityNeed::Optional } else { VerityNeed::Required };
    Ok(Some(SealedKernel { kernel, verity, notes }))
}

/// Takes over the addons beside a unified kernel image that bootc deployed, of which there are the files alone: those that the
/// new image has too. Gives a word on the others.
pub(super) fn keep_addons_of_bootc(
    target: &Target,
    request: &mut DeployRequest,
    predecessor: Option<&Record>,
) -> Result<Option<String>, DeployError> {
    let Some(BootcKernel::Uki { file, .. }) = predecessor.and_then(|record| record.kernel.of_bootc.as_ref())
    else {
        return Ok(None);
    };
    let found = ukis(&target.repository, request)?;
    let Some(first) = found.first() else { return Ok(None) };
    let mut names = BTreeSet::new();
    for esp in target.esps.iter().filter(|esp| esp.role().has_entries()) {
        // Of one that cannot be read the others have the same.
        names.extend(esp.addons_beside(file).unwrap_or_default());
    }
    let is_kept = |name: &String| first.addons.iter().any(|addon| addon.name == *name);
    let (kept, left): (Vec<String>, Vec<String>) = names.into_iter().partition(is_kept);
    request.addons.add.extend(kept);
    let text =
        "the addons beside the unified kernel image of bootc that the new image does not have end here";
    Ok((!left.is_empty()).then(|| format!("{text}: {}", left.join(", "))))
}

/// Whether an image of the repository boots by the unified kernel image that a deployment has; without one, by none. Of one that
/// bootc deployed only the size is known.
pub(crate) fn boots_by_the_same(
    repository: &Repository,
    request: &DeployRequest,
    kernel: &DeployedKernel,
) -> Result<bool, DeployError> {
    let found = match plain_image(repository, &request.config)? {
        Some(plain) => request.trees.ukis(repository, (&request.image, &plain))?,
        None => Vec::new(),
    };
    let first = found.first();
    Ok(match (&kernel.uki, kernel.is_uki()) {
        (Some(uki), _) => first.is_some_and(|first| first.object == Some(uki.object)),
        (None, true) => first.is_none_or(|first| first.size == kernel.sizes.vmlinuz),
        (None, false) => first.is_none(),
    })
}

/// Whether the request's image boots by a unified kernel image, in which its kernel arguments are sealed.
pub(crate) fn is_sealed(repository: &Repository, request: &DeployRequest) -> Result<bool, DeployError> {
    Ok(!ukis(repository, request)?.is_empty())
}

/// The unified kernel images of the request's image.
fn ukis(repository: &Repository, request: &DeployRequest) -> Result<Vec<FoundUki>, DeployError> {
    let plain = plain_image(repository, &request.config)?.unwrap_or(request.image);
    request.trees.ukis(repository, (&request.image, &plain))
}

/// The image whose `/boot` is not emptied.
pub(super) fn plain_image(
    repository: &Repository,
    config: &ConfigDigest,
) -> Result<Option<ImageId>, DeployError> {
    let linked = linked_images(repository, config)?;
    Ok(linked.iter().find(|(kind, _)| *kind == ImageKind::Plain).map(|(_, id)| ImageId::new(*id)))
}

fn malformed(uki: &FoundUki, reason: &str) -> DeployError {
    BootError::Malformed { what: uki.path.clone(), reason: reason.to_owned() }.into()
}

/// What the caller asks of a sealed command line cannot be had.
fn refuse_kargs(request: &DeployRequest) -> Result<(), DeployError> {
    let wanted = request.kargs.iter().map(ToString::to_string).chain(request.karg_deletes.iter().cloned());
    let wanted: Vec<String> = wanted.collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "it boots by a unified kernel image, in which the kernel arguments are sealed: put {} into an addon",
        wanted.join(" ")
    );
    Err(DeployError::Unfit { profile: "bootable with other kernel arguments", reason })
}

/// The arguments of this machine that a unified kernel image does not take over.
fn note_of_kargs(predecessor: Option<&Record>) -> Option<String> {
    let local = predecessor?.kargs.iter().filter(|recorded| recorded.origin.is_local());
    let local: Vec<&str> = local.map(|recorded| recorded.karg.as_str()).collect();
    let text = "the kernel arguments of this machine end here, since a unified kernel image has its own";
    (!local.is_empty()).then(|| format!("{text}: {}", local.join(" ")))
}

/// The addons that are wanted, of which each must be in the image: an update keeps those of its predecessor.
fn addons(
    repository: &Repository,
    uki: &FoundUki,
    request: &DeployRequest,
    predecessor: Option<&Record>,
) -> Result<Vec<DeployedAddon>, DeployError> {
    let kept = predecessor.and_then(|record| record.kernel.uki.as_ref()).map(|uki| uki.addons.as_slice());
    let kept = kept.unwrap_or_default().iter().map(|addon| &addon.name);
    let mut names: Vec<&String> =
        kept.chain(&request.addons.add).filter(|name| !request.addons.remove.contains(name)).collect();
    names.sort_unstable();
    names.dedup();
    let mut addons = Vec::new();
    for name in names {
        let Some(found) = uki.addons.iter().find(|addon| addon.name == *name) else {
            return Err(BootError::Missing { what: format!("addon {name} in the image") }.into());
        };
        let path = format!("the addon {name}");
        let file = repository.open_object(&found.object)?;
        if !Uki::read(&file, &path)?.is_addon() {
            return Err(BootError::Malformed { what: path, reason: "it is no addon".into() }.into());
        }
        addons.push(DeployedAddon { name: name.clone(), object: found.object, size: found.size });
    }
    Ok(addons)
}
