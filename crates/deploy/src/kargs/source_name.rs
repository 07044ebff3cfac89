//! The name of a program or person that owns some kernel arguments of a machine.
//!
//! What lives here: the name as a type. Source: bootc's `loader-entries set-options-for-source`, whose names are part of
//! a boot entry's key, so the same letters are allowed.

use std::{fmt, str::FromStr};

use crate::DeployError;

/// The longest name, in bytes.
const NAME_MAX: usize = 64;

/// A source of kernel arguments, such as `tuned`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName(String);

impl SourceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceName {
    type Err = DeployError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > NAME_MAX || !text.chars().all(letter) {
            let reason = format!("1 to {NAME_MAX} letters, digits, '-', '_' and '.'");
            return Err(DeployError::Invalid { what: "name of a source", text: text.to_owned(), reason });
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert_eq!("tuned.profile-1".parse::<SourceName>().unwrap().as_str(), "tuned.profile-1");
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<SourceName>().is_err(), "{bad:?}");
        }
    }
}
