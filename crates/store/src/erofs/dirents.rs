//! The entries of a directory of an image that is read.
//!
//! A block of entries is a table of heads (nid, offset of the name, type), then the names without separators; the last
//! name ends with the block or at a NUL.

use super::{
    error::ImageError,
    format::{BLOCK, DIRENT_LEN},
    image::{Image, u16_at, u64_at},
    inode::Inode,
};
use crate::tree::FileType;

/// Calls `visit` with the name and the nid of each entry, `.` and `..` left out.
pub(super) fn visit<'a, E: From<ImageError>>(
    image: &Image<'a>,
    directory: &Inode<'a>,
    mut visit: impl FnMut(&'a [u8], u64) -> Result<(), E>,
) -> Result<(), E> {
    if directory.file_type != FileType::Directory {
        return Err(ImageError::Corrupt { what: "not a directory", at: directory.start }.into());
    }
    let corrupt = ImageError::Corrupt { what: "a directory block is malformed", at: directory.start };
    let (blocks, tail) = directory.content(image)?;
    let block_len = usize::try_from(BLOCK).unwrap_or(usize::MAX);
    for block in blocks.chunks(block_len).chain((!tail.is_empty()).then_some(tail)) {
        let head_len = usize::try_from(DIRENT_LEN).unwrap_or(usize::MAX);
        // The first name comes right after the heads.
        let heads = block
            .get(..usize::from(u16_at(block, 8)))
            .filter(|heads| !heads.is_empty() && heads.len() % head_len == 0);
        let mut heads = heads.ok_or_else(|| corrupt.clone())?.chunks_exact(head_len).peekable();
        while let Some(head) = heads.next() {
            let start = usize::from(u16_at(head, 8));
            let name = match heads.peek() {
                Some(next) => block.get(start..usize::from(u16_at(next, 8))),
                None => block.get(start..).map(until_nul),
            };
            match name.ok_or_else(|| corrupt.clone())? {
                b"." | b".." => {}
                name => visit(name, u64_at(head, 0))?,
            }
        }
    }
    Ok(())
}

fn until_nul(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}
