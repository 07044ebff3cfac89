//! JSON that two readers understand differently, or that takes too much of one.

use serde_json::{Value, json};

use super::attack::{Attack, Expect::Refused, Expect::Tree, layout};
use super::layout::{CONFIG, GOOD_TREE, INDEX, good_tar};
use crate::kit::layout::{architecture, digest};

/// Text with its first `from` made `to`.
fn swap(from: &'static str, to: &'static str) -> impl FnOnce(String) -> String {
    move |text| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    }
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

pub const ATTACKS: &[Attack] = &[
    layout("layers and manifests in one document", Refused("malformed"), |layout| {
        let inner = layout.image(&[good_tar()]);
        layout.with_manifest(|manifest| manifest["manifests"] = json!([inner]));
    }),
    layout("an index with layers", Refused("malformed"), |layout| {
        let inner = layout.image(&[good_tar()]);
        let document = json!({ "schemaVersion": 2, "manifests": [inner], "layers": [] });
        layout.index(&[layout.document(INDEX, &document)]);
    }),
    layout("layers, and Layers, which Go takes instead", Refused("malformed"), |layout| {
        layout.with_manifest(|manifest| manifest["Layers"] = json!([]));
    }),
    layout("CONFIG alone", Refused("malformed"), |layout| {
        layout.with_manifest_text(swap("\"config\"", "\"CONFIG\""));
    }),
    layout("layers with a long s, which Go takes for one", Refused("malformed"), |layout| {
        layout.with_manifest(|manifest| manifest["layer\u{17f}"] = json!([]));
    }),
    layout("a digest, and a Digest", Refused("malformed"), |layout| {
        layout.with_manifest(|manifest| manifest["layers"][0]["Digest"] = json!(digest(b"other")));
    }),
    layout("diff_ids, and DIFF_IDS", Refused("malformed"), |layout| {
        layout.with_config(|text| swap("\"diff_ids\"", "\"DIFF_IDS\":[],\"diff_ids\"")(text).into_bytes());
    }),
    layout("layers twice", Refused("malformed"), |layout| {
        layout.with_manifest_text(swap("\"layers\"", "\"layers\":[],\"layers\""));
    }),
    layout("layers twice, once escaped", Refused("malformed"), |layout| {
        layout.with_manifest_text(swap("\"layers\"", "\"\\u006cayers\":[],\"layers\""));
    }),
    layout("rootfs twice", Refused("malformed"), |layout| {
        layout.with_config(|text| {
            swap("\"rootfs\"", "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"rootfs\"")(text)
                .into_bytes()
        });
    }),
    layout("one diff_id too few", Refused("malformed"), |layout| {
        layout.with_config(|_| super::layout::config(&[]).to_string().into_bytes());
    }),
    layout("one diff_id too many", Refused("malformed"), |layout| {
        let twice = [digest(&good_tar()), digest(&good_tar())];
        layout.with_config(|_| super::layout::config(&twice).to_string().into_bytes());
    }),
    layout("a diff_id that is a path", Refused("malformed"), |layout| {
        layout.with_config(|_| super::layout::config(&["../../canary".to_owned()]).to_string().into_bytes());
    }),
    layout("no diff_ids", Refused("malformed"), |layout| {
        layout.with_config(swap_bytes("\"diff_ids\"", "\"others\""));
    }),
    layout("a rootfs of another type", Refused("malformed"), |layout| {
        layout.with_config(swap_bytes("\"type\":\"layers\"", "\"type\":\"layers+base\""));
    }),
    layout("a configuration that is null", Refused("malformed"), |layout| {
        layout.with_config(|_| b"null".to_vec());
    }),
    layout("a configuration that is not UTF-8", Refused("malformed"), |layout| {
        layout.with_config(|text| [text.trim_end_matches('}').as_bytes(), b",\"\xff\":1}"].concat());
    }),
    layout("a configuration behind a byte order mark", Refused("malformed"), |layout| {
        layout.with_config(|text| [b"\xef\xbb\xbf", text.as_bytes()].concat());
    }),
    layout("half of a surrogate pair", Refused("malformed"), |layout| {
        layout.with_config(swap_bytes("\"os\":\"linux\"", "\"os\":\"\\ud800\""));
    }),
    layout("a second document after the manifest", Refused("malformed"), |layout| {
        layout.with_manifest_text(|text| text + "{}");
    }),
    layout("a manifest cut in the middle", Refused("malformed"), |layout| {
        layout.with_manifest_text(|mut text| {
            text.truncate(text.len() / 2);
            text
        });
    }),
    layout("arrays 100,000 deep where layers should be", Refused("malformed"), |layout| {
        layout.with_manifest_text(|text| {
            text.replacen("\"layers\":[", &format!("\"layers\":[{},", nested(100_000)), 1)
        });
    }),
    layout("arrays 1,000,000 deep where nobody looks", Tree(GOOD_TREE), |layout| {
        layout.with_manifest_text(|text| text.replacen('{', &format!("{{\"x\":{},", nested(1_000_000)), 1));
    }),
    layout("a number of a million digits where nobody looks", Tree(GOOD_TREE), |layout| {
        let digits = format!("{{\"x\":{},", "9".repeat(1_000_000));
        layout.with_manifest_text(|text| text.replacen('{', &digits, 1));
    }),
    layout("a million layers that are numbers", Refused("malformed"), |layout| {
        let ones = format!("\"layers\":[{}", "1,".repeat(1_000_000));
        layout.with_manifest_text(|text| text.replacen("\"layers\":[", &ones, 1));
    }),
    layout("a million diff_ids that are empty", Refused("malformed"), |layout| {
        let many = format!("\"diff_ids\":[{}", "\"\",".repeat(1_000_000));
        layout.with_config(|text| text.replacen("\"diff_ids\":[", &many, 1).into_bytes());
    }),
    layout("a schema of version 1", Refused("malformed"), |layout| {
        layout.with_manifest(|manifest| manifest["schemaVersion"] = json!(1));
    }),
    layout("a schema of version 2.0", Refused("malformed"), |layout| {
        layout.with_manifest_text(swap("\"schemaVersion\":2", "\"schemaVersion\":2.0"));
    }),
    layout("no schema version", Refused("malformed"), |layout| {
        layout.with_manifest_text(swap("\"schemaVersion\":2", "\"schemaVersion\":null"));
    }),
    layout("layers of schema 1 beside those of 2", Refused("malformed"), |layout| {
        layout.with_manifest(|manifest| manifest["fsLayers"] = json!([]));
    }),
    layout("a configuration for another machine than the index says", Tree(GOOD_TREE), |layout| {
        let mut config = super::layout::config(&[digest(&good_tar())]);
        config["architecture"] = json!("s390x\u{1b}[2J");
        let layer = layout.blob(super::layout::TAR, &good_tar());
        let mut manifest = layout.manifest(&layout.document(CONFIG, &config), &[layer]);
        manifest["platform"] = json!({ "os": "linux", "architecture": architecture() });
        layout.index(&[manifest]);
    }),
    layout("platforms that drive the terminal", Refused("no-platform"), |layout| {
        let mut manifest = layout.image(&[good_tar()]);
        manifest["platform"] = json!({ "os": "\u{1b}]0;owned\u{7}", "architecture": "\u{9b}2J" });
        layout.index(&[manifest]);
    }),
    layout("tags that drive the terminal", Refused("ambiguous"), |layout| {
        let tagged = |tar: Vec<u8>| {
            let mut manifest = layout.image(&[tar]);
            manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "\u{1b}[2J" });
            manifest
        };
        layout.index(&[tagged(good_tar()), tagged(Vec::new())]);
    }),
    layout("attestations alone", Refused("missing"), |layout| {
        let mut manifest = layout.image(&[good_tar()]);
        manifest["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        layout.index(&[manifest]);
    }),
    layout("indexes in indexes, six deep", Refused("too-big"), |layout| {
        let mut inner = layout.image(&[good_tar()]);
        for _ in 0..6 {
            inner = layout.document(INDEX, &json!({ "schemaVersion": 2, "manifests": [inner] }));
        }
        layout.index(&[inner]);
    }),
    layout("300 times the same index", Refused("too-big"), |layout| {
        let inner = json!({ "schemaVersion": 2, "manifests": [layout.image(&[good_tar()])] });
        let mut inner = layout.document(INDEX, &inner);
        inner["platform"] = json!({ "os": "linux", "architecture": architecture() });
        layout.index(&vec![inner; 300]);
    }),
    layout("200 times an index of 8,000 images", Refused("too-big"), |layout| {
        let mut manifest = layout.image(&[good_tar()]);
        manifest["platform"] = json!({ "os": "linux", "architecture": "s390x" });
        let inner = json!({ "schemaVersion": 2, "manifests": vec![manifest; 8000] });
        let mut inner = layout.document(INDEX, &inner);
        inner["platform"] = json!({ "os": "linux", "architecture": architecture() });
        layout.index(&vec![inner; 200]);
    }),
    layout("10,000 images to choose from", Refused("ambiguous"), |layout| {
        layout.index(&vec![layout.image(&[good_tar()]); 10_000]);
    }),
    layout("an empty index", Refused("missing"), |layout| layout.index(&[])),
    layout("an index of 5 MiB", Refused("too-big"), |layout| {
        let padding: Value = json!("x".repeat(5 << 20));
        layout
            .index_text(json!({ "schemaVersion": 2, "manifests": [], "x": padding }).to_string().as_bytes());
    }),
];

fn swap_bytes(from: &'static str, to: &'static str) -> impl FnOnce(String) -> Vec<u8> {
    move |text| swap(from, to)(text).into_bytes()
}
