//! Tables of contents and tar-splits that fit their digests, and lie.

use serde_json::{Value, json};

use crate::kit::{Images, Layer, Machine, SPLIT_PLACE, TOC_PLACE, full_pull, tree};

/// Pulls the lying layer after the old one: what is read in full is right, and what was had in part is not used.
fn assert_read_in_full(what: &str, lying: &Layer) {
    let old = Layer::pack(&tree(1));
    let server = Images::of(&[("old", &old), ("new", lying)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    let report = machine.pull(&server, "new").unwrap();
    let layer = &report.layers[0];
    assert!(!layer.is_partial && layer.whole_because.is_some(), "{what} was believed");
    assert_eq!(machine.stream(lying), full_pull(lying), "{what}");
    machine.assert_healthy();
}

fn entries(toc: &mut Value) -> &mut Vec<Value> {
    toc["entries"].as_array_mut().unwrap()
}

fn place(toc: &mut Value, name: &str) -> usize {
    entries(toc).iter().position(|entry| entry["name"] == name).unwrap()
}

/// A change of a table.
type Lie<'a> = (&'a str, &'a dyn Fn(&mut Value));

#[test]
fn a_table_that_lies_is_never_believed() {
    let new = Layer::pack(&tree(2));
    let (kept, changed) = ("usr/share/file020", "usr/share/file023");
    let lies: [Lie<'_>; 9] = [
        ("one content under another's digest", &|toc| {
            let (one, other) = (place(toc, kept), place(toc, "usr/share/file021"));
            let digest = entries(toc)[other]["digest"].clone();
            entries(toc)[one]["digest"] = digest;
        }),
        ("a digest of nothing that exists", &|toc| {
            let one = place(toc, kept);
            entries(toc)[one]["digest"] = json!(crate::kit::sha256(b"nothing"));
        }),
        ("places of two files exchanged", &|toc| {
            let (one, other) = (place(toc, changed), place(toc, "usr/share/file033"));
            for key in ["offset", "endOffset"] {
                let swapped = entries(toc)[one][key].clone();
                entries(toc)[one][key] = entries(toc)[other][key].clone();
                entries(toc)[other][key] = swapped;
            }
        }),
        ("a frame cut short", &|toc| {
            let one = place(toc, changed);
            let end = entries(toc)[one]["endOffset"].as_u64().unwrap();
            entries(toc)[one]["endOffset"] = json!(end - 1);
        }),
        ("a file of another size", &|toc| {
            let one = place(toc, changed);
            entries(toc)[one]["size"] = json!(1);
        }),
        ("an entry too few", &|toc| {
            entries(toc).retain(|entry| entry["name"] != kept);
        }),
        ("zeros in place of a content", &|toc| {
            let one = place(toc, changed);
            entries(toc)[one]["chunkType"] = json!("zeros");
            while entries(toc)[one + 1]["type"] == "chunk" {
                entries(toc).remove(one + 1);
            }
            let size = entries(toc)[one]["size"].clone();
            entries(toc)[one]["chunkSize"] = size;
        }),
        ("an end past everything", &|toc| {
            let one = place(toc, changed);
            entries(toc)[one]["endOffset"] = json!(u64::MAX);
        }),
        ("a version that does not exist", &|toc| toc["version"] = json!(7)),
    ];
    for (what, lie) in lies {
        let mut toc = new.toc();
        lie(&mut toc);
        assert_read_in_full(what, &new.with_sheet(toc, &new.tar_split()));
    }
}

#[test]
fn a_tar_split_that_lies_is_never_believed() {
    let new = Layer::pack(&tree(2));
    let split = new.tar_split();
    let lines: Vec<&str> = split.lines().collect();
    let join = |lines: &[&str]| lines.iter().flat_map(|line| [*line, "\n"]).collect::<String>();
    let other = crate::kit::Layer::pack(&tree(2).replace_owner());
    for (what, lying) in [
        ("a header too few", join(&lines[1..])),
        ("nothing", String::new()),
        ("an end too early", join(&lines[..lines.len() - 1])),
        ("other owners", other.tar_split()),
        ("another size", split.replacen("\"size\":3000", "\"size\":3001", 1)),
        ("no JSON", "{".repeat(100)),
    ] {
        assert!(lying != split, "{what} changes nothing");
        assert_read_in_full(what, &new.with_sheet(new.toc(), &lying));
    }
}

trait ReplaceOwner {
    fn replace_owner(self) -> Vec<u8>;
}

impl ReplaceOwner for Vec<u8> {
    /// Makes the first entry another user's, and mends its header's checksum.
    fn replace_owner(mut self) -> Vec<u8> {
        let block = &mut self[..512];
        block[108..116].copy_from_slice(b"0001750\0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self
    }
}

#[test]
fn annotations_that_lie_are_never_believed() {
    let new = Layer::pack(&tree(2));
    let numbers = |key: &str| -> Vec<u64> {
        new.annotations[key].split(':').map(|part| part.parse().unwrap()).collect()
    };
    let (toc, split) = (numbers(TOC_PLACE), numbers(SPLIT_PLACE));
    for (key, value) in [
        (TOC_PLACE, format!("{}:{}:{}:1", toc[0] - 1, toc[1], toc[2])),
        (TOC_PLACE, format!("{}:{}:{}:1", toc[0], toc[1] - 1, toc[2])),
        (TOC_PLACE, format!("{}:{}:{}:1", toc[0], toc[1], toc[2] - 1)),
        (TOC_PLACE, format!("{}:{}:{}:1", toc[0], toc[1], 1_u64 << 40)),
        (SPLIT_PLACE, format!("{}:{}:{}", split[0] + 1, split[1], split[2])),
        (SPLIT_PLACE, format!("{}:{}:{}", split[0], split[1], split[2] - 1)),
        (SPLIT_PLACE, format!("{}:{}:{}", split[0], u64::MAX, split[2])),
        (SPLIT_PLACE, String::new()),
    ] {
        let mut lying = new.clone();
        lying.annotations.insert(key.to_owned(), value.clone());
        assert_read_in_full(&format!("{key}={value}"), &lying);
    }
    let mut lying = new.clone();
    lying.annotations.remove(SPLIT_PLACE);
    assert_read_in_full("no tar-split", &lying);
}

#[test]
fn a_layer_whose_diff_id_is_a_lie_is_refused_in_part_as_in_full() {
    let old = Layer::pack(&tree(1));
    let mut lying = Layer::pack(&tree(2));
    lying.diff_id = crate::kit::sha256(b"another tar");
    let server = Images::of(&[("old", &old), ("new", &lying)]).serve(|_, _, _| None);
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    assert!(machine.pull(&server, "new").unwrap_err().is_untrusted());
    assert_eq!(machine.stream(&lying), None, "something was published");
    machine.assert_healthy();
}
