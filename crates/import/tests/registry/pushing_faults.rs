//! What a push makes of a registry that fails, forgets, lies or leads elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sealstone_import::{
    ImportError,
    registry::{Credentials, PushOptions},
};
use sealstone_store::control::CancelToken;

use crate::{
    kit::{Image, endpoint},
    repository::{Registry, Stored, chunky},
    server::{Reply, Request, Server},
};

fn is_patch(request: &Request) -> bool {
    request.method == "PATCH"
}

/// Says yes the first `times` times.
fn first(times: usize) -> impl Fn() -> bool + Send + Sync {
    let count = AtomicUsize::new(0);
    move || count.fetch_add(1, Ordering::SeqCst) < times
}

#[test]
fn an_upload_that_is_cut_off_at_any_byte_goes_on_where_it_was() {
    let stored = Stored::new(&Image::new(11));
    for at in [0, 1, 2, 50_000, 99_999] {
        let registry = Registry::default();
        let cut = first(1);
        let server = registry.serve_cutting(move |request| {
            (is_patch(request) && request.header("content-range") == Some("100000-199999") && cut())
                .then_some(at)
        });
        stored.push(&server).unwrap_or_else(|error| panic!("cut at {at}: {error}"));
        registry.assert_whole("tag");
        let asked = server.requests_of("uploads/");
        assert!(asked.iter().any(|request| request.method == "GET"), "it was not asked how far it is");
        let next = format!("{}-{}", 100_000 + at, 199_999 + at);
        assert!(asked.iter().any(|request| request.header("content-range") == Some(&next)), "cut at {at}");
        let begun = asked.iter().filter(|request| request.method == "POST").count();
        assert_eq!(begun, 2, "one for the layer, one for the configuration");
    }
}

#[test]
fn an_upload_that_the_registry_forgets_begins_anew() {
    let stored = Stored::new(&Image::new(12));
    for cut_at in [None, Some(7)] {
        let registry = Registry::default();
        let (own, other, forget) = (registry.clone(), registry.clone(), first(1));
        let forget = Arc::new(forget);
        let again = Arc::clone(&forget);
        let is_second = |request: &Request| request.header("content-range") == Some("100000-199999");
        let server = Server::start_cutting(
            move |request| {
                if cut_at.is_none() && is_second(request) && forget() {
                    own.held.lock().unwrap().uploads.clear();
                }
                own.answer(request)
            },
            move |request| {
                if cut_at.is_some() && is_second(request) && again() {
                    // As distribution 2.8 does with one that was cut off.
                    other.held.lock().unwrap().uploads.clear();
                    return cut_at;
                }
                None
            },
        );
        stored.push(&server).unwrap();
        registry.assert_whole("tag");
    }
}

#[test]
fn what_may_pass_is_tried_again_and_what_does_not_is_told() {
    let stored = Stored::new(&Image::new(13));
    for method in ["HEAD", "POST", "PATCH", "PUT"] {
        for status in [503, 429, 500] {
            let registry = Registry::default();
            let fail = first(2);
            let server = registry.serve(move |request| {
                (request.method == method && fail())
                    .then(|| Reply::new(status, "").header("Retry-After", "0"))
            });
            stored.push(&server).unwrap_or_else(|error| panic!("{method} {status}: {error}"));
            registry.assert_whole("tag");
        }
        let server =
            Registry::default().serve(move |request| (request.method == method).then(|| Reply::new(500, "")));
        let error = stored.push(&server).unwrap_err();
        assert!(matches!(error, ImportError::Unreachable { .. }), "{method}: {error:?}");
    }
}

#[test]
fn a_registry_that_takes_no_pushes_is_named() {
    let stored = Stored::new(&Image::new(14));
    let unsupported = r#"{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}"#;
    let server = Registry::default()
        .serve(move |request| (request.method == "POST").then(|| Reply::new(405, unsupported)));
    let error = stored.push(&server).unwrap_err();
    assert!(matches!(error, ImportError::Unsupported { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&server.host()) && text.contains("takes no pushes") && text.contains("UNSUPPORTED"),
        "{text}"
    );
    let server = Registry::default().serve(|request| (request.method == "POST").then(|| Reply::new(403, "")));
    assert!(matches!(stored.push(&server), Err(ImportError::Unauthorized { .. })));
}

#[test]
fn credentials_do_not_follow_an_upload_to_another_host() {
    let stored = Stored::new(&Image::new(15));
    for status in [202, 307] {
        let storage = Registry::default();
        let elsewhere = storage.serve(|_| None);
        let (registry, host) = (Registry::default(), elsewhere.host());
        let (own, blobs) = (registry.clone(), storage.clone());
        let server = Server::start(move |request| {
            if request.header("authorization").is_none() {
                return Reply::new(401, "").header("WWW-Authenticate", r#"Basic realm="x""#);
            }
            // The storage is shared: what is sent there is here.
            let there = blobs.held.lock().unwrap().blobs.clone();
            own.held.lock().unwrap().blobs.extend(there);
            if request.method == "POST" && status == 202 {
                let place = blobs.answer(request);
                let place = place.headers.iter().find(|(name, _)| name == "Location").unwrap().1.clone();
                return Reply::new(202, "").header("Location", format!("http://{host}{place}"));
            }
            if request.path.contains("uploads/") && request.method != "DELETE" && status == 307 {
                return Reply::new(307, "").header("Location", format!("http://{host}{}", request.path));
            }
            own.answer(request)
        });
        let mut endpoint = endpoint(&server);
        endpoint.credentials = Some(Credentials::user("alice", "hunter2"));
        stored.push_with(endpoint, &server, &chunky(), &PushOptions::default()).unwrap();
        registry.assert_whole("tag");
        let there = elsewhere.requests();
        assert!(there.iter().any(|request| request.method == "PATCH"), "{status}");
        assert!(there.iter().all(|request| request.header("authorization").is_none()), "{status}: {there:?}");
    }
}

#[test]
fn an_upload_that_would_leave_tls_or_loop_is_refused() {
    let stored = Stored::new(&Image::new(16));
    for location in ["ftp://127.0.0.1/", "http://u:p@127.0.0.1/x", "http://["] {
        let server = Registry::default().serve(move |request| {
            (request.method == "POST").then(|| Reply::new(202, "").header("Location", location))
        });
        let error = stored.push(&server).unwrap_err();
        assert!(matches!(error, ImportError::Insecure { .. }), "{location}: {error:?}");
    }
    let server = Registry::default().serve(|request| {
        (request.method == "PATCH").then(|| Reply::new(307, "").header("Location", request.path.clone()))
    });
    assert!(stored.push(&server).unwrap_err().to_string().contains("redirects"));
}

#[test]
fn a_401_in_the_middle_of_an_upload_is_answered() {
    let stored = Stored::new(&Image::new(17));
    let registry = Registry::default();
    let refuse = first(2);
    let server = registry.serve(move |request| {
        let is_refused = request.header("authorization").is_none() || (is_patch(request) && refuse());
        is_refused.then(|| Reply::new(401, "").header("WWW-Authenticate", r#"Basic realm="x""#))
    });
    let mut endpoint = endpoint(&server);
    endpoint.credentials = Some(Credentials::user("alice", "hunter2"));
    stored.push_with(endpoint, &server, &chunky(), &PushOptions::default()).unwrap();
    registry.assert_whole("tag");
}

#[test]
fn a_registry_that_stored_something_else_is_found_out() {
    let stored = Stored::new(&Image::new(18));
    let other = crate::kit::sha256(b"something else");
    for (method, part) in [("PUT", "digest="), ("PUT", "manifests/"), ("HEAD", "manifests/")] {
        let (registry, other) = (Registry::default(), other.clone());
        let server = registry.serve(move |request| {
            let status = if request.method == "HEAD" { 200 } else { 201 };
            (request.method == method && request.path.contains(part))
                .then(|| Reply::new(status, "").header("Docker-Content-Digest", other.clone()))
        });
        let error = stored.push(&server).unwrap_err();
        assert!(matches!(error, ImportError::Digest { .. }), "{method} {part}: {error:?}");
    }
    // One that says nothing is read back.
    let registry = Registry::default();
    let server = registry.serve(|request| {
        (request.method == "HEAD" && request.path.contains("manifests/")).then(|| Reply::new(200, ""))
    });
    stored.push(&server).unwrap();
    assert!(server.requests_of("manifests/").iter().any(|request| request.method == "GET"));
}

#[test]
fn a_cancelled_push_ends_and_puts_no_manifest() {
    let stored = Stored::new(&Image::new(19));
    let registry = Registry::default();
    let cancel = CancelToken::default();
    let canceller = cancel.clone();
    let server = registry.serve(move |request| {
        is_patch(request).then(|| {
            canceller.cancel();
            Reply::new(202, "").silent()
        })
    });
    let mut settings = chunky();
    settings.cancel = Some(cancel);
    let error = stored.push_with(endpoint(&server), &server, &settings, &PushOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Cancelled), "{error:?}");
    assert_eq!(registry.held.lock().unwrap().manifests.len(), 0);
}
