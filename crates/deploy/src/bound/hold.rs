//! [`HeldBound`]: keeps gc away from images that were fetched and that no deployment refers to yet.

use sealstone_store::{Repository, Transaction};

use crate::DeployError;

/// As long as this lives, no gc runs on the repository, in any process. It leaves nothing behind, whatever becomes of the
/// process: what was fetched and never deployed goes with the next gc.
#[derive(Debug)]
#[must_use = "gc is kept away as long as this lives"]
pub struct HeldBound {
    _lock: Transaction,
}

impl HeldBound {
    /// Takes the repository's shared lock.
    ///
    /// # Errors
    /// [`sealstone_store::Error::ReadOnly`] when the repository cannot be written to.
    pub fn take(repository: &Repository) -> Result<Self, DeployError> {
        // D12: the lock of a transaction that stores nothing.
        Ok(Self { _lock: repository.transaction()? })
    }
}
