//! What a push asks a good registry for, and what it does not.

use sealstone_import::{
    ImportError,
    export::{BlobFormat, BlobOrigin},
    registry::{Credentials, PushOptions},
};

use crate::{
    kit::{Image, endpoint, quick, sha256},
    repository::{Registry, Stored, chunky},
    server::{Reply, Request},
};

#[test]
fn blobs_go_in_chunks_and_the_manifest_last() {
    let stored = Stored::new(&Image::new(1));
    let registry = Registry::default();
    let server = registry.serve(|_| None);
    let report = stored.push(&server).unwrap();
    assert_eq!(report.layers[0].origin, BlobOrigin::Recompressed);
    let manifest = registry.assert_whole("tag");
    assert_eq!(manifest["layers"][0]["digest"], report.layers[0].blob.to_string());
    let asked = server.requests();
    let ranges: Vec<_> = asked.iter().filter_map(|request| request.header("content-range")).collect();
    assert_eq!(&ranges[..2], ["0-99999", "100000-199999"]);
    assert!(ranges.len() >= 4, "{ranges:?}");
    let methods: Vec<_> = asked.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(&methods[methods.len() - 2..], ["PUT", "HEAD"], "the manifest, and the look at it");
    let put = asked.iter().find(|request| request.method == "PUT" && request.path.contains("manifests"));
    assert_eq!(put.unwrap().header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
}

#[test]
fn what_is_there_is_not_sent_and_then_the_manifest_is_the_one_that_was_imported() {
    let image = Image::new(2);
    let stored = Stored::new(&image);
    let registry = Registry::default();
    registry.held.lock().unwrap().blobs.insert(sha256(&image.layer), image.layer.clone());
    let server = registry.serve(|_| None);
    let report = stored.push(&server).unwrap();
    assert!(report.is_same_manifest());
    assert_eq!(report.layers[0].origin, BlobOrigin::Present);
    assert_eq!(registry.held.lock().unwrap().manifests["tag"], image.manifest);
    let sent = server.requests().iter().filter(|request| request.method == "PATCH").count();
    assert_eq!(sent, 0);
    // The second time nothing but the manifest goes.
    stored.push(&server).unwrap();
    assert_eq!(server.requests_of("uploads").iter().filter(|request| request.method == "POST").count(), 1);
}

#[test]
fn another_repository_s_blob_is_mounted_and_one_that_cannot_be_is_sent() {
    let image = Image::new(3);
    let stored = Stored::new(&image);
    let mut options = PushOptions::default();
    options.mount_from = vec!["some/image".to_owned(), "other/image".to_owned()];
    for mounts in [true, false] {
        let registry = Registry::default();
        let (other, digest, layer) = (registry.clone(), sha256(&image.layer), image.layer.clone());
        let server = registry.serve(move |request| {
            let is_mount = request.path.contains(&format!("mount={digest}&from=other/image"));
            (is_mount && mounts).then(|| {
                other.held.lock().unwrap().blobs.insert(digest.clone(), layer.clone());
                Reply::new(201, "").header("Location", "/somewhere")
            })
        });
        let report = stored.push_with(endpoint(&server), &server, &chunky(), &options).unwrap();
        assert_eq!(report.is_same_manifest(), mounts);
        registry.assert_whole("tag");
        assert!(server.requests_of("from=some/image").is_empty(), "it is where we push to");
        if !mounts {
            assert_eq!(registry.held.lock().unwrap().uploads.len(), 0, "sessions are left open");
        }
    }
}

#[test]
fn a_registry_without_chunks_gets_blobs_whole() {
    let stored = Stored::new(&Image::new(4));
    for status in [405, 501, 400] {
        let registry = Registry::default();
        let server = registry
            .serve(move |request| (request.method == "PATCH").then(|| Reply::new(status, "no chunks")));
        stored.push(&server).unwrap();
        registry.assert_whole("tag");
    }
}

#[test]
fn a_compression_that_is_asked_for_is_what_goes_out() {
    let image = Image::new(5);
    let stored = Stored::new(&image);
    let mut options = PushOptions::default();
    options.export.format = Some(BlobFormat::Zstd);
    let registry = Registry::default();
    registry.held.lock().unwrap().blobs.insert(sha256(&image.layer), image.layer.clone());
    let server = registry.serve(|_| None);
    stored.push_with(endpoint(&server), &server, &quick(), &options).unwrap();
    let manifest = registry.assert_whole("tag");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
}

/// Answers with a challenge unless the token fits; the token server gives what is asked for as the token.
fn token_wanted(request: &Request, port: u16) -> Option<Reply> {
    if request.path.starts_with("/token") {
        let scopes: Vec<_> =
            request.path.split(['?', '&']).filter_map(|part| part.strip_prefix("scope=")).collect();
        return Some(Reply::new(200, format!(r#"{{"token":"{}"}}"#, scopes.join(",").replace('%', "."))));
    }
    let writes = !matches!(request.method.as_str(), "GET" | "HEAD");
    let mut wanted = vec![format!("repository:some/image:pull{}", if writes { ",push" } else { "" })];
    if request.path.contains("from=other/image") {
        wanted.push("repository:other/image:pull".to_owned());
    }
    let held = request.header("authorization").unwrap_or_default().replace(".2C", ",");
    if wanted.iter().all(|scope| held.contains(scope.as_str())) {
        return None;
    }
    let challenge =
        format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="s",scope="{}""#, wanted.join(" "));
    Some(Reply::new(401, "").header("WWW-Authenticate", challenge))
}

#[test]
fn tokens_are_asked_for_with_the_right_to_push_and_to_mount() {
    let image = Image::new(6);
    let stored = Stored::new(&image);
    let registry = Registry::default();
    let port = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(0));
    let own = std::sync::Arc::clone(&port);
    let server =
        registry.serve(move |request| token_wanted(request, own.load(std::sync::atomic::Ordering::SeqCst)));
    port.store(server.port, std::sync::atomic::Ordering::SeqCst);
    let mut options = PushOptions::default();
    options.mount_from = vec!["other/image".to_owned()];
    let mut endpoint = endpoint(&server);
    endpoint.credentials = Some(Credentials::user("alice", "hunter2"));
    stored.push_with(endpoint, &server, &chunky(), &options).unwrap();
    registry.assert_whole("tag");
    let tokens = server.requests_of("/token");
    assert!(tokens[0].path.contains("some/image:pull%2Cpush"), "{:?}", tokens[0].path);
    assert!(tokens.iter().any(|request| request.path.contains("other/image:pull")));
    assert!(tokens.len() <= 4, "{tokens:?}");
}

#[test]
fn a_reference_with_a_digest_takes_that_manifest_alone() {
    let image = Image::new(7);
    let stored = Stored::new(&image);
    let registry = Registry::default();
    let server = registry.serve(|_| None);
    let manifest = sealstone_import::catalogue::Catalogue::read(&stored.store).unwrap().images()[0].manifest;
    let reference = format!("docker://{}/some/image@{manifest}", server.host()).parse().unwrap();
    let push = || {
        let control = sealstone_store::Control::new();
        let (settings, options) = (chunky(), PushOptions::default());
        let endpoint = endpoint(&server);
        sealstone_import::registry::push(
            &stored.store,
            &manifest,
            &reference,
            endpoint,
            &settings,
            &options,
            &control,
        )
    };
    // The blob that it names is not there, and cannot be made again.
    assert!(matches!(push(), Err(ImportError::Digest { .. })));
    assert_eq!(registry.held.lock().unwrap().manifests.len(), 0);
    registry.held.lock().unwrap().blobs.insert(sha256(&image.layer), image.layer.clone());
    push().unwrap();
    registry.assert_whole(&manifest.to_string());
}
