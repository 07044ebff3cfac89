//! Making a sysroot of a directory: its repository and the target that plans are made for.
//!
//! What lives here: the folders of a sysroot that is not one yet, and the refusal of one that has another system. What does
//! not: the file system below, what is deployed.

use std::{path::Path, sync::Arc};

use sealstone_boot::Esp;
use sealstone_store::{Algorithm, InitOptions, Repository, Verity, disk::Disk};

use crate::{DeployError, REPOSITORY, State, Sysroot, Target};

/// How the repository of a new sysroot shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysrootOptions {
    /// The hash of object ids: sha512, since bootc reads no other under a sysroot.
    pub algorithm: Algorithm,
    /// Who guards the objects; `None` takes the kernel where it can, and computes elsewhere.
    pub verity: Option<Verity>,
}

impl Default for SysrootOptions {
    fn default() -> Self {
        Self { algorithm: Algorithm::Sha512, verity: None }
    }
}

/// Makes a sysroot of a directory, or takes up one that an earlier run of the same installation (of the same `reference`)
/// began. What else is in the directory stays. The boot partitions are those of the system to be
/// ([`boot_targets`](sealstone_boot::boot_targets) says what each is for, when there is more than an ESP).
///
/// # Errors
/// [`DeployError::Occupied`] when another system is deployed there, and those of [`Repository::init`].
pub fn prepare_sysroot(
    disk: &Arc<dyn Disk>,
    root: &Path,
    esps: Vec<Esp>,
    reference: &str,
    options: SysrootOptions,
) -> Result<Target, DeployError> {
    let sysroot = Sysroot::open(disk, root)?;
    let (records, broken) = sysroot.records()?;
    let others = records.iter().filter(|record| record.state != State::Making);
    let mut found: Vec<String> = others
        .filter(|record| record.image.reference != reference)
        .map(|record| format!("the deployment {} of {}", record.id, record.image.reference))
        .collect();
    found.extend(broken.iter().map(|broken| format!("the record {}, which cannot be read", broken.file)));
    if !found.is_empty() {
        return Err(DeployError::Occupied { place: root.display().to_string(), found });
    }
    let init = InitOptions { algorithm: options.algorithm, verity: options.verity };
    let (repository, _) = Repository::init(disk, root.join(REPOSITORY), &init)?;
    Ok(Target { sysroot, repository, esps })
}
