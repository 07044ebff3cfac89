//! Digests, sizes and media types that lie.

use serde_json::{Value, json};

use super::attack::{Attack, Expect::Refused, Expect::Tree, layout};
use super::layout::{CONFIG, GOOD_TREE, GZIP, INDEX, MANIFEST, TAR, good_tar};
use crate::kit::layout::digest;

/// The digest of something that is nowhere.
fn nowhere() -> String {
    digest(b"nowhere")
}

pub const ATTACKS: &[Attack] = &[
    layout("a layer of other bytes than its digest's", Refused("digest"), |layout| {
        layout.with_layer(&good_tar(), |_| {});
        std::fs::write(layout.blob_path(&digest(&good_tar())), [0; 2048]).expect("a blob");
    }),
    layout("a layer under another's diff_id", Refused("digest"), |layout| {
        let layer = layout.blob(TAR, &good_tar());
        layout.index(&[layout.manifest(&layout.config(&[nowhere()]), &[layer])]);
    }),
    layout("a manifest of other bytes than its digest's", Refused("digest"), |layout| {
        let manifest = layout.image(&[good_tar()]);
        let path = layout.blob_path(manifest["digest"].as_str().expect("a digest"));
        let mut bytes = std::fs::read(&path).expect("a manifest");
        bytes.rotate_left(1);
        std::fs::write(path, bytes).expect("a manifest");
        layout.index(&[manifest]);
    }),
    layout("a size one too large", Refused("size"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!(good_tar().len() + 1));
    }),
    layout("a size one too small", Refused("size"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!(good_tar().len() - 1));
    }),
    layout("a size of 0", Refused("size"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!(0));
    }),
    layout("a size of 2^64 - 1", Refused("too-big"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!(u64::MAX));
    }),
    layout("a negative size", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!(-1));
    }),
    layout("a size with a fraction", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!(2048.5));
    }),
    layout("a size as text", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["size"] = json!("2048"));
    }),
    layout("no size", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| {
            layer.as_object_mut().expect("an object").remove("size");
        });
    }),
    layout("a digest that is a path", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["digest"] = json!("sha256:../../../canary/sings"));
    }),
    layout("a digest that is an absolute path", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["digest"] = json!("/etc/passwd"));
    }),
    layout("an algorithm that is a path", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| {
            layer["digest"] = json!(digest(&good_tar()).replace("sha256", "../sha256"));
        });
    }),
    layout("a digest in capitals", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| {
            let upper = layer["digest"].as_str().expect("a digest").to_uppercase();
            layer["digest"] = json!(upper.replace("SHA256", "sha256"));
        });
    }),
    layout("a digest that is too short", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["digest"] = json!("sha256:abcd"));
    }),
    layout("a digest of MD5", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["digest"] = json!(format!("md5:{}", "0".repeat(32))));
    }),
    layout("a digest with a NUL", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["digest"] = json!(format!("{}\0", digest(&good_tar()))));
    }),
    layout("an empty digest", Refused("malformed"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["digest"] = json!(""));
    }),
    layout("a layer that is the configuration", Refused("layer/truncated"), |layout| {
        let config = super::layout::config(&[digest(b"x")]).to_string();
        let diff_ids = [digest(config.as_bytes())];
        let layer = layout.blob(TAR, config.as_bytes());
        layout.index(&[layout.manifest(&layout.config(&diff_ids), &[layer])]);
    }),
    layout("a configuration that is a layer", Refused("malformed"), |layout| {
        let layer = layout.blob(TAR, &good_tar());
        let config = layout.blob(CONFIG, &good_tar());
        layout.index(&[layout.manifest(&config, &[layer])]);
    }),
    layout("an artifact", Refused("unsupported"), |layout| {
        layout.with_manifest(|manifest| {
            manifest["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json");
        });
    }),
    layout("an encrypted layer", Refused("unsupported"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["mediaType"] = json!(format!("{GZIP}+encrypted")));
    }),
    layout("a layer of some other type", Refused("unsupported"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["mediaType"] = json!("text/html"));
    }),
    layout("a layer that is a manifest by its type", Refused("unsupported"), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["mediaType"] = json!(MANIFEST));
    }),
    layout("a layer with a URL to get it from, and its blob here", Tree(GOOD_TREE), |layout| {
        layout.with_layer(&good_tar(), |layer| {
            layer["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar");
            layer["urls"] = json!(["http://169.254.169.254/latest/meta-data"]);
        });
    }),
    layout("a layer with other bytes inside its descriptor", Tree(GOOD_TREE), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["data"] = json!("ZXZpbA=="));
    }),
    layout("a plain layer called gzip", Tree(GOOD_TREE), |layout| {
        layout.with_layer(&good_tar(), |layer| layer["mediaType"] = json!(GZIP));
    }),
    layout("an index called a manifest", Refused("malformed"), |layout| {
        let inner = json!({ "schemaVersion": 2, "manifests": [layout.image(&[good_tar()])] });
        let mut index = layout.document(INDEX, &inner);
        index["mediaType"] = json!(MANIFEST);
        layout.index(&[index]);
    }),
    layout("a manifest called an index", Refused("malformed"), |layout| {
        let mut manifest = layout.image(&[good_tar()]);
        manifest["mediaType"] = json!(INDEX);
        layout.index(&[manifest]);
    }),
    layout("a manifest that calls itself an index", Refused("malformed"), |layout| {
        layout.with_manifest(|manifest| manifest["mediaType"] = json!(INDEX));
    }),
    layout("a manifest of 5 MiB", Refused("too-big"), |layout| {
        layout.with_manifest(|manifest| manifest["annotations"] = json!({ "a": "x".repeat(5 << 20) }));
    }),
    layout("1,025 layers", Refused("too-big"), |layout| {
        let layer = layout.blob(TAR, &good_tar());
        let layers: Vec<Value> = vec![layer; 1025];
        layout.index(&[layout.manifest(&layout.config(&vec![digest(&good_tar()); 1025]), &layers)]);
    }),
    layout("1,024 times the same layer", Tree(GOOD_TREE), |layout| {
        let layer = layout.blob(TAR, &good_tar());
        let layers: Vec<Value> = vec![layer; 1024];
        layout.index(&[layout.manifest(&layout.config(&vec![digest(&good_tar()); 1024]), &layers)]);
    }),
    layout("no layers", Tree(&[]), |layout| layout.index(&[layout.image(&[])])),
    // A layer is its diff_id: one that is there already is not read again, whatever blob it is said to be in.
    layout("a second layer with the first one's diff_id, and no blob", Tree(GOOD_TREE), |layout| {
        let first = layout.blob(TAR, &good_tar());
        let second = json!({ "mediaType": TAR, "digest": nowhere(), "size": 5 });
        let diff_ids = [digest(&good_tar()), digest(&good_tar())];
        layout.index(&[layout.manifest(&layout.config(&diff_ids), &[first, second])]);
    }),
];
