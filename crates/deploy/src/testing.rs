//! Fixtures for the unit tests of this crate: layers written as tars by the crate `tar`, trees as text, and machines.

mod bootc;
mod faults;
mod journalled;
mod left;
mod machine;
mod published;
mod sealed;
mod small_esp;

use std::fmt::Write;

pub(crate) use bootc::BootcBoots;
pub(crate) use faults::{Failure, changes, cut_at_every_point, cut_at_every_point_on, fail_at_every_call};
pub(crate) use journalled::{Emptying, Journalled};
pub(crate) use left::{LARGE, bootable, end_state};
pub(crate) use machine::{Machine, System, deploy_on};
pub(crate) use published::Published;
pub(crate) use sealed::Sealed;
pub(crate) use small_esp::SmallEsp;

use crate::Record;
use sealstone_import::{
    Limits,
    layer_tree::{FileContent, LayerTree, LayerTreeBuilder},
    tar::{Item, Reader, Strictness},
};
use sealstone_store::{
    Algorithm, ObjectId,
    tree::{Content, Metadata, Tree},
    verity,
};

/// A record of some deployment.
pub(crate) fn record() -> Record {
    let (hex, digest) = ("ab".repeat(64), format!("sha256:{}", "cd".repeat(32)));
    serde_json::from_value(serde_json::json!({
        "version": 1, "id": hex, "state": "deployed", "serial": 1, "order": 1, "time": 1_700_000_000,
        "image": {"reference": "docker://quay.io/os:1", "manifest": digest, "config": digest, "id": hex,
                  "profile": "bootable", "verity": "optional"},
        "os": {"id": "debian", "title": "Debian 13", "version": "13"},
        "kernel": {"version": "6.12", "digest": "ef".repeat(32), "vmlinuz": 10, "initramfs": 20},
        "kargs": [{"karg": "quiet", "origin": "caller"}],
    }))
    .unwrap()
}

/// One entry of a layer: a path and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Dir(String, u32),
    File(String, u32, String),
    Symlink(String, String),
    Link(String, String),
    /// A file that is no text.
    Bytes(String, Vec<u8>),
    /// A file with this extended attribute.
    Attribute(String, String, String),
}

pub(crate) fn dir(path: &str, mode: u32) -> Entry {
    Entry::Dir(path.into(), mode)
}

pub(crate) fn file(path: &str, text: &str) -> Entry {
    Entry::File(path.into(), 0o644, text.into())
}

pub(crate) fn symlink(path: &str, target: &str) -> Entry {
    Entry::Symlink(path.into(), target.into())
}

pub(crate) fn link(path: &str, target: &str) -> Entry {
    Entry::Link(path.into(), target.into())
}

/// A whiteout of a name, or of all in a folder (`folder/.wh..opq`).
pub(crate) fn whiteout(path: &str) -> Entry {
    file(path, "")
}

/// The tree of a layer with these entries, through a real tar. Times are the position in the list.
pub(crate) fn layer(entries: &[Entry]) -> LayerTree {
    let algorithm = Algorithm::default();
    read(algorithm, &tar_of(entries), |body| verity::digest(algorithm, body))
}

/// The tar of these entries.
pub(crate) fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (position, entry) in entries.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(position as u64);
        header.set_uid(1);
        header.set_gid(2);
        header.set_size(0);
        let (path, body) = match entry {
            Entry::Dir(path, mode) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                (path, &b""[..])
            }
            Entry::File(path, mode, text) => {
                header.set_mode(*mode);
                header.set_size(text.len() as u64);
                (path, text.as_bytes())
            }
            Entry::Bytes(path, bytes) => {
                header.set_mode(0o644);
                header.set_size(bytes.len() as u64);
                (path, bytes.as_slice())
            }
            Entry::Attribute(path, key, value) => {
                header.set_mode(0o644);
                builder
                    .append_pax_extensions([(format!("SCHILY.xattr.{key}").as_str(), value.as_bytes())])
                    .unwrap();
                (path, &b""[..])
            }
            Entry::Symlink(path, target) | Entry::Link(path, target) => {
                let hard = matches!(entry, Entry::Link(..));
                header.set_entry_type(if hard { tar::EntryType::Link } else { tar::EntryType::Symlink });
                header.set_mode(0o777);
                header.set_link_name(target).unwrap();
                (path, &b""[..])
            }
        };
        builder.append_data(&mut header, path, body).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The tree of a tar; larger files become what `put` says.
fn read(algorithm: Algorithm, bytes: &[u8], put: impl Fn(&[u8]) -> ObjectId) -> LayerTree {
    let mut reader = Reader::new(Limits::default(), Strictness::default());
    let mut builder = LayerTreeBuilder::new(algorithm, Limits::default(), Strictness::default());
    let mut input = bytes;
    while reader.next(&mut input).unwrap().item == Item::Entry {
        let slot = builder.add(reader.entry()).unwrap();
        let body = reader.take_body(&mut input).unwrap();
        if let Some(slot) = slot {
            let content = if body.len() > sealstone_store::tree::INLINE_MAX {
                FileContent::Object { id: put(body), size: body.len() as u64 }
            } else {
                FileContent::Inline(body)
            };
            builder.set_content(slot, content).unwrap();
        }
    }
    builder.finish().unwrap().0
}

/// A tree as lines: path, type, mode, owner, time, and what it says; names of one inode carry its number.
pub(crate) fn listing(tree: &Tree) -> Vec<String> {
    let counts = tree.link_counts();
    let mut numbers = std::collections::BTreeMap::new();
    let mut lines = Vec::new();
    let mut walk = tree.walk();
    while let Some((path, inode)) = walk.next_entry() {
        let what = match tree.content(inode) {
            Content::Directory => "dir".to_owned(),
            Content::Inline(bytes) => format!("file {}", bytes.escape_ascii()),
            Content::External { object, size } => format!("object {object:?} {size}"),
            Content::Symlink(target) => format!("-> {}", target.escape_ascii()),
            other => format!("{other:?}"),
        };
        let mut line = format!("{} {what}", path.escape_ascii());
        let metadata = tree.metadata(inode);
        if tree.content(inode) == Content::Directory {
            let Metadata { mode, uid, gid, mtime } = metadata;
            write!(line, " {mode:o} {uid}:{gid} @{}", mtime.sec).unwrap();
        }
        if counts[inode.index()] > 1 {
            let next = numbers.len();
            write!(line, " #{}", numbers.entry(inode).or_insert(next)).unwrap();
        }
        lines.push(line);
    }
    lines
}
