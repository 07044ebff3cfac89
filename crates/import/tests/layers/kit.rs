//! Raw tars, and readers that turn them into things to compare.

#[path = "../../../../tests/kit/raw_tar.rs"]
#[allow(dead_code, reason = "it is the kit of other tests as well")]
mod raw_tar;

use sealstone_import::Limits;
use sealstone_import::layer_tree::{EntryKind, FileContent, LayerEntry, LayerTree, LayerTreeBuilder};
use sealstone_import::tar::{Entry, Item, Reader, Reason, Refusal, Strictness, Warning};
use sealstone_store::Algorithm;
use sealstone_store::tree::Content;

pub use raw_tar::{RawHeader as Header, RawTar as Tar, pax_text};

/// An entry with its packed body.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub entry: Entry,
    pub body: Vec<u8>,
}

/// Entries, warnings, and the raw bytes and bodies put together again.
pub type Report = (Vec<Seen>, Vec<Warning>, Vec<u8>);

/// All that a reader says of a tar that comes in these chunks.
pub fn read_chunks(
    chunks: &mut dyn Iterator<Item = &[u8]>,
    limits: &Limits,
    strictness: Strictness,
) -> Result<Report, Refusal> {
    let mut reader = Reader::new(limits.clone(), strictness);
    let mut seen: Vec<Seen> = Vec::new();
    let mut rebuilt = Vec::new();
    for chunk in chunks {
        let mut input = chunk;
        loop {
            let step = reader.next(&mut input)?;
            rebuilt.extend_from_slice(step.raw);
            match step.item {
                Item::Entry => seen.push(Seen { entry: reader.entry().clone(), body: Vec::new() }),
                Item::Body { bytes, .. } => {
                    rebuilt.extend_from_slice(bytes);
                    seen.last_mut().expect("an entry comes before its body").body.extend_from_slice(bytes);
                }
                Item::NeedInput => break,
            }
        }
    }
    let warnings = reader.finish()?;
    Ok((seen, warnings.list().to_vec(), rebuilt))
}

pub fn read_with(tar: &[u8], strictness: Strictness) -> Result<(Vec<Seen>, Vec<Warning>), Refusal> {
    let (seen, warnings, rebuilt) = read_chunks(&mut [tar].into_iter(), &Limits::default(), strictness)?;
    assert!(rebuilt == tar, "raw bytes and bodies are not the tar");
    Ok((seen, warnings))
}

/// The entries of a tar that is taken.
pub fn read(tar: &[u8]) -> Vec<Seen> {
    read_with(tar, Strictness::Normal).expect("the tar is honest").0
}

/// The paths of a tar that is taken.
pub fn paths(tar: &[u8]) -> Vec<String> {
    read(tar).iter().map(|seen| text(seen.entry.path())).collect()
}

/// Why a tar is refused.
pub fn refusal(tar: &[u8]) -> Reason {
    read_with(tar, Strictness::Normal).map(|(seen, _)| seen).expect_err("the tar is hostile").reason().clone()
}

pub fn warnings(tar: &[u8]) -> Vec<Warning> {
    read_with(tar, Strictness::Normal).expect("the tar is honest").1
}

pub fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Builds the tree of a tar, each file's packed body as its inline content.
pub fn build(tar: &[u8], strictness: Strictness) -> Result<(LayerTree, Vec<Warning>), Refusal> {
    let limits = Limits::default();
    let mut reader = Reader::new(limits.clone(), strictness);
    let mut builder = LayerTreeBuilder::new(Algorithm::Sha256, limits, strictness);
    let mut input = tar;
    while reader.next(&mut input)?.item == Item::Entry {
        let slot = builder.add(reader.entry())?;
        let Some(body) = reader.take_body(&mut input) else { break };
        if let Some(slot) = slot {
            builder.set_content(slot, FileContent::Inline(body))?;
        }
    }
    let mut all = reader.finish()?.list().to_vec();
    let (tree, warnings) = builder.finish()?;
    all.extend_from_slice(warnings.list());
    Ok((tree, all))
}

/// Why a layer's tree is refused.
pub fn tree_refusal(tar: &[u8]) -> Reason {
    build(tar, Strictness::Normal)
        .map(|(tree, _)| lines(&tree))
        .expect_err("the layer is hostile")
        .reason()
        .clone()
}

pub fn tree_warnings(tar: &[u8]) -> Vec<Warning> {
    build(tar, Strictness::Normal).expect("the layer is honest").1
}

/// The tree of a layer that is taken, a line an entry.
pub fn tree(tar: &[u8]) -> Vec<String> {
    lines(&build(tar, Strictness::Normal).expect("the layer is honest").0)
}

/// Lines as `usr/bin dir`, implicit directories as `dir?`, opaque ones as `dir opaque`, files with their content.
pub fn lines(tree: &LayerTree) -> Vec<String> {
    let mut out = Vec::new();
    if !tree.root().is_implicit() || tree.root().is_opaque() {
        out.push(line("/", tree.root()));
    }
    below("", tree.root(), &mut out);
    out
}

fn below(path: &str, directory: LayerEntry<'_>, out: &mut Vec<String>) {
    for entry in directory.children() {
        let path =
            if path.is_empty() { text(entry.name()) } else { format!("{path}/{}", text(entry.name())) };
        out.push(line(&path, entry));
        below(&path, entry, out);
    }
}

fn line(path: &str, entry: LayerEntry<'_>) -> String {
    let what = match entry.kind() {
        EntryKind::Directory if entry.is_implicit() => "dir?".to_owned(),
        EntryKind::Directory => "dir".to_owned(),
        EntryKind::Link(target) => format!("link to {}", text(target)),
        EntryKind::Whiteout => "whiteout".to_owned(),
        EntryKind::Passage => "passage".to_owned(),
        EntryKind::Leaf => match entry.inode().expect("leaves have inodes").content() {
            Content::Inline(bytes) => format!("file {}", text(bytes)),
            Content::Symlink(target) => format!("-> {}", text(target)),
            Content::CharDevice(number) => format!("char {number:#x}"),
            Content::BlockDevice(number) => format!("block {number:#x}"),
            Content::Fifo => "fifo".to_owned(),
            other => panic!("no leaf: {other:?}"),
        },
    };
    let removes = entry.removes_lower() && entry.kind() != EntryKind::Whiteout;
    let opaque = if removes {
        " over whiteout"
    } else if entry.is_opaque() && !entry.removes_lower() {
        " opaque"
    } else {
        ""
    };
    format!("{path} {what}{opaque}")
}
