//! [`Places`]: where the files are that configure registries, in the order of containers/image's tools.
//!
//! What never lives here: the environment. A caller says what is in it, or leaves it out: with `Places::default()` only
//! the machine's own files are read.

use std::path::PathBuf;

/// What the paths are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The user's home.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`; without it `.config` in the home.
    pub config_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`; without it `/run/containers/UID`.
    pub runtime_dir: Option<PathBuf>,
    /// `DOCKER_CONFIG`; without it `.docker` in the home.
    pub docker_config: Option<PathBuf>,
    /// The user's number. 0 has the machine's own auth files as well.
    pub uid: u32,
}

impl Places {
    /// Auth files: the session's, the user's, Docker's; for root also Sealstone's, and those of bootc and ostree.
    #[must_use]
    pub fn auth_files(&self) -> Vec<PathBuf> {
        let per_user = || PathBuf::from(format!("/run/containers/{}/auth.json", self.uid));
        let runtime = self.runtime_dir.as_ref().map(|folder| folder.join("containers/auth.json"));
        let in_home = |path| self.home.as_ref().map(|home| home.join(path));
        let docker = self.docker_config.clone().or_else(|| in_home(".docker"));
        let mut files = vec![runtime.unwrap_or_else(per_user)];
        files.extend(self.config_home().map(|folder| folder.join("containers/auth.json")));
        files.extend(docker.map(|folder| folder.join("config.json")));
        files.extend(in_home(".dockercfg"));
        if self.uid == 0 {
            files.push("/etc/sealstone/auth.json".into());
            files.extend(["/run", "/etc", "/usr/lib"].map(|top| format!("{top}/ostree/auth.json").into()));
        }
        files
    }

    /// Folders with a folder for each registry, of its certificates; the first that has one counts.
    #[must_use]
    pub fn certs_dirs(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.in_config("certs.d").into_iter().collect();
        folders.extend(["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()]);
        folders
    }

    /// Files of which the first that exists is `registries.conf`.
    #[must_use]
    pub fn registries_conf(&self) -> Vec<PathBuf> {
        let machine = PathBuf::from("/etc/containers/registries.conf");
        self.in_config("registries.conf").into_iter().chain([machine]).collect()
    }

    /// Folders of drop-ins, a later one over the former.
    #[must_use]
    pub fn registries_conf_dirs(&self) -> Vec<PathBuf> {
        let machine = PathBuf::from("/etc/containers/registries.conf.d");
        [machine].into_iter().chain(self.in_config("registries.conf.d")).collect()
    }

    /// Files of which the first that exists is `policy.json`.
    #[must_use]
    pub fn policy_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            self.config_home().map(|folder| folder.join("containers/policy.json")).into_iter().collect();
        files.extend(["/etc/containers/policy.json".into(), "/usr/share/containers/policy.json".into()]);
        files
    }

    fn config_home(&self) -> Option<PathBuf> {
        self.config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// Certificates and `registries.conf` are in the home whatever `XDG_CONFIG_HOME` says, as in containers/image.
    fn in_config(&self, name: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(".config/containers").join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn auth_files_are_in_the_order_of_containers_image() {
        let mut places = Places { home: Some("/home/a".into()), uid: 1000, ..Places::default() };
        assert_eq!(
            shown(&places.auth_files()),
            [
                "/run/containers/1000/auth.json",
                "/home/a/.config/containers/auth.json",
                "/home/a/.docker/config.json",
                "/home/a/.dockercfg",
            ]
        );
        places.runtime_dir = Some("/run/user/1000".into());
        places.config_home = Some("/cfg".into());
        places.docker_config = Some("/docker".into());
        assert_eq!(
            shown(&places.auth_files()),
            [
                "/run/user/1000/containers/auth.json",
                "/cfg/containers/auth.json",
                "/docker/config.json",
                "/home/a/.dockercfg",
            ]
        );
    }

    #[test]
    fn a_machine_without_a_user_has_its_own_files_only() {
        let places = Places::default();
        assert_eq!(
            shown(&places.auth_files()),
            [
                "/run/containers/0/auth.json",
                "/etc/sealstone/auth.json",
                "/run/ostree/auth.json",
                "/etc/ostree/auth.json",
                "/usr/lib/ostree/auth.json",
            ]
        );
        let rest = [
            places.certs_dirs(),
            places.registries_conf(),
            places.registries_conf_dirs(),
            places.policy_files(),
        ];
        assert!(rest.concat().iter().all(|path| path.starts_with("/etc") || path.starts_with("/usr/share")));
    }
}
