//! One layer, from its blob to its stream and tree: runs the first two stages and compares what they computed.

use std::{sync::Arc, thread, time::Instant};

use crossbeam_channel::bounded;
use sealstone_store::{
    ObjectId,
    control::{Unit, Work},
    splitstream::SplitStreamReader,
};

use super::{
    LayerDone, LayerTask,
    assemble::{self, Assembly},
    blob_hash::BlobHash,
    partial::InPart,
    stored::StoredTar,
    unpack::{self, Signals, Unpacker},
    writer::Tally,
};
use crate::{
    ImportOptions,
    decompress::Compression,
    error::{ImportError, Result},
    oci::{Descriptor, MediaType},
    report::{LayerOrigin, LayerReport},
    source::{Blob, Source},
    tar::Warning,
};

/// How many chunks may wait between the first two stages.
const WAITING: usize = 4;

/// What every layer of an import is run with.
pub(super) struct LayerRun<'a, 'tx> {
    pub(super) source: &'a dyn Source,
    pub(super) options: &'a ImportOptions,
    pub(super) unpacker: Unpacker<'a>,
    pub(super) assembly: Assembly<'a, 'tx>,
}

/// A layer that is what the image says; the writers may still be at it.
pub(super) struct Arrived {
    pub(super) done: LayerDone,
    tally: Arc<Tally>,
}

impl Arrived {
    /// Whether all of it is stored, and it has no name of its own yet.
    pub(super) fn is_ready(&self) -> bool {
        !self.done.is_kept && self.tally.is_written()
    }

    pub(super) const fn report(&mut self) -> &mut LayerReport {
        &mut self.done.report
    }

    /// Objects that were stored before the layer's tar was read.
    pub(super) fn count_fetched(&self, objects: u64, bytes: u64) {
        self.tally.count_fetched(objects, bytes);
    }

    /// For when the writers are done.
    pub(super) fn finish(mut self) -> LayerDone {
        self.tally.report(&mut self.done.report);
        self.done
    }
}

impl LayerRun<'_, '_> {
    /// Imports one layer: from the store's own copy if that is all right, else from the source.
    ///
    /// # Errors
    /// What is wrong with the blob comes before what is wrong with the tar in it.
    pub(super) fn import(&self, task: &LayerTask) -> Result<Arrived> {
        self.assembly.halt.check()?;
        if let Some(stream) = &task.stored {
            match self.rebuild(task, stream) {
                Err(error) if !matches!(error, ImportError::Cancelled) => {
                    let text = format!("the store's copy of layer {} is of no use: {error}", task.diff_id);
                    self.assembly.halt.control().warn(text);
                }
                other => return other,
            }
        }
        let mut arrived = None;
        self.source.read_tar(&task.diff_id, &mut |tar, size| {
            arrived = Some(self.run_plain(task, tar, size, Work::ImportLayer)?);
            Ok(())
        })?;
        if let Some(arrived) = arrived {
            return Ok(arrived);
        }
        let (because, spent) = match self.import_in_part(task)? {
            InPart::Arrived(arrived) => return Ok(*arrived),
            InPart::Whole { because, spent } => (because, spent),
        };
        let name = format!("layer {}", task.descriptor.digest());
        let mut blob = self.source.open_blob(&task.descriptor)?;
        let (descriptor, is_plain) = (&task.descriptor, false);
        let input = unpack::Input { blob: &mut *blob, descriptor, name: &name, is_plain };
        let mut arrived = self.run(task, input, Work::ImportLayer, because.is_some())?;
        let report = arrived.report();
        report.fetched_bytes = spent + descriptor.size();
        report.whole_because = because;
        Ok(arrived)
    }

    /// Makes the layer's stream and tree anew from its stream in the store.
    fn rebuild(&self, task: &LayerTask, stream: &ObjectId) -> Result<Arrived> {
        let repository = self.assembly.transaction.repository();
        let map = repository.map_object(stream)?;
        let reader = SplitStreamReader::new(&map, repository.algorithm())?;
        let size = reader.stream_size();
        self.run_plain(task, &mut StoredTar::new(repository, reader), size, Work::RebuildLayer)
    }

    /// Imports a layer from its tar.
    fn run_plain(&self, task: &LayerTask, tar: &mut dyn Blob, size: u64, work: Work) -> Result<Arrived> {
        let descriptor = Descriptor::new(MediaType::Layer(Compression::None), *task.diff_id.digest(), size);
        let name = format!("stream of layer {}", task.diff_id);
        let input = unpack::Input { blob: tar, descriptor: &descriptor, name: &name, is_plain: true };
        self.run(task, input, work, false)
    }

    /// Runs the first two stages. `is_indexed`: the contents of the files go into the index by SHA-256.
    pub(super) fn run(
        &self,
        task: &LayerTask,
        input: unpack::Input<'_>,
        work: Work,
        is_indexed: bool,
    ) -> Result<Arrived> {
        let start = Instant::now();
        let (descriptor, name) = (input.descriptor.clone(), input.name);
        let diff_id = task.diff_id;
        let algorithm = diff_id.digest().algorithm();
        let same_hash = descriptor.digest().algorithm() == algorithm;
        let control = self.assembly.halt.control();
        let progress = control.start(work, diff_id.to_string(), Some(descriptor.size()), Unit::Bytes);
        let tally = Arc::new(Tally::new(is_indexed));
        let (emptied, spare) = bounded(unpack::SPARE);
        let blob = BlobHash::new(descriptor.digest().algorithm(), emptied);
        let to_assemble =
            assemble::Input { name, algorithm, same_hash, tally: Arc::clone(&tally), blob: &blob };
        let signals = Signals::default();
        let (send, receive) = bounded(WAITING);
        let (unpacked, assembled) = thread::scope(|scope| {
            let unpacking =
                scope.spawn(|| self.unpacker.run(input, &signals, send, progress, (&blob, spare)));
            let assembled =
                self.unpacker.meter.digest.on(|| self.assembly.run(to_assemble, receive, &signals));
            (unpacking.join(), assembled)
        });
        let unpacked = unpacked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let (Err(_), Ok(assembled)) = (&unpacked, &assembled) {
            self.assembly.uncount_tree(&assembled.tree);
        }
        let (unpacked, assembled) = (unpacked?, assembled?);
        let digest = assembled.digest.unwrap_or(unpacked.digest);
        if digest != *diff_id.digest() {
            return Err(ImportError::digest(format!("the tar in {name}"), diff_id.digest(), &digest));
        }
        let is_rebuilt = work == Work::RebuildLayer;
        let mut findings = assembled.findings;
        if *descriptor.media_type() != MediaType::Layer(unpacked.compression) {
            let stated = descriptor.media_type().to_string();
            findings.push(Warning::MediaType { stated, found: unpacked.compression });
        }
        let strictest = findings.strictest();
        let report = LayerReport {
            tar_bytes: assembled.tar_bytes,
            entries: assembled.entries,
            compression: (!is_rebuilt).then_some(unpacked.compression),
            origin: if is_rebuilt { LayerOrigin::Rebuilt } else { LayerOrigin::Imported },
            findings,
            time: start.elapsed(),
            ..LayerReport::nothing_read(diff_id, &task.descriptor)
        };
        let stream = assembled.stream.finish()?.id;
        let tree = assembled.tree;
        Ok(Arrived { done: LayerDone { diff_id, stream, tree, strictest, is_kept: false, report }, tally })
    }
}
