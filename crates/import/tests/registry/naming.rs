//! What a reference names now: one `HEAD` where the registry plays along, a `GET` where it does not.

use sealstone_import::{
    Digest, ImportError, ImportOptions, Limits, look_at_documents,
    registry::{Credentials, RegistryReference, RegistrySource},
    source::Source,
};

use crate::{
    kit::{Image, MANIFEST, endpoint, quick, sha256, source, source_with},
    server::{Reply, Server},
};

fn named(source: &dyn Source) -> Result<Option<Digest>, ImportError> {
    source.named_digest(&Limits::default())
}

/// Methods and paths, knocks included.
fn asked(server: &Server) -> Vec<String> {
    server.all_requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

/// A registry that says the digest, as distribution does.
fn honest(image: &Image) -> Server {
    let digest = sha256(&image.manifest);
    let whole = image.clone();
    image.serve(move |request, _| {
        let is_manifest = request.path.contains("/manifests/");
        is_manifest.then(|| whole.answer(request).header("Docker-Content-Digest", digest.clone()))
    })
}

#[test]
fn what_a_tag_names_costs_one_head_and_nothing_else() {
    let image = Image::new(60);
    let server = honest(&image);
    let found = named(&source(&server)).unwrap().unwrap();
    assert_eq!(found.to_string(), sha256(&image.manifest));
    assert_eq!(asked(&server), ["HEAD /v2/some/image/manifests/tag"]);
    assert!(server.requests()[0].header("accept").unwrap().contains(MANIFEST));
}

#[test]
fn a_digest_is_asked_for_nowhere() {
    let image = Image::new(61);
    let server = honest(&image);
    let text = format!("docker://{}/some/image:tag@{}", server.host(), sha256(&image.manifest));
    let reference: RegistryReference = text.parse().unwrap();
    let source = RegistrySource::new(reference, vec![endpoint(&server)], &quick()).unwrap();
    assert_eq!(named(&source).unwrap().unwrap().to_string(), sha256(&image.manifest));
    assert!(asked(&server).is_empty());
}

#[test]
fn a_registry_that_refuses_head_or_names_no_digest_is_asked_with_get() {
    let image = Image::new(62);
    let sha512 = format!("sha512:{}", "ab".repeat(64));
    let answers: [(&str, Reply); 5] = [
        ("refused", Reply::new(405, "")),
        ("not implemented", Reply::new(501, "")),
        ("no digest", Reply::new(200, "")),
        ("nonsense", Reply::new(200, "").header("Docker-Content-Digest", "sha256:12")),
        ("another algorithm", Reply::new(200, "").header("Docker-Content-Digest", sha512)),
    ];
    for (why, answer) in answers {
        let server = image.serve(move |request, _| (request.method == "HEAD").then(|| answer.clone()));
        let found = named(&source(&server)).unwrap().unwrap();
        assert_eq!(found.to_string(), sha256(&image.manifest), "{why}");
        let gets = server.requests().iter().filter(|request| request.method == "GET").count();
        assert_eq!(gets, 1, "{why}");
    }
}

#[test]
fn what_passes_is_asked_again_and_what_is_missing_is_missing() {
    let image = Image::new(63);
    let digest = sha256(&image.manifest);
    let server = image.serve(move |request, times| match (request.method.as_str(), times) {
        ("HEAD", 0 | 1) => Some(Reply::new(503, "")),
        ("HEAD", _) => Some(Reply::new(200, "").header("Docker-Content-Digest", digest.clone())),
        _ => None,
    });
    assert!(named(&source(&server)).unwrap().is_some());
    assert!(server.requests().iter().all(|request| request.method == "HEAD"));
    let gone = image.serve(|_, _| Some(Reply::new(404, "")));
    let refused = named(&source(&gone)).unwrap_err();
    assert!(matches!(refused, ImportError::Missing { .. }), "{refused}");
    assert!(gone.requests().iter().all(|request| request.method == "HEAD"));
}

#[test]
fn a_registry_that_wants_a_token_gets_it_before_the_head() {
    let image = Image::new(64);
    let server = honest(&image);
    let digest = sha256(&image.manifest);
    let asking = Server::start(move |request| match request.header("authorization") {
        Some(_) => Reply::new(200, "").header("Docker-Content-Digest", digest.clone()),
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"here\""),
    });
    let credentials = Credentials::user("alice", "s3cret");
    let found = named(&source_with(&asking, &quick(), Some(credentials))).unwrap();
    assert_eq!(found, named(&source(&server)).unwrap());
    assert!(asking.requests().iter().all(|request| request.method == "HEAD"));
}

#[test]
fn a_look_at_the_documents_fetches_no_byte_of_a_layer() {
    let image = Image::new(65);
    let server = honest(&image);
    let found = look_at_documents(None, &source(&server), &ImportOptions::default()).unwrap();
    assert_eq!(found.named.to_string(), sha256(&image.manifest));
    assert_eq!(found.bytes_to_fetch(), image.layer.len() as u64);
    let layer = sha256(&image.layer);
    assert!(asked(&server).iter().all(|line| !line.contains(&layer)), "{:?}", asked(&server));
}
