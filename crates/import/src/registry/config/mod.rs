//! What a machine's files say about registries, as containers/image's tools (podman, skopeo) and Docker read them.
//!
//! What lives here: [`Credentials`] and the [`AuthFile`]s and helpers that have them, and the [`Challenge`]s of servers
//! that want them. What never does: the network, the environment, the choice of files (a caller says which).
//!
//! Invariants: parsers take bytes and are linear in them; an error names the file and the reason, and never repeats a
//! value of a file that may hold secrets.

mod auth_file;
mod challenge;
mod credentials;
mod helper;
mod reason;
mod secret;

pub use auth_file::{AuthFile, Lookup};
pub use challenge::Challenge;
pub use credentials::{Credentials, ParseCredentialsError};
pub use helper::HelperRequest;
pub use secret::Secret;
