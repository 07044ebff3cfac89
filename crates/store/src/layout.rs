//! Where things are inside a repository: the only file that knows its path names.
//!
//! What lives here: the names of folders and files, and the texts of symlinks, made and taken apart. What does not:
//! reading or writing any of them. The layout is composefs' (see `docs/format.md`); all that is ours alone is below
//! [`OWN`], which other programs ignore and which can be thrown away at any time.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use crate::{ObjectId, RefName};

/// The repository's own description: version, algorithm, features.
pub const META: &str = "meta.json";
/// The folder of the objects: `XX/` and the rest of the id's hexadecimal digits.
pub const OBJECTS: &str = "objects";
/// The folder of the images: a symlink for each, named by its id.
pub const IMAGES: &str = "images";
/// The folder of the streams: a symlink for each, named by what it holds.
pub const STREAMS: &str = "streams";
/// The folder of the refs, in [`IMAGES`] and in [`STREAMS`]: what gc starts from.
pub const REFS: &str = "refs";
/// The folder that is ours alone.
pub const OWN: &str = "sealstone";
/// Temporary names, in [`OWN`]: worth nothing unless a process that holds the lock uses them.
pub const TEMPORARY: &str = "tmp";
/// Records of decoded layers, in [`OWN`]: a cache.
pub const LAYERS: &str = "layers";
/// What is known of the kernels of images that boot, in [`OWN`]: a cache, a file for each image.
pub const KERNELS: &str = "kernels";
/// Segments of the index of contents by SHA-256, in [`OWN`].
pub const CONTENTS: &str = "contents";
/// What the stream is called that a record of a decoded layer belongs to: this and the record's name.
pub const LAYER_STREAM: &str = "oci-layer-";
/// Where the images of OCI names came from, in [`OWN`]: a file for each name.
pub const ORIGINS: &str = "origins";
/// Damaged files that repair put aside, in [`OWN`].
pub const QUARANTINE: &str = "quarantine";
/// Marks of transactions whose objects may not be on the disk yet, in [`OWN`].
pub const UNSYNCED: &str = "unsynced";
/// How fs-verity is done here, in [`OWN`].
pub const VERITY: &str = "verity";

/// The mode of an object.
pub const OBJECT_MODE: u16 = 0o644;
/// The mode of a temporary file that never becomes an object.
pub const PRIVATE_MODE: u16 = 0o600;
/// The mode of a folder inside the repository.
pub const FOLDER_MODE: u16 = 0o755;
/// The mode of the repository itself.
pub const REPOSITORY_MODE: u16 = 0o700;

/// The name of the object folder for this first byte: two hexadecimal digits.
#[must_use]
pub fn fan_out(first_byte: u8) -> String {
    format!("{first_byte:02x}")
}

/// The text of the symlink `images/<id>` or `streams/<name>`: where the object is, seen from there.
#[must_use]
pub fn object_link(id: &ObjectId) -> String {
    format!("../{OBJECTS}/{}", id.object_path())
}

/// The object that such a symlink names, if it is one: the last two parts of the text make the id, as composefs reads it.
#[must_use]
pub fn linked_object(text: &Path) -> Option<ObjectId> {
    let text = text.to_str()?;
    let (rest, name) = text.rsplit_once('/')?;
    let first = rest.rsplit_once('/').map_or(rest, |(_, first)| first);
    object_of_parts(first, name)
}

/// The object that has this place below [`OBJECTS`].
#[must_use]
pub fn object_of_parts(folder: &str, name: &str) -> Option<ObjectId> {
    (folder.len() == 2).then(|| format!("{folder}{name}").parse().ok()).flatten()
}

/// The file in [`ORIGINS`] of an OCI name: what the ref's own file is called.
#[must_use]
pub fn origin_file(name: &RefName) -> Option<&str> {
    name.as_str().strip_prefix("oci/").filter(|file| !file.contains('/'))
}

/// The text of the symlink `refs/<name>`: the entry of the folder above `refs`, seen from the ref.
#[must_use]
pub fn ref_link(name: &RefName, entry: &str) -> String {
    let mut text = "../".repeat(name.depth());
    text.push_str(entry);
    text
}

/// The entry that a ref's symlink names: the last part of its text, as composefs reads it.
#[must_use]
pub fn linked_entry(text: &Path) -> Option<&str> {
    let bytes = text.as_os_str().as_bytes();
    let last = bytes.rsplit(|&byte| byte == b'/').next()?;
    let entry = OsStr::from_bytes(last).to_str()?;
    (!matches!(entry, "" | "." | "..")).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, verity};

    #[test]
    fn the_text_of_a_symlink_reads_back_as_what_it_names() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let id = verity::digest(algorithm, b"x");
            assert_eq!(linked_object(Path::new(&object_link(&id))), Some(id));
        }
        let name: RefName = "a/b/c".parse().unwrap();
        assert_eq!(ref_link(&name, "entry"), "../../../entry");
        assert_eq!(linked_entry(Path::new("../../../entry")), Some("entry"));
    }

    #[test]
    fn other_texts_name_nothing() {
        for text in ["", "/", "../objects/", "../objects/ab/cd", "../objects/a/b", "objects"] {
            assert_eq!(linked_object(Path::new(text)), None, "{text}");
        }
        for text in ["", "/", "..", "a/..", "a/"] {
            assert_eq!(linked_entry(Path::new(text)), None, "{text}");
        }
    }
}
