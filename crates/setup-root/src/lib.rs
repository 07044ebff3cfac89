//! What makes a deployment the root of a system, in its initramfs: the image that the kernel's arguments name, with the
//! deployment's `/etc` and `/var` on it.
//!
//! What lives here: the arguments, the choice of the image and the check of its bytes, the plan of the mounts, and
//! carrying it out. What never does: writing to a repository, looking at another deployment than the one asked for.
//! The library reads no environment and no `/proc`; the program `store-setup-root` does, and passes it on.
//!
//! ```
//! use sealstone_setup_root::Asked;
//!
//! let line = format!("quiet rw composefs={}", "ab".repeat(64));
//! let Asked::Image(request) = Asked::parse(&line)? else { panic!("an image is asked for") };
//! assert_eq!(request.candidates.len(), 1);
//! assert!(matches!(Asked::parse("quiet ostree=/ostree/boot.1/x")?, Asked::Ostree));
//! # Ok::<(), sealstone_setup_root::SetupError>(())
//! ```

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod asked;
mod conf;
mod error;
mod gpt_auto;
mod physical;
mod plan;
mod set_up;
mod stage;
mod state_id;

pub use asked::{Asked, Request};
pub use error::SetupError;
pub use gpt_auto::keep_gpt_auto;
pub use plan::{Plan, Step};
pub use set_up::{Done, Places, set_up};
pub use state_id::StateId;
