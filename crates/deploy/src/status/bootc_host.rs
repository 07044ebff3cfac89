//! The status in bootc's words: `org.containers.bootc/v1`, kind `BootcHost`, for tools that read `bootc status --json`.
//!
//! What lives here: the document and how it comes from a [`Status`]. What does not: anything that is not in our own report.
//! Source: bootc's documented schema (`host-v1.schema.json`). Invariants: every key of the schema that says something here
//! is there, `null` where there is nothing to say; the roles follow bootc's: what runs is `booted`, the first of the menu
//! that does not is `rollback`, and it is queued when it is first of all and nothing is staged.

use serde::Serialize;

use super::{DeploymentStatus, Status};
use crate::{Record, State, record::VerityNeed};

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BootcHost {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: HostSpec,
    status: HostStatus,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Metadata {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct HostSpec {
    image: Option<ImageReference>,
    boot_order: BootOrder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum BootOrder {
    Default,
    Rollback,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct HostStatus {
    staged: Option<BootEntry>,
    booted: Option<BootEntry>,
    rollback: Option<BootEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_deployments: Vec<BootEntry>,
    rollback_queued: bool,
    r#type: Option<&'static str>,
    usr_overlay: Option<()>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the document's own keys")]
struct BootEntry {
    image: Option<ImageStatus>,
    cached_update: Option<ImageStatus>,
    incompatible: bool,
    pinned: bool,
    soft_reboot_capable: bool,
    download_only: bool,
    store: Option<()>,
    ostree: Option<()>,
    composefs: Option<Composefs>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageStatus {
    image: ImageReference,
    version: Option<String>,
    timestamp: Option<String>,
    image_digest: String,
    architecture: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageReference {
    image: String,
    transport: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Composefs {
    verity: String,
    boot_type: &'static str,
    bootloader: &'static str,
    boot_digest: Option<String>,
    missing_verity_allowed: bool,
}

impl BootcHost {
    /// The document of a status.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let deployments = &status.deployments;
        let in_menu = |deployment: &&DeploymentStatus| deployment.place.is_some();
        let menu: Vec<&DeploymentStatus> = deployments.iter().filter(in_menu).collect();
        let booted = deployments.iter().find(|deployment| deployment.booted);
        let staged = deployments
            .iter()
            .filter(|deployment| deployment.record.state == State::Staged)
            .max_by_key(|deployment| deployment.record.serial);
        // Without a system that runs, none is before or behind it.
        let rollback = booted.and_then(|_| menu.iter().copied().find(|deployment| !deployment.booted));
        let is_first = |deployment: &DeploymentStatus| {
            menu.first().is_some_and(|first| first.record.id == deployment.record.id)
        };
        let will_finalize = staged.is_some_and(|staged| !staged.record.locked);
        let rollback_queued = rollback.is_some_and(is_first) && !will_finalize;
        let has_role = |deployment: &DeploymentStatus| {
            let ids = [staged, booted, rollback].into_iter().flatten().map(|other| other.record.id);
            ids.into_iter().any(|id| id == deployment.record.id)
        };
        let others =
            deployments.iter().filter(|other| other.record.state != State::Making && !has_role(other));
        let tracked = staged.or(booted);
        let entry = |deployment: &DeploymentStatus| boot_entry(status, deployment);
        Self {
            api_version: "org.containers.bootc/v1",
            kind: "BootcHost",
            metadata: Metadata { name: "host" },
            spec: HostSpec {
                image: tracked.map(|deployment| reference(&deployment.record)),
                boot_order: if rollback_queued { BootOrder::Rollback } else { BootOrder::Default },
            },
            status: HostStatus {
                staged: staged.map(entry),
                booted: booted.map(entry),
                rollback: rollback.map(entry),
                other_deployments: others.map(entry).collect(),
                rollback_queued,
                r#type: booted.map(|_| "bootcHost"),
                usr_overlay: None,
            },
        }
    }
}

fn boot_entry(status: &Status, deployment: &DeploymentStatus) -> BootEntry {
    let record = &deployment.record;
    BootEntry {
        image: Some(ImageStatus {
            image: reference(record),
            version: record.os.version.clone(),
            timestamp: deployment.created.clone(),
            image_digest: record.image.manifest.to_string(),
            architecture: deployment.architecture.clone().unwrap_or_default(),
        }),
        cached_update: None,
        // bootc finds state by the image alone.
        incompatible: record.id.copy() > 0,
        pinned: record.pinned,
        soft_reboot_capable: false,
        download_only: record.state == State::Staged && record.locked,
        store: None,
        ostree: None,
        composefs: Some(Composefs {
            verity: record.image.id.to_string(),
            boot_type: if record.kernel.is_uki() { "Uki" } else { "Bls" },
            bootloader: status.boot_loader.name(),
            boot_digest: Some(record.kernel.sizes.digest.to_string()),
            missing_verity_allowed: record.image.verity == VerityNeed::Optional,
        }),
    }
}

/// Transport and rest of a reference, in the words of containers-transports(5), but for `registry`, which is bootc's.
fn reference(record: &Record) -> ImageReference {
    const OTHERS: [&str; 5] = ["oci-archive", "oci", "dir", "docker-daemon", "containers-storage"];
    let text = &record.image.reference;
    let named = |transport: &str, image: &str| ImageReference {
        image: image.to_owned(),
        transport: transport.to_owned(),
    };
    if let Some(image) = text.strip_prefix("docker://").or_else(|| text.strip_prefix("oci://")) {
        return named("registry", image);
    }
    let other = OTHERS.iter().find_map(|transport| {
        let image = text.strip_prefix(transport)?.strip_prefix(':')?;
        Some(named(transport, image))
    });
    other.unwrap_or_else(|| named("registry", text))
}

#[cfg(test)]
mod tests;
