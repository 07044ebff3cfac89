//! What one line of a dump says about a file, after its path.

use std::borrow::Cow;

use super::{
    error::DumpProblem,
    fields::{Fields, Xattr},
};
use crate::{
    ObjectId,
    tree::{Content, FileType, Metadata, Tree, XattrSet},
};

/// The size and the mode, which say how to read the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    size: u64,
    permissions: u16,
    pub(super) file_type: FileType,
    /// A second or later name.
    pub(super) is_link: bool,
}

impl Head {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, DumpProblem> {
        let size = fields.number("size")?;
        let field = fields.next("mode")?;
        let (is_link, mode) = field.strip_prefix(b"@").map_or((false, field), |mode| (true, mode));
        let mode = str::from_utf8(mode).ok().and_then(|mode| u16::from_str_radix(mode, 8).ok());
        let typed = mode.and_then(|mode| Some((mode, FileType::from_mode(mode)?)));
        let (mode, file_type) = typed.ok_or(DumpProblem::Field("mode"))?;
        Ok(Self { size, permissions: mode & 0o7777, file_type, is_link })
    }
}

/// A file with all fields of its line.
#[derive(Debug)]
pub(super) struct File<'a> {
    head: Head,
    pub(super) metadata: Metadata,
    rdev: u32,
    payload: Option<Cow<'a, [u8]>>,
    content: Option<Cow<'a, [u8]>>,
    digest: Option<Cow<'a, [u8]>>,
    xattrs: Vec<Xattr<'a>>,
}

impl<'a> File<'a> {
    pub(super) fn read(head: Head, mut fields: Fields<'a>) -> Result<Self, DumpProblem> {
        fields.number::<u32>("nlink")?;
        let (uid, gid, rdev) = (fields.number("uid")?, fields.number("gid")?, fields.number("rdev")?);
        let mtime = fields.time()?;
        let (payload, content) = (fields.optional("payload")?, fields.optional("content")?);
        let digest = fields.optional("digest")?;
        let mut xattrs = Vec::new();
        while let Some(xattr) = fields.xattr()? {
            xattrs.push(xattr);
        }
        let metadata = Metadata { mode: head.permissions, uid, gid, mtime };
        Ok(Self { head, metadata, rdev, payload, content, digest, xattrs })
    }

    /// The content. What belongs to another type of file has to be absent.
    pub(super) fn content(&self) -> Result<Content<'_>, DumpProblem> {
        let Self { rdev, payload, content, digest, .. } = self;
        let unless =
            |is_there: bool, name| if is_there { Err(DumpProblem::Unexpected(name)) } else { Ok(()) };
        let file_type = self.head.file_type;
        if file_type != FileType::Regular {
            unless(content.is_some(), "content")?;
            unless(digest.is_some(), "digest")?;
        }
        if !matches!(file_type, FileType::CharDevice | FileType::BlockDevice) {
            unless(*rdev != 0, "device number")?;
        }
        if !matches!(file_type, FileType::Regular | FileType::Symlink) {
            unless(payload.is_some(), "payload")?;
        }
        Ok(match file_type {
            FileType::Regular => return self.regular(),
            FileType::Symlink => Content::Symlink(payload.as_deref().ok_or(DumpProblem::Field("payload"))?),
            FileType::Directory => Content::Directory,
            FileType::CharDevice => Content::CharDevice(*rdev),
            FileType::BlockDevice => Content::BlockDevice(*rdev),
            FileType::Fifo => Content::Fifo,
            FileType::Socket => Content::Socket,
        })
    }

    fn regular(&self) -> Result<Content<'_>, DumpProblem> {
        let Some(path) = &self.payload else {
            if self.digest.is_some() {
                return Err(DumpProblem::Unexpected("digest"));
            }
            let bytes = self.content.as_deref().unwrap_or_default();
            return match self.head.size {
                size if size == bytes.len() as u64 => Ok(Content::Inline(bytes)),
                _ if bytes.is_empty() => Err(DumpProblem::Unsupported("a file without content")),
                _ => Err(DumpProblem::Field("size")),
            };
        };
        if self.content.is_some() {
            return Err(DumpProblem::Unexpected("content"));
        }
        let digest =
            self.digest.as_deref().ok_or(DumpProblem::Unsupported("an object without its digest"))?;
        let object: Option<ObjectId> = str::from_utf8(digest).ok().and_then(|digest| digest.parse().ok());
        let object = object.ok_or(DumpProblem::Field("digest"))?;
        if path.strip_prefix(b"/").unwrap_or(path) != object.object_path().as_bytes() {
            return Err(DumpProblem::Unsupported("a payload that is not the path of the object"));
        }
        Ok(Content::External { object, size: self.head.size })
    }

    /// The extended attributes as a set of the tree.
    pub(super) fn intern(&self, tree: &mut Tree) -> Result<XattrSet, DumpProblem> {
        let pairs: Vec<(&[u8], &[u8])> =
            self.xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        Ok(tree.intern_xattrs(&pairs)?)
    }
}
