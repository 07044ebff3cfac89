//! Finding the policy in an image's tree.
//!
//! What lives here: the paths below `/etc/selinux` and the reading of the files, symlinks not followed. What does not:
//! their formats ([`Policy`](super::Policy)).

use sealstone_store::{
    ObjectId,
    tree::{Content, FileType, InodeId, Tree},
};

use super::PolicyFiles;
use crate::DeployError;

/// The most bytes that one file of a policy may have: real ones have less than 1 MiB.
const POLICY_FILE_MAX: u64 = 16 << 20;

/// Reads an object whole: its id, and a limit in bytes.
pub type ReadObject<'a> = dyn Fn(&ObjectId, u64) -> Result<Vec<u8>, DeployError> + 'a;

/// The files of the policy that the image's `/etc/selinux/config` names; `None` when it names none.
///
/// # Errors
/// [`DeployError::Policy`] when it names one that is not there or not readable as text.
pub fn read_policy(tree: &Tree, read_object: &ReadObject<'_>) -> Result<Option<PolicyFiles>, DeployError> {
    let Some(selinux) = folder(tree, tree.root(), "etc/selinux")? else { return Ok(None) };
    let Some(config) = text(tree, selinux, "config", read_object)? else { return Ok(None) };
    let Some(name) = policy_type(&config) else { return Ok(None) };
    let place = format!("{name}/contexts/files");
    let missing =
        |what: &str| DeployError::Policy { place: what.to_owned(), reason: "it is not there".into() };
    let files = folder(tree, selinux, &place)?.ok_or_else(|| missing(&format!("/etc/selinux/{place}")))?;
    let read = |name: &str| text(tree, files, name, read_object);
    Ok(Some(PolicyFiles {
        contexts: read("file_contexts")?.ok_or_else(|| missing("file_contexts"))?,
        local: read("file_contexts.local")?,
        homedirs: read("file_contexts.homedirs")?,
        subs: read("file_contexts.subs")?,
        subs_dist: read("file_contexts.subs_dist")?,
    }))
}

/// The value of the first `SELINUXTYPE`; a comment's key begins with `#`, so it is another.
fn policy_type(config: &str) -> Option<&str> {
    let assignments = config.lines().filter_map(|line| line.split_once('='));
    let of_type = |(key, _): &(&str, &str)| key.trim().eq_ignore_ascii_case("SELINUXTYPE");
    assignments.into_iter().find(of_type).map(|(_, value)| value.trim())
}

fn folder(tree: &Tree, from: InodeId, path: &str) -> Result<Option<InodeId>, DeployError> {
    let mut here = from;
    for name in path.split('/') {
        match tree.lookup(here, name.as_bytes()) {
            None => return Ok(None),
            Some(inode) if tree.file_type(inode) == FileType::Directory => here = inode,
            Some(_) => {
                return Err(DeployError::Policy { place: path.to_owned(), reason: "no directory".into() });
            }
        }
    }
    Ok(Some(here))
}

fn text(
    tree: &Tree,
    folder: InodeId,
    name: &str,
    read_object: &ReadObject<'_>,
) -> Result<Option<String>, DeployError> {
    let refuse = |reason: &str| DeployError::Policy { place: name.to_owned(), reason: reason.to_owned() };
    let Some(inode) = tree.lookup(folder, name.as_bytes()) else { return Ok(None) };
    let bytes = match tree.content(inode) {
        Content::Inline(bytes) => bytes.to_vec(),
        Content::External { size, .. } if size > POLICY_FILE_MAX => {
            return Err(DeployError::TooBig {
                what: format!("SELinux policy's {name}"),
                size,
                limit: POLICY_FILE_MAX,
            });
        }
        Content::External { object, .. } => read_object(&object, POLICY_FILE_MAX)?,
        _ => return Err(refuse("it is not a regular file")),
    };
    String::from_utf8(bytes).map(Some).map_err(|_| refuse("it is not UTF-8"))
}
