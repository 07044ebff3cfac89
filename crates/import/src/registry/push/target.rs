//! [`RegistryTarget`]: a repository of a registry that blobs and manifests are put into.

use std::{fmt, sync::Arc};

use sealstone_store::{
    Control,
    control::{Unit, Work},
    disk::File,
};
use ureq::http::{Method, StatusCode, Uri, header};

use super::{
    super::{
        RegistryEndpoint, RegistrySettings,
        client::Client,
        exchange::{Exchange, Payload, location},
        fault::Fault,
        watch::Watch,
    },
    upload::{Bytes, Upload, abandon, confirm, no_push},
};
use crate::{
    Digest, DigestAlgorithm,
    error::{ImportError, Result},
    limits::MANIFEST_BACK,
};

/// What a registry says of a mount.
enum Mount {
    Done,
    /// It waits for the blob instead.
    Session(Uri),
}

/// A repository of a registry, to be written to.
pub struct RegistryTarget {
    client: Arc<Client>,
    mount_from: Vec<String>,
    _watch: Watch,
}

impl RegistryTarget {
    /// The repository of an endpoint; nothing is asked yet. Blobs may be mounted from other repositories of its registry.
    #[must_use]
    pub fn new(endpoint: RegistryEndpoint, settings: &RegistrySettings, mount_from: &[String]) -> Self {
        let own = endpoint.repository.clone();
        let mut mount_from: Vec<_> = mount_from.iter().filter(|name| **name != own).cloned().collect();
        mount_from.dedup();
        let client = Arc::new(Client::to_push(endpoint, settings.clone()));
        let watched = Arc::downgrade(&client);
        let shut_down = move || watched.upgrade().iter().for_each(|client| client.shut_down());
        let watch = Watch::start(settings.cancel.as_ref(), shut_down);
        Self { client, mount_from, _watch: watch }
    }

    /// The repository, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        self.client.place()
    }

    /// Whether the repository has this blob.
    ///
    /// # Errors
    /// When the registry cannot be asked, or refuses.
    pub fn has(&self, digest: &Digest, size: u64) -> Result<bool> {
        self.tried(|| self.look(digest, size))
    }

    /// Whether the repository has this blob, or has it now, from another repository.
    ///
    /// # Errors
    /// As [`has`](Self::has).
    pub fn has_or_mounts(&self, digest: &Digest, size: u64, control: &Control) -> Result<bool> {
        if self.has(digest, size)? {
            control.skip(Work::PushBlob, digest.to_string());
            return Ok(true);
        }
        for from in &self.mount_from {
            control.check()?;
            match self.mount(digest, from) {
                Ok(Mount::Done) => {
                    control.skip(Work::PushBlob, digest.to_string());
                    return Ok(true);
                }
                Ok(Mount::Session(url)) => abandon(&self.client, &url),
                // It can be sent all the same.
                Err(Fault::Lasting(error) | Fault::Passing { error, .. }) => {
                    tracing::debug!(%error, from, "no mount");
                }
            }
        }
        Ok(false)
    }

    /// Puts a blob, unless it is there. Its digest is the caller's word, and the registry's to check.
    ///
    /// # Errors
    /// [`ImportError::Digest`] when the registry stored something else; [`ImportError::Unsupported`] when it takes no
    /// pushes; otherwise as [`has`](Self::has).
    pub fn put_bytes(&self, digest: &Digest, bytes: &[u8], control: &Control) -> Result<()> {
        self.put(digest, Bytes::Memory(bytes), bytes.len() as u64, control)
    }

    /// The same for the content of a file, of `size` bytes.
    ///
    /// # Errors
    /// As [`put_bytes`](Self::put_bytes).
    pub fn put_file(&self, digest: &Digest, file: &File, size: u64, control: &Control) -> Result<()> {
        self.put(digest, Bytes::File(file, size), size, control)
    }

    fn put(&self, digest: &Digest, bytes: Bytes<'_>, size: u64, control: &Control) -> Result<()> {
        if self.has_or_mounts(digest, size, control)? {
            return Ok(());
        }
        let task = control.start(Work::PushBlob, digest.to_string(), Some(size), Unit::Bytes);
        Upload::new(&self.client, digest, bytes, task).run()
    }

    /// Puts a manifest or an index under a tag or its digest, and asks for it again. What it names has to be there.
    ///
    /// # Errors
    /// As [`put_bytes`](Self::put_bytes).
    pub fn put_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let algorithm = name.parse::<Digest>().map_or(DigestAlgorithm::Sha256, |digest| digest.algorithm());
        let digest = Digest::of(algorithm, bytes);
        self.tried(|| self.send_manifest(name, media_type, bytes, &digest))?;
        self.tried(|| self.read_back(name, media_type, &digest))
    }

    /// Tries until it succeeds, or for as long as that may help.
    fn tried<T>(&self, mut ask: impl FnMut() -> Result<T, Fault>) -> Result<T> {
        let mut attempts = self.client.attempts();
        loop {
            attempts.check()?;
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(fault) => attempts.pause(fault)?,
            }
        }
    }

    fn look(&self, digest: &Digest, size: u64) -> Result<bool, Fault> {
        let url = self.client.url(&format!("blobs/{digest}"))?;
        let request = Exchange { method: Method::HEAD, url: &url, headers: &[], body: Payload::None };
        let answer = self.client.exchange(&request)?;
        match answer.status() {
            StatusCode::OK => {
                confirm(&answer, digest, &format!("blob {digest}"))?;
                let said = answer.header(header::CONTENT_LENGTH).and_then(|value| value.parse::<u64>().ok());
                Ok(said.is_none_or(|said| said == size))
            }
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.client.refused(answer, &format!("blob {digest}"))),
        }
    }

    fn mount(&self, digest: &Digest, from: &str) -> Result<Mount, Fault> {
        let url = self.client.url(&format!("blobs/uploads/?mount={digest}&from={from}"))?;
        let request = Exchange { method: Method::POST, url: &url, headers: &[], body: Payload::Bytes(&[]) };
        let mut answer = self.client.exchange(&request)?;
        match answer.status() {
            StatusCode::CREATED => {
                confirm(&answer, digest, &format!("blob {digest}"))?;
                answer.drain();
                Ok(Mount::Done)
            }
            StatusCode::ACCEPTED => location(&mut answer).map(Mount::Session),
            _ => Err(self.client.refused(answer, &format!("blob {digest}"))),
        }
    }

    fn send_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<(), Fault> {
        let what = || format!("manifest {digest}");
        let url = self.client.url(&format!("manifests/{name}"))?;
        let headers = [(header::CONTENT_TYPE, media_type)];
        let request =
            Exchange { method: Method::PUT, url: &url, headers: &headers, body: Payload::Bytes(bytes) };
        let mut answer = self.client.exchange(&request)?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED => {
                confirm(&answer, digest, &what())?;
                answer.drain();
                Ok(())
            }
            _ => Err(no_push(&self.client, answer, &what())),
        }
    }

    /// What a tag leads to now is what we put there.
    fn read_back(&self, name: &str, media_type: &str, digest: &Digest) -> Result<(), Fault> {
        let url = self.client.url(&format!("manifests/{name}"))?;
        let headers = [(header::ACCEPT, media_type)];
        let request = Exchange { method: Method::HEAD, url: &url, headers: &headers, body: Payload::None };
        let answer = self.client.exchange(&request)?;
        let what = format!("manifest {name}");
        if answer.status() != StatusCode::OK {
            return Err(self.client.refused(answer, &what));
        }
        let said = answer.header(header::HeaderName::from_static("docker-content-digest"));
        let is_said = said.and_then(|said| said.parse::<Digest>().ok());
        if is_said.is_some_and(|said| said.algorithm() == digest.algorithm()) {
            return confirm(&answer, digest, &what);
        }
        // It does not say: then the bytes do.
        let body = self.client.manifest(name, MANIFEST_BACK).map_err(Fault::Lasting)?;
        let found = Digest::of(digest.algorithm(), &body.bytes);
        if found == *digest {
            return Ok(());
        }
        Err(Fault::Lasting(ImportError::digest(format!("{what} of {}", self.client.place()), digest, &found)))
    }
}

impl fmt::Debug for RegistryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryTarget").field("place", &self.place()).finish_non_exhaustive()
    }
}
