//! [`BoundReference`]: what a unit's `Image=` names, in a registry.
//!
//! podman completes short names by each machine's own configuration; an image that is bound means one thing everywhere,
//! so a short name is refused. The other transports of podman name places on a machine, and are refused as well.

use std::{fmt, str::FromStr};

use sealstone_import::{Digest, registry::RegistryReference};

/// An image in a registry, named in full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BoundReference(RegistryReference);

impl BoundReference {
    /// The registry's reference.
    #[must_use]
    pub const fn registry(&self) -> &RegistryReference {
        &self.0
    }

    /// The digest that it names, which then decides.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.0.digest()
    }

    /// Whether what it names may change: a tag without a digest.
    #[must_use]
    pub const fn is_floating(&self) -> bool {
        self.0.digest().is_none()
    }

    /// What podman calls the image in its storage: with a digest the tag falls away.
    #[must_use]
    pub fn storage_name(&self) -> String {
        let name = format!("{}/{}", self.0.host(), self.0.repository());
        match (self.0.digest(), self.0.tag()) {
            (Some(digest), _) => format!("{name}@{digest}"),
            (None, tag) => format!("{name}:{}", tag.unwrap_or("latest")),
        }
    }
}

impl FromStr for BoundReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("docker://").unwrap_or(text);
        let first = name.split('/').next().unwrap_or_default();
        let is_host = name.contains('/') && (first.contains(['.', ':', '[']) || first == "localhost");
        if !is_host {
            let transports =
                ["oci:", "oci-archive:", "docker-archive:", "dir:", "containers-storage:", "tar:"];
            return Err(if transports.iter().any(|transport| text.starts_with(transport)) {
                "it is no image in a registry, so another machine could not fetch it".to_owned()
            } else {
                "it names no registry: a short name means another image on each machine".to_owned()
            });
        }
        let parsed: Result<RegistryReference, _> = format!("docker://{name}").parse();
        parsed.map(Self).map_err(|error| match error {
            sealstone_import::ImportError::Reference { reason, .. } => reason,
            other => other.to_string(),
        })
    }
}

impl fmt::Display for BoundReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podmans_name_of_an_image_is_the_one_in_full() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, name, is_floating) in [
            ("quay.io/x/app", "quay.io/x/app:latest".to_owned(), true),
            ("docker://quay.io/x/app:1", "quay.io/x/app:1".to_owned(), true),
            ("localhost:5000/app:1", "localhost:5000/app:1".to_owned(), true),
            (&format!("quay.io/x/app:1@{digest}"), format!("quay.io/x/app@{digest}"), false),
            ("docker.io/debian", "docker.io/library/debian:latest".to_owned(), true),
        ] {
            let reference: BoundReference = text.parse().unwrap();
            assert_eq!((reference.storage_name(), reference.is_floating()), (name, is_floating), "{text}");
        }
    }

    #[test]
    fn what_another_machine_could_not_fetch_is_refused() {
        for text in ["app", "library/app:1", "", "docker://app", "-/x"] {
            assert!(text.parse::<BoundReference>().unwrap_err().contains("no registry"), "{text}");
        }
        for text in ["oci:dir", "containers-storage:quay.io/x", "dir:/x.y/z"] {
            assert!(text.parse::<BoundReference>().is_err(), "{text}");
        }
        assert!("quay.io/X:1".parse::<BoundReference>().is_err());
    }
}
