//! The order of steps: one after the other, and a kernel beside the state of its deployment.
//!
//! What lives here: which steps may be done at once. What does not: the steps.
//! Invariants: both end before anything that names them is written, whichever of them fails; neither needs the other, since a
//! record is there already and no boot entry is. A kernel that is small is not worth a thread, so that it is written in turn.

use std::{panic::resume_unwind, thread};

use sealstone_boot::SIDE_BY_SIDE;

use super::{Run, write_kernel};
use crate::{DeployError, Step};

impl Run<'_> {
    /// All steps.
    pub(super) fn steps(&mut self, mut steps: &[Step]) -> Result<(), DeployError> {
        while !steps.is_empty() {
            let (state, others) = leading(steps, makes_state);
            let (kernels, others) = leading(others, |step| matches!(step, Step::WriteKernel { .. }));
            if state.is_empty() || kernels.is_empty() || !self.is_large() {
                let (first, others) = steps.split_at(state.len().max(1));
                first.iter().try_for_each(|step| self.step_or_note(step))?;
                steps = others;
            } else {
                self.side_by_side(state, kernels)?;
                steps = others;
            }
        }
        Ok(())
    }

    /// Whether the new deployment's kernel takes longer to write than a thread to begin.
    fn is_large(&self) -> bool {
        let sizes = self.plan.deployment.as_ref().map(|record| record.kernel.sizes);
        sizes.is_some_and(|sizes| sizes.vmlinuz.saturating_add(sizes.initramfs) >= SIDE_BY_SIDE)
    }

    fn side_by_side(&mut self, state: &[Step], kernels: &[Step]) -> Result<(), DeployError> {
        kernels.iter().try_for_each(|step| self.show_before(step))?;
        let (target, plan) = (self.target, self.plan);
        let works =
            |step: &&Step| step.boot_partition().is_some_and(|number| !self.failed.contains_key(&number));
        let kernels: Vec<&Step> = kernels.iter().filter(works).collect();
        let (made, written) = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let write = |step: &&Step| match step {
                    Step::WriteKernel { esp, image, digest } => {
                        write_kernel(target, plan, *esp, (image, digest))
                    }
                    _ => Ok(()),
                };
                kernels.iter().map(write).collect::<Vec<_>>()
            });
            let made = state.iter().try_for_each(|step| self.step_or_note(step));
            // A panic goes on here.
            (made, writer.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        for step in &kernels {
            self.note_unseen(step);
        }
        made?;
        for (step, written) in kernels.iter().zip(written) {
            let written = written.map(|()| self.done.steps += 1);
            step.boot_partition().map_or(Ok(()), |number| self.note(number, written))?;
        }
        Ok(())
    }
}

/// The steps at the beginning that are of a kind, and the rest.
fn leading(steps: &[Step], is_of_kind: impl Fn(&Step) -> bool) -> (&[Step], &[Step]) {
    steps.split_at(steps.iter().position(|step| !is_of_kind(step)).unwrap_or(steps.len()))
}

/// Whether a step works on the sysroot's state alone.
const fn makes_state(step: &Step) -> bool {
    matches!(
        step,
        Step::MakeVar { .. } | Step::MakeState { .. } | Step::MakeImageStore { .. } | Step::MergeEtc { .. }
    )
}
