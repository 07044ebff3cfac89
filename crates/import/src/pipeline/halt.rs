//! The first failure of an import or export, which stops every thread of it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use sealstone_store::Control;

use crate::error::{ImportError, Result};

/// Shared by all threads of an import: asked between pieces of work, told the first error.
pub(crate) struct Halt<'a> {
    control: &'a Control,
    stopped: AtomicBool,
    first: Mutex<Option<ImportError>>,
}

impl<'a> Halt<'a> {
    pub(crate) fn new(control: &'a Control) -> Self {
        Self { control, stopped: AtomicBool::new(false), first: Mutex::new(None) }
    }

    pub(crate) const fn control(&self) -> &'a Control {
        self.control
    }

    /// Says whether to go on.
    pub(crate) fn check(&self) -> Result<()> {
        self.control.check()?;
        // The thread that failed told why; this one's error is dropped.
        if self.stopped.load(Ordering::Relaxed) { Err(ImportError::Cancelled) } else { Ok(()) }
    }

    /// Stops the others. Only the first error is kept: what follows it follows from it.
    pub(crate) fn fail(&self, error: ImportError) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// What the import ends with.
    pub(crate) fn outcome(self) -> Result<()> {
        self.first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}
