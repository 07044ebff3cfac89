//! What a machine's files say about registries, as containers/image's tools (podman, skopeo) and Docker read them.
//!
//! What lives here: [`Credentials`] and the [`AuthFile`]s and helpers that have them, the [`Challenge`]s of servers that
//! want them, [`RegistriesConf`], [`Certificates`] for TLS, [`NoProxy`], the [`Policy`] and [`Signature`]s. What never
//! does: the network, the environment; which files are read is the caller's to say, with the help of [`Places`].
//!
//! Invariants: parsers take bytes, and cost what those do; an error names the file and the reason, and never repeats a
//! value of a file that may hold secrets.

mod auth_file;
mod certs_dir;
mod challenge;
mod credentials;
mod helper;
mod helper_runner;
mod no_proxy;
mod places;
mod policy;
pub(super) mod read;
mod reason;
mod registries_conf;
mod search;
mod secret;
mod sigstore;
#[cfg(test)]
mod testing;

pub use auth_file::{AuthFile, Lookup};
pub use certs_dir::{Certificates, ClientCertificate};
pub use challenge::Challenge;
pub use credentials::{Credentials, ParseCredentialsError};
pub use helper::HelperRequest;
pub use helper_runner::HelperRunner;
pub use no_proxy::NoProxy;
pub use places::Places;
pub use policy::{Demand, ImageName, Policy, PolicyScope};
pub use registries_conf::{Endpoint, RegistriesConf};
pub use search::{CredentialSource, find_credentials};
pub use secret::Secret;
pub use sigstore::{Claim, PAYLOAD_MEDIA_TYPE, PublicKey, SIGNATURE_ANNOTATION, Signature, signature_tag};
