//! Signatures where cosign puts them: an image is used when one by the policy's key vouches for it, and for nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use sealstone_import::{
    ImportError, Limits,
    registry::{
        RegistrySource,
        config::{ImageName, Policy, PolicyScope},
    },
    source::Source,
};
use sealstone_store::disk::{Disk, RealDisk};
use serde_json::{Value, json};

use crate::{
    kit::{INDEX, Image, MANIFEST, find, import_it, quick, read, sha256, source_with},
    server::{Reply, Request, Server},
};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// What is before the point in the DER of a public key on P-256 (RFC 5480).
const DER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..4 {
            let is_padding = place > chunk.len();
            text.push(if is_padding { '=' } else { char::from(DIGITS[word >> (18 - 6 * place) & 63]) });
        }
    }
    text
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).unwrap())
    }

    /// The public key as `keyData` has it: PEM, in base64 once more.
    fn key_data(&self) -> String {
        let der = [&DER, self.0.public_key().as_ref()].concat();
        base64(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der)).as_bytes())
    }

    fn sign(&self, manifest: &str, name: &str) -> Signed {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": manifest},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let signature = base64(self.0.sign(&SystemRandom::new(), &payload).unwrap().as_ref());
        Signed { payload, signature }
    }
}

struct Signed {
    payload: Vec<u8>,
    signature: String,
}

/// What a registry has besides an image: by the last component of the path.
type Extras = HashMap<String, (&'static str, Vec<u8>)>;

/// Signs for a name.
type Signs<'a> = dyn Fn(&str) -> Vec<Signed> + 'a;
/// Puts something into a registry.
type Prepares<'a> = dyn Fn(&mut Extras) + 'a;

/// The signatures of a manifest as cosign pushes them.
fn attach(extras: &mut Extras, manifest: &str, signatures: &[Signed]) {
    let layers: Vec<Value> = signatures
        .iter()
        .map(|signed| {
            extras.insert(sha256(&signed.payload), ("application/octet-stream", signed.payload.clone()));
            json!({"mediaType": PAYLOAD, "digest": sha256(&signed.payload), "size": signed.payload.len(),
                   "annotations": {"dev.cosignproject.cosign/signature": signed.signature}})
        })
        .collect();
    let config =
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2});
    let document = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
    let tag = format!("{}.sig", manifest.replace(':', "-"));
    extras.insert(tag, (MANIFEST, document.to_string().into_bytes()));
}

/// The image with what `extras` says once the server's name is known.
fn serve(image: &Image, extras: impl FnOnce(&str) -> Extras) -> Server {
    let known = Arc::new(Mutex::new(Extras::new()));
    let shared = Arc::clone(&known);
    let server = image.serve(move |request: &Request, _| {
        let name = request.path.rsplit('/').next().unwrap();
        match shared.lock().unwrap().get(name) {
            Some((kind, bytes)) => Some(Reply::new(200, bytes.clone()).header("Content-Type", *kind)),
            None => name.starts_with("sha256-").then(|| Reply::new(404, "")),
        }
    });
    *known.lock().unwrap() = extras(&format!("{}/some/image:tag", server.host()));
    server
}

/// The image, wanted signed by one of the keys.
fn demanding(server: &Server, requirement: &Value) -> RegistrySource {
    let disk: Arc<dyn Disk> = RealDisk::shared();
    let policy =
        json!({"default": [{"type": "reject"}], "transports": {"docker": {server.host(): [requirement]}}});
    let policy = Policy::parse("policy.json", policy.to_string().as_bytes()).unwrap();
    let name: ImageName = format!("{}/some/image:tag", server.host()).parse().unwrap();
    let demand = policy.demand(&disk, &PolicyScope::registry(&name), &Limits::default()).unwrap();
    source_with(server, &quick(), None).demanding(name, demand)
}

fn by(signers: &[&Signer]) -> Value {
    let keys: Vec<_> = signers.iter().map(|signer| signer.key_data()).collect();
    json!({"type": "sigstoreSigned", "keyDatas": keys})
}

fn denial(result: Result<impl Sized, ImportError>) -> String {
    match result {
        Err(error @ ImportError::Denied { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// The image with signatures of its manifest for its name.
fn signed_by(image: &Image, sign: impl Fn(&str) -> Vec<Signed>) -> Server {
    serve(image, |name| {
        let mut extras = Extras::new();
        attach(&mut extras, &sha256(&image.manifest), &sign(name));
        extras
    })
}

#[test]
fn an_image_that_one_of_the_keys_signed_is_imported() {
    let (image, ours, other) = (Image::new(60), Signer::new(), Signer::new());
    let manifest = sha256(&image.manifest);
    let server = signed_by(&image, |name| vec![other.sign(&manifest, name), ours.sign(&manifest, name)]);
    import_it(&demanding(&server, &by(&[&ours]))).unwrap();
    import_it(&demanding(&server, &by(&[&Signer::new(), &ours]))).unwrap();
    let two = json!({"type": "sigstoreSigned", "keyData": ours.key_data(), "signedIdentity": {"type": "matchRepository"}});
    import_it(&demanding(&server, &two)).unwrap();
}

#[test]
fn what_is_wrong_with_the_signatures_is_told_and_no_blob_is_asked_for() {
    let (image, ours) = (Image::new(61), Signer::new());
    let manifest = sha256(&image.manifest);
    let elsewhere = "example.com/some/image:tag";
    let cases: [(&Signs<'_>, &str); 5] = [
        (&|name| vec![Signer::new().sign(&manifest, name)], "by none of the keys"),
        (&|name| vec![ours.sign(&sha256(b"other"), name)], "it is over sha256:"),
        (&|_| vec![ours.sign(&manifest, elsewhere)], "it is for example.com/some/image:tag"),
        (&|_| Vec::new(), "it has none"),
        (
            &|name| vec![Signer::new().sign(&manifest, name), ours.sign(&manifest, elsewhere)],
            "signature 2: it is for",
        ),
    ];
    for (sign, reason) in cases {
        let server = signed_by(&image, sign);
        let source = demanding(&server, &by(&[&ours]));
        let told = denial(import_it(&source));
        assert!(told.contains(reason) && told.contains(&server.host()), "{told}");
        assert!(told.contains("policy.json (docker, scope"), "{told}");
        let config = server.requests_of(&sha256(&image.config));
        assert_eq!((config.len(), server.requests_of(&sha256(&image.layer)).len()), (0, 0));
        // Nor to a caller that skips the documents.
        let told = denial(source.open_blob(&image.layer_descriptor()));
        assert!(told.contains("not looked at"), "{told}");
        denial(source.open_range(&image.layer_descriptor(), 0, 10));
    }
}

#[test]
fn an_image_without_signatures_is_refused_and_one_without_a_policy_is_not_asked_for_them() {
    let image = Image::new(62);
    let server = serve(&image, |_| Extras::new());
    assert!(denial(import_it(&demanding(&server, &by(&[&Signer::new()])))).contains("it has none"));
    let server = serve(&image, |_| Extras::new());
    import_it(&source_with(&server, &quick(), None)).unwrap();
    import_it(&demanding(&server, &json!({"type": "insecureAcceptAnything"}))).unwrap();
    assert_eq!(server.requests_of(".sig").len(), 0);
}

/// Serves the image below an index, and signs either.
fn indexed(image: &Image, signs_index: bool, signer: &Signer) -> Server {
    let manifest = sha256(&image.manifest);
    let entry = json!({"mediaType": MANIFEST, "digest": manifest, "size": image.manifest.len(),
                       "platform": {"os": "linux", "architecture": std::env::consts::ARCH}});
    let index =
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string().into_bytes();
    let target = if signs_index { sha256(&index) } else { manifest };
    serve(image, |name| {
        let mut extras = Extras::new();
        attach(&mut extras, &target, &[signer.sign(&target, name)]);
        extras.insert("tag".to_owned(), (INDEX, index));
        extras
    })
}

#[test]
fn a_signed_index_vouches_for_its_images_and_so_does_a_signed_image_for_itself() {
    let (image, ours) = (Image::new(63), Signer::new());
    for signs_index in [true, false] {
        let server = indexed(&image, signs_index, &ours);
        import_it(&demanding(&server, &by(&[&ours]))).unwrap();
        let told = denial(import_it(&demanding(&server, &by(&[&Signer::new()]))));
        assert!(told.contains("the index that names it is not signed either"), "{told}");
    }
}

#[test]
fn signatures_that_lie_about_themselves_or_are_endless_are_refused() {
    let (image, ours) = (Image::new(64), Signer::new());
    let manifest = sha256(&image.manifest);
    let tag = format!("{}.sig", manifest.replace(':', "-"));
    let good = |extras: &mut Extras| attach(extras, &manifest, &[ours.sign(&manifest, "a.io/b:c")]);
    let layer = |size: u64| json!({"mediaType": PAYLOAD, "digest": sha256(b"x"), "size": size, "annotations": {"dev.cosignproject.cosign/signature": "AA=="}});
    let document = |layers: Vec<Value>| {
        let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2});
        json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string().into_bytes()
    };
    let put = |extras: &mut Extras, kind: &'static str, bytes: Vec<u8>| {
        extras.insert(tag.clone(), (kind, bytes));
    };
    let cases: [(&Prepares<'_>, &str); 5] = [
        (&|extras| put(extras, MANIFEST, document(vec![layer(1 << 40)])), "over the limit"),
        (&|extras| put(extras, MANIFEST, document(vec![layer(1); 200])), "over the limit"),
        (&|extras| put(extras, MANIFEST, b"{}".to_vec()), "malformed"),
        (&|extras| put(extras, INDEX, br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()), "not a manifest"),
        (
            &|extras| {
                good(extras);
                for (_, bytes) in extras.values_mut().filter(|(kind, _)| *kind == "application/octet-stream")
                {
                    bytes[5] ^= 1;
                }
            },
            "not what it should be",
        ),
    ];
    for (prepare, reason) in cases {
        let mut extras = Extras::new();
        prepare(&mut extras);
        let error = import_it(&demanding(&serve(&image, |_| extras), &by(&[&ours]))).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_guarded_document_is_found_and_its_blobs_are_read_once_it_is_signed() {
    let (image, ours) = (Image::new(65), Signer::new());
    let manifest = sha256(&image.manifest);
    let server = signed_by(&image, |name| vec![ours.sign(&manifest, name)]);
    let source = demanding(&server, &by(&[&ours]));
    assert_eq!(find(&source).unwrap(), image.manifest);
    assert!(read(&source, &image.layer_descriptor()).unwrap() == image.layer);
    assert_eq!(server.requests_of(".sig").len(), 1, "they are asked for once");
}

/// What skopeo 1.22 pushed with `--sign-by-sigstore-private-key`: a manifest, its signatures, and the one payload.
const BY_SKOPEO: [&str; 4] = [
    r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:a87b778e7994770ea28856b72645737ce5b054907c0555fd1cc69fbd2c9ea0d3","size":292},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:dbf7b8a1ac7c222885c2723d000ec00a2c21f9630271fbd0614f041258d858ad","size":102}]}
"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:3d954b158cd6e2b76d10c3648fb3b701f73c34ca9e3d608738dd2c192fa81103","size":153},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"sha256:a619fb98add0350946b4b67a0431d72f635add60ac0f759f653ef9d26c8280e0","size":302,"annotations":{"dev.cosignproject.cosign/signature":"MEUCIH21xuhRnCy2Yg/L7w2UcrV0suDnhmlEb/RB8ljqcdD2AiEAjjM4n/wsaq1KXjcP/6Uo5YFnHiib5c6XLRpiphpohWk="}}]}"#,
    r#"{"critical":{"identity":{"docker-reference":"127.0.0.1:15771/some/image:tag"},"image":{"docker-manifest-digest":"sha256:8952e13c3fc76442c9090f5a4942c6e1b4e76a96d3a4b18c5c6a8c50b2b3e853"},"type":"cosign container image signature"},"optional":{"creator":"containers/image 5.39.1","timestamp":1795240127}}"#,
    "-----BEGIN PUBLIC KEY-----\n\
     MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2PC10oE99A3qoV0R5UPizbONpUtr\n\
     cB/bvDcWDjseAgbQzuaHXjAXVUl3Z7O+239yOQjx7subt/UBYM01eru5Sg==\n\
     -----END PUBLIC KEY-----\n",
];

#[test]
fn a_signature_that_skopeo_made_holds_for_the_name_that_it_was_made_for() {
    let [manifest, signatures, payload, key] = BY_SKOPEO;
    let tag = format!("{}.sig", sha256(manifest.as_bytes()).replace(':', "-"));
    let server = serve(&Image::new(66), |_| {
        let extras = [
            ("tag", MANIFEST, manifest),
            (&tag, MANIFEST, signatures),
            (&sha256(payload.as_bytes()), "", payload),
        ];
        extras.map(|(name, kind, text)| (name.to_owned(), (kind, text.as_bytes().to_vec()))).into()
    });
    let wanted = |name: &str| {
        let identity = json!({"type": "exactReference", "dockerReference": name});
        json!({"type": "sigstoreSigned", "keyData": base64(key.as_bytes()), "signedIdentity": identity})
    };
    let limits = Limits::default();
    demanding(&server, &wanted("127.0.0.1:15771/some/image:tag")).roots(&limits).unwrap();
    let told = denial(demanding(&server, &wanted("127.0.0.1:15771/some/image:other")).roots(&limits));
    assert!(told.contains("it is for 127.0.0.1:15771/some/image:tag"), "{told}");
}
