//! Logically bound images: container images that an operating system image names, and that go where it goes.
//!
//! What lives here: reading the units that name them ([`bound_units`]), resolving each to a digest and fetching it into
//! the same repository ([`resolve_bound`], [`fetch_bound`]), what a deployment's record keeps of them ([`BoundImage`]), the
//! read-only store that podman gets to see ([`image_store`]), and what can be told of an image that is not here
//! ([`offered_bound`]). What does not: HTTP, which is the caller's [`BoundOpener`]; when any of it happens, which is the
//! plan's. Invariants: a reference is resolved once, and from then on its digest alone counts; nothing of an image is run.
//!
//! Source of the rules: bootc, `docs/src/logically-bound-images.md`; quadlet, podman-systemd.unit(5).

mod annotation;
mod condition;
#[cfg(test)]
mod crash_tests;
mod fetch;
mod glimpse;
mod hold;
mod image;
pub mod image_store;
mod lint;
mod offer;
mod prepare;
mod reference;
mod resolve;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod to_come;
mod unit_file;
mod units;

pub use annotation::{BOUND_ANNOTATION, annotation_of, read_annotation};
pub use condition::{BoundCondition, bound_condition, checked_bound_condition};
pub use fetch::{FetchedBound, fetch_bound, heal_bound};
pub use hold::HeldBound;
pub use image::BoundImage;
pub(crate) use image::{layer_objects, stream_objects};
pub use lint::{BoundFinding, BoundFindingKind, lint_bound};
pub use offer::{BoundOffer, OfferSource, OfferedBound, offered_bound};
pub use prepare::{KnownBound, PreparedBound, prepare_bound};
pub use reference::BoundReference;
pub use resolve::{BoundOpener, ResolvedBound, moved_bound, resolve_bound};
pub use to_come::{BoundToCome, Guess};
pub use unit_file::UnitFile;
pub use units::{BoundRef, UnitFault, bound_refs, bound_units};
