//! The one error type: what stands in the way of the root, and what whoever sits before the console can do.
//!
//! What lives here: the reasons, with what was asked and what is there. What does not: how they are shown (`main.rs`).

use std::path::PathBuf;

use sealstone_store::Error as StoreError;

/// Why there is no root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The kernel's command line cannot be understood.
    #[error("{reason}")]
    Arguments {
        /// What is wrong with it.
        reason: String,
    },
    /// The program was called wrongly.
    #[error("{reason}")]
    Usage {
        /// What is wrong.
        reason: String,
    },
    /// No image that is asked for is in the repository.
    #[error("{} has no image of those that the kernel was told to boot: {}", repository.display(), asked.join(" "))]
    NoImage {
        /// The arguments, as they would stand on a command line.
        asked: Vec<String>,
        /// Where they were looked for.
        repository: PathBuf,
        /// The deployments that are there.
        available: Vec<String>,
    },
    /// The image is there, and the folder with its `/etc` is not.
    #[error("there is no state of the deployment {id}: {} is missing", folder.display())]
    NoState {
        /// Its id.
        id: String,
        /// Its folder.
        folder: PathBuf,
        /// The deployments that are there.
        available: Vec<String>,
    },
    /// The image's bytes are not those that its id promises, or nobody guards them.
    #[error("the image {image} is not to be trusted: {reason}")]
    Untrusted {
        /// Its id.
        image: String,
        /// What was found.
        reason: String,
    },
    /// A configuration file cannot be understood.
    #[error(transparent)]
    Configuration(#[from] sealstone_boot::BootError),
    /// The disk or the kernel failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SetupError {
    /// The program's exit code, by the meanings that `store` has: 1 failed, 2 wrong arguments, 3 not trusted, 5 not there,
    /// 7 this kernel cannot do it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments { .. } | Self::Usage { .. } => 2,
            Self::Untrusted { .. } => 3,
            Self::NoImage { .. } | Self::NoState { .. } => 5,
            Self::Store(StoreError::Mount { .. }) => 7,
            _ => 1,
        }
    }

    /// What is there instead: ids of deployments that could be booted.
    #[must_use]
    pub fn available(&self) -> &[String] {
        match self {
            Self::NoImage { available, .. } | Self::NoState { available, .. } => available,
            _ => &[],
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Arguments { .. } => {
                "boot another entry of the menu, or mend composefs= in this one: it takes the image's id in hexadecimal"
            }
            Self::Usage { .. } => "store-setup-root --help lists the options",
            Self::NoImage { available, .. } if available.is_empty() => {
                "there is no deployment at all: is this the right root file system? root= names another one"
            }
            Self::NoImage { .. } | Self::NoState { .. } => {
                "boot another entry of the menu, or put the id of a deployment that is there into composefs="
            }
            Self::Untrusted { .. } => {
                "boot another entry of the menu, then look for damage with `store fsck` and deploy the image again"
            }
            Self::Configuration(_) => {
                "boot another entry of the menu; the image, or its initramfs, has to be built differently"
            }
            Self::Store(StoreError::Mount { .. }) => {
                "this kernel has to have EROFS and overlayfs (Linux 6.6 at least), as modules in the initramfs or built in"
            }
            Self::Store(_) => "boot another entry of the menu; the root file system may be damaged",
        }
    }
}
