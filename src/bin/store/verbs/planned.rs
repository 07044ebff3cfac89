//! What the verbs that change deployments have in common: their flags, what a plan looks like, doing it, the answer.
//!
//! What lives here: the dry run and the run of a plan that a verb made. What does not: the plans (the library), what a
//! single step is called (`plan_steps.rs`).

use std::io::{self, Write};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sealstone::deploy::bound::image_store::Sharing;
use sealstone::deploy::{
    Applied, DeploymentId, DeploymentsSection, EntriesSection, FailedPartition, Plan, Retention, Target,
    apply,
};
use serde::Serialize;

use super::freed::{self, Freed};
use super::plan_steps::describe;
use crate::args::Reporting;
use crate::context::Context;
use crate::etc;
use crate::exit::Exit;
use crate::failure;
use crate::image::short_id;
use crate::journal::Journal;
use crate::output::{Bytes, Count, Elapsed, Table, Terminal, escape, plural, printable, write_document};
use crate::target::TargetArgs;

/// `--dry-run` and `--json`.
#[derive(clap::Args)]
pub struct PlanFlags {
    /// Print the plan, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub reporting: Reporting,
}

/// What a verb takes that changes the deployments of a system by one plan.
#[derive(clap::Args)]
pub struct PlannedArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub flags: PlanFlags,
}

impl PlannedArgs {
    /// Makes the plan on the target, and runs it or prints it; `done` says in a word what was done. What was done, and not
    /// only planned, is told to the journal by `tell`.
    pub fn run(
        &self,
        context: &Context,
        done: &str,
        plan: impl FnOnce(&Target, Option<&DeploymentId>) -> anyhow::Result<Plan>,
        tell: impl FnOnce(&Journal, &Target, &Plan),
    ) -> anyhow::Result<Exit> {
        self.make_writable();
        let target = self.target.open(context)?;
        let plan = plan(&target, self.target.running().as_ref())?;
        let exit = run(&target, &plan, &self.flags, context, (done, false))?;
        if !self.flags.dry_run {
            tell(&self.target.journal(), &target, &plan);
        }
        Ok(exit)
    }

    /// The same where there has to be a boot partition.
    pub fn run_on_esp(
        &self,
        context: &Context,
        done: &str,
        plan: impl FnOnce(&Target, Option<&DeploymentId>) -> anyhow::Result<Plan>,
        tell: impl FnOnce(&Journal, &Target, &Plan),
    ) -> anyhow::Result<Exit> {
        self.make_writable();
        self.target.require_esp()?;
        self.run(context, done, plan, tell)
    }

    /// [`TargetArgs::make_writable`], unless nothing will be written.
    pub fn make_writable(&self) {
        if !self.flags.dry_run {
            self.target.make_writable();
        }
    }
}

/// What older deployments may stay.
#[derive(clap::Args)]
pub struct RetentionFlags {
    /// Keep at most N deployments in the boot menu, the pinned ones not counted
    #[arg(long, value_name = "N", overrides_with = "keep")]
    keep: Option<usize>,
    /// Keep none that is older than N days
    #[arg(long, value_name = "N", overrides_with = "keep_days")]
    keep_days: Option<u32>,
    /// Keep the newest deployment of each of the newest N versions of the system, and no other
    #[arg(long, value_name = "N", overrides_with = "keep_versions")]
    keep_versions: Option<usize>,
    /// Keep so much free on each boot partition, as in 200M
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, overrides_with = "esp_free")]
    esp_free: Option<u64>,
    /// Fail rather than remove the oldest when a boot partition has no room for the new kernel
    #[arg(long)]
    no_make_room: bool,
    /// Delete what only removed deployments needed, as `store gc` does, once one was removed
    #[arg(long, overrides_with = "gc")]
    pub gc: bool,
}

impl RetentionFlags {
    pub fn policy(&self) -> Retention {
        Retention {
            count: self.keep,
            age: self.keep_days.map(|days| u64::from(days) * 86_400),
            versions: self.keep_versions,
            esp_free: self.esp_free,
            make_room: !self.no_make_room,
        }
    }
}

/// The answer of a dry run, `sealstone.deploy-plan/1`.
#[derive(Serialize)]
struct PlanDocument<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    refused: Option<String>,
}

/// The answer, `sealstone.deployments/1`.
#[derive(Serialize)]
struct Document<'a> {
    changed: bool,
    deployments: &'a DeploymentsSection,
    entries: &'a EntriesSection,
    warnings: &'a [String],
    failed: &'a [FailedPartition],
    freed: Option<Freed>,
    steps: usize,
    seconds: f64,
}

/// Seconds since 1970.
pub fn now() -> anyhow::Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    Ok(i64::try_from(now)?)
}

/// Shows the plan, or does it, with a gc if that is wished, and says `done`.
pub fn run(
    target: &Target,
    plan: &Plan,
    flags: &PlanFlags,
    context: &Context,
    (done, is_gc_wished): (&str, bool),
) -> anyhow::Result<Exit> {
    if flags.dry_run {
        return show(plan, flags.reporting.json, context);
    }
    let start = Instant::now();
    let applied = apply(target, plan, context.control()?)?;
    let freed = freed::collect(is_gc_wished, &target.repository, plan, context)?;
    let seconds = start.elapsed();
    context.print(|out, terminal| {
        if flags.reporting.json {
            return write_document(
                out,
                "sealstone.deployments/1",
                &document(plan, &applied, freed, seconds.as_secs_f64()),
            );
        }
        match applied.steps as u64 {
            0 => writeln!(out, "nothing to do")?,
            steps => writeln!(out, "{done} in {}, {}", Elapsed(seconds), plural(steps, "step"))?,
        }
        if applied.steps > 0 {
            deployments(plan, terminal).write(out, terminal)?;
            etc::show(plan, out, terminal)?;
            freed::show(freed, plan, out, terminal)?;
        }
        failed_partitions(&applied, out, terminal)?;
        warnings(plan, out, terminal)
    })?;
    Ok(Exit::Done)
}

/// Which boot partitions failed on the way.
pub fn failed_partitions(applied: &Applied, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    applied.failed.iter().try_for_each(|failed| {
        let text = escape(format!("{}: {}", failed.place, failed.reason).as_bytes());
        writeln!(out, "{} {text}", terminal.bad("boot partition failed:"))
    })
}

fn document<'a>(plan: &'a Plan, applied: &'a Applied, freed: Option<Freed>, seconds: f64) -> Document<'a> {
    Document {
        changed: applied.steps > 0,
        deployments: &plan.deployments,
        entries: &plan.entries,
        warnings: &plan.warnings,
        failed: &applied.failed,
        freed,
        steps: applied.steps,
        seconds,
    }
}

/// Prints a plan. Ends as applying it would: with 0, or as what would refuse it.
pub fn show(plan: &Plan, json: bool, context: &Context) -> anyhow::Result<Exit> {
    let refusal = plan.refusal().map(anyhow::Error::new);
    let refused = refusal.as_ref().map(failure::message);
    let (exit, hint) = refusal.as_ref().map_or((Exit::Done, None), failure::explain);
    context.print(|out, terminal| {
        if json {
            return write_document(out, "sealstone.deploy-plan/1", &PlanDocument { plan, refused });
        }
        if plan.is_empty() {
            writeln!(out, "nothing to do")?;
            return warnings(plan, out, terminal);
        }
        deployments(plan, terminal).write(out, terminal)?;
        sections(plan, out, terminal)?;
        etc::show(plan, out, terminal)?;
        writeln!(out)?;
        room(plan, terminal).write(out, terminal)?;
        writeln!(out)?;
        for (number, step) in plan.steps.iter().enumerate() {
            writeln!(out, "{:>3}  {}", number + 1, describe(step))?;
        }
        warnings(plan, out, terminal)?;
        if let Some(refused) = &refused {
            writeln!(out, "{} {}", terminal.bad("would be refused:"), printable(refused))?;
        }
        hint.map_or(Ok(()), |hint| writeln!(out, "{} {hint}", terminal.dim(" hint:")))
    })?;
    Ok(exit)
}

/// Which deployments come, stay and go.
fn deployments(plan: &Plan, terminal: Terminal) -> Table {
    let mut table = Table::new().left("").left("DEPLOYMENT").left("").elastic();
    let name = |id: &DeploymentId| {
        let record = plan.record(id);
        record.map(|record| escape(record.os.title.as_bytes())).unwrap_or_default()
    };
    let section = &plan.deployments;
    for id in &section.added {
        table.row([terminal.good("new"), short_id(id, false), name(id)]);
    }
    for id in &section.kept {
        let text = if plan.record(id).is_some() { "changes" } else { "stays" };
        table.row([text.to_owned(), short_id(id, false), name(id)]);
    }
    for pruned in &section.pruned {
        table.row([terminal.warning("goes"), short_id(&pruned.id, false), escape(pruned.reason.as_bytes())]);
    }
    table
}

/// Entries, kernel arguments, bound images, bytes to fetch: those of which there is anything to say.
fn sections(plan: &Plan, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    let mut lines = Vec::new();
    for (sign, names) in [("+", &plan.entries.added), ("-", &plan.entries.removed)] {
        lines.extend(names.iter().map(|name| format!("{sign} entry {}", escape(name.as_bytes()))));
    }
    if let Some(loader) = &plan.loader {
        let version = loader.version.as_deref().unwrap_or_default();
        lines.extend(loader.written.iter().map(|written| {
            let over = written.before.as_ref().map(|before| format!(" over {before}")).unwrap_or_default();
            let what = format!("{} {version}{over}", loader.kind.name());
            let place = format!("{} on {}", written.path, written.place);
            format!("+ {} ({})", escape(place.as_bytes()), escape(what.as_bytes()))
        }));
    }
    let (before, after) = (&plan.kargs.before, &plan.kargs.after);
    for (sign, list, other) in [("+", after, before), ("-", before, after)] {
        let changed = list.iter().filter(|karg| !other.contains(karg));
        lines.extend(changed.map(|karg| format!("{sign} argument {}", escape(karg.as_bytes()))));
    }
    for bound in &plan.bound {
        let size = bound.bytes.map_or("of unknown size".to_owned(), |bytes| Bytes(bytes).to_string());
        lines.push(format!(
            "  bound image {} ({}), {size}",
            escape(bound.reference.as_bytes()),
            bound.manifest
        ));
    }
    if let Some(store) = &plan.image_store {
        let how = match store.how {
            Sharing::Reflink => "sharing blocks with the repository",
            Sharing::Copy => "copies, since the file system shares no blocks",
        };
        if store.is_estimate {
            let objects = Bytes(store.object_bytes);
            lines.push(format!("  files of bound images to come: about {objects} in the repository"));
            let bytes = Bytes(store.bytes);
            lines.push(format!("  image store for podman: {how}, about {bytes} written"));
            let guess =
                "estimates by the manifests' sizes: packed layers are taken to hold three times as much";
            lines.push(format!("    {guess}"));
        } else {
            let (files, bytes) = (plural(store.files, "file"), Bytes(store.bytes));
            lines.push(format!("  image store for podman: {files}, {how}, {bytes} written"));
        }
    }
    if plan.fetch.layers > 0 {
        let layers = plural(plan.fetch.layers as u64, "layer");
        lines.push(format!("  to fetch: {layers}, {}", Bytes(plan.fetch.bytes)));
    } else if plan.fetch.bytes > 0 {
        lines.push(format!("  to fetch: {}", Bytes(plan.fetch.bytes)));
    }
    if !lines.is_empty() {
        writeln!(out)?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "  {}", terminal.dim(line)))
}

fn room(plan: &Plan, terminal: Terminal) -> Table {
    let mut table = Table::new()
        .left("ON")
        .elastic()
        .right("NEEDED")
        .right("FREE")
        .right("FREED FIRST")
        .right("INODES")
        .right("FREE")
        .left("");
    for room in &plan.room {
        let verdict = match (room.suffices(), room.suffices_for_guesses()) {
            (false, _) => terminal.bad("too little"),
            (true, false) => terminal.warning("may be too little"),
            (true, true) => String::new(),
        };
        let about = if room.guessed > 0 { "about " } else { "" };
        let inodes =
            |count: u64| if room.inodes_free == 0 { String::new() } else { Count(count).to_string() };
        table.row([
            escape(room.place.as_bytes()),
            format!("{about}{}", Bytes(room.needed)),
            Bytes(room.free).to_string(),
            Bytes(room.freed).to_string(),
            inodes(room.inodes_needed),
            inodes(room.inodes_free),
            verdict,
        ]);
    }
    table
}

/// What is worth telling and stops nothing.
pub fn warnings(plan: &Plan, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    tell_warnings(&plan.warnings, out, terminal)
}

/// The same of a list.
pub fn tell_warnings(warnings: &[String], out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    let mut lines = warnings.iter();
    lines.try_for_each(|text| writeln!(out, "{} {}", terminal.warning("warning:"), escape(text.as_bytes())))
}
