//! The id of a deployment: its image's, and a number when the same image is deployed again.
//!
//! What lives here: the text form, which is also the name of the state folder and of the record. What does not: the
//! record. Source: bootc names the state folder by the image alone, so the first deployment of an image does as well.

use std::{fmt, str::FromStr};

use crate::{DeployError, ImageId};

/// Names a deployment for good: `<image id>`, or `<image id>.<n>` for the n-th other one of the same image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId {
    image: ImageId,
    copy: u32,
}

impl DeploymentId {
    /// The id of a deployment of an image; `copy` is 0 for the first.
    #[must_use]
    pub const fn new(image: ImageId, copy: u32) -> Self {
        Self { image, copy }
    }

    /// The image that is deployed.
    #[must_use]
    pub const fn image(&self) -> &ImageId {
        &self.image
    }

    /// 0 for the first deployment of its image, whose state the initramfs finds by the image's id alone.
    #[must_use]
    pub const fn copy(&self) -> u32 {
        self.copy
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.copy {
            0 => write!(f, "{}", self.image),
            copy => write!(f, "{}.{copy}", self.image),
        }
    }
}

impl FromStr for DeploymentId {
    type Err = DeployError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((image, copy)) = text.split_once('.') else { return Ok(Self::new(text.parse()?, 0)) };
        let number = copy.parse().ok().filter(|number: &u32| *number > 0 && number.to_string() == copy);
        let number = number.ok_or_else(|| DeployError::Invalid {
            what: "deployment id",
            text: text.to_owned(),
            reason: "after the dot stands a number from 1".into(),
        })?;
        Ok(Self::new(image.parse()?, number))
    }
}

impl serde::Serialize for DeploymentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DeploymentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_has_one_spelling() {
        let hex = "ab".repeat(64);
        for text in [hex.clone(), format!("{hex}.1"), format!("{hex}.4000000000")] {
            assert_eq!(text.parse::<DeploymentId>().unwrap().to_string(), text);
        }
        for bad in
            ["", "x", &format!("{hex}."), &format!("{hex}.0"), &format!("{hex}.01"), &format!("{hex}.-1")]
        {
            assert!(bad.parse::<DeploymentId>().is_err(), "{bad}");
        }
    }
}
