//! bootc's word on what it has staged: `/run/composefs/staged-deployment`.
//!
//! What lives here: its form. What does not: reading it, since only the running system has it.

use crate::{DeployError, DeploymentId};

/// What bootc will finalise when the system shuts down.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StagedByBootc {
    /// The deployment.
    pub id: DeploymentId,
    /// Whether it waits until it is asked for.
    pub locked: bool,
}

/// bootc's keys; it may add others.
#[derive(serde::Deserialize)]
struct Wire {
    depl_id: String,
    #[serde(default)]
    finalization_locked: bool,
}

impl StagedByBootc {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when it is none.
    pub fn parse(text: &str) -> Result<Self, DeployError> {
        let wire: Wire = serde_json::from_str(text).map_err(|error| DeployError::Invalid {
            what: "staged deployment of bootc",
            text: text.chars().take(100).collect(),
            reason: error.to_string(),
        })?;
        Ok(Self { id: wire.depl_id.parse()?, locked: wire.finalization_locked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_in_the_forms_that_bootc_wrote() {
        let hex = "ab".repeat(64);
        let parse = |text: &str| StagedByBootc::parse(text);
        let whole = format!(r#"{{"depl_id":"{hex}","finalization_locked":true}}"#);
        assert_eq!(parse(&whole).unwrap(), StagedByBootc { id: hex.parse().unwrap(), locked: true });
        assert!(!parse(&format!(r#"{{"depl_id":"{hex}","new":1}}"#)).unwrap().locked);
        for bad in ["", "{}", r#"{"depl_id":"x"}"#, "[]"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
