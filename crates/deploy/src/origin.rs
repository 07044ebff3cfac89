//! The `.origin` file beside a deployment's state: what bootc reads to know where a system came from.
//!
//! What lives here: its text, written and read. What does not: our own record, which says more. Source: bootc's composefs
//! backend, which reads the groups `origin`, `boot` and `image` of this key file and skips others.

use std::fmt;

use sealstone_boot::BootDigest;
use sealstone_import::ManifestDigest;

use crate::Record;

/// What bootc puts before a reference: how its signature is checked.
const SIGNATURES: [&str; 2] = ["ostree-unverified-image:", "ostree-image-signed:"];

/// The same of a registry's reference, which has no transport then.
const REGISTRY_SIGNATURES: [&str; 2] = ["ostree-unverified-registry:", "ostree-remote-registry:"];

/// The `.origin` file of a deployment.
pub struct Origin<'a>(pub &'a Record);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { image, kernel, .. } = self.0;
        let boot_type = if kernel.is_uki() { "uki" } else { "bls" };
        writeln!(f, "[origin]")?;
        writeln!(f, "container-image-reference=ostree-unverified-image:{}", Reference(&image.reference))?;
        writeln!(f, "\n[boot]\nboot_type={boot_type}\ndigest={}", kernel.sizes.digest)?;
        writeln!(f, "\n[image]\nmanifest_digest={}", image.manifest)
    }
}

/// A reference with its transport: one without is a registry's.
struct Reference<'a>(&'a str);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TRANSPORTS: [&str; 6] =
            ["oci:", "oci-archive:", "docker://", "dir:", "docker-daemon:", "containers-storage:"];
        // A key file is lines: whatever the name holds, it stays on its own.
        let name: String = self.0.chars().filter(|c| !c.is_control()).collect();
        if let Some(rest) = name.strip_prefix("oci://") {
            return write!(f, "docker://{rest}");
        }
        if TRANSPORTS.iter().any(|transport| name.starts_with(transport)) {
            return f.write_str(&name);
        }
        write!(f, "docker://{name}")
    }
}

/// What an `.origin` file says. What is not there or cannot be read is `None`: older ones have less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOrigin {
    /// The reference with its transport, without the word on its signature.
    pub reference: Option<String>,
    /// The digest of the kernel with its initramfs.
    pub boot_digest: Option<BootDigest>,
    /// The image's manifest.
    pub manifest: Option<ManifestDigest>,
}

impl ReadOrigin {
    /// Reads what it can: bootc, and others before it, wrote several forms.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (mut origin, mut group) = (Self::default(), "");
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                group = name;
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match (group, key.trim()) {
                ("origin", "container-image-reference") => origin.reference = Some(plain_reference(value)),
                ("boot", "digest") => origin.boot_digest = value.parse().ok(),
                ("image", "manifest_digest") => origin.manifest = value.parse().ok(),
                _ => {}
            }
        }
        origin
    }
}

/// A reference as our verbs take it.
fn plain_reference(text: &str) -> String {
    if let Some(rest) = SIGNATURES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        return match rest.strip_prefix("registry:") {
            Some(registry) => format!("docker://{registry}"),
            None => rest.to_owned(),
        };
    }
    match REGISTRY_SIGNATURES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        Some(registry) => format!("docker://{registry}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn what_we_write_reads_back_as_bootc_reads_it() {
        let mut record = record();
        for (reference, read) in [
            ("quay.io/os:1", "docker://quay.io/os:1"),
            ("docker://quay.io/os:1", "docker://quay.io/os:1"),
            ("oci://quay.io/os:1", "docker://quay.io/os:1"),
            ("oci:/var/os:1", "oci:/var/os:1"),
            ("evil\n[image]\nmanifest_digest=x", "docker://evil[image]manifest_digest=x"),
        ] {
            record.image.reference = reference.into();
            let text = Origin(&record).to_string();
            let origin = ReadOrigin::parse(&text);
            assert_eq!(origin.reference.as_deref(), Some(read), "{text}");
            assert_eq!(origin.boot_digest, Some(record.kernel.sizes.digest));
            assert_eq!(origin.manifest, Some(record.image.manifest));
            assert!(text.contains("container-image-reference=ostree-unverified-image:"));
        }
    }

    #[test]
    fn older_and_odd_origins_are_read_as_far_as_they_go() {
        let old = "[origin]\ncontainer-image-reference = ostree-unverified-registry:quay.io/os:1\n\n[boot]\nboot_type=bls\n";
        let origin = ReadOrigin::parse(old);
        assert_eq!(origin.reference.as_deref(), Some("docker://quay.io/os:1"));
        assert_eq!((origin.boot_digest, origin.manifest), (None, None));
        for odd in ["", "[", "a", "=", "[image]\nmanifest_digest=sha256:zz\n", "[boot]\ndigest=\n"] {
            assert_eq!(ReadOrigin::parse(odd), ReadOrigin::default(), "{odd:?}");
        }
        let signed =
            ReadOrigin::parse("[origin]\ncontainer-image-reference=ostree-image-signed:registry:a/b\n");
        assert_eq!(signed.reference.as_deref(), Some("docker://a/b"));
    }
}
