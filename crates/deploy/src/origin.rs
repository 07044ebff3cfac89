//! The `.origin` file beside a deployment's state: what bootc reads to know where a system came from.
//!
//! What lives here: its text. What does not: our own record, which says more. Source: bootc's composefs backend, which
//! reads the groups `origin`, `boot` and `image` of this key file and skips others.

use std::fmt;

use crate::Record;

/// The `.origin` file of a deployment.
pub struct Origin<'a>(pub &'a Record);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { image, kernel, .. } = self.0;
        writeln!(f, "[origin]")?;
        writeln!(f, "container-image-reference=ostree-unverified-image:{}", Reference(&image.reference))?;
        writeln!(f, "\n[boot]\nboot_type=bls\ndigest={}", kernel.sizes.digest)?;
        writeln!(f, "\n[image]\nmanifest_digest={}", image.manifest)
    }
}

/// A reference with its transport: one without is a registry's.
struct Reference<'a>(&'a str);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TRANSPORTS: [&str; 5] = ["oci:", "oci-archive:", "docker://", "dir:", "containers-storage:"];
        // A key file is lines: whatever the name holds, it stays on its own.
        let name: String = self.0.chars().filter(|c| !c.is_control()).collect();
        if TRANSPORTS.iter().any(|transport| name.starts_with(transport)) {
            return f.write_str(&name);
        }
        write!(f, "docker://{name}")
    }
}
