//! [`StreamName`]: what a splitstream is found by, such as `oci-layer-sha256:…`.

use std::{fmt, str::FromStr};

use crate::{Error, layout};

/// The name of a stream: one file name, not `refs`. It says what the stream holds and never depends on how it was
/// compressed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(String);

impl StreamName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::Invalid { what: "stream name", value: name.to_owned(), reason };
        if let Some(reason) = component_fault(name) {
            return Err(invalid(reason));
        }
        if name == layout::REFS {
            return Err(invalid("refs is the folder of the refs"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule that a text breaks as one part of a path, if it does.
pub(crate) fn component_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > 255 {
        return Some("a file name has at most 255 bytes");
    }
    if matches!(name, "." | "..") {
        return Some("it is a folder's name for itself or its parent");
    }
    if name.chars().any(|c| c == '/' || c.is_control()) {
        return Some("it has a slash or a control character");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_file_name() {
        let name = format!("oci-layer-sha256:{}", "0a".repeat(32));
        assert_eq!(name.parse::<StreamName>().unwrap().to_string(), name);
        for bad in ["", "refs", ".", "..", "a/b", "a\0b", "a\nb", &"x".repeat(256)] {
            assert!(matches!(bad.parse::<StreamName>(), Err(Error::Invalid { .. })), "{bad:?}");
        }
    }
}
