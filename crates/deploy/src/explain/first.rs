//! The first path in which two trees differ, and how, in words.

use std::{collections::HashMap, fmt};

use sealstone_store::tree::{Attribute, Change, Content, FileType, InodeId, Timestamp, Tree};

/// Where two images differ first, in preorder, children bytewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// The path; bytes that are no plain text are escaped.
    pub path: String,
    /// What differs: `type`, `content`, `target`, `device`, `mode`, `owner`, `group`, `time`, `xattr NAME`, `presence` or
    /// `hardlink`.
    pub what: String,
    /// What it is here.
    pub ours: String,
    /// What it is in the other image.
    pub theirs: String,
}

impl fmt::Display for FirstDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, what, ours, theirs } = self;
        write!(f, "{path}: {what} is {ours} here and {theirs} there")
    }
}

impl FirstDifference {
    /// Compares two trees; none when they are the same.
    pub(super) fn find(ours: &Tree, theirs: &Tree) -> Option<Self> {
        let Some(difference) = ours.diff(theirs).next() else { return links(ours, theirs) };
        let path = shown(&difference.path);
        let absent = || "absent".to_owned();
        let (what, ours, theirs) = match difference.change {
            Change::Added(inode) => ("presence".into(), absent(), type_name(theirs.file_type(inode)).into()),
            Change::Removed(inode) => ("presence".into(), type_name(ours.file_type(inode)).into(), absent()),
            Change::Changed { before, after, attributes } => {
                let attribute = attributes.first()?;
                (word(attribute), value(attribute, ours, before), value(attribute, theirs, after))
            }
        };
        Some(Self { path, what, ours, theirs })
    }
}

fn word(attribute: &Attribute) -> String {
    let word = match attribute {
        Attribute::Type => "type",
        Attribute::Content => "content",
        Attribute::Target => "target",
        Attribute::Device => "device",
        Attribute::Mode => "mode",
        Attribute::Owner => "owner",
        Attribute::Group => "group",
        Attribute::Time => "time",
        Attribute::Xattr(name) => return format!("xattr {}", shown(name)),
        _ => "something",
    };
    word.to_owned()
}

fn value(attribute: &Attribute, tree: &Tree, inode: InodeId) -> String {
    let metadata = tree.metadata(inode);
    match attribute {
        Attribute::Mode => format!("{:04o}", metadata.mode),
        Attribute::Owner => metadata.uid.to_string(),
        Attribute::Group => metadata.gid.to_string(),
        Attribute::Time => {
            let Timestamp { sec, nsec } = metadata.mtime;
            format!("{sec}.{nsec:09}")
        }
        Attribute::Xattr(name) => match tree.xattrs(inode).get(name) {
            Some(value) => format!("\"{}\"", shown(value)),
            None => "absent".to_owned(),
        },
        Attribute::Type => type_name(tree.file_type(inode)).to_owned(),
        _ => match tree.content(inode) {
            Content::Inline(bytes) => format!("{} bytes inside the image", bytes.len()),
            Content::External { object, size } => format!("{size} bytes, object {object}"),
            Content::Symlink(target) => format!("\"{}\"", shown(target)),
            Content::CharDevice(number) | Content::BlockDevice(number) => number.to_string(),
            Content::Directory | Content::Fifo | Content::Socket => {
                type_name(tree.file_type(inode)).to_owned()
            }
        },
    }
}

const fn type_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::CharDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
    }
}

/// The first path that is a hardlink in one of two trees alone, or to another path. Both have the same paths.
fn links(ours: &Tree, theirs: &Tree) -> Option<FirstDifference> {
    let mut walks = (ours.walk(), theirs.walk());
    let mut first: (HashMap<InodeId, Vec<u8>>, HashMap<InodeId, Vec<u8>>) = Default::default();
    loop {
        let (path, our_inode) = walks.0.next_entry()?;
        let (_, their_inode) = walks.1.next_entry()?;
        let our_first = first.0.entry(our_inode).or_insert_with(|| path.to_vec());
        let their_first = first.1.entry(their_inode).or_insert_with(|| path.to_vec());
        if our_first != their_first {
            let link = |first: &[u8]| {
                if first == path {
                    "a file of its own".to_owned()
                } else {
                    format!("a link to {}", shown(first))
                }
            };
            let (ours, theirs) = (link(our_first), link(their_first));
            return Some(FirstDifference { path: shown(path), what: "hardlink".to_owned(), ours, theirs });
        }
    }
}

/// Bytes for people: controls and what is no ASCII escaped.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}
