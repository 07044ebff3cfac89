//! Trees as text: the format of composefs-dump(5), a line a file.
//!
//! What lives here: the writer ([`Dump`]), equal to the crate `composefs` 0.9.4, and the parser ([`parse()`]). What does
//! not: images; a dump says what an image shows. Lines are ASCII: other bytes are escaped.
//!
//! A line is `PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST` and `NAME=VALUE` for each extended
//! attribute, with `-` for what is not there. The second and later names of a file have `@` before the mode and the
//! first name as payload.

mod error;
mod escape;
mod fields;
mod file;
mod parser;
mod writer;

pub use error::{DumpError, DumpProblem};
pub use parser::parse;
pub use writer::Dump;
