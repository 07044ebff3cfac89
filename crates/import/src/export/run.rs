//! The way of an image to a sink: layers side by side, the configuration, the manifest.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use sealstone_store::{Control, Repository};

use super::{
    BlobFormat, BlobOrigin, ExportOptions, ExportReport, ExportedLayer,
    manifest::{self, NewBlob},
    pack::{Packed, pack},
    sink::{Outgoing, Sink},
};
use crate::{
    BlobDigest, DiffId, Digest, DigestAlgorithm, ManifestDigest,
    error::Result,
    oci::{Descriptor, Platform, Resolved, resolve},
    pipeline::Halt,
    source::StoredImage,
};

/// Sends an image of the store to a sink.
pub(crate) fn run(
    repository: &Repository,
    manifest: &ManifestDigest,
    sink: &dyn Sink,
    options: &ExportOptions,
    control: &Control,
) -> Result<ExportReport> {
    let stored = StoredImage::new(repository.clone(), *manifest);
    // There is one manifest, whatever its platform.
    let image = resolve(&stored, &Platform::native(), &options.limits)?;
    let layers = Layers { repository, sink, options, halt: Halt::new(control), control };
    let done = layers.send(&image)?;
    sink.put_config(image.config_digest.digest(), &image.config_bytes, control)?;
    let (bytes, digest) = outgoing(&image, &done)?;
    control.check()?;
    let media_type = manifest::media_type(&bytes)?;
    sink.put_manifest(&Outgoing { media_type: &media_type, digest, bytes: &bytes }, control)?;
    Ok(ExportReport {
        stored_manifest: *manifest,
        manifest: ManifestDigest::new(digest),
        config: image.config_digest,
        layers: done.into_iter().map(|one| one.report).collect(),
    })
}

/// The manifest that names the blobs that were sent: the image's own if they are its own.
fn outgoing(image: &Resolved, done: &[Sent]) -> Result<(Vec<u8>, Digest)> {
    let blobs: Vec<_> = done.iter().map(Sent::new_blob).collect();
    if blobs.iter().all(Option::is_none) {
        return Ok((image.manifest_bytes.clone(), *image.manifest_digest.digest()));
    }
    let bytes = manifest::rewrite(&image.manifest_bytes, &blobs)?;
    let digest = Digest::of(DigestAlgorithm::Sha256, &bytes);
    Ok((bytes, digest))
}

/// What all layers of an image are sent with.
struct Layers<'a> {
    repository: &'a Repository,
    sink: &'a dyn Sink,
    options: &'a ExportOptions,
    halt: Halt<'a>,
    control: &'a Control,
}

/// A layer that is at its destination.
#[derive(Clone)]
struct Sent {
    report: ExportedLayer,
    annotations: std::collections::BTreeMap<String, String>,
}

impl Sent {
    /// The layer's blob, if it is another than the manifest names.
    fn new_blob(&self) -> Option<NewBlob> {
        (self.report.origin == BlobOrigin::Recompressed).then(|| NewBlob {
            digest: *self.report.blob.digest(),
            size: self.report.blob_bytes,
            format: self.report.format,
            annotations: self.annotations.clone(),
        })
    }
}

/// A layer to be sent: once for all places that it has in the image.
struct Job<'a> {
    descriptor: &'a Descriptor,
    diff_id: &'a DiffId,
    /// Of those places, the first.
    order: usize,
}

impl Layers<'_> {
    /// Sends all layers; gives one result for each place in the image.
    fn send(self, image: &Resolved) -> Result<Vec<Sent>> {
        let pairs = || image.manifest.layers.iter().zip(&image.config.diff_ids);
        let mut jobs: Vec<Job<'_>> = Vec::new();
        let mut places = Vec::new();
        for (order, (descriptor, diff_id)) in pairs().enumerate() {
            let same = |job: &Job<'_>| job.descriptor == descriptor && job.diff_id == diff_id;
            places.push(jobs.iter().position(same).unwrap_or(jobs.len()));
            if !jobs.iter().any(same) {
                jobs.push(Job { descriptor, diff_id, order });
            }
        }
        let threads = self.control.threads().min(jobs.len()).max(1);
        let mut queue: Vec<usize> = (0..jobs.len()).collect();
        // The largest first: from the end of the queue.
        queue.sort_by_key(|at| jobs.get(*at).map(|job| job.descriptor.size()));
        let queue = Mutex::new(queue);
        let done = Mutex::new(vec![None; jobs.len()]);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work(&jobs, &queue, &done));
            }
        });
        self.halt.outcome()?;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(places.into_iter().filter_map(|place| done.get(place).cloned().flatten()).collect())
    }

    /// Sends layers until there are none left, or one fails.
    fn work(&self, jobs: &[Job<'_>], queue: &Mutex<Vec<usize>>, done: &Mutex<Vec<Option<Sent>>>) {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((at, job)) = next.and_then(|at| Some((at, jobs.get(at)?))) else { return };
            match self.halt.check().and_then(|()| self.send_one(job)) {
                Ok(sent) => {
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(place) = done.get_mut(at) {
                        *place = Some(sent);
                    }
                }
                Err(error) => return self.halt.fail(error),
            }
        }
    }

    fn send_one(&self, job: &Job<'_>) -> Result<Sent> {
        let Job { descriptor, diff_id, order } = job;
        let stated = BlobFormat::of(descriptor);
        let format = self.options.format.unwrap_or(stated);
        let (digest, size) = (descriptor.digest(), descriptor.size());
        if format == stated && self.sink.has(digest, size, self.control)? {
            return Ok(Self::sent(job, *digest, size, 0, format, BlobOrigin::Present));
        }
        let (repository, scratch) = (self.repository, self.sink.scratch());
        let packed = pack(repository, diff_id, format, digest.algorithm(), scratch, self.control)?;
        let is_same = packed.digest == *digest && packed.size == size;
        let origin = if is_same { BlobOrigin::Reproduced } else { BlobOrigin::Recompressed };
        let Packed { digest, size, tar_bytes, .. } = packed;
        let mut sent = Self::sent(job, digest, size, tar_bytes, format, origin);
        sent.annotations.clone_from(&packed.annotations);
        self.sink.put_layer(*order, packed, self.control)?;
        Ok(sent)
    }

    fn sent(
        job: &Job<'_>,
        digest: Digest,
        blob_bytes: u64,
        tar_bytes: u64,
        format: BlobFormat,
        origin: BlobOrigin,
    ) -> Sent {
        let (diff_id, blob) = (*job.diff_id, BlobDigest::new(digest));
        Sent {
            report: ExportedLayer { diff_id, blob, blob_bytes, tar_bytes, format, origin },
            annotations: std::collections::BTreeMap::new(),
        }
    }
}
