//! A small writer of raw tars, and readers that turn them into things to compare.

use sealstone_import::Limits;
use sealstone_import::layer_tree::{EntryKind, FileContent, LayerEntry, LayerTree, LayerTreeBuilder};
use sealstone_import::tar::{Entry, Item, Reader, Reason, Refusal, Strictness, Warning};
use sealstone_store::Algorithm;
use sealstone_store::tree::Content;

/// A header block under construction: ustar, 0644, 0:0, time 0.
#[derive(Clone)]
pub struct Header(pub [u8; 512]);

impl Header {
    pub fn new(typeflag: u8, name: impl AsRef<[u8]>) -> Self {
        let mut header = Self([0; 512]).field(0..100, name.as_ref());
        header.0[156] = typeflag;
        header
            .field(257..265, b"ustar\x0000")
            .mode(0o644)
            .octal(108..116, 0)
            .octal(116..124, 0)
            .size(0)
            .mtime(0)
    }

    /// Overwrites a field, the rest of it with NULs.
    pub fn field(mut self, range: std::ops::Range<usize>, value: &[u8]) -> Self {
        assert!(value.len() <= range.len(), "{} bytes do not fit", value.len());
        self.0[range.clone()].fill(0);
        self.0[range.start..range.start + value.len()].copy_from_slice(value);
        self
    }

    pub fn octal(self, range: std::ops::Range<usize>, value: u64) -> Self {
        let digits = range.len() - 1;
        self.field(range, format!("{value:0digits$o}").as_bytes())
    }

    pub fn mode(self, mode: u64) -> Self {
        self.octal(100..108, mode)
    }

    pub fn size(self, size: u64) -> Self {
        self.octal(124..136, size)
    }

    pub fn mtime(self, mtime: u64) -> Self {
        self.octal(136..148, mtime)
    }

    pub fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.field(157..257, target.as_ref())
    }

    pub fn device(self, major: u64, minor: u64) -> Self {
        self.octal(329..337, major).octal(337..345, minor)
    }

    pub fn gnu(self) -> Self {
        self.field(257..265, b"ustar  \0")
    }

    pub fn v7(self) -> Self {
        self.field(257..265, b"")
    }

    /// The block with its checksum.
    pub fn done(self) -> [u8; 512] {
        let mut header = self.field(148..156, b"        ");
        let sum: u32 = header.0.iter().map(|byte| u32::from(*byte)).sum();
        header = header.field(148..156, format!("{sum:06o}\0 ").as_bytes());
        header.0
    }
}

/// A tar under construction.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A header, and a body padded to whole blocks. The header's size is left as it is.
    pub fn entry(self, header: Header, body: &[u8]) -> Self {
        let padding = body.len().next_multiple_of(512) - body.len();
        self.raw(&header.done()).raw(body).raw(&vec![0; padding])
    }

    pub fn file(self, name: &str, body: &[u8]) -> Self {
        self.entry(Header::new(b'0', name).size(body.len() as u64), body)
    }

    pub fn dir(self, name: &str) -> Self {
        self.entry(Header::new(b'5', name).mode(0o750), b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Header::new(b'2', name).mode(0o777).link(target), b"")
    }

    pub fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(Header::new(b'1', name).link(target), b"")
    }

    /// An extended header of this type with raw text.
    pub fn extended(self, typeflag: u8, text: &[u8]) -> Self {
        self.entry(Header::new(typeflag, "PaxHeaders/x").size(text.len() as u64), text)
    }

    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.extended(b'x', &pax_text(records))
    }

    pub fn zeros(self, blocks: usize) -> Self {
        self.raw(&vec![0; blocks * 512])
    }

    /// The bytes, with the two zero blocks of the end.
    pub fn end(self) -> Vec<u8> {
        self.zeros(2).0
    }
}

pub fn pax_text(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while len.to_string().len() + rest != len {
            len = len.to_string().len() + rest;
        }
        text.extend_from_slice(format!("{len} {key}=").as_bytes());
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    text
}

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
