//! Kernel arguments: which ones a deployment gets, and where each came from.
//!
//! What lives here: the files of an image that name arguments, the three-way law of an update ([`derive()`]), and the edits
//! of an administrator ([`KargsEdit`]). What does not: the text of a command line (the boot crate), records.
//! Sources: bootc's `/usr/lib/bootc/kargs.d` and `/usr/lib/bootc/install`. Invariants: only the image's own tree is read,
//! never this machine's files; what is not understood is warned about with file and line, what is wrong is an error with
//! both; the arguments that name the image are the deployment's own, and nobody else's.

mod architecture;
mod document;
mod edit;
mod files;
mod image_kargs;
mod install_config;
mod kargs_file;
mod law;
mod source_name;

pub use architecture::Architecture;
pub use document::ConfigWarning;
pub use edit::{KargsEdit, KargsOwner};
pub use image_kargs::ImageKargs;
pub use install_config::{BlockSetup, Bootloader, InstallConfig, RootFileSystem};
pub use kargs_file::KargsFile;
pub(crate) use law::append;
pub use law::{Derived, KargsBase, KargsWish, derive};
pub use source_name::SourceName;

use sealstone_boot::{ComposefsArg, Karg};

use crate::entries::STATE_KARG;

/// The deletions that a record has as text. What is none deletes nothing.
pub(crate) fn deletes_of(texts: &[String]) -> Vec<Karg> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Whether a deployment sets this argument itself: the image's id and the state folder.
fn is_reserved(karg: &Karg) -> bool {
    ComposefsArg::is_named_by(karg) || karg.has_key(STATE_KARG)
}
