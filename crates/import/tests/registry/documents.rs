//! Manifests and indexes: whatever a registry says about them is compared with what they are.

use sealstone_import::{
    ImportError,
    registry::{RegistryReference, RegistrySource},
};
use serde_json::json;

use crate::{
    kit::{INDEX, Image, MANIFEST, endpoint, find, import_it, quick, reference, sha256, source},
    server::Reply,
};

#[test]
fn all_four_types_are_asked_for_and_schema_1_is_not() {
    let image = Image::new(1);
    let server = image.serve(|_, _| None);
    find(&source(&server)).unwrap();
    let asked = server.requests_of("/manifests/tag");
    let accept = asked[0].header("accept").unwrap();
    for wanted in [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ] {
        assert!(accept.contains(wanted), "{accept}");
    }
    assert!(!accept.contains("v1+prettyjws"), "{accept}");
}

#[test]
fn a_tag_that_moves_meanwhile_leads_to_one_image() {
    let (old, new) = (Image::new(2), Image::new(3));
    let moved = new.clone();
    let server = old.serve(move |request, times| {
        (request.path.ends_with("/manifests/tag") && times > 0).then(|| moved.answer(request))
    });
    let before = source(&server);
    assert!(find(&before).unwrap() == old.manifest);
    let _report = import_it(&before).unwrap();
    assert_eq!(server.requests_of("/manifests/").len(), 1);
    // Who comes later sees the new one, whose blobs this server does not have.
    assert!(matches!(import_it(&source(&server)), Err(ImportError::Missing { .. })));
}

#[test]
fn a_manifest_that_is_announced_as_something_else_is_refused() {
    let image = Image::new(4);
    for (announced, is_fine) in [
        (MANIFEST, true),
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", true),
        ("application/json", true),
        ("text/plain", true),
        (INDEX, false),
        ("text/html", false),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", false),
    ] {
        let bytes = image.manifest.clone();
        let server = image.serve(move |request, _| {
            request
                .path
                .contains("/manifests/")
                .then(|| Reply::new(200, bytes.clone()).header("Content-Type", announced))
        });
        let found = find(&source(&server));
        assert_eq!(found.is_ok(), is_fine, "{announced}: {found:?}");
    }
}

#[test]
fn a_digest_is_what_was_asked_for_and_not_what_the_server_says() {
    let (image, other) = (Image::new(5), Image::new(6));
    let wanted = sha256(&image.manifest);
    let (bytes, stated) = (other.manifest.clone(), wanted.clone());
    let server = image.serve(move |request, _| {
        request.path.contains("/manifests/").then(|| {
            Reply::new(200, bytes.clone())
                .header("Content-Type", MANIFEST)
                .header("Docker-Content-Digest", stated.clone())
        })
    });
    let reference: RegistryReference =
        format!("docker://{}/some/image:tag@{wanted}", server.host()).parse().unwrap();
    let source = RegistrySource::new(reference, vec![endpoint(&server)], &quick()).unwrap();
    assert!(matches!(find(&source), Err(ImportError::Digest { .. })));
    assert_eq!(server.requests()[0].path, format!("/v2/some/image/manifests/{wanted}"));
}

#[test]
fn an_index_leads_to_the_manifest_of_the_platform_and_its_bytes_are_kept() {
    let image = Image::new(7);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
        "mediaType": MANIFEST, "digest": sha256(&image.manifest), "size": image.manifest.len(),
        "platform": {"os": "linux", "architecture": std::env::consts::ARCH},
    }]});
    let serve = |announced: &'static str| {
        let (index, manifest) = (index.to_string(), image.manifest.clone());
        image.serve(move |request, _| {
            if request.path.ends_with("/manifests/tag") {
                return Some(Reply::new(200, index.clone()).header("Content-Type", INDEX));
            }
            request
                .path
                .contains("/manifests/")
                .then(|| Reply::new(200, manifest.clone()).header("Content-Type", announced))
        })
    };
    assert!(find(&source(&serve(MANIFEST))).unwrap() == image.manifest);
    assert!(matches!(find(&source(&serve(INDEX))), Err(ImportError::Malformed { .. })));
}

#[test]
fn a_document_without_an_end_is_not_held() {
    let image = Image::new(8);
    let server = image.serve(|request, _| {
        request
            .path
            .contains("/manifests/")
            .then(|| Reply::new(200, "{").header("Content-Type", MANIFEST).endless())
    });
    assert!(matches!(find(&source(&server)), Err(ImportError::TooBig { .. })));
}

#[test]
fn a_mirror_that_lacks_or_forges_the_image_is_passed_over() {
    let image = Image::new(9);
    let has_it = image.serve(|_, _| None);
    let wanted = sha256(&image.manifest);
    let lacks = image.serve(|_, _| Some(Reply::new(404, "")));
    let forges = image.serve(|_, _| Some(Reply::new(200, "{}").header("Content-Type", MANIFEST)));
    let named: RegistryReference = format!("docker://{}/some/image@{wanted}", has_it.host()).parse().unwrap();
    let endpoints = vec![endpoint(&lacks), endpoint(&forges), endpoint(&has_it)];
    let source = RegistrySource::new(named, endpoints, &quick()).unwrap();
    import_it(&source).unwrap();
    // Once it is known who has the image, the others are left alone.
    assert_eq!(lacks.requests().len(), 1);
    let nobody = RegistrySource::new(reference(&lacks), vec![endpoint(&lacks)], &quick()).unwrap();
    assert!(matches!(find(&nobody), Err(ImportError::Missing { .. })));
}

#[test]
fn plain_http_is_not_spoken_unless_asked_for() {
    let image = Image::new(10);
    let server = image.serve(|_, _| None);
    let mut endpoint = endpoint(&server);
    endpoint.is_insecure = false;
    let source = RegistrySource::new(reference(&server), vec![endpoint], &quick()).unwrap();
    find(&source).unwrap_err();
    assert_eq!(server.connections(), 0);
}
