//! [`Meta`]: what `meta.json` says, read by the rules of composefs' format version 1.
//!
//! What lives here: the JSON, its rules for versions and features. What does not: the file, and fs-verity on it.
//! A member that we do not know is ignored in `compatible`, makes the repository read-only in
//! `read-only-compatible`, and refuses it in `incompatible`.

use serde::{Deserialize, Serialize};

use crate::Algorithm;

/// The version of the repository's format that we read and write.
const VERSION: u32 = 1;

/// The feature that says that images are of EROFS format 1 (composefs: `read-only-compatible`).
const V1_EROFS: &str = "v1_erofs";

/// The largest `meta.json` that we read, in bytes.
pub const META_LIMIT: u64 = 64 << 10;

/// A repository's description of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    version: u32,
    algorithm: String,
    #[serde(default)]
    features: Features,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erofs_formats: Option<ErofsFormats>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Features {
    #[serde(default)]
    compatible: Vec<String>,
    #[serde(default)]
    read_only_compatible: Vec<String>,
    #[serde(default)]
    incompatible: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ErofsFormats {
    default: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extra: Vec<u8>,
}

/// What a [`Meta`] allows us to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Reading and writing.
    Everything,
    /// Reading: these features are unknown to us.
    Reading(Vec<String>),
}

impl Meta {
    /// What a new repository says: version 1, EROFS images of format 1.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            version: VERSION,
            algorithm: algorithm.name().to_owned(),
            features: Features { read_only_compatible: vec![V1_EROFS.to_owned()], ..Features::default() },
            erofs_formats: Some(ErofsFormats { default: 1, extra: Vec::new() }),
        }
    }

    /// Reads the JSON; `Err` is what is wrong with it, for people.
    ///
    /// # Errors
    /// When it is not the JSON of a `meta.json`. A newer version need not be.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    /// The JSON as composefs writes it: indented, with a line feed at the end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and lists: there is nothing that could fail to be written.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// The fs-verity algorithm of the objects.
    ///
    /// # Errors
    /// When it is not one of ours, or the version or a feature is unknown and may not be ignored: why, for people.
    pub fn check(&self) -> Result<(Algorithm, Allowed), String> {
        if self.version > VERSION {
            return Err(format!("its version is {}, this program knows {VERSION}", self.version));
        }
        if !self.features.incompatible.is_empty() {
            return Err(format!("unknown incompatible features: {}", self.features.incompatible.join(", ")));
        }
        let algorithm = self.algorithm.parse().map_err(|error| format!("{error}"))?;
        let unknown: Vec<String> =
            self.features.read_only_compatible.iter().filter(|name| *name != V1_EROFS).cloned().collect();
        Ok((algorithm, if unknown.is_empty() { Allowed::Everything } else { Allowed::Reading(unknown) }))
    }

    /// The EROFS format that this repository's images are made in by default: 1, or 2 in a legacy one.
    ///
    /// `{"default": 2}` cannot be told from a missing member in composefs, so the feature decides there.
    #[must_use]
    pub fn erofs_format(&self) -> u8 {
        match &self.erofs_formats {
            Some(formats) if formats.default != 2 || !formats.extra.is_empty() => formats.default,
            _ if self.features.read_only_compatible.iter().any(|name| name == V1_EROFS) => 1,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_meta_reads_as_the_bytes_of_composefs() {
        let json = "{\n  \"version\": 1,\n  \"algorithm\": \"fsverity-sha512-12\",\n  \"features\": {\n    \
                    \"compatible\": [],\n    \"read-only-compatible\": [\n      \"v1_erofs\"\n    ],\n    \
                    \"incompatible\": []\n  },\n  \"erofs_formats\": {\n    \"default\": 1\n  }\n}\n";
        let meta = Meta::new(Algorithm::Sha512);
        assert_eq!(String::from_utf8(meta.to_json()).unwrap(), json);
        assert_eq!(Meta::from_json(json.as_bytes()).unwrap(), meta);
        assert_eq!(meta.check(), Ok((Algorithm::Sha512, Allowed::Everything)));
        assert_eq!(meta.erofs_format(), 1);
    }

    #[test]
    fn each_tier_of_features_has_its_own_consequence() {
        let with = |features: &str| {
            let json = format!(r#"{{"version":1,"algorithm":"fsverity-sha256-12","features":{features}}}"#);
            Meta::from_json(json.as_bytes()).unwrap().check()
        };
        let everything = Ok((Algorithm::Sha256, Allowed::Everything));
        assert_eq!(with("{}"), everything);
        assert_eq!(with(r#"{"compatible":["x"]}"#), everything);
        assert_eq!(with(r#"{"read-only-compatible":["v1_erofs"]}"#), everything);
        assert_eq!(
            with(r#"{"read-only-compatible":["x"]}"#),
            Ok((Algorithm::Sha256, Allowed::Reading(vec!["x".into()])))
        );
        assert!(with(r#"{"incompatible":["x"]}"#).is_err());
    }

    #[test]
    fn a_newer_version_and_an_unknown_algorithm_are_refused() {
        for json in [
            r#"{"version":2,"algorithm":"fsverity-sha256-12"}"#,
            r#"{"version":1,"algorithm":"fsverity-sha256-16"}"#,
        ] {
            assert!(Meta::from_json(json.as_bytes()).unwrap().check().is_err());
        }
        assert!(Meta::from_json(b"not json").is_err());
    }

    #[test]
    fn the_image_format_follows_composefs_rules_for_old_repositories() {
        let format = |rest: &str| {
            let json = format!(r#"{{"version":1,"algorithm":"fsverity-sha256-12"{rest}}}"#);
            Meta::from_json(json.as_bytes()).unwrap().erofs_format()
        };
        assert_eq!(format(""), 2);
        assert_eq!(format(r#","features":{"read-only-compatible":["v1_erofs"]}"#), 1);
        assert_eq!(format(r#","erofs_formats":{"default":0}"#), 0);
        assert_eq!(format(r#","erofs_formats":{"default":1,"extra":[2]}"#), 1);
    }
}
