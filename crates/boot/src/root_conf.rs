//! How an initramfs puts the root together: which of `/etc` and `/var` are the deployment's own, and what takes writes.
//!
//! What lives here: `setup-root-conf.toml` of composefs, and `prepare-root.conf` of ostree where the former is not there.
//! What does not: finding the files, mounting. Invariants: a key that nobody knows changes nothing; a way to mount that
//! nobody knows is refused.
//! Sources: `composefs-setup-root` and bootc's initramfs (`[root] transient`, `[etc]`/`[var]` `mount` and `transient`, of
//! which `mount` wins; by default `/etc` and `/var` are bind mounts; `systemd.volatile=` leaves `/var` to systemd);
//! ostree-prepare-root(1).

use serde::{Deserialize, Serialize};

use crate::{BootError, Kargs};

const SETUP_ROOT: &str = "/usr/lib/composefs/setup-root-conf.toml";

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

/// What becomes of the root itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootKind {
    /// The image: nothing can be written.
    #[default]
    Image,
    /// What is written is kept in memory until the next boot.
    Transient,
    /// The same, but mounted read-only until somebody makes it writable (ostree's `transient-ro`).
    TransientReadOnly,
}

/// What the initramfs will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootConf {
    /// The file that says so; none for the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What the root is.
    pub root: RootKind,
    /// What `/etc` is.
    pub etc: MountKind,
    /// What `/var` is; none is said for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    var: Option<MountKind>,
    /// Whether the physical root is mounted read-only, on `/sysroot`.
    pub is_sysroot_read_only: bool,
}

impl Default for RootConf {
    fn default() -> Self {
        Self {
            file: None,
            root: RootKind::Image,
            etc: MountKind::Bind,
            var: None,
            is_sysroot_read_only: true,
        }
    }
}

impl RootConf {
    /// The files that may say it, in a system or an initramfs. The first that is there counts.
    pub const FILES: [&str; 3] =
        [SETUP_ROOT, "/etc/ostree/prepare-root.conf", "/usr/lib/ostree/prepare-root.conf"];

    /// The most bytes that such a file may have.
    pub const FILE_MAX: u64 = 1 << 20;

    /// Reads one of [`RootConf::FILES`].
    ///
    /// # Errors
    /// [`BootError::Invalid`] when the text cannot be understood: such a system might not boot.
    pub fn parse(file: &str, text: &str) -> Result<Self, BootError> {
        let conf = if file == SETUP_ROOT {
            let invalid =
                |reason| BootError::Invalid { what: "root configuration", text: file.into(), reason };
            parse_setup_root(text).map_err(invalid)?
        } else {
            parse_prepare_root(text)
        };
        Ok(Self { file: Some(file.to_owned()), ..conf })
    }

    /// What `/var` is, where the kernel's arguments say nothing of it.
    #[must_use]
    pub fn var(&self) -> MountKind {
        self.var.unwrap_or_default()
    }

    /// What `/var` is with these kernel arguments: systemd puts its own there with `systemd.volatile=state` and
    /// `=overlay`, unless a file says otherwise.
    #[must_use]
    pub fn var_with(&self, kargs: &Kargs) -> MountKind {
        let mut values = kargs.iter().filter(|karg| karg.has_key("systemd.volatile")).map(crate::Karg::value);
        let is_volatile = matches!(values.next_back(), Some(Some("state" | "overlay")));
        self.var.unwrap_or(if is_volatile { MountKind::None } else { MountKind::Bind })
    }
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
        None if section.transient == Some(true) => Ok(Some(MountKind::Transient)),
        None => Ok(None),
        Some("bind") => Ok(Some(MountKind::Bind)),
        Some("none" | "root") => Ok(Some(MountKind::None)),
        Some("overlay") => Ok(Some(MountKind::Overlay)),
        Some("transient" | "volatile") => Ok(Some(MountKind::Transient)),
        Some(other) => Err(format!("[{name}] mount = {other:?} is no way to mount it")),
    };
    Ok(RootConf {
        root: if conf.root.transient == Some(true) { RootKind::Transient } else { RootKind::Image },
        etc: kind("etc", &conf.etc)?.unwrap_or_default(),
        var: kind("var", &conf.var)?,
        ..RootConf::default()
    })
}

/// A keyfile: sections, `key=value`, comments with `#` or `;`. The last value wins.
fn parse_prepare_root(text: &str) -> RootConf {
    let mut conf = RootConf::default();
    let (mut transient, mut read_only) = (false, false);
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
            ("root", "transient") => transient = is_true,
            ("root", "transient-ro") => read_only = is_true,
            ("sysroot", "readonly") => conf.is_sysroot_read_only = is_true,
            ("etc", "transient") => conf.etc = if is_true { MountKind::Transient } else { MountKind::Bind },
            _ => {}
        }
    }
    if read_only {
        conf.root = RootKind::TransientReadOnly;
    } else if transient {
        conf.root = RootKind::Transient;
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
        assert_eq!(conf.root, RootKind::Transient);
        assert_eq!((conf.etc, conf.var()), (MountKind::Transient, MountKind::None));
        assert_eq!(parse("[etc]\nmount = \"volatile\"\n").etc, MountKind::Transient);
        assert_eq!(parse("[etc]\nmount = \"overlay\"\nfuture = 7\n[more]\n").etc, MountKind::Overlay);
        assert_eq!(parse("[var]\nmount = \"root\"\n").var(), MountKind::None);
    }

    #[test]
    fn a_way_to_mount_that_nobody_knows_is_refused() {
        assert!(parse_setup_root("[etc]\nmount = \"nfs\"\n").unwrap_err().contains("nfs"));
        assert!(parse_setup_root("[etc\n").is_err());
    }

    #[test]
    fn a_volatile_system_has_no_var_of_ours_unless_a_file_says_so() {
        let silent = parse_setup_root("").unwrap();
        for (line, kind) in [
            ("quiet", MountKind::Bind),
            ("systemd.volatile=state", MountKind::None),
            ("systemd.volatile=overlay", MountKind::None),
            ("systemd.volatile=no", MountKind::Bind),
            ("systemd.volatile=state systemd.volatile=no", MountKind::Bind),
            ("systemd.volatile", MountKind::Bind),
        ] {
            assert_eq!(silent.var_with(&line.parse().unwrap()), kind, "{line}");
        }
        let said = parse_setup_root("[var]\nmount = \"bind\"\n").unwrap();
        assert_eq!(said.var_with(&"systemd.volatile=state".parse().unwrap()), MountKind::Bind);
    }

    #[test]
    fn the_keyfile_of_ostree_is_understood() {
        let text = "# [etc]\n[composefs]\nenabled = yes\n\n[root]\ntransient=true\n[etc]\n;transient=false\ntransient = yes\n";
        let conf = parse_prepare_root(text);
        assert_eq!(
            (conf.root, conf.etc, conf.var()),
            (RootKind::Transient, MountKind::Transient, MountKind::Bind)
        );
        let conf = parse_prepare_root("[root]\ntransient-ro = true\n[sysroot]\nreadonly=false\n");
        assert_eq!((conf.root, conf.is_sysroot_read_only), (RootKind::TransientReadOnly, false));
        assert_eq!(parse_prepare_root("[etc]\ntransient=true\ntransient=false").etc, MountKind::Bind);
        assert_eq!(parse_prepare_root("garbage\0\n]["), RootConf::default());
    }
}
