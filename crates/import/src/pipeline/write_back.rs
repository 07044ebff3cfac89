//! Beside the import: writing back early, keeping layers that are whole, and looking after the space that is left.
//!
//! The disk is idle while a layer is decompressed and hashed, and the processors would be idle while the barrier waits. The
//! thread that does this has nothing else to do, so none of it is on the way of a layer.

use std::{
    convert::Infallible,
    sync::Mutex,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use sealstone_store::{Transaction, TransactionStats};

use super::{halt::Halt, layer::Arrived, lock};
use crate::{error::Result, record, space::SpaceWatch, streams::layer_stream};

/// How often it is looked whether there is enough to write.
const PAUSE: Duration = Duration::from_millis(50);

/// What is enough: objects and bytes.
const OBJECTS: u64 = 8192;
const BYTES: u64 = 128 << 20;

/// What the thread works with.
pub(super) struct Caretaker<'a> {
    pub(super) transaction: &'a Transaction,
    pub(super) space: &'a SpaceWatch,
    /// The layers that have arrived.
    pub(super) done: &'a Mutex<Vec<(usize, Arrived)>>,
    /// How long whole layers wait until they are kept; `None` when the commit is soon enough.
    pub(super) keep_after: Option<Duration>,
}

impl Caretaker<'_> {
    /// Works until `over` says that no layer is running any more.
    pub(super) fn run(&self, over: &Receiver<Infallible>, halt: &Halt<'_>) {
        let mut written = self.transaction.stats();
        let mut kept = Instant::now();
        while over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) && halt.check().is_ok() {
            if let Err(error) = self.round(&mut written, &mut kept) {
                halt.fail(error);
            }
        }
    }

    fn round(&self, written: &mut TransactionStats, kept: &mut Instant) -> Result<()> {
        self.space.check(0)?;
        if self.keep_after.is_some_and(|pause| kept.elapsed() >= pause) && self.keep_layers()? {
            *written = self.transaction.stats();
            *kept = Instant::now();
        }
        let now = self.transaction.stats();
        if now.new_objects - written.new_objects < OBJECTS && now.new_bytes - written.new_bytes < BYTES {
            return Ok(());
        }
        *written = now;
        Ok(self.transaction.write_back()?)
    }

    /// Makes the layers durable that are whole and were not kept yet, under their own names; says whether there were any.
    /// Nothing refers to them before the image is there: after a kill the next import finds them, and gc takes them away.
    pub(super) fn keep_layers(&self) -> Result<bool> {
        let mut done = lock(self.done);
        let ready: Vec<_> =
            done.iter_mut().map(|(_, layer)| layer).filter(|layer| layer.is_ready()).collect();
        if ready.is_empty() {
            return Ok(false);
        }
        for layer in ready {
            let whole = &mut layer.done;
            record::store(self.transaction, &whole.diff_id, &whole.stream, &whole.tree, whole.strictest)?;
            self.transaction.name_stream(layer_stream(&whole.diff_id)?, whole.stream);
            whole.is_kept = true;
        }
        // Layers may arrive meanwhile.
        drop(done);
        self.transaction.checkpoint()?;
        Ok(true)
    }
}
