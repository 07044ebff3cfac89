//! What is staged and cannot be finalised when the system shuts down: the old system boots, the reason is kept where `status` tells
//! it, and what the hints name mends it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::running::{Running, system};
use kit::{Layer, Outcome};
use serde_json::Value;

const FINALISE_FAILED: &str = "31902a324a0e4e0a9ff23271e319ec3a";
const FELL_BACK: &str = "8945a9d2825847aea86fe26831ca380e";
const DEPLOYED: &str = "b3e886883cff4e21af6be5e02d33e734";
const OFFLINE: [&str; 2] = ["update", "--from-downloaded"];

/// A machine that has staged version 2, whose `/etc/new` is a folder, and then got a file of that name. With the command line
/// that it runs with.
fn in_conflict(test: &str) -> Option<(Running, String)> {
    let running = Running::new(test)?;
    let one = running.command_line();
    let folder = running.machine.sandbox.path("layout-2");
    system("2").layer(Layer::new().dir("etc/new").file("etc/new/of-image", b"2")).write(&folder);
    running.registry.push(&folder, "stable");
    let done = running.store(&one, &["update", "--json", "--tls-verify=false"]).json();
    assert_eq!(done["outcome"], "staged");
    std::fs::write(running.state(&one).join("etc/new"), "of the machine").unwrap();
    running.told();
    Some((running, one))
}

fn status(running: &Running, line: &str) -> (Outcome, Value) {
    let json = running.store(line, &["status", "--json"]);
    let document = serde_json::from_str(&json.stdout).unwrap();
    (running.store(line, &["status"]), document)
}

#[test]
fn a_finalisation_that_failed_is_told_by_status_until_somebody_says_who_wins() {
    let Some((running, one)) =
        in_conflict("a_finalisation_that_failed_is_told_by_status_until_somebody_says_who_wins")
    else {
        return;
    };
    let entries = running.machine.entries();
    assert_eq!(status(&running, &one).0.code, 0);
    let refused = running.store(&one, &["finalize"]).fails(1);
    assert!(refused.contains("/etc/new") && refused.contains("--etc-strategy"), "{refused}");
    assert_eq!(running.machine.entries(), entries, "the old system boots");
    let told = running.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0]["MESSAGE_ID"].as_str(), told[0]["PRIORITY"].as_str()), (FINALISE_FAILED, "3"));
    assert!(told[0]["MESSAGE"].contains("/etc/new"), "{told:?}");
    let waits = status(&running, &one).1["deployments"][1].clone();
    for (field, value) in [
        ("SEALSTONE_DEPLOYMENT", &waits["id"]),
        ("SEALSTONE_MANIFEST", &waits["image"]["manifest"]),
        ("SEALSTONE_REFERENCE", &waits["image"]["reference"]),
        ("SEALSTONE_VERSION", &"2".into()),
        ("SYSLOG_IDENTIFIER", &"store".into()),
    ] {
        assert_eq!(Some(told[0][field].as_str()), value.as_str(), "{field}");
    }

    // After the reboot into the old system.
    let (text, json) = status(&running, &one);
    assert_eq!(text.code, 1);
    assert!(text.stdout.contains("fell back from") && text.stdout.contains("/etc/new"), "{}", text.stdout);
    assert_eq!(text.stdout.matches("/etc/new").count(), 1, "told twice: {}", text.stdout);
    let reason = json["fallback"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("it could not be finalised: ") && reason.contains("/etc/new"), "{reason}");
    let staged = &json["deployments"][1];
    assert_eq!((&staged["state"], &staged["health"]["is"]), (&"staged".into(), &"broken".into()));
    assert!(staged["unfinalised"].as_str().unwrap().contains("/etc/new"), "{staged}");
    assert_eq!(json["next"]["how"], "staged", "it is tried again");
    let again = running.store(&one, &["update", "--tls-verify=false"]).succeeds();
    assert!(again.contains("could not be finalised") && again.contains("/etc/new"), "{again}");
    assert_eq!(running.told_ids(), [FELL_BACK]);

    // A strategy that decides nothing of it changes nothing.
    running.store(&one, &[&OFFLINE[..], &["--etc-strategy", "/etc/other=take-image"]].concat()).fails(1);
    assert_eq!(status(&running, &one).0.code, 1);
    let asked = [&OFFLINE[..], &["--etc-strategy", "take-image", "--json"]].concat();
    let done = running.store(&one, &asked).json();
    assert_eq!(done["outcome"], "staged");
    assert_eq!(done["conflicts"][0]["resolved"], "take-image");
    let (text, json) = status(&running, &one);
    assert_eq!((text.code, &json["fallback"]), (0, &Value::Null));
    running.store(&one, &["finalize"]).succeeds();
    let two = running.command_line();
    assert_eq!(std::fs::read_to_string(running.state(&two).join("etc/new/of-image")).unwrap(), "2");
    let (text, json) = status(&running, &two);
    assert_eq!((text.code, &json["fallback"]), (0, &Value::Null));
    assert!(running.told_ids().contains(&DEPLOYED.to_owned()));
}

#[test]
fn each_verb_that_meets_what_waits_takes_a_strategy_for_it() {
    let verbs = [
        "finalize",
        "update --tls-verify=false",
        "update --tls-verify=false --apply --no-reboot",
        "update --from-downloaded --apply --no-reboot",
        "switch --tls-verify=false REFERENCE",
    ];
    for verb in verbs {
        let Some((running, one)) = in_conflict("each_verb_that_meets_what_waits_takes_a_strategy_for_it")
        else {
            return;
        };
        running.store(&one, &["finalize"]).fails(1);
        let line = format!("{verb} --etc-strategy /etc/new=keep-local");
        let line = line.replace("REFERENCE", &running.registry.reference("stable"));
        let args: Vec<&str> = line.split(' ').collect();
        running.store(&one, &args).succeeds();
        running.store(&one, &["finalize"]).succeeds();
        let two = running.command_line();
        assert_ne!(two, one, "{args:?}");
        let new = std::fs::read_to_string(running.state(&two).join("etc/new"));
        assert_eq!(new.unwrap(), "of the machine", "{args:?}");
    }
}

#[test]
fn a_dry_run_of_a_finalisation_notes_nothing_and_ends_as_it_would() {
    let test = "a_dry_run_of_a_finalisation_notes_nothing_and_ends_as_it_would";
    let Some((running, one)) = in_conflict(test) else { return };
    let before = running.machine.snapshot();
    let dry = running.store(&one, &["finalize", "--dry-run"]);
    assert_eq!(dry.code, 1);
    assert!(dry.stdout.contains("would be refused") && dry.stdout.contains("/etc/new"), "{}", dry.stdout);
    for verb in [&["finalize"][..], &["update", "--from-downloaded"], &["update", "--tls-verify=false"]] {
        let args = [verb, &["--dry-run", "--etc-strategy", "take-image", "--json"]].concat();
        let plan = running.store(&one, &args).json();
        assert_eq!(
            (plan["schema"].as_str(), &plan["refused"]),
            (Some("sealstone.deploy-plan/1"), &Value::Null)
        );
        assert!(!plan["steps"].as_array().unwrap().is_empty(), "{args:?}");
    }
    assert_eq!(running.machine.snapshot(), before);
    assert!(running.told().is_empty());
}
