//! [`Certificates`]: containers-certs.d(5): whom to trust, and who to be, towards one registry.
//!
//! What lives here: which files of which folder. What does not: what is in them (PEM, read by the TLS library).
//!
//! `*.crt` are authorities, in addition to those of the system; `NAME.cert` with `NAME.key` is a client certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sealstone_store::disk::Disk;

use super::{Secret, read};
use crate::{
    Limits,
    error::{ImportError, Result},
};

/// What TLS is given for one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Authorities to trust, in PEM, one file each.
    pub authorities: Vec<Vec<u8>>,
    /// Certificates to show when the registry asks for one.
    pub clients: Vec<ClientCertificate>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and what chains it to an authority.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Secret,
}

impl Certificates {
    /// Reads the folder `HOST[:PORT]` of the first of `folders` that has one; without any there is nothing to add.
    ///
    /// # Errors
    /// As [`read_dir`](Self::read_dir).
    pub fn for_host(disk: &Arc<dyn Disk>, folders: &[PathBuf], host: &str, limits: &Limits) -> Result<Self> {
        if host.is_empty() || host.starts_with('.') || host.contains(['/', '\0']) {
            return Err(ImportError::config(format!("{host:?}"), "it is no name of a registry"));
        }
        for folder in folders {
            if let Some(found) = Self::read_names(disk, &folder.join(host), limits)? {
                return Ok(found);
            }
        }
        Ok(Self::default())
    }

    /// Reads a folder that a user named (`--cert-dir`).
    ///
    /// # Errors
    /// When it is not there, a file cannot be read, or half of a pair is missing.
    pub fn read_dir(disk: &Arc<dyn Disk>, folder: &Path, limits: &Limits) -> Result<Self> {
        let missing = || ImportError::config(folder.display().to_string(), "there is no such folder");
        Self::read_names(disk, folder, limits)?.ok_or_else(missing)
    }

    fn read_names(disk: &Arc<dyn Disk>, folder: &Path, limits: &Limits) -> Result<Option<Self>> {
        let Some(names) = read::names(disk, folder)? else { return Ok(None) };
        let mut found = Self::default();
        for name in names {
            let path = folder.join(name);
            match path.extension().and_then(|extension| extension.to_str()) {
                // A link that leads nowhere is passed over, as in containers/image.
                Some("crt") => found.authorities.extend(read::file(disk, &path, limits)?),
                Some("cert") => found.clients.push(read_pair(disk, &path, limits)?),
                Some("key") => {
                    let certificate = path.with_extension("cert");
                    read::file(disk, &certificate, limits)?.ok_or_else(|| lacks(&path, &certificate))?;
                }
                _ => {}
            }
        }
        Ok(Some(found))
    }
}

fn read_pair(disk: &Arc<dyn Disk>, path: &Path, limits: &Limits) -> Result<ClientCertificate> {
    let key_path = path.with_extension("key");
    let certificate = read::file(disk, path, limits)?.ok_or_else(|| lacks(&key_path, path))?;
    let key = read::file(disk, &key_path, limits)?.ok_or_else(|| lacks(path, &key_path))?;
    let refuse = |_| ImportError::config(key_path.display().to_string(), "it is not PEM");
    Ok(ClientCertificate { certificate, key: Secret::new(String::from_utf8(key).map_err(refuse)?) })
}

fn lacks(one: &Path, other: &Path) -> ImportError {
    ImportError::config(one.display().to_string(), format!("it has no {} beside it", other.display()))
}

#[cfg(test)]
mod tests {
    use sealstone_store::disk::RealDisk;

    use super::*;

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn with(files: &[&str]) -> Self {
            let folders = Self(tempfile::tempdir().unwrap());
            for file in files {
                let path = folders.0.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, file).unwrap();
            }
            folders
        }

        fn for_host(&self, host: &str) -> Result<Certificates> {
            let folders = ["absent", "user", "machine"].map(|name| self.0.path().join(name));
            Certificates::for_host(&RealDisk::shared(), &folders, host, &Limits::default())
        }
    }

    #[test]
    fn the_first_folder_with_the_hosts_name_and_port_counts() {
        let folders = Folders::with(&[
            "user/a.io:5000/ca.crt",
            "machine/a.io:5000/other.crt",
            "machine/a.io/1.crt",
            "machine/a.io/2.crt",
            "machine/a.io/me.cert",
            "machine/a.io/me.key",
            "machine/a.io/README",
        ]);
        assert_eq!(folders.for_host("a.io:5000").unwrap().authorities, [b"user/a.io:5000/ca.crt"]);
        let portless = folders.for_host("a.io").unwrap();
        assert_eq!(portless.authorities, [b"machine/a.io/1.crt", b"machine/a.io/2.crt"]);
        let certificate = b"machine/a.io/me.cert".to_vec();
        let key = Secret::new("machine/a.io/me.key");
        assert_eq!(portless.clients, [ClientCertificate { certificate, key }]);
        assert_eq!(folders.for_host("b.io").unwrap(), Certificates::default());
    }

    #[test]
    fn half_a_pair_is_an_error_that_names_both_halves() {
        for (present, absent) in [("me.cert", "me.key"), ("me.key", "me.cert")] {
            let folders = Folders::with(&[&format!("user/a.io/{present}")]);
            let error = folders.for_host("a.io").unwrap_err().to_string();
            assert!(error.contains(present) && error.contains(absent), "{error}");
        }
    }

    #[test]
    fn a_host_never_leads_out_of_the_folders() {
        let folders = Folders::with(&["machine/ca.crt", "ca.crt"]);
        for host in ["", ".", "..", "../machine", "a/../..", "/etc"] {
            assert!(folders.for_host(host).is_err(), "{host}");
        }
    }

    #[test]
    fn a_folder_that_a_user_names_has_to_exist() {
        let folders = Folders::with(&["certs/ca.crt"]);
        let read = |name| {
            Certificates::read_dir(&RealDisk::shared(), &folders.0.path().join(name), &Limits::default())
        };
        assert_eq!(read("certs").unwrap().authorities, [b"certs/ca.crt"]);
        assert!(read("absent").unwrap_err().to_string().contains("no such folder"));
    }
}
