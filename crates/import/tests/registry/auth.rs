//! Tokens and passwords: who is given what, and who never sees it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sealstone_import::{
    ImportError,
    registry::{Credentials, Secret},
};

use crate::{
    kit::{Image, find, import_it, is_layer, quick, read, source, source_with},
    server::{Reply, Request, Server},
};

/// `Basic` of alice:s3cret.
const ALICE: &str = "Basic YWxpY2U6czNjcmV0";

fn alice() -> Credentials {
    Credentials::user("alice", "s3cret")
}

/// A token server that hands out `token-1`, `token-2`, …, to whom `allows` lets in.
fn token_server(allows: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request| {
        if !allows(request) {
            return Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}"#);
        }
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        Reply::new(200, format!(r#"{{"token":"token-{number}","expires_in":300}}"#))
    })
}

fn challenge(tokens: &Server) -> Reply {
    let realm = format!("http://{}/token", tokens.host());
    Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#).header(
        "WWW-Authenticate",
        format!(r#"Bearer realm="{realm}",service="the registry",scope="repository:some/image:pull""#),
    )
}

/// A registry that takes the tokens for which `takes` says so.
fn registry(
    image: &Image,
    tokens: &Arc<Server>,
    takes: impl Fn(&Request, &str) -> bool + Send + Sync + 'static,
) -> Server {
    let tokens = Arc::clone(tokens);
    image.serve(move |request, _| {
        let token = request.header("authorization").unwrap_or_default();
        (!takes(request, token)).then(|| challenge(&tokens))
    })
}

#[test]
fn one_token_is_fetched_for_anybody_and_used_for_all() {
    let image = Image::new(1);
    let tokens = Arc::new(token_server(|request| request.header("authorization").is_none()));
    let server = registry(&image, &tokens, |_, token| token == "Bearer token-1");
    import_it(&source(&server)).unwrap();
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/token?service=the%20registry&scope=repository:some/image:pull");
    assert_eq!(server.requests().len(), 1 + 3);
}

#[test]
fn a_user_is_told_to_the_token_server_alone() {
    let image = Image::new(2);
    let tokens = Arc::new(token_server(|request| request.header("authorization") == Some(ALICE)));
    let server = registry(&image, &tokens, |_, token| token == "Bearer token-1");
    import_it(&source_with(&server, &quick(), Some(alice()))).unwrap();
    assert!(tokens.requests()[0].path.ends_with("&account=alice"));
    assert!(server.requests().iter().all(|request| request.header("authorization") != Some(ALICE)));
    let nobody = import_it(&source(&server)).unwrap_err();
    assert!(matches!(nobody, ImportError::Unauthorized { .. }), "{nobody}");
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_blob_is_replaced() {
    let image = Image::new(3);
    let tokens = Arc::new(token_server(|_| true));
    let (faulty, realm) = (image.clone(), Arc::clone(&tokens));
    let server = image.serve(move |request, times| {
        let token = request.header("authorization").unwrap_or_default();
        if !is_layer(&faulty, request) {
            return (token != "Bearer token-1").then(|| challenge(&realm));
        }
        if times == 0 {
            let whole = Reply::new(200, faulty.layer.clone());
            return Some(whole.header("Content-Length", faulty.layer.len().to_string()).cut_at(50_000));
        }
        (token != "Bearer token-2").then(|| challenge(&realm))
    });
    let source = source(&server);
    find(&source).unwrap();
    assert!(read(&source, &image.layer_descriptor()).unwrap() == image.layer);
    assert_eq!(tokens.requests().len(), 2);
    let asked = server.requests_of("/blobs/");
    assert_eq!(asked.last().unwrap().header("range"), Some("bytes=50000-"));
}

#[test]
fn an_identity_token_is_exchanged_in_a_form_and_sent_to_nobody_else() {
    let image = Image::new(4);
    let tokens = Arc::new(Server::start(|request| {
        let wanted =
            ["grant_type=refresh_token", "refresh_token=the-identity", "service=the", "scope=repository"];
        if request.method == "POST" && wanted.iter().all(|part| request.body.contains(part)) {
            Reply::new(200, r#"{"access_token":"token-1"}"#)
        } else {
            Reply::new(400, "{}")
        }
    }));
    let server = registry(&image, &tokens, |_, token| token == "Bearer token-1");
    let identity = Some(Credentials::IdentityToken(Secret::new("the-identity")));
    import_it(&source_with(&server, &quick(), identity)).unwrap();
    assert!(server.requests().iter().all(|request| !format!("{request:?}").contains("the-identity")));
}

#[test]
fn a_registry_token_is_sent_as_it_is() {
    let image = Image::new(5);
    let tokens = Arc::new(token_server(|_| false));
    let server = registry(&image, &tokens, |_, token| token == "Bearer my-own");
    let own = Some(Credentials::RegistryToken(Secret::new("my-own")));
    import_it(&source_with(&server, &quick(), own)).unwrap();
    assert_eq!(tokens.requests().len(), 0);
}

#[test]
fn a_password_is_sent_when_the_registry_asks_and_not_before() {
    let image = Image::new(6);
    let server = image.serve(|request, _| {
        (request.header("authorization") != Some(ALICE))
            .then(|| Reply::new(401, "").header("WWW-Authenticate", r#"Basic realm="here""#))
    });
    import_it(&source_with(&server, &quick(), Some(alice()))).unwrap();
    assert_eq!(server.requests()[0].header("authorization"), None);
    assert_eq!(server.requests().len(), 1 + 3);
    let wrong = Some(Credentials::user("alice", "wrong"));
    assert!(matches!(find(&source_with(&server, &quick(), wrong)), Err(ImportError::Unauthorized { .. })));
    assert!(matches!(find(&source(&server)), Err(ImportError::Unauthorized { .. })));
}

#[test]
fn another_host_is_sent_no_credentials_and_the_registry_is_asked_again_to_go_on() {
    let image = Image::new(7);
    let (faulty, first) = (image.clone(), AtomicUsize::new(0));
    let storage = Arc::new(Server::start(move |request| {
        if request.header("authorization").is_some() {
            return Reply::new(400, "two ways to identify");
        }
        let mut asked = request.clone();
        asked.path = format!(
            "/v2/some/image/blobs/{}",
            request.path.rsplit('/').next().unwrap().split('?').next().unwrap()
        );
        let reply = faulty.answer(&asked);
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            let length = reply.body.len();
            return reply.header("Content-Length", length.to_string()).cut_at(100_000);
        }
        reply
    }));
    let (faulty, target) = (image.clone(), Arc::clone(&storage));
    let server = image.serve(move |request, times| {
        if request.header("authorization") != Some(ALICE) {
            return Some(Reply::new(401, "").header("WWW-Authenticate", r#"Basic realm="here""#));
        }
        is_layer(&faulty, request).then(|| {
            let name = request.path.rsplit('/').next().unwrap();
            let location = format!("http://{}/store/{name}?signature={times}", target.host());
            Reply::new(307, "").header("Location", location)
        })
    });
    import_it(&source_with(&server, &quick(), Some(alice()))).unwrap();
    let asked = storage.requests();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| request.header("authorization").is_none()));
    assert!(asked.iter().all(|request| request.header("cookie").is_none()));
    assert_eq!(asked[1].header("range"), Some("bytes=100000-"));
    // The second time by a signature of its own.
    assert_ne!(asked[0].path, asked[1].path);
}

#[test]
fn redirects_that_never_end_do() {
    let image = Image::new(8);
    let server = image.serve(|request, _| Some(Reply::new(302, "").header("Location", request.path.clone())));
    let error = find(&source(&server)).unwrap_err().to_string();
    assert!(error.contains("redirects"), "{error}");
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn a_token_that_is_none_is_refused() {
    let image = Image::new(9);
    for (answer, is_read) in [
        (r#"{"token":"token-1"}"#, true),
        (r#"{"access_token":"token-1","token":""}"#, true),
        (r#"{"token":"a\r\nHost: evil"}"#, false),
        (r#"{"token":""}"#, false),
        ("{}", false),
        ("no JSON", false),
    ] {
        let tokens = Arc::new(Server::start(move |_| Reply::new(200, answer)));
        let server = registry(&image, &tokens, |_, token| token == "Bearer token-1");
        let found = find(&source(&server));
        assert_eq!(found.is_ok(), is_read, "{answer}: {found:?}");
    }
    let endless = Arc::new(Server::start(|_| Reply::new(200, "{").endless()));
    let server = registry(&image, &endless, |_, _| false);
    assert!(matches!(find(&source(&server)), Err(ImportError::TooBig { .. })));
}
