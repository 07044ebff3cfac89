//! The three-way merge of `/etc`: what the old image brought, what the machine made of it, what the new image brings.
//!
//! What lives here: scanning a folder of the disk (`scan.rs`), the merge as a function of three trees (`merge.rs`), what it reports
//! ([`EtcMerge`]), who wins ([`EtcPolicy`]), and all of it for a deployment (`renewal.rs`). What does not: when it is done and how the result comes into place
//! (`apply.rs`), writing it (`populate.rs`), overlays as such (`overlay/`).
//! Invariants: nothing changed locally gives the new tree, nothing changed in the image the current one, whatever the
//! strategy; modification times are never compared. The rules, one by one: `docs/etc.md`.

mod attributes;
mod carve;
mod contents;
mod leaf;
mod merge;
mod renewal;
mod report;
mod scan;
mod strategy;
#[cfg(test)]
mod tests;

pub(crate) use carve::{FOLDERS, carve, folder_of};
use merge::{Merged, Sides, changes, merge};
pub use renewal::{EtcSection, VarSection};
pub(crate) use renewal::{NewEtc, Renewal, changes_since};
pub use report::{Changed, ConflictKind, EtcChange, EtcConflict, EtcIgnored, EtcMerge, Ignored};
pub(crate) use scan::{Specials, scan};
pub use strategy::{EtcPolicy, EtcStrategy, StrategyRule};
