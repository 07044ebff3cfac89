//! Credential helpers, as programs: those of `tests/credential_helpers/` answer well, badly, too much, or never.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, with ordinary files")]

use std::time::Duration;

use sealstone_import::{
    ImportError, Limits,
    registry::config::{AuthFile, Credentials, HelperRequest, HelperRunner, Lookup},
};
use sealstone_store::Control;

const HELPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/credential_helpers");

/// The request of an auth file that names this helper.
fn request(helper: &str) -> HelperRequest {
    let json = format!(r#"{{"credHelpers":{{"quay.io":"{helper}"}}}}"#);
    match AuthFile::parse("auth.json", json.as_bytes()).unwrap().lookup("quay.io", "x").unwrap() {
        Some(Lookup::Helper(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn runner() -> HelperRunner {
    HelperRunner::new(format!("relative:/nonexistent:{HELPERS}:/usr/bin:/bin"), &Limits::default())
}

fn failure(runner: &HelperRunner, helper: &str) -> String {
    let error = runner.ask(&request(helper), &Control::new()).unwrap_err();
    assert!(matches!(error, ImportError::Config { .. }), "{error}");
    let told = format!("{error} {error:?}");
    assert!(told.contains(&format!("docker-credential-{helper}")) && !told.contains("hunter2"), "{told}");
    told
}

#[test]
fn a_helper_gets_the_server_and_gives_the_credentials() {
    let found = runner().ask(&request("alice"), &Control::new()).unwrap();
    assert_eq!(found, Some(Credentials::user("alice", "quay.io")));
    assert_eq!(runner().ask(&request("empty"), &Control::new()).unwrap(), None);
}

#[test]
fn a_helper_that_never_answers_or_never_ends_is_killed() {
    for helper in ["silent", "lingering"] {
        let told = failure(&runner().with_patience(Duration::from_millis(300)), helper);
        assert!(told.contains("did not end"), "{told}");
    }
}

#[test]
fn a_helper_that_never_ends_its_answer_is_stopped_at_the_limit() {
    let told = failure(&runner(), "endless");
    assert!(told.contains("more than 1048576 bytes"), "{told}");
}

#[test]
fn a_helper_that_fails_tells_its_message_and_not_its_standard_error() {
    assert!(failure(&runner(), "locked").contains("the store is locked"));
}

#[test]
fn a_helper_is_looked_for_in_the_given_folders_only() {
    let nowhere = HelperRunner::new("relative::/nonexistent", &Limits::default());
    assert!(failure(&nowhere, "alice").contains("in no folder"));
}

#[test]
fn a_cancelled_import_waits_for_no_helper() {
    let control = Control::new();
    control.cancel_token().cancel();
    let error = runner().ask(&request("silent"), &control).unwrap_err();
    assert!(matches!(error, ImportError::Cancelled), "{error}");
}
