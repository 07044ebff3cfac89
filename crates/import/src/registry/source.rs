//! [`RegistrySource`]: an image in a registry, or in the first of its mirrors that has it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    RegistryEndpoint, RegistryReference, RegistrySettings,
    blob::RegistryBlob,
    client::Client,
    config::{Demand, ImageName, Signature},
    signatures::{self, Guard},
    watch::Watch,
};
use crate::{
    Digest, DigestAlgorithm, Limits, ManifestDigest,
    error::{ImportError, Result},
    oci::{Descriptor, Document, MediaType},
    source::{Blob, Bytes, Source},
};

/// An image in a registry.
///
/// What the reference's tag leads to is asked once, and kept: all that follows is named by digest, so an image that is
/// pushed meanwhile cannot be mixed in.
pub struct RegistrySource {
    reference: RegistryReference,
    clients: Arc<Vec<Client>>,
    root: Mutex<Option<Root>>,
    guard: Option<Guard>,
    _watch: Watch,
}

/// What the reference names, and the place in `clients` that has it.
#[derive(Clone)]
struct Root {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    client: usize,
}

impl RegistrySource {
    /// The image that `reference` names, to be had from `endpoints`, asked in their order. Nothing is asked yet.
    ///
    /// # Errors
    /// When there are no endpoints.
    pub fn new(
        reference: RegistryReference,
        endpoints: Vec<RegistryEndpoint>,
        settings: &RegistrySettings,
    ) -> Result<Self> {
        if endpoints.is_empty() {
            return Err(ImportError::Missing {
                what: "place to get it from".to_owned(),
                place: reference.to_string(),
            });
        }
        let clients: Vec<_> =
            endpoints.into_iter().map(|endpoint| Client::new(endpoint, settings.clone())).collect();
        let clients = Arc::new(clients);
        let watched = Arc::downgrade(&clients);
        let watch = Watch::start(settings.cancel.as_ref(), move || {
            watched.upgrade().iter().flat_map(|clients| clients.iter()).for_each(Client::shut_down);
        });
        Ok(Self { reference, clients, root: Mutex::default(), guard: None, _watch: watch })
    }

    /// The same image, of which nothing comes out before it has the signatures that `demand` asks for: they are fetched
    /// from where the image is, with the first document. `name` is what the image is called there where it was asked for,
    /// which is what a signature has to be for.
    #[must_use]
    pub fn demanding(mut self, name: ImageName, demand: Demand) -> Self {
        self.guard = demand.needs_signatures().then(|| Guard::new(name, demand));
        self
    }

    /// The signatures of a manifest or index, from the first place that has some.
    fn signatures(&self, manifest: &ManifestDigest) -> Result<Vec<Signature>> {
        let limit = Limits::default().document_bytes;
        match self.first(self.place(), |client| signatures::fetch(client, manifest, limit)) {
            Ok((_, found)) => Ok(found),
            Err(ImportError::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Asks the endpoints in their order; the last one's error is the answer if none has it.
    fn first<'a, T>(&'a self, from: usize, ask: impl Fn(&'a Client) -> Result<T>) -> Result<(usize, T)> {
        let mut places = (from..self.clients.len()).chain(0..from).peekable();
        loop {
            let (Some(place), is_last) = (places.next(), places.peek().is_none()) else {
                return Err(ImportError::Missing { what: "image".to_owned(), place: self.label() });
            };
            let Some(client) = self.clients.get(place) else { continue };
            match ask(client) {
                Ok(found) => return Ok((place, found)),
                Err(error) if is_last || matches!(error, ImportError::Cancelled) => return Err(error),
                Err(error) => tracing::debug!(place = client.place(), %error, "asking the next"),
            }
        }
    }

    fn root(&self, limits: &Limits) -> Result<Root> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        let (client, (descriptor, bytes)) = self.first(0, |client| self.ask_root(client, limits))?;
        Ok(root.insert(Root { descriptor, bytes, client }).clone())
    }

    fn ask_root(&self, client: &Client, limits: &Limits) -> Result<(Descriptor, Vec<u8>)> {
        let wanted = self.reference.digest();
        let name = match (wanted, self.reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let body = client.manifest(&name, limits.document_bytes)?;
        let algorithm = wanted.map_or(DigestAlgorithm::Sha256, Digest::algorithm);
        let digest = Digest::of(algorithm, &body.bytes);
        if let Some(wanted) = wanted.filter(|wanted| **wanted != digest) {
            return Err(ImportError::digest(
                format!("manifest {name} of {}", client.place()),
                wanted,
                &digest,
            ));
        }
        let announced = announced(body.content_type.as_deref());
        let media_type = match Document::parse(&body.bytes, announced.as_ref()) {
            Ok(Document::Index(_)) => MediaType::Index,
            Ok(Document::Manifest(_)) => MediaType::Manifest,
            Err(reason) => {
                let what = format!("manifest {name} of {}", client.place());
                return Err(ImportError::malformed(what, reason));
            }
        };
        Ok((Descriptor::new(media_type, digest, body.bytes.len() as u64), body.bytes))
    }

    /// A manifest or index that a document names.
    fn ask_document(client: &Client, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let name = descriptor.digest().to_string();
        // One byte more than promised comes through, for the caller to see that there is more.
        let body = client.manifest(&name, descriptor.size().saturating_add(1))?;
        match announced(body.content_type.as_deref()) {
            Some(announced) if announced != *descriptor.media_type() => {
                let reason = format!("it was announced as {announced}, not {}", descriptor.media_type());
                Err(ImportError::malformed(format!("manifest {name} of {}", client.place()), reason))
            }
            _ => Ok(body.bytes),
        }
    }

    /// The place that had the image.
    fn place(&self) -> usize {
        self.root.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |root| root.client)
    }
}

/// What a server says that a document is. Types that say only "some JSON" or "some bytes" say nothing.
fn announced(content_type: Option<&str>) -> Option<MediaType> {
    content_type
        .filter(|text| !matches!(*text, "" | "application/json" | "text/plain" | "application/octet-stream"))
        .map(MediaType::parse)
}

impl Source for RegistrySource {
    fn label(&self) -> String {
        self.reference.to_string()
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn roots(&self, limits: &Limits) -> Result<Vec<Descriptor>> {
        let descriptor = self.root(limits)?.descriptor;
        if let Some(guard) = &self.guard {
            guard.root(&descriptor, |manifest| self.signatures(manifest))?;
        }
        Ok(vec![descriptor])
    }

    fn named_digest(&self, limits: &Limits) -> Result<Option<Digest>> {
        // A digest names the same for ever.
        if let Some(digest) = self.reference.digest() {
            return Ok(Some(*digest));
        }
        let known = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(root) = known {
            return Ok(Some(*root.descriptor.digest()));
        }
        let tag = self.reference.tag().unwrap_or("latest");
        let (_, said) = self.first(0, |client| client.digest_of(tag))?;
        said.map_or_else(|| Ok(Some(*self.root(limits)?.descriptor.digest())), |digest| Ok(Some(digest)))
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Blob + '_>> {
        let is_document = matches!(descriptor.media_type(), MediaType::Index | MediaType::Manifest);
        match &self.guard {
            Some(guard) if *descriptor.media_type() == MediaType::Manifest => {
                guard.manifest(descriptor, |manifest| self.signatures(manifest))?;
            }
            Some(guard) if !is_document => guard.blob()?,
            _ => {}
        }
        if is_document {
            let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(root) = root.filter(|root| root.descriptor.digest() == descriptor.digest()) {
                return Ok(Box::new(Bytes::new(root.bytes)));
            }
            let (_, bytes) = self.first(self.place(), |client| Self::ask_document(client, descriptor))?;
            return Ok(Box::new(Bytes::new(bytes)));
        }
        let (_, blob) = self.first(self.place(), |client| RegistryBlob::open(client, descriptor))?;
        Ok(Box::new(blob))
    }

    fn open_range(
        &self,
        descriptor: &Descriptor,
        offset: u64,
        len: u64,
    ) -> Result<Option<Box<dyn Blob + '_>>> {
        if let Some(guard) = &self.guard {
            guard.blob()?;
        }
        let Some(client) = self.clients.get(self.place()) else { return Ok(None) };
        let blob = RegistryBlob::open_part(client, descriptor, offset, len)?;
        Ok(blob.map(|blob| Box::new(blob) as Box<dyn Blob + '_>))
    }
}

impl fmt::Debug for RegistrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySource").field("reference", &self.reference).finish_non_exhaustive()
    }
}
