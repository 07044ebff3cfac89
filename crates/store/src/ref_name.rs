//! [`RefName`]: the name under which an image or a stream is kept, such as `oci/registry%2Fname:tag`.

use std::{fmt, str::FromStr};

use crate::{Error, stream_name::component_fault};

/// The folder of the refs that are OCI references, as composefs-oci has it.
const OCI: &str = "oci";

/// The name of a ref: a path below `refs/` of one or more plain parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefName(String);

impl RefName {
    /// The ref of an OCI reference: `oci/` and the reference, with `/` written as `%2F` and `%` as `%25`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when that is no file name.
    pub fn oci(reference: &str) -> Result<Self, Error> {
        format!("{OCI}/{}", reference.replace('%', "%25").replace('/', "%2F")).parse()
    }

    /// The OCI reference that this is the ref of, if it is one.
    #[must_use]
    pub fn to_oci(&self) -> Option<String> {
        let encoded = self.0.strip_prefix(OCI)?.strip_prefix('/').filter(|rest| !rest.contains('/'))?;
        // Each `%25` is taken out of the way of `%2F` first: one pass, as it was written.
        Some(encoded.split("%25").map(|part| part.replace("%2F", "/")).collect::<Vec<_>>().join("%"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many parts the path has, at least 1.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::Invalid { what: "ref name", value: name.to_owned(), reason };
        if name.len() > 1024 {
            return Err(invalid("it has more than 1,024 bytes"));
        }
        match name.split('/').find_map(component_fault) {
            Some(reason) => Err(invalid(reason)),
            None => Ok(Self(name.to_owned())),
        }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oci_reference_reads_back_from_its_ref() {
        for (reference, name) in [
            ("latest", "oci/latest"),
            ("quay.io/x/y:1", "oci/quay.io%2Fx%2Fy:1"),
            ("docker://busybox", "oci/docker:%2F%2Fbusybox"),
            ("test%2F", "oci/test%252F"),
            ("%25/%", "oci/%2525%2F%25"),
        ] {
            let found = RefName::oci(reference).unwrap();
            assert_eq!(found.as_str(), name);
            assert_eq!(found.to_oci().as_deref(), Some(reference));
        }
    }

    #[test]
    fn a_ref_cannot_leave_its_folder() {
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "a/.", "a\0"] {
            assert!(matches!(bad.parse::<RefName>(), Err(Error::Invalid { .. })), "{bad:?}");
        }
        assert_eq!("a/b/c".parse::<RefName>().unwrap().depth(), 3);
        assert_eq!("a/b".parse::<RefName>().unwrap().to_oci(), None);
    }
}
