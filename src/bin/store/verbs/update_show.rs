//! What `store update` and `store switch` answer: a check, a plan, what was done.

use std::io::{self, Write};
use std::time::Instant;

use sealstone::deploy::{CheckedImage, DeploymentId, Plan, Record, UpdateCheck, Verdict};
use serde::Serialize;

use crate::context::Context;
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
pub struct Done {
    pub outcome: Outcome,
    pub deployment: Option<DeploymentId>,
    /// Its record, where it was written.
    pub record: Option<Record>,
    pub fetched_bytes: u64,
    pub fetched_layers: usize,
    pub steps: usize,
    pub warnings: Vec<String>,
    pub start: Instant,
}

impl Done {
    /// Nothing yet.
    pub const fn of(start: Instant) -> Self {
        Self {
            outcome: Outcome::Current,
            deployment: None,
            record: None,
            fetched_bytes: 0,
            fetched_layers: 0,
            steps: 0,
            warnings: Vec::new(),
            start,
        }
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
    steps: usize,
    reboots: bool,
    warnings: &'a [String],
    seconds: f64,
}

/// Shows what a check found. Ends with 0 either way: the document says which.
pub fn check(check: &UpdateCheck, json: bool, context: &Context) -> anyhow::Result<Exit> {
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.update-check/1", check);
        }
        write_check(check, out, terminal)?;
        if check.verdict == Verdict::Available {
            writeln!(
                out,
                "{}",
                terminal.dim("without --check it is fetched, and boots after the next shutdown")
            )?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Shows what would be done: the plan, as far as the content is here, else what would be fetched.
pub fn plan(check: &UpdateCheck, plan: Option<&Plan>, json: bool, context: &Context) -> anyhow::Result<Exit> {
    if let Some(plan) = plan {
        return super::planned::show(plan, json, context);
    }
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.update-check/1", check);
        }
        write_check(check, out, terminal)?;
        if check.changed {
            writeln!(out, "the steps are known once the image is here: `--download-only` brings it")?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Shows what was done.
pub fn done(done: &Done, reboots: bool, json: bool, context: &Context) -> anyhow::Result<()> {
    let elapsed = done.start.elapsed();
    context.print(|out, terminal| {
        if json {
            let image = done.record.as_ref().map(|record| &record.image);
            let document = Document {
                outcome: done.outcome,
                deployment: done.deployment.map(|id| id.to_string()),
                reference: image.map(|image| image.reference.as_str()),
                manifest: image.map(|image| image.manifest.to_string()),
                fetched_bytes: done.fetched_bytes,
                fetched_layers: done.fetched_layers,
                steps: done.steps,
                reboots,
                warnings: &done.warnings,
                seconds: elapsed.as_secs_f64(),
            };
            return write_document(out, "sealstone.update/1", &document);
        }
        let title = done.record.as_ref().map_or("the system", |record| record.os.title.as_str());
        let title = terminal.bold(&escape(title.as_bytes()));
        writeln!(out, "{title} {} ({})", sentence(done.outcome, reboots), Elapsed(elapsed))?;
        facts(done).write(out, terminal)?;
        let mark = terminal.warning("warning:");
        done.warnings.iter().try_for_each(|warning| writeln!(out, "{mark} {}", printable(warning)))
    })
}

const fn sentence(outcome: Outcome, reboots: bool) -> &'static str {
    match outcome {
        Outcome::Current => "is up to date",
        Outcome::Queued => "has an update that waits already: it boots once it is finalised",
        Outcome::SameContent => "is up to date: another manifest has the same content, which was noted",
        Outcome::Broken => "has an update that did not boot: it is not taken again",
        Outcome::Withdrawn => "was withdrawn: what runs is the newest again",
        Outcome::Staged => "is staged: it boots after the next shutdown",
        Outcome::Downloaded => "is downloaded: `store update --from-downloaded` takes it",
        Outcome::Deployed if reboots => "boots next: rebooting",
        Outcome::Deployed => "boots next",
    }
}

fn facts(done: &Done) -> Facts {
    let mut facts = Facts::new();
    facts.add_some("deployment", done.deployment);
    if let Some(record) = &done.record {
        facts
            .add("reference", escape(record.image.reference.as_bytes()))
            .add("manifest", record.image.manifest);
    }
    if done.steps > 0 {
        let layers = plural(done.fetched_layers as u64, "layer");
        facts.add("fetched", format!("{} in {layers}", Bytes(done.fetched_bytes)));
    }
    facts
}

fn write_check(check: &UpdateCheck, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    let reference = terminal.bold(&escape(check.reference.as_bytes()));
    let what = match check.verdict {
        Verdict::Current => "is up to date",
        Verdict::Queued => "has an update that waits already",
        Verdict::Broken => "has an update that did not boot, and is not taken again",
        Verdict::Available => "has an update",
        Verdict::Withdrawn => "names what runs again: what waits would be removed",
    };
    writeln!(out, "{reference} {what}")?;
    let mut facts = Facts::new();
    facts.add_some("here", check.current.as_ref().map(describe));
    if check.changed {
        facts.add_some("there", check.available.as_ref().map(describe));
        let absent = check.layers.iter().filter(|layer| !layer.present).count() as u64;
        let most = if check.is_at_most { "at most " } else { "" };
        facts
            .add("to fetch", format!("{most}{} in {}", Bytes(check.bytes_to_fetch), plural(absent, "layer")));
    }
    match &check.bound {
        None => drop(facts.add("bound", "unknown until download")),
        Some(bound) => {
            for one in bound {
                let size =
                    one.bytes.map_or_else(|| "size unknown".to_owned(), |bytes| Bytes(bytes).to_string());
                facts.add("bound", format!("{}, {size}", escape(one.reference.as_bytes())));
            }
        }
    }
    facts.write(out, terminal)?;
    let mark = terminal.warning("warning:");
    check.warnings.iter().try_for_each(|warning| writeln!(out, "{mark} {}", printable(warning)))
}

fn describe(image: &CheckedImage) -> String {
    let version = image.version.as_ref().map(|version| format!("version {}, ", escape(version.as_bytes())));
    let created = image.created.as_ref().map(|created| format!(", of {}", escape(created.as_bytes())));
    let manifest = short_id(&image.manifest, false);
    format!("{}manifest {manifest}{}", version.unwrap_or_default(), created.unwrap_or_default())
}
