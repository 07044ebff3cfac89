//! The name of a deployment's folder of state, as `composefs.state=` gives it.
//!
//! What lives here: which names are taken. Invariant: it is the name of one folder, so that no argument leads out of
//! `state/deploy`.

use std::{fmt, str::FromStr};

use sealstone_store::ObjectId;

use crate::SetupError;

/// The longest name that file systems take, in bytes.
const NAME_MAX: usize = 255;

/// Names a folder below `state/deploy`: an image's id, and a dot and a number for a further deployment of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateId(String);

impl StateId {
    /// The folder of the first deployment of an image.
    #[must_use]
    pub fn of_image(image: &ObjectId) -> Self {
        Self(image.to_hex())
    }
}

impl FromStr for StateId {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if text.is_empty() || text.len() > NAME_MAX || text.starts_with('.') || !text.chars().all(is_name) {
            let reason = format!("composefs.state={text:?} is no name of a folder in state/deploy");
            return Err(SetupError::Arguments { reason });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ids_of_deployments_are_names() {
        let hex = "ab".repeat(64);
        for text in [hex.clone(), format!("{hex}.1"), "default-1_x".to_owned()] {
            assert_eq!(text.parse::<StateId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nothing_that_leads_elsewhere_is_a_name() {
        for text in ["", ".", "..", "a/b", "../x", "/x", ".hidden", "a b", "a\0", &"x".repeat(256)] {
            assert!(text.parse::<StateId>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_always_one_component(text in "\\PC{0,20}") {
            if let Ok(id) = text.parse::<StateId>() {
                let text = id.to_string();
                let path = std::path::Path::new(&text);
                prop_assert_eq!(path.components().count(), 1);
                prop_assert!(matches!(path.components().next(), Some(std::path::Component::Normal(_))));
            }
        }
    }
}
