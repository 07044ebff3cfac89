//! An image's configuration (image-spec, config.md; Docker's is its ancestor): what is read of it.
//!
//! Only the platform and the layers' `diff_ids` steer the import; the bytes are stored whole, so the rest is not lost.

use serde::Deserialize;

use crate::{
    DiffId,
    oci::{
        Platform,
        keys::{Keys, LEAF},
    },
};

/// The parts of an image's configuration that the import needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the image runs on; `None` when it does not say.
    pub platform: Option<Platform>,
    /// The layers' tars, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// When the image was made, RFC 3339, as it stands there.
    pub created: Option<String>,
}

/// The keys that mean something.
const CONFIG: Keys = Keys(&[
    ("architecture", LEAF),
    ("os", LEAF),
    ("variant", LEAF),
    ("created", LEAF),
    ("rootfs", Keys(&[("type", LEAF), ("diff_ids", LEAF)])),
]);

#[derive(Deserialize)]
struct Wire {
    architecture: Option<String>,
    os: Option<String>,
    variant: Option<String>,
    created: Option<String>,
    rootfs: WireRootfs,
}

#[derive(Deserialize)]
struct WireRootfs {
    r#type: String,
    diff_ids: Vec<String>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The reason, as text: the caller knows which configuration it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        CONFIG.check(bytes)?;
        if wire.rootfs.r#type != "layers" {
            return Err(format!("rootfs.type is {:?}, not \"layers\"", wire.rootfs.r#type));
        }
        let diff_ids = wire
            .rootfs
            .diff_ids
            .iter()
            .map(|text| text.parse().map_err(|error| format!("a diff_id: {error}")))
            .collect::<Result<_, String>>()?;
        let platform = match (&wire.os, &wire.architecture) {
            (Some(os), Some(architecture)) if !os.is_empty() && !architecture.is_empty() => {
                Some(Platform::new(os, architecture, wire.variant.as_deref()))
            }
            _ => None,
        };
        Ok(Self { platform, diff_ids, created: wire.created })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diff_ids_come_in_order_and_the_platform_is_optional() {
        let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64));
        let json = format!(
            r#"{{"os":"linux","architecture":"arm","variant":"v7","config":{{"Env":[]}},
               "rootfs":{{"type":"layers","diff_ids":["{}","{}"]}}}}"#,
            digest('a'),
            digest('b')
        );
        let config = Config::parse(json.as_bytes()).unwrap();
        assert_eq!(config.platform, Some("linux/arm/v7".parse().unwrap()));
        assert_eq!(
            config.diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [digest('a'), digest('b')]
        );
        let bare = Config::parse(br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#).unwrap();
        assert_eq!(bare.platform, None);
    }

    #[test]
    fn a_configuration_without_layers_or_with_a_bad_diff_id_is_refused() {
        for bad in [
            &br"{}"[..],
            br#"{"rootfs":{"type":"other","diff_ids":[]}}"#,
            br#"{"rootfs":{"type":"layers","diff_ids":["sha256:12"]}}"#,
            br"[]",
            b"\xff",
        ] {
            assert!(Config::parse(bad).is_err());
        }
    }
}
