//! Deployments: from layers to an image, from an image to a system that boots.
//!
//! What lives here: the merge of layer trees into one canonical tree, SELinux labels, deployment records, plan and
//! apply. What never does: tar, HTTP, the rules of FAT.
//!
//! ```
//! use sealstone_deploy::{DeployRequest, REPOSITORY, Sysroot, Target, apply, plan_deploy, status};
//! use sealstone_boot::Esp;
//! use sealstone_import::catalogue::Catalogue;
//! use sealstone_store::{Control, Repository, disk::{Dir, RealDisk}};
//!
//! /// Deploys an imported image, or says why not. An update of a system that boots is the same call.
//! fn deploy(sysroot: &str, esp: &str, name: &str, time: i64) -> Result<(), Box<dyn std::error::Error>> {
//!     let disk = RealDisk::shared();
//!     let repository = Repository::open(&disk, format!("{sysroot}/{REPOSITORY}"))?;
//!     let catalogue = Catalogue::read(&repository)?;
//!     let esps = vec![Esp::new(Dir::open(&disk, esp)?)];
//!     let target = Target { sysroot: Sysroot::open(&disk, sysroot)?, repository, esps };
//!     let named = catalogue.images().iter().find(|image| image.name == name).ok_or("no such image")?;
//!     let request = DeployRequest::of(&target.repository, named, vec!["quiet".parse()?], time)?;
//!     let plan = plan_deploy(&target, &request)?;
//!     println!("{} steps", plan.steps.len());
//!     apply(&target, &plan, &Control::new())?;
//!     assert!(status(&target, None)?.deployments.iter().all(|deployment| deployment.health.is_good()));
//!     Ok(())
//! }
//! # let error = deploy("/nonexistent", "/nonexistent/esp", "debian", 0).unwrap_err();
//! # assert!(error.to_string().contains("/nonexistent"));
//! ```

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod adopt;
mod apply;
mod boot_once;
pub mod bound;
mod bundle;
mod copy_image;
mod deployment_id;
mod documents;
mod entries;
mod error;
mod etc;
mod explain;
mod find;
mod image;
mod image_digest;
mod image_tree;
mod image_trees;
mod import_image;
pub mod install;
pub mod kargs;
mod keep;
mod kernel_note;
mod merge;
#[cfg(test)]
mod model_tests;
mod origin;
mod overlay;
mod plan;
mod populate;
mod profile;
mod rebuild;
mod recipe;
mod record;
mod retention;
mod seal;
pub mod selinux;
mod status;
mod sysroot;
mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
#[path = "../../store/tests/trees/mod.rs"]
mod trees;
mod update;

pub use adopt::Unadopted;
pub use apply::{Applied, FailedPartition, apply};
pub use boot_once::{BootOnce, BootOncePlan, apply_boot_once, boot_once, plan_boot_once};
pub use bound::BoundImage;
pub use bundle::{
    ImportedBundle, WrittenBundle, bundle_index, bundled_images, export_bundle, forget_bundled, import_bundle,
};
pub use copy_image::{CopiedImage, copy_image};
pub use deployment_id::DeploymentId;
pub use entries::{booted, booted_among};
pub use error::DeployError;
pub use etc::{
    Changed, ConflictKind, EtcChange, EtcConflict, EtcIgnored, EtcMerge, EtcPolicy, EtcSection, EtcStrategy,
    Ignored, StrategyRule, VarSection,
};
pub use explain::{Cause, Explanation, FirstDifference, Puzzle, explain_digest};
pub use find::find_deployment;
pub use image::{ImageId, MadeImages, NotBootable, make_image, make_images, stored_layers};
pub use image_digest::{DigestRequest, ImageDigest, digest_folder, digest_source, digest_stored};
pub use image_trees::ImageTrees;
pub use import_image::{ImportedImage, import_image};
pub use keep::{Keeping, Kept};
pub use merge::merge;
pub use overlay::{
    FileBody, ImportedOverlay, Overlay, OverlayChanges, OverlayFile, OverlayName, OverlaySource,
    import_overlay, measure_overlay,
};
pub use plan::{
    AddonChanges, DeployRequest, DeploymentsSection, EntriesSection, Fetch, Finalise, KargsSection,
    LoaderSection, LoaderWrite, Plan, Predecessor, Pruned, Room, StagedWish, Step, keep_place, plan_bless,
    plan_choose, plan_deploy, plan_finalize, plan_kargs, plan_note_unfinalised, plan_pin, plan_prune,
    plan_reconcile, plan_relabel, plan_remove, plan_restage, plan_rollback, plan_sync_bound,
};
pub use populate::Populated;
pub use profile::Profile;
pub use recipe::{Basis, Departure, Recipe};
pub use record::{
    BootcKernel, DeployedAddon, DeployedImage, DeployedKernel, DeployedUki, KargOrigin, Os, RECORD_VERSION,
    Record, RecordedKarg, State, VerityNeed,
};
pub use retention::Retention;
pub use seal::{SealOptions, SealParts};
pub use sealstone_boot::{MountKind, RootConf, RootKind};
pub use status::{
    BootLoader, BootcHost, DeploymentStatus, DiskUse, EntryStatus, EspStatus, Fallback, Health, NextBoot,
    NextBootHow, Place, StagedByBootc, Status, add_losses, measure_disk, status,
};
pub use sysroot::{BrokenRecord, REPOSITORY, Sysroot, SysrootLock};
pub use target::Target;
pub use update::{
    CheckedBound, CheckedImage, CheckedLayer, Standing, UpdateCheck, Verdict, check_bound, check_update,
    known_update_request, place_of_updates, plan_unchanged, plan_update, update_request,
};
