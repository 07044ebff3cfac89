//! Tests of bootc's document: its keys and types against bootc's documented schema, and the roles of deployments.

use serde_json::{Value, json};

use super::*;
use crate::{
    BootcKernel,
    status::{Health, Place},
    testing::record,
};

/// The objects of bootc's `host-v1.schema.json`: each key with the types that it may have. `?` stands for null, and a
/// name in capitals for another object.
const SCHEMA: [(&str, &[(&str, &str)]); 8] = [
    (
        "Host",
        &[
            ("apiVersion", "string"),
            ("kind", "string"),
            ("metadata", "ObjectMeta"),
            ("spec", "HostSpec"),
            ("status", "HostStatus"),
        ],
    ),
    ("ObjectMeta", &[("annotations", "?"), ("labels", "?"), ("name", "string"), ("namespace", "?")]),
    ("HostSpec", &[("bootOrder", "default|rollback"), ("image", "ImageReference?")]),
    (
        "HostStatus",
        &[
            ("booted", "BootEntry?"),
            ("otherDeployments", "[BootEntry]"),
            ("rollback", "BootEntry?"),
            ("rollbackQueued", "boolean"),
            ("staged", "BootEntry?"),
            ("storage", "?"),
            ("type", "bootcHost|?"),
            ("usrOverlay", "?"),
        ],
    ),
    (
        "BootEntry",
        &[
            ("cachedUpdate", "ImageStatus?"),
            ("composefs", "BootEntryComposefs?"),
            ("downloadOnly", "boolean"),
            ("image", "ImageStatus?"),
            ("incompatible", "boolean"),
            ("ostree", "?"),
            ("pinned", "boolean"),
            ("softRebootCapable", "boolean"),
            ("store", "?"),
        ],
    ),
    (
        "BootEntryComposefs",
        &[
            ("bootDigest", "string?"),
            ("bootType", "Bls|Uki"),
            ("bootloader", "grub|systemd|none"),
            ("missingVerityAllowed", "boolean"),
            ("verity", "string"),
        ],
    ),
    ("ImageReference", &[("image", "string"), ("signature", "?"), ("transport", "string")]),
    (
        "ImageStatus",
        &[
            ("architecture", "string"),
            ("image", "ImageReference"),
            ("imageDigest", "string"),
            ("timestamp", "string?"),
            ("version", "string?"),
        ],
    ),
];

/// What the schema requires, of the objects that are there.
const REQUIRED: [(&str, &[&str]); 5] = [
    ("Host", &["apiVersion", "kind"]),
    ("BootEntry", &["incompatible", "pinned"]),
    ("BootEntryComposefs", &["verity", "bootType", "bootloader", "missingVerityAllowed"]),
    ("ImageReference", &["image", "transport"]),
    ("ImageStatus", &["image", "imageDigest", "architecture"]),
];

/// What of the document the schema does not have, or has otherwise.
fn faults(path: &str, value: &Value, kind: &str) -> Vec<String> {
    let kinds = kind.trim_end_matches('?');
    if value.is_null() {
        return if kind.ends_with('?') { Vec::new() } else { vec![format!("{path} is null")] };
    }
    if let Some(item) = kinds.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        let Some(list) = value.as_array() else { return vec![format!("{path} is no list")] };
        return list
            .iter()
            .enumerate()
            .flat_map(|(n, one)| faults(&format!("{path}[{n}]"), one, item))
            .collect();
    }
    let Some((_, keys)) = SCHEMA.iter().find(|(name, _)| *name == kinds) else {
        let fits = match kinds {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            words => value.as_str().is_some_and(|text| words.split('|').any(|word| word == text)),
        };
        return if fits { Vec::new() } else { vec![format!("{path} is {value}, not {kinds}")] };
    };
    let Some(object) = value.as_object() else { return vec![format!("{path} is no object")] };
    let mut found = Vec::new();
    for (key, value) in object {
        match keys.iter().find(|(known, _)| known == key) {
            Some((_, kind)) => found.extend(faults(&format!("{path}.{key}"), value, kind)),
            None => found.push(format!("{path}.{key} is unknown")),
        }
    }
    let required = REQUIRED.iter().find(|(name, _)| *name == kinds).map_or(&[][..], |(_, keys)| keys);
    let absent = required.iter().filter(|key| !object.contains_key(**key));
    found.extend(absent.map(|key| format!("{path}.{key} is missing")));
    found
}

fn deployment(number: u64, place: Option<Place>, booted: bool) -> DeploymentStatus {
    let id: crate::DeploymentId = format!("{number:02x}").repeat(64).parse().unwrap();
    let state = if place.is_some() { State::Deployed } else { State::Staged };
    let mut record = Record { id, serial: number, order: number, state, ..record() };
    record.image.id = *id.image();
    DeploymentStatus {
        record,
        place,
        booted,
        health: Health::Good,
        adopted: false,
        bound: None,
        disk: None,
        architecture: Some("amd64".into()),
        created: Some("2026-01-02T03:04:05Z".into()),
    }
}

fn host(deployments: Vec<DeploymentStatus>) -> Value {
    let status = Status { deployments, ..Status::default() };
    let value = serde_json::to_value(BootcHost::of(&status)).unwrap();
    assert_eq!(faults("host", &value, "Host"), Vec::<String>::new());
    value
}

fn verity(entry: &Value) -> &str {
    &entry["composefs"]["verity"].as_str().unwrap()[..2]
}

#[test]
fn the_document_is_what_bootcs_schema_describes() {
    let mut pinned = deployment(1, Some(Place::Other), false);
    pinned.record.pinned = true;
    pinned.record.image.reference = "oci:/srv/os:1".into();
    let value = host(vec![
        deployment(3, Some(Place::Default), true),
        deployment(2, Some(Place::Rollback), false),
        pinned,
        deployment(4, None, false),
    ]);
    assert_eq!(value["apiVersion"], "org.containers.bootc/v1");
    assert_eq!(value["kind"], "BootcHost");
    assert_eq!(value["metadata"], json!({"name": "host"}));
    assert_eq!(value["spec"]["bootOrder"], "default");
    assert_eq!(value["spec"]["image"], json!({"image": "quay.io/os:1", "transport": "registry"}));
    let status = &value["status"];
    assert_eq!(status["type"], "bootcHost");
    let roles = ["staged", "booted", "rollback"].map(|role| verity(&status[role]));
    assert_eq!(roles, ["04", "03", "02"]);
    let other = &status["otherDeployments"][0];
    assert_eq!((verity(other), &other["pinned"]), ("01", &json!(true)));
    assert_eq!(other["image"]["image"], json!({"image": "/srv/os:1", "transport": "oci"}));
    let booted = &status["booted"];
    assert_eq!(booted["image"]["architecture"], "amd64");
    assert_eq!(booted["image"]["timestamp"], "2026-01-02T03:04:05Z");
    assert!(booted["image"]["imageDigest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(booted["composefs"]["bootType"], "Bls");
    assert_eq!(booted["composefs"]["bootloader"], "systemd");
    let keys: Vec<&String> = booted.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 9, "{keys:?}");
}

#[test]
fn a_rollback_is_queued_when_another_than_what_runs_is_first_and_nothing_is_staged() {
    let queued = |deployments| host(deployments)["status"]["rollbackQueued"].clone();
    let after =
        || vec![deployment(1, Some(Place::Default), false), deployment(2, Some(Place::Rollback), true)];
    assert_eq!(queued(after()), json!(true));
    assert_eq!(host(after())["spec"]["bootOrder"], "rollback");
    let before = vec![deployment(2, Some(Place::Default), true), deployment(1, Some(Place::Rollback), false)];
    assert_eq!(queued(before), json!(false));
    let mut staged = after();
    staged.push(deployment(3, None, false));
    assert_eq!(queued(staged.clone()), json!(false));
    staged[2].record.locked = true;
    assert_eq!(queued(staged.clone()), json!(true));
    assert_eq!(host(staged)["status"]["staged"]["downloadOnly"], json!(true));
}

#[test]
fn a_unified_kernel_image_and_a_copy_are_told_as_bootc_would_see_them() {
    let mut uki = deployment(1, Some(Place::Default), true);
    let file = "/EFI/Linux/bootc/bootc_composefs-01.efi".to_owned();
    uki.record.kernel.of_bootc = Some(BootcKernel::Uki { file, key: "uki".into() });
    let mut copy = deployment(2, Some(Place::Rollback), false);
    copy.record.id = format!("{}.1", copy.record.id).parse().unwrap();
    let value = host(vec![uki, copy]);
    let status = &value["status"];
    assert_eq!(status["booted"]["composefs"]["bootType"], "Uki");
    assert_eq!(status["booted"]["incompatible"], json!(false));
    assert_eq!(status["rollback"]["incompatible"], json!(true));
    assert_eq!(status["rollbackQueued"], json!(false));
}

#[test]
fn without_a_system_that_runs_nothing_is_booted_or_queued() {
    let value = host(vec![deployment(1, Some(Place::Default), false)]);
    let status = &value["status"];
    assert_eq!([&status["booted"], &status["rollback"], &status["type"]], [&Value::Null; 3]);
    assert_eq!(status["rollbackQueued"], json!(false));
    assert_eq!(status["otherDeployments"].as_array().unwrap().len(), 1);
    host(Vec::new());
}
