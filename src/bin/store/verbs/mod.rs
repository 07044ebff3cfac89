//! One file a verb: its arguments, their validation, the one call into the libraries, and how the answer is shown.
//!
//! No verb holds logic that a program linking the libraries would miss.

pub mod cat;
pub mod completions;
pub mod diff;
pub mod dump;
pub mod images;
pub mod init;
pub mod inspect;
pub mod ls;
pub mod man;
pub mod mount;
pub mod rm;
pub mod umount;
