//! `--gc`: what only removed deployments needed is deleted with them.
//!
//! What lives here: when gc follows a plan, and how that is told. What does not: gc, which knows what is needed: whatever a
//! deployment refers to, be it staged, running or pinned. A plan that let go of nothing costs nothing here.

use std::io::{self, Write};

use sealstone::deploy::{Plan, Step};
use sealstone::store::{GcOptions, Repository};
use serde::Serialize;

use crate::context::Context;
use crate::output::{Bytes, Terminal, plural};

/// What was deleted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Freed {
    objects: u64,
    bytes: u64,
}

/// Deletes what nothing needs any more, if it is wished and the plan that was applied let go of something.
pub fn collect(
    is_wished: bool,
    repository: &Repository,
    plan: &Plan,
    context: &Context,
) -> anyhow::Result<Option<Freed>> {
    if !is_wished || !lets_go(plan) {
        return Ok(None);
    }
    let report = repository.gc(&GcOptions::default(), context.control()?)?;
    Ok(Some(Freed { objects: report.removed_objects, bytes: report.removed_bytes }))
}

/// The same for a verb whose business it is not: that it could not be done is a warning.
pub fn collect_or_warn(
    is_wished: bool,
    repository: &Repository,
    plan: &Plan,
    context: &Context,
) -> anyhow::Result<(Option<Freed>, Option<String>)> {
    match collect(is_wished, repository, plan, context) {
        Ok(freed) => Ok((freed, None)),
        Err(error) => {
            // Ctrl-C is no warning.
            context.control()?.check()?;
            Ok((None, Some(format!("what nothing needs any more was not deleted: {error:#}"))))
        }
    }
}

/// Says what was deleted; or that something could be, since the plan let go of it.
pub fn show(freed: Option<Freed>, plan: &Plan, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    if let Some(Freed { objects, bytes }) = freed {
        return writeln!(out, "  deleted {}, {}", plural(objects, "object"), Bytes(bytes));
    }
    if plan.deployments.pruned.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{}",
        terminal.dim("  what only they needed stays until `store gc`; --gc does that at once")
    )
}

/// Whether gc has anything new to find.
fn lets_go(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::Release { .. } | Step::ReleaseManifest { .. }))
}
