//! What a deploy, an update, a rollback, a removal or a reconciliation will do: computed from what there is, without a
//! change.
//!
//! What lives here: the plan and its steps as values that print as JSON, and how they are found. What does not: the
//! doing ([`apply`](crate::apply())). Invariants: a plan names what it was made for (`world`), and is refused for anything
//! else; each step may be run twice; after any step the old system boots (rules D9, D11).

mod bless;
#[cfg(test)]
mod bless_tests;
mod boot_steps;
mod bound;
#[cfg(test)]
mod choose_tests;
#[cfg(test)]
mod damage_tests;
mod deploy;
mod draft;
mod finalize;
mod kargs;
mod loader;
#[cfg(test)]
mod loader_tests;
mod order;
mod pin;
mod place;
#[cfg(test)]
mod place_tests;
mod planner;
mod prune;
#[cfg(test)]
mod rebuild_tests;
mod reconcile;
mod relabel;
mod remove;
mod request;
mod rollback;
mod room;
mod sections;
mod staged;
#[cfg(test)]
mod staged_tests;
mod steps;
#[cfg(test)]
mod tests;
mod uki;
#[cfg(test)]
mod uki_anew_tests;
#[cfg(test)]
mod uki_format_tests;
#[cfg(test)]
mod uki_grub_tests;
#[cfg(test)]
mod uki_tests;
mod wrong_image;

pub use bless::plan_bless;
pub(crate) use bless::{is_given_up, spent};
pub(crate) use boot_steps::{has_entries_in_step, taken, unclaimed};
pub use bound::plan_sync_bound;
pub use deploy::plan_deploy;
pub use finalize::plan_finalize;
pub use kargs::plan_kargs;
pub use pin::plan_pin;
pub use place::keep_place;
pub use prune::plan_prune;
pub use reconcile::plan_reconcile;
pub use relabel::plan_relabel;
pub use remove::plan_remove;
pub use request::{DeployRequest, Finalise, Predecessor};
pub use rollback::{plan_choose, plan_rollback};
pub use sections::{
    DeploymentsSection, EntriesSection, Fetch, KargsSection, LoaderSection, LoaderWrite, Pruned, Room,
};
pub use staged::{StagedWish, plan_note_unfinalised, plan_restage};
pub use steps::{Plan, Step};
pub use uki::AddonChanges;
pub(crate) use uki::{boots_by_the_same, is_sealed};
