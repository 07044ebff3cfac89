//! One file a verb: its arguments, their validation, the one call into the libraries, and how the answer is shown.
//!
//! No verb holds logic that a program linking the libraries would miss.

pub mod completions;
pub mod init;
pub mod man;
