//! What every verb gets: where the repository is, how to write answers, and the control of long calls.

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use sealstone::store::disk::RealDisk;
use sealstone::store::{Control, Repository};

use crate::args::Global;
use crate::output::Terminal;
use crate::progress::{self, Bars};
use crate::target::make_repository_writable;
use crate::{location, signal};

/// Made once from the global flags.
pub struct Context {
    /// The repository's folder; it need not exist.
    pub repository: PathBuf,
    explicit_repository: Option<PathBuf>,
    control: Control,
    terminal: Terminal,
    bars: Option<Arc<Bars>>,
    /// Set once signals cancel: a second handler would take the first signal for a second one.
    cancels: OnceLock<()>,
}

impl Context {
    /// Reads the environment and the terminal.
    pub fn new(global: &Global) -> Self {
        let mut control = Control::new();
        if let Some(threads) = global.threads {
            control = control.with_threads(NonZeroUsize::get(threads));
        }
        if let Some(memory) = global.memory {
            control = control.with_memory_budget(usize::try_from(memory).unwrap_or(usize::MAX));
        }
        let mut bars = None;
        if let Some((sink, shown)) = progress::sink(global.progress) {
            control = control.with_progress(sink);
            bars = shown;
        }
        let repository = location::repository(global.repo.as_deref());
        let explicit_repository = global.repo.clone();
        Self {
            repository,
            explicit_repository,
            control,
            terminal: Terminal::of_stdout(),
            bars,
            cancels: OnceLock::new(),
        }
    }

    /// What `--repo` says, if it was given.
    pub fn explicit_repository(&self) -> Option<&Path> {
        self.explicit_repository.as_deref()
    }

    /// Opens the repository.
    pub fn open_repository(&self) -> anyhow::Result<Repository> {
        Ok(Repository::open(&RealDisk::shared(), &self.repository)?)
    }

    /// The same for a verb that changes it: that of the system that runs is mounted read-only.
    pub fn open_repository_to_change(&self) -> anyhow::Result<Repository> {
        make_repository_writable(&self.repository);
        self.open_repository()
    }

    /// Progress, cancelling and threads for a long call. From here on Ctrl-C cancels instead of killing, so verbs that
    /// only read and print do not ask for it.
    pub fn control(&self) -> anyhow::Result<&Control> {
        if self.cancels.get().is_none() {
            signal::cancel_on_signal(self.control.cancel_token()).context("take over Ctrl-C")?;
            let _ = self.cancels.set(());
        }
        Ok(&self.control)
    }

    /// Progress alone: Ctrl-C goes on killing, also while somebody else's pipe is waited for.
    pub const fn progress(&self) -> &Control {
        &self.control
    }

    /// Writes an answer to standard output, after taking the progress bars off the screen.
    pub fn print(
        &self,
        write: impl FnOnce(&mut dyn Write, Terminal) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.clear_bars();
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        write(&mut out, self.terminal)?;
        out.flush()?;
        Ok(())
    }

    /// Takes the progress bars off the screen.
    pub fn clear_bars(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }
}
