//! A zstd:chunked layer of which only a part is fetched.
//!
//! What is missing is fetched and stored; then the tar is put together again and goes the way of every tar, with the
//! layer's diff_id as what it has to be. Where that cannot be done, does not pay, or turns out wrong, the whole blob is
//! read: an attempt that failed costs what it fetched, and can make nothing visible.

use std::sync::atomic::{AtomicU64, Ordering};

use sealstone_store::control::{Unit, Work};

use super::{
    LayerTask,
    layer::{Arrived, LayerRun},
    unpack,
};
use crate::{
    decompress::Compression,
    error::Result,
    oci::{Descriptor, MediaType},
    report::LayerOrigin,
    zstd_chunked::{PartialPull, Stop, is_chunked},
};

/// How an attempt ended.
pub(super) enum InPart {
    /// The layer is there.
    Arrived(Box<Arrived>),
    /// The whole blob has to be read.
    Whole {
        /// Why, if the layer is zstd:chunked at all.
        because: Option<String>,
        /// Bytes that the attempt fetched.
        spent: u64,
    },
}

impl LayerRun<'_, '_> {
    /// Tries to have a layer in part.
    ///
    /// # Errors
    /// Those that reading the whole blob would end with as well.
    pub(super) fn import_in_part(&self, task: &LayerTask) -> Result<InPart> {
        if !is_chunked(&task.descriptor) {
            return Ok(InPart::Whole { because: None, spent: 0 });
        }
        let spent = AtomicU64::new(0);
        let because = match self.attempt(task, &spent) {
            Ok(mut arrived) => {
                arrived.report().fetched_bytes = spent.into_inner();
                return Ok(InPart::Arrived(Box::new(arrived)));
            }
            Err(Stop::Unfit(reason)) => reason,
            Err(Stop::Wrong(error)) => {
                let digest = task.descriptor.digest();
                let text = format!("layer {digest} could not be had in part, all of it is fetched: {error}");
                self.assembly.halt.control().warn(text);
                error.to_string()
            }
            Err(Stop::Failed(error)) => return Err(error),
        };
        Ok(InPart::Whole { because: Some(because), spent: spent.into_inner() })
    }

    fn attempt(&self, task: &LayerTask, spent: &AtomicU64) -> Result<Arrived, Stop> {
        let (transaction, halt) = (self.assembly.transaction, self.assembly.halt);
        let count = |bytes: u64| {
            spent.fetch_add(bytes, Ordering::Relaxed);
        };
        let index = transaction.content_index()?;
        let (source, descriptor) = (self.source, &task.descriptor);
        let mut pull = PartialPull::plan(source, descriptor, index, self.options, &count)?;
        let name = task.diff_id.to_string();
        let total = Some(pull.fetch_bytes());
        let progress =
            std::sync::Mutex::new(halt.control().start(Work::ImportLayer, name, total, Unit::Bytes));
        let advance = |bytes: u64| {
            count(bytes);
            super::lock(&progress).advance(bytes);
        };
        let (objects, bytes) = pull.fetch(transaction, self.unpacker.gate, &|| halt.check(), &advance)?;
        progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).finish();
        let media_type = MediaType::Layer(Compression::None);
        let descriptor = Descriptor::new(media_type, *task.diff_id.digest(), pull.tar_bytes());
        let name = format!("layer {} put together from parts", task.descriptor.digest());
        let mut tar = pull.tar(transaction.repository());
        let input = unpack::Input { blob: &mut tar, descriptor: &descriptor, name: &name, is_plain: true };
        let mut arrived = self.run(task, input, Work::RebuildLayer, false)?;
        arrived.count_fetched(objects, bytes);
        let report = arrived.report();
        report.origin = LayerOrigin::Imported;
        report.compression = Some(Compression::Zstd);
        report.is_partial = true;
        report.reused_bytes = pull.reused_bytes();
        Ok(arrived)
    }
}
