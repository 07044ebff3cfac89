//! Where the repository is: `--repo`, `SEALSTONE_REPO`, the booted system's, else one of the user's own. And podman's storage.
//!
//! Besides `registry/` and colours the only reader of the environment in this project; the libraries are given a path.

use std::env;
use std::path::{Path, PathBuf};

use sealstone::import::source::containers_storage::MACHINE_STORAGE;

/// The repository of a system that was installed by Sealstone or bootc.
const OF_THE_BOOTED_SYSTEM: &str = "/sysroot/composefs";

/// The repository's folder, which need not exist yet. `option` is `--repo`.
#[allow(
    clippy::disallowed_methods,
    reason = "whether the system was booted from one is no part of a repository"
)]
pub fn repository(option: Option<&Path>) -> PathBuf {
    choose(option, |name| env::var_os(name).map(PathBuf::from), Path::new(OF_THE_BOOTED_SYSTEM).is_dir())
}

fn choose(option: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>, booted: bool) -> PathBuf {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = option {
        return path.to_owned();
    }
    if let Some(path) = set("SEALSTONE_REPO") {
        return path;
    }
    if booted {
        return PathBuf::from(OF_THE_BOOTED_SYSTEM);
    }
    data(variable).join("sealstone/repo")
}

/// The folder of podman's storage: the machine's own for root, else the user's.
pub fn containers_storage() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from(MACHINE_STORAGE);
    }
    data(|name| env::var_os(name).map(PathBuf::from)).join("containers/storage")
}

/// Where a user's data are.
fn data(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    // A relative XDG_DATA_HOME is to be ignored (XDG base directory specification).
    let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
    data.unwrap_or_else(|| set("HOME").unwrap_or_else(|| PathBuf::from("/root")).join(".local/share"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<PathBuf> {
        match name {
            "SEALSTONE_REPO" => Some("/from/env".into()),
            "XDG_DATA_HOME" => Some("/data".into()),
            _ => None,
        }
    }

    fn only(wanted: &'static str, value: &'static str) -> impl Fn(&str) -> Option<PathBuf> {
        move |name| (name == wanted).then(|| value.into())
    }

    #[test]
    fn the_option_wins_then_the_variable_then_the_booted_system_then_ones_own() {
        assert_eq!(choose(Some(Path::new("/option")), environment, true), Path::new("/option"));
        assert_eq!(choose(None, environment, true), Path::new("/from/env"));
        assert_eq!(choose(None, |_| None, true), Path::new("/sysroot/composefs"));
        assert_eq!(choose(None, only("XDG_DATA_HOME", "/data"), false), Path::new("/data/sealstone/repo"));
        assert_eq!(
            choose(None, only("HOME", "/home/a"), false),
            Path::new("/home/a/.local/share/sealstone/repo")
        );
    }

    #[test]
    fn an_empty_or_relative_variable_counts_as_unset() {
        assert_eq!(choose(None, only("SEALSTONE_REPO", ""), true), Path::new("/sysroot/composefs"));
        assert_eq!(
            choose(None, only("XDG_DATA_HOME", "data"), false),
            Path::new("/root/.local/share/sealstone/repo")
        );
    }
}
