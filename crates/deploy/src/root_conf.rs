//! How the image's initramfs will put the root together: which of `/etc` and `/var` are the deployment's own.
//!
//! What lives here: `setup-root-conf.toml` of composefs, and `prepare-root.conf` of ostree where the former is not there.
//! What does not: mounting. Invariants: only the image is asked; a key that nobody knows changes nothing.
//! Sources: `composefs-setup-root` and bootc's initramfs (`[root] transient`, `[etc]`/`[var]` `mount` and `transient`, of
//! which `mount` wins; by default `/etc` and `/var` are bind mounts); ostree-prepare-root(1).

use sealstone_store::{Repository, tree::Tree};
use serde::{Deserialize, Serialize};

use crate::{DeployError, image_tree::read_text};

/// The most bytes of either file.
const CONF_MAX: u64 = 1 << 20;

const SETUP_ROOT: &str = "/usr/lib/composefs/setup-root-conf.toml";
/// The first that is there counts.
const PREPARE_ROOT: [&str; 2] = ["/etc/ostree/prepare-root.conf", "/usr/lib/ostree/prepare-root.conf"];

/// What becomes of `/etc`, or of `/var`, when the system boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// The image's own, which is read-only, or as transient as the root.
    None,
    /// The deployment's folder, or the shared `/var`: what is written there stays.
    #[default]
    Bind,
    /// The image's, with what is written kept beside it.
    Overlay,
    /// The image's, with what is written kept in memory until the next boot.
    Transient,
}

impl MountKind {
    /// Whether the deployment's folder is what the system sees.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Bind)
    }
}

/// What the initramfs will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootConf {
    /// The file that says so; none for the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether the root takes writes, and forgets them.
    pub is_root_transient: bool,
    /// What `/etc` is.
    pub etc: MountKind,
    /// What `/var` is.
    pub var: MountKind,
}

/// Reads what an image says.
///
/// # Errors
/// [`DeployError::Unfit`] when a file is there that nobody understands: such a system might not boot.
pub(crate) fn read_root_conf(repository: &Repository, image: &Tree) -> Result<RootConf, DeployError> {
    let unfit = |path: &str, reason: String| DeployError::Unfit {
        profile: "bootable",
        reason: format!("{path}: {reason}"),
    };
    if let Some(text) = read_text(repository, image, SETUP_ROOT, CONF_MAX)? {
        let conf = parse_setup_root(&text).map_err(|reason| unfit(SETUP_ROOT, reason))?;
        return Ok(RootConf { file: Some(SETUP_ROOT.to_owned()), ..conf });
    }
    for path in PREPARE_ROOT {
        if let Some(text) = read_text(repository, image, path, CONF_MAX)? {
            return Ok(RootConf { file: Some(path.to_owned()), ..parse_prepare_root(&text) });
        }
    }
    Ok(RootConf::default())
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct SetupRoot {
    root: Section,
    etc: Section,
    var: Section,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Section {
    mount: Option<String>,
    transient: Option<bool>,
}

fn parse_setup_root(text: &str) -> Result<RootConf, String> {
    let conf: SetupRoot = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let kind = |name: &str, section: &Section| match section.mount.as_deref() {
        None if section.transient == Some(true) => Ok(MountKind::Transient),
        None | Some("bind") => Ok(MountKind::Bind),
        Some("none" | "root") => Ok(MountKind::None),
        Some("overlay") => Ok(MountKind::Overlay),
        Some("transient" | "volatile") => Ok(MountKind::Transient),
        Some(other) => Err(format!("[{name}] mount = {other:?} is no way to mount it")),
    };
    Ok(RootConf {
        file: None,
        is_root_transient: conf.root.transient == Some(true),
        etc: kind("etc", &conf.etc)?,
        var: kind("var", &conf.var)?,
    })
}

/// A keyfile: sections, `key=value`, comments with `#` or `;`. The last value wins.
fn parse_prepare_root(text: &str) -> RootConf {
    let mut conf = RootConf::default();
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) else {
            continue;
        };
        let is_true = matches!(value.trim(), "true" | "yes" | "1");
        match (section, key.trim()) {
            ("root", "transient") => conf.is_root_transient = is_true,
            ("etc", "transient") => conf.etc = if is_true { MountKind::Transient } else { MountKind::Bind },
            _ => {}
        }
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mounts_say_goes_over_transient_and_defaults_are_binds() {
        let parse = |text: &str| parse_setup_root(text).unwrap();
        assert_eq!(parse(""), RootConf::default());
        let conf = parse(
            "[root]\ntransient = true\n[etc]\ntransient = true\n[var]\nmount = \"none\"\ntransient = true\n",
        );
        assert!(conf.is_root_transient);
        assert_eq!((conf.etc, conf.var), (MountKind::Transient, MountKind::None));
        assert_eq!(parse("[etc]\nmount = \"volatile\"\n").etc, MountKind::Transient);
        assert_eq!(parse("[etc]\nmount = \"overlay\"\nfuture = 7\n[more]\n").etc, MountKind::Overlay);
        assert_eq!(parse("[var]\nmount = \"root\"\n").var, MountKind::None);
    }

    #[test]
    fn a_way_to_mount_that_nobody_knows_is_refused() {
        assert!(parse_setup_root("[etc]\nmount = \"nfs\"\n").unwrap_err().contains("nfs"));
        assert!(parse_setup_root("[etc\n").is_err());
    }

    #[test]
    fn the_keyfile_of_ostree_is_understood() {
        let text = "# [etc]\n[composefs]\nenabled = yes\n\n[root]\ntransient=true\n[etc]\n;transient=false\ntransient = yes\n";
        let conf = parse_prepare_root(text);
        assert_eq!(
            (conf.is_root_transient, conf.etc, conf.var),
            (true, MountKind::Transient, MountKind::Bind)
        );
        assert_eq!(parse_prepare_root("[etc]\ntransient=true\ntransient=false").etc, MountKind::Bind);
        assert_eq!(parse_prepare_root("garbage\0\n]["), RootConf::default());
    }
}
