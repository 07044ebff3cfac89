//! The one error type of the crate: each variant is a decision that the caller can take.

use sealstone_boot::BootError;
use sealstone_store::tree::TreeError;

/// What went wrong, sorted by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The image cannot be made with this profile, or cannot boot: choose another profile or another image.
    #[error("the image is not {profile}: {reason}")]
    Unfit {
        /// What it should have been, as a word: `bootable`.
        profile: &'static str,
        /// What it lacks.
        reason: String,
    },
    /// A layer does not fit on those below it: the image is wrong.
    #[error("layer {layer} of the image cannot be applied: {path:?}: {reason}")]
    Layer {
        /// The layer's number, from 0.
        layer: usize,
        /// The path in the image.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The image's SELinux policy cannot be read, so its labels cannot be computed.
    #[error("the image's SELinux policy: {place}: {reason}")]
    Policy {
        /// File and line, or pattern.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration file of the image is wrong: the image has to be built differently.
    #[error("the image's {file}: line {line}: {reason}")]
    ImageFile {
        /// Its path in the image.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A unit of the image binds an image by a way that is not allowed, or names none: the image is wrong.
    #[error("bound image unit {unit}: {reason}")]
    BoundUnit {
        /// The unit: the link's name.
        unit: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A text is not what it should be: a profile, a deployment's id, a record.
    #[error("{text:?} is not a valid {what}: {reason}")]
    Invalid {
        /// What it should have been.
        what: &'static str,
        /// The text.
        text: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// An overlay cannot be laid on an image: make it otherwise.
    #[error("the overlay {name}: {path}: {reason}")]
    Overlay {
        /// The overlay's name.
        name: String,
        /// The path in it.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Machine and image changed the same files of `/etc`, and nobody said who wins: choose a strategy.
    #[error("changed on the machine and in the image: {}", paths.join(", "))]
    EtcConflict {
        /// The files.
        paths: Vec<String>,
    },
    /// A place that shall be installed to has other things on it: say that they may go, or take another place.
    #[error("{place} is in use: {}", found.join(", "))]
    Occupied {
        /// The directory, file or device.
        place: String,
        /// What would be destroyed, or stands in the way.
        found: Vec<String>,
    },
    /// A program of this machine is missing or failed: install it, or see what it says.
    #[error("{program}: {reason}")]
    Program {
        /// Its name.
        program: String,
        /// What is wrong.
        reason: String,
    },
    /// A limit was passed.
    #[error("the {what} has {size} bytes, and the limit is {limit}")]
    TooBig {
        /// What was measured.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The target is not what the plan was made for: plan again.
    #[error("the system changed since this was planned: plan again")]
    Changed,
    /// A deployment is named before the store has proved that it is kept: a plan that no planner made.
    #[error("the plan names the deployment {id} before its image is kept")]
    NotKept {
        /// The deployment.
        id: String,
    },
    /// The deployment cannot go.
    #[error("the deployment {id} is needed: {reason}")]
    Needed {
        /// The deployment.
        id: String,
        /// What for.
        reason: &'static str,
    },
    /// The tree of the image outgrows its format.
    #[error("the image's tree: {0}")]
    Tree(#[from] TreeError),
    /// The boot partition or an entry.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The import of the image.
    #[error(transparent)]
    Import(#[from] sealstone_import::ImportError),
    /// The store or the disk.
    #[error(transparent)]
    Store(#[from] sealstone_store::Error),
}
