//! Writing for people and for programs: tables, bars, units, and JSON documents.
//!
//! What lives here: how things look. What never does: what they are; verbs hand over finished values.
//! Invariant: everything goes to a writer that the caller passes, so a closed pipe ends the command quietly.

pub mod bar;
mod document;
mod facts;
pub mod file;
mod name;
mod table;
mod terminal;
mod units;

pub use document::write_document;
pub use facts::Facts;
pub use name::{escape, printable};
pub use table::Table;
pub use terminal::Terminal;
pub use units::{Bytes, Count, Elapsed, plural};
