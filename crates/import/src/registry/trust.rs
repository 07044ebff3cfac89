//! [`Trust`]: whose certificates are believed, and the certificate that we show.
//!
//! What lives here: certificates from the bytes of PEM files. What does not: where a machine keeps them; the caller reads
//! the files, of the system and of `certs.d` alike.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use sealstone_store::disk::Disk;

use super::config::{Certificates, read};
use crate::{
    Limits,
    error::{ImportError, Result},
};

/// Roots of trust and a client certificate. Without roots no registry is believed.
#[derive(Clone, Default)]
pub struct Trust {
    roots: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

impl Trust {
    /// Believes the certificates of a PEM file, `what`; says how many it has.
    ///
    /// # Errors
    /// When the file has none, or is damaged.
    pub fn add_roots(&mut self, what: &str, pem: &[u8]) -> Result<usize> {
        let found = certificates(what, pem)?;
        let count = found.len();
        self.roots.extend(found);
        Ok(count)
    }

    /// Believes the certificates of a PEM file of this machine; says how many it has, `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read, or has none.
    pub fn add_file(&mut self, disk: &Arc<dyn Disk>, path: &Path, limits: &Limits) -> Result<Option<usize>> {
        let Some(pem) = read::file(disk, path, limits)? else { return Ok(None) };
        self.add_roots(&path.display().to_string(), &pem).map(Some)
    }

    /// Takes up what `certs.d` has for a registry. Of several certificates to show, it is the first.
    ///
    /// # Errors
    /// When one of them is damaged.
    pub fn add_certificates(&mut self, what: &str, certificates: &Certificates) -> Result<()> {
        for authority in &certificates.authorities {
            self.add_roots(what, authority)?;
        }
        match certificates.clients.first() {
            Some(client) => self.set_client(what, &client.certificate, client.key.expose().as_bytes()),
            None => Ok(()),
        }
    }

    /// Shows the chain of certificates of one PEM file, with the private key of another.
    ///
    /// # Errors
    /// When either is damaged, or the key is not the certificate's.
    pub fn set_client(&mut self, what: &str, chain_pem: &[u8], key_pem: &[u8]) -> Result<()> {
        let refuse = |reason: String| ImportError::config(format!("client certificate {what}"), reason);
        let chain = certificates(what, chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|_| refuse("its key is no private key in PEM".to_owned()))?;
        let ders = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
        // ureq takes it for granted that the two fit.
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(error.to_string()))?
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(ders, key)
            .map_err(|error| refuse(error.to_string()))?;
        let key = PrivateKey::from_pem(key_pem).map_err(|error| refuse(error.to_string()))?;
        self.client = Some(ClientCert::new_with_certs(&chain, key));
        Ok(())
    }

    /// How many roots there are.
    #[must_use]
    pub fn roots(&self) -> usize {
        self.roots.len()
    }

    /// For the registry itself, with `is_own`; for others that it redirects to, who need not know who we are.
    pub(super) fn config(&self, is_own: bool, is_verified: bool) -> TlsConfig {
        TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&self.roots))
            .client_cert(self.client.clone().filter(|_| is_own))
            .disable_verification(!is_verified)
            .unversioned_rustls_crypto_provider(provider())
            .build()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots.len())
            .field("client", &self.client.is_some())
            .finish()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let refuse = |reason: String| ImportError::config(format!("certificates {what}"), reason);
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| refuse(error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(refuse("it has none in PEM".to_owned())) } else { Ok(found) }
}
