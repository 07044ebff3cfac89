//! The variables of the environment that matter for registries. An empty one counts as unset.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use sealstone::import::registry::config::Places;
use sealstone::import::registry::{NoProxy, Proxies};

/// Those that lead to files, read.
pub struct Environment {
    /// Where configuration is.
    pub places: Places,
    /// `SEALSTONE_AUTH_FILE`, else `REGISTRY_AUTH_FILE`.
    pub auth_file: Option<PathBuf>,
    /// `SSL_CERT_FILE`.
    pub cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`.
    pub cert_dir: Option<PathBuf>,
    /// `PATH`.
    pub search_path: OsString,
}

impl Environment {
    /// Reads them.
    pub fn read() -> Self {
        // A relative folder is to be ignored (XDG base directory specification).
        let absolute = |name| path(name).filter(|path| path.is_absolute());
        Self {
            places: Places {
                home: path("HOME"),
                config_home: absolute("XDG_CONFIG_HOME"),
                runtime_dir: absolute("XDG_RUNTIME_DIR"),
                docker_config: path("DOCKER_CONFIG"),
                uid: rustix::process::geteuid().as_raw(),
            },
            auth_file: path("SEALSTONE_AUTH_FILE").or_else(|| path("REGISTRY_AUTH_FILE")),
            cert_file: path("SSL_CERT_FILE"),
            cert_dir: path("SSL_CERT_DIR"),
            search_path: env::var_os("PATH").unwrap_or_default(),
        }
    }

    /// `HTTPS_PROXY`, `HTTP_PROXY`, and `ALL_PROXY` for what those leave open; in lower case they count first.
    pub fn proxies(&self) -> anyhow::Result<Proxies> {
        let all = either("ALL_PROXY");
        let http = either("HTTP_PROXY").or_else(|| all.clone());
        let https = either("HTTPS_PROXY").or(all);
        Ok(Proxies::new(http.as_deref(), https.as_deref(), self.no_proxy())?)
    }

    /// `NO_PROXY`.
    #[allow(clippy::unused_self, reason = "the environment is asked, and is what this is")]
    pub fn no_proxy(&self) -> NoProxy {
        NoProxy::parse(&either("NO_PROXY").unwrap_or_default())
    }
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn either(name: &str) -> Option<String> {
    [name.to_lowercase(), name.to_owned()]
        .iter()
        .filter_map(|name| env::var(name).ok())
        .find(|value| !value.is_empty())
}
