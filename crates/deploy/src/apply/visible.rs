//! What was written to a boot partition is seen by a boot loader that replays no journal before anything relies on that
//! (rule D8).
//!
//! What lives here: which step relies on which. What does not: how it becomes visible (the boot crate).
//! The order on a partition: kernels and boot loaders; entries, which name them, and entries that go, one by one; kernels that
//! go, and with them what a deployment is made of. Each must be seen before the next begins: a name may be in its place before
//! what it names is, and blocks of what goes are written again before its name is gone.

use sealstone_boot::{Esp, Visibility};

use super::Run;
use crate::{DeployError, Step};

/// What a step does to what boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Files,
    Entries,
    EntriesGone,
    FilesGone,
}

impl Phase {
    const fn of(step: &Step) -> Option<Self> {
        Some(match step {
            Step::WriteKernel { .. }
            | Step::WriteLoader { .. }
            | Step::WriteLoaderText { .. }
            | Step::WriteUki { .. } => Self::Files,
            Step::WriteEntry { .. } => Self::Entries,
            Step::RemoveEntry { .. } => Self::EntriesGone,
            Step::RemoveKernel { .. }
            | Step::RemoveBootcFiles { .. }
            | Step::RemoveState { .. }
            | Step::RemoveRecord { .. }
            | Step::Release { .. }
            | Step::Forget { .. }
            | Step::ReleaseManifest { .. } => Self::FilesGone,
            _ => return None,
        })
    }
}

/// What may not be seen yet on a boot partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unseen {
    /// What a run that was killed left there, if there was one.
    Earlier,
    /// Steps of this run.
    Of(Phase),
}

/// A boot partition, as a boot loader sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    number: usize,
    unseen: Option<Unseen>,
    /// Looked up once it is needed, which is before anything relies on what is there.
    how: Option<Visibility>,
}

/// A view of each boot partition of a run.
pub(super) fn views(esps: &[Esp]) -> Vec<View> {
    let view = |(number, esp): (usize, &Esp)| {
        let unseen = esp.role().has_entries().then_some(Unseen::Earlier);
        View { number, unseen, how: None }
    };
    esps.iter().enumerate().map(view).collect()
}

impl Run<'_> {
    /// Before a step: all that it relies on is seen.
    pub(super) fn show_before(&mut self, step: &Step) -> Result<(), DeployError> {
        let Some(phase) = Phase::of(step) else { return Ok(()) };
        // New files rely on nothing of an earlier run: nothing names them. Entries have an order among themselves as well, by
        // which what boots first is at any moment what did or what shall.
        let is_entry = matches!(phase, Phase::Entries | Phase::EntriesGone);
        let is_due = |unseen: Unseen| match unseen {
            Unseen::Earlier => phase != Phase::Files,
            Unseen::Of(done) => is_entry || done != phase,
        };
        let partition = step.boot_partition();
        let is_its_own = |number: usize| partition.is_none_or(|own| own == number);
        self.show(|view| is_its_own(view.number) && view.unseen.is_some_and(is_due))
    }

    /// At the end: all that this run did is seen.
    pub(super) fn show_rest(&mut self) -> Result<(), DeployError> {
        self.show(|view| matches!(view.unseen, Some(Unseen::Of(_))))
    }

    /// A step was done, or not to its end.
    pub(super) fn note_unseen(&mut self, step: &Step) {
        let partition = step.boot_partition();
        if let Some(view) = self.views.iter_mut().find(|view| Some(view.number) == partition) {
            view.unseen = Phase::of(step).map(Unseen::Of);
        }
    }

    fn show(&mut self, is_due: impl Fn(&View) -> bool) -> Result<(), DeployError> {
        let mut views = std::mem::take(&mut self.views);
        let mut result = Ok(());
        for view in &mut views {
            let works = self.world.is_usable(view.number) && !self.failed.contains_key(&view.number);
            if result.is_ok() && works && is_due(view) {
                let shown = self.show_one(view);
                result = self.note(view.number, shown);
            }
        }
        self.views = views;
        result
    }

    fn show_one(&self, view: &mut View) -> Result<(), DeployError> {
        let esp = self.esp(view.number)?;
        let in_use = [self.target.sysroot.dir(), self.target.repository.dir()];
        let first = || {
            let how = esp.visibility(&in_use)?;
            // D9: what is there counts as durable from here on.
            esp.settle(how)?;
            Ok::<_, DeployError>(how)
        };
        let how = view.how.map_or_else(first, Ok)?;
        view.how = Some(how);
        esp.make_visible(how)?;
        view.unseen = None;
        Ok(())
    }
}
