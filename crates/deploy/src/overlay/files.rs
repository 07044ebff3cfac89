//! Overlays of single files, and the files that are made from a few words: host name, keys of root, fstab.

use std::path::PathBuf;

use sealstone_import::encode_base64;
use sealstone_store::tree::{Content, Tree};

use crate::DeployError;

/// The longest host name, in bytes (gethostname(2), `HOST_NAME_MAX`).
const HOST_NAME_MAX: usize = 64;

/// Where bootc puts the keys of root, and so do we: the file survives a change of tools.
const ROOT_KEYS: &str = "/etc/tmpfiles.d/bootc-root-ssh.conf";

/// A file below `/etc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayFile {
    /// Its path, from the root on: `etc/hostname`.
    pub(super) path: String,
    /// Its content.
    pub(super) body: FileBody,
    /// Its permissions (07777); those of its source if there is none.
    pub(super) mode: Option<u16>,
}

/// The content of a file of an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileBody {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this file of the disk has. Symlinks are followed.
    File(PathBuf),
}

impl OverlayFile {
    /// A file at a path, such as `/etc/issue`, with the content of `body` and the permissions of the file that it is.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when the path is not below `/etc`.
    pub fn at(path: &str, body: FileBody) -> Result<Self, DeployError> {
        let is_path = |rest: &str| {
            rest.split('/').all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255)
                && !rest.contains('\0')
                && !rest.split('/').any(|name| name.starts_with(".wh."))
        };
        if !path.strip_prefix("/etc/").is_some_and(is_path) {
            return Err(invalid("path of an overlay", path, "a file of an overlay is below /etc/"));
        }
        let mode = matches!(body, FileBody::Bytes(_)).then_some(0o644);
        Ok(Self { path: path.trim_start_matches('/').to_owned(), body, mode })
    }

    /// `/etc/hostname` with this name.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when it is none: see hostname(7).
    pub fn hostname(name: &str) -> Result<Self, DeployError> {
        let is_label = |label: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !label.is_empty() && label.chars().all(plain) && !label.starts_with('-') && !label.ends_with('-')
        };
        if name.len() > HOST_NAME_MAX || !name.split('.').all(is_label) {
            let reason =
                "up to 64 letters, digits, hyphens and dots, none of the last two at the ends of a label";
            return Err(invalid("host name", name, reason));
        }
        Self::at("/etc/hostname", FileBody::Bytes(format!("{name}\n").into_bytes()))
    }

    /// The keys that may log in as root, as a rule for systemd-tmpfiles: the home of root is on `/var`, which is the
    /// machine's own and is not there yet. File, name and line are those of `bootc install --root-ssh-authorized-keys`.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when there is no key, or the image's `/root` cannot be written in such a rule.
    pub fn root_keys(image: &Tree, keys: &str) -> Result<Self, DeployError> {
        let is_key = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if !keys.lines().any(is_key) {
            return Err(invalid("list of keys", "authorized_keys", "there is no key in it"));
        }
        let home = home_of_root(image);
        if !home.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.')) {
            return Err(invalid("home of root", &home, "it cannot be written into a rule of tmpfiles.d"));
        }
        let keys = encode_base64(keys.as_bytes());
        let rule = format!("f~ {home}/.ssh/authorized_keys 600 root root - {keys}\n");
        Self::at(ROOT_KEYS, FileBody::Bytes(rule.into_bytes()))
    }
}

/// Where the image's `/root` is: itself, or what it is a symlink to.
fn home_of_root(image: &Tree) -> String {
    let link = image.lookup(image.root(), b"root").map(|inode| image.content(inode));
    let Some(Content::Symlink(target)) = link else { return "/root".to_owned() };
    let mut names: Vec<String> = Vec::new();
    for name in String::from_utf8_lossy(target).split('/') {
        match name {
            "" | "." => {}
            // The root is its own parent.
            ".." => drop(names.pop()),
            name => names.push(name.to_owned()),
        }
    }
    format!("/{}", names.join("/"))
}

fn invalid(what: &'static str, text: &str, reason: &str) -> DeployError {
    DeployError::Invalid { what, text: text.to_owned(), reason: reason.to_owned() }
}
