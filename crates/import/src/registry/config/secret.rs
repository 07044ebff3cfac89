//! [`Secret`]: text that no message, log or `Debug` output may show.
//!
//! Invariant: the text leaves only through [`Secret::expose`], so that every use can be found by that word.

use std::{fmt, hint};

use serde::{Deserialize, Deserializer};

/// A password or token.
///
/// Its memory is overwritten when it is dropped, as far as safe Rust can: copies that were made of the exposed text, or
/// by a parser on the way here, are not.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent or compared and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Seen by nobody, so the compiler would leave the writes out.
        hint::black_box(&bytes);
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_hidden_however_it_is_printed() {
        let secret = Secret::new("hunter2");
        for text in [format!("{secret}"), format!("{secret:?}"), format!("{secret:#?}")] {
            assert_eq!(text, "[hidden]");
        }
        assert_eq!(secret.expose(), "hunter2");
    }
}
