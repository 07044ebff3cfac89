//! What `store update` and `store switch` answer: a check, a plan, what was done.

use std::io::{self, Write};
use std::time::Instant;

use sealstone::deploy::{
    CheckedBound, CheckedImage, DeploymentId, EtcConflict, Fetch, Plan, Pruned, Record, State, UpdateCheck,
    Verdict,
};
use serde::Serialize;

use super::freed::{self, Freed};
use crate::context::Context;
use crate::etc;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Elapsed, Facts, Terminal, escape, plural, printable, write_document};

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is new.
    Current,
    /// What is new waits already.
    Queued,
    /// The same content has another manifest or reference: it was noted.
    SameContent,
    /// What is new was deployed already, and did not boot: it is not taken again.
    Broken,
    /// What waited was removed: what runs is named again.
    Withdrawn,
    /// It boots after the next shutdown.
    Staged,
    /// It waits until it is asked for.
    Downloaded,
    /// It boots next.
    Deployed,
}

/// What was done.
#[derive(Clone)]
pub struct Done<'a> {
    pub outcome: Outcome,
    pub deployment: Option<DeploymentId>,
    /// Its record, where it was written, or waits.
    pub record: Option<Record>,
    /// What was applied.
    pub plan: Option<&'a Plan>,
    pub freed: Option<Freed>,
    pub steps: usize,
    pub warnings: Vec<String>,
    /// Whether the system is the one that runs.
    pub is_of_what_runs: bool,
    pub start: Instant,
}

impl Done<'_> {
    /// Nothing yet.
    pub const fn of(outcome: Outcome, start: Instant) -> Self {
        Self {
            outcome,
            deployment: None,
            record: None,
            plan: None,
            freed: None,
            steps: 0,
            warnings: Vec::new(),
            is_of_what_runs: false,
            start,
        }
    }

    fn fetch(&self) -> Fetch {
        self.plan.map(|plan| plan.fetch).unwrap_or_default()
    }
}

/// The answer, `sealstone.update/1`.
#[derive(Serialize)]
struct Document<'a> {
    outcome: Outcome,
    deployment: Option<String>,
    reference: Option<&'a str>,
    manifest: Option<String>,
    fetched_bytes: u64,
    fetched_layers: usize,
    removed: &'a [Pruned],
    conflicts: &'a [EtcConflict],
    freed: Option<Freed>,
    steps: usize,
    reboots: bool,
    warnings: &'a [String],
    seconds: f64,
}

/// Shows what a check found. Ends with 0 either way: the document says which.
pub fn check(check: &UpdateCheck, is_running: bool, json: bool, context: &Context) -> anyhow::Result<Exit> {
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.update-check/1", check);
        }
        write_check(check, out, terminal)?;
        if check.verdict == Verdict::Available {
            let when = if is_running { "after the next shutdown" } else { "next" };
            let text = format!("without --check it is fetched, and boots {when}");
            writeln!(out, "{}", terminal.dim(&text))?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Shows what would be done: the plan, as far as the content is here, else what would be fetched.
pub fn plan(check: &UpdateCheck, plan: Option<&Plan>, json: bool, context: &Context) -> anyhow::Result<Exit> {
    if let Some(plan) = plan {
        if check.verdict == Verdict::Queued && !json {
            context.print(|out, terminal| {
                let reference = terminal.bold(&escape(check.reference.as_bytes()));
                writeln!(out, "{reference} has an update that waits already; what is left to be done:")
            })?;
        }
        return super::planned::show(plan, json, context);
    }
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.update-check/1", check);
        }
        write_check(check, out, terminal)?;
        if check.changed {
            let text = "the steps are known once the image is here: --download-only brings it, and --dry-run tells then";
            writeln!(out, "{}", terminal.dim(text))?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Shows what was done.
pub fn done(done: &Done<'_>, reboots: bool, json: bool, context: &Context) -> anyhow::Result<()> {
    let elapsed = done.start.elapsed();
    context.print(|out, terminal| {
        if json {
            return write_document(
                out,
                "sealstone.update/1",
                &document(done, reboots, elapsed.as_secs_f64()),
            );
        }
        let title = done.record.as_ref().map_or("the system", |record| record.os.title.as_str());
        let title = terminal.bold(&escape(title.as_bytes()));
        writeln!(out, "{title} {} ({})", sentence(done, reboots), Elapsed(elapsed))?;
        facts(done).write(out, terminal)?;
        if let Some(plan) = done.plan {
            removed(plan, out)?;
            etc::conflicts(plan, out, terminal)?;
            freed::show(done.freed, plan, out, terminal)?;
        }
        let mark = terminal.warning("warning:");
        done.warnings.iter().try_for_each(|warning| writeln!(out, "{mark} {}", printable(warning)))
    })
}

/// Says which deployments went.
pub fn removed(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    plan.deployments.pruned.iter().try_for_each(|pruned| {
        writeln!(out, "  removed {}: {}", short_id(&pruned.id, false), escape(pruned.reason.as_bytes()))
    })
}

fn document<'a>(done: &'a Done<'_>, reboots: bool, seconds: f64) -> Document<'a> {
    let image = done.record.as_ref().map(|record| &record.image);
    let Fetch { bytes, layers } = done.fetch();
    Document {
        outcome: done.outcome,
        deployment: done.deployment.map(|id| id.to_string()),
        reference: image.map(|image| image.reference.as_str()),
        manifest: image.map(|image| image.manifest.to_string()),
        fetched_bytes: bytes,
        fetched_layers: layers,
        removed: done.plan.map(|plan| &*plan.deployments.pruned).unwrap_or_default(),
        conflicts: done.plan.map(|plan| &*plan.etc.merge.conflicts).unwrap_or_default(),
        freed: done.freed,
        steps: done.steps,
        reboots,
        warnings: &done.warnings,
        seconds,
    }
}

const fn sentence(done: &Done<'_>, reboots: bool) -> &'static str {
    match done.outcome {
        Outcome::Current => "is up to date",
        Outcome::Queued => queued(done, reboots),
        Outcome::SameContent => "is up to date: another manifest has the same content, which was noted",
        Outcome::Broken => "has an update that did not boot: it is not taken again",
        Outcome::Withdrawn => "was withdrawn: what runs is the newest again",
        Outcome::Staged => "is staged: it boots after the next shutdown",
        Outcome::Downloaded => "is downloaded: `store update --from-downloaded` takes it",
        Outcome::Deployed if reboots => "boots next: rebooting",
        Outcome::Deployed => "boots next",
    }
}

/// What is there already waits for one thing or another.
const fn queued(done: &Done<'_>, reboots: bool) -> &'static str {
    match &done.record {
        Some(Record { state: State::Staged, locked: true, .. }) => {
            "is downloaded already: `store update --from-downloaded` takes it"
        }
        Some(Record { state: State::Staged, .. }) if done.is_of_what_runs => {
            "is staged already: it boots after the next shutdown"
        }
        Some(Record { state: State::Staged, .. }) => "is staged already: `store finalize` lets it boot next",
        _ if reboots => "is first in the boot menu already: rebooting",
        _ => "is first in the boot menu already: it boots next",
    }
}

fn facts(done: &Done<'_>) -> Facts {
    let mut facts = Facts::new();
    facts.add_some("deployment", done.deployment);
    if let Some(record) = &done.record {
        facts
            .add("reference", escape(record.image.reference.as_bytes()))
            .add("manifest", record.image.manifest);
    }
    if done.steps > 0 {
        let Fetch { bytes, layers } = done.fetch();
        facts.add("fetched", fetched(bytes, layers as u64));
    }
    facts
}

/// So many bytes, and of how many layers, if it was of layers.
fn fetched(bytes: u64, layers: u64) -> String {
    let of =
        if layers > 0 || bytes == 0 { format!(" in {}", plural(layers, "layer")) } else { String::new() };
    format!("{}{of}", Bytes(bytes))
}

fn write_check(check: &UpdateCheck, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    let reference = terminal.bold(&escape(check.reference.as_bytes()));
    let bound = check.bound.as_deref().unwrap_or_default();
    let moved = bound.iter().filter(|one| one.moved).count() as u64;
    let what = match check.verdict {
        Verdict::Current => "is up to date".to_owned(),
        Verdict::Queued => "has an update that waits already".to_owned(),
        Verdict::Broken => "has an update that did not boot, and is not taken again".to_owned(),
        // Whether the system itself is another or not.
        Verdict::Available if moved > 0 => format!("has an update of {}", plural(moved, "bound image")),
        Verdict::Available => "has an update".to_owned(),
        Verdict::Withdrawn => "names what runs again: what waits would be removed".to_owned(),
    };
    writeln!(out, "{reference} {what}")?;
    let mut facts = Facts::new();
    facts.add_some("here", check.current.as_ref().map(describe));
    if check.changed {
        let is_other =
            |there: &&CheckedImage| check.current.as_ref().is_none_or(|here| here.manifest != there.manifest);
        facts.add_some("there", check.available.as_ref().filter(is_other).map(describe));
        let absent = check.layers.iter().filter(|layer| !layer.present).count() as u64;
        let most = if check.is_at_most { "at most " } else { "" };
        facts.add("to fetch", format!("{most}{}", fetched(check.bytes_to_fetch, absent)));
    }
    if check.bound.is_none() {
        facts.add("bound", "unknown until download");
    }
    for one in bound {
        facts.add("bound", describe_bound(one));
    }
    facts.write(out, terminal)?;
    let mark = terminal.warning("warning:");
    check.warnings.iter().try_for_each(|warning| writeln!(out, "{mark} {}", printable(warning)))
}

fn describe_bound(one: &CheckedBound) -> String {
    let size = one.bytes.map_or_else(|| "size unknown".to_owned(), |bytes| Bytes(bytes).to_string());
    let manifest = one.manifest.as_ref().filter(|_| one.moved).map(|manifest| short_id(manifest, false));
    let moved = manifest.map(|manifest| format!(" moved to {manifest}")).unwrap_or_default();
    format!("{}{moved}, {size}", escape(one.reference.as_bytes()))
}

fn describe(image: &CheckedImage) -> String {
    let version = image.version.as_ref().map(|version| format!("version {}, ", escape(version.as_bytes())));
    let created = image.created.as_ref().map(|created| format!(", of {}", escape(created.as_bytes())));
    let manifest = short_id(&image.manifest, false);
    format!("{}manifest {manifest}{}", version.unwrap_or_default(), created.unwrap_or_default())
}
