//! [`Stop`]: why a layer does not come in part.

use sealstone_store::Error as StoreError;

use crate::error::ImportError;

/// The end of an attempt to have a layer in part.
pub(crate) enum Stop {
    /// It cannot be had so, or it would not pay: an ordinary reason, for the report.
    Unfit(String),
    /// Something was not what it should be: a table that lies, a part that is damaged, an object of ours that is. The
    /// whole blob tells more, so that is read; whoever watches is warned.
    Wrong(ImportError),
    /// The whole blob would end the same way: the caller cancelled, the registry is gone, the store fails.
    Failed(ImportError),
}

impl Stop {
    pub(crate) fn unfit(reason: impl Into<String>) -> Self {
        Self::Unfit(reason.into())
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        match &error {
            ImportError::Digest { .. }
            | ImportError::Size { .. }
            | ImportError::Malformed { .. }
            | ImportError::Decode { .. }
            | ImportError::TooBig { .. }
            // Objects of ours: the whole blob has them as well.
            | ImportError::Store(
                StoreError::Corrupt { .. }
                | StoreError::Verity { .. }
                | StoreError::Missing { .. }
                | StoreError::TooBig { .. },
            ) => Self::Wrong(error),
            _ => Self::Failed(error),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        ImportError::from(error).into()
    }
}
