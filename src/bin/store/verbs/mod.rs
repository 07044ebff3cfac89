//! One file a verb: its arguments, their validation, the one call into the libraries, and how the answer is shown.
//!
//! No verb holds logic that a program linking the libraries would miss.

pub mod artifact;
mod artifact_fetch;
mod artifact_inspect;
mod artifact_push;
pub mod cat;
pub mod completions;
pub mod copy;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod du;
pub mod dump;
pub mod export;
mod exported;
pub mod finalize;
pub mod fsck;
pub mod gc;
pub mod images;
pub mod import;
mod import_explain;
mod import_plan;
pub mod index;
pub mod init;
pub mod inspect;
mod inspect_source;
pub mod kargs;
pub mod ls;
pub mod man;
pub mod mount;
pub mod pin;
mod plan_steps;
mod planned;
pub mod prune;
pub mod push;
pub mod reconcile;
pub mod rm;
pub mod rollback;
pub mod status;
mod status_remarks;
pub mod switch;
pub mod umount;
pub mod update;
mod update_run;
mod update_show;
