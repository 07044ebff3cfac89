//! Writing back early, beside the import: so that the commit's barrier does not have to wait for all of it at once.
//!
//! The disk is idle while a layer is decompressed and hashed, and the processors would be idle while the barrier waits.

use std::{convert::Infallible, time::Duration};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use sealstone_store::Transaction;

use super::halt::Halt;

/// How often it is looked whether there is enough to write.
const PAUSE: Duration = Duration::from_millis(50);

/// What is enough: objects and bytes.
const OBJECTS: u64 = 8192;
const BYTES: u64 = 128 << 20;

/// Writes back until `over` says that no layer is running any more.
pub(super) fn write_back(transaction: &Transaction, over: &Receiver<Infallible>, halt: &Halt<'_>) {
    let mut written = transaction.stats();
    while over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) && halt.check().is_ok() {
        let now = transaction.stats();
        if now.new_objects - written.new_objects < OBJECTS && now.new_bytes - written.new_bytes < BYTES {
            continue;
        }
        written = now;
        if let Err(error) = transaction.write_back() {
            halt.fail(error.into());
        }
    }
}
