//! What `store update` and `store switch` do: check, import, plan, apply, and tell the journal.

use std::time::Instant;

use anyhow::{Context as _, bail};
use sealstone::deploy::bound::{BoundCondition, PreparedBound, bound_condition};
use sealstone::deploy::{
    Applied, DeployRequest, DeploymentId, Fallback, Finalise, Plan, Record, StagedWish, Standing, State,
    Target, UpdateCheck, Verdict, apply, check_bound, check_update, import_image, known_update_request,
    plan_finalize, plan_remove, plan_restage, plan_unchanged, plan_update, update_request,
};
use sealstone::import::oci::Platform;
use sealstone::import::source::{Reference, Source};
use sealstone::import::{ImportOptions, Reserve};

use crate::args::Reporting;
use crate::boot_flags::BootFlags;
use crate::bound;
use crate::context::Context;
use crate::exit::Exit;
use crate::journal::Event;
use crate::machine::EtcArgs;
use crate::output::escape;
use crate::reboot::reboot;
use crate::registry::RegistryArgs;
use crate::source;
use crate::target::TargetArgs;

use super::freed;
use super::planned::{self, RetentionFlags, now};
use super::update_show::{self, Done, Outcome};

/// What is told where an earlier run was cut off.
const MENDED: &str = "boot entries were not what the records say, as when a run is cut off: they are now";

/// The flags of both verbs.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Options {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Say whether there is something new, and change nothing: only the image's documents are fetched
    #[arg(long, conflicts_with_all = ["download_only", "apply", "dry_run"])]
    check: bool,
    /// Make all of it, and leave it alone at shutdown until `update --from-downloaded` asks for it
    #[arg(long, conflicts_with = "apply")]
    download_only: bool,
    /// Do not wait for a shutdown: make it what boots next now, and reboot if it is this system
    #[arg(long)]
    apply: bool,
    /// With --apply, leave the reboot to somebody else
    #[arg(long, requires = "apply")]
    no_reboot: bool,
    /// Print the plan, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Which image of an index [default: linux on this processor]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Leave so much of the file system free, as in 500M or 2GiB [default: 3 % of it, at most 1 GiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    min_free: Option<u64>,
    #[command(flatten)]
    etc: EtcArgs,
    #[command(flatten)]
    boot: BootFlags,
    #[command(flatten)]
    retention: RetentionFlags,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    pub reporting: Reporting,
}

impl Options {
    /// [`TargetArgs::make_writable`], unless nothing will be written.
    pub fn make_writable(&self) {
        if !self.check && !self.dry_run {
            self.target.make_writable();
        }
    }

    fn import(&self) -> ImportOptions {
        let mut options = ImportOptions::default();
        if let Some(platform) = &self.platform {
            options.platform = platform.clone();
        }
        options.reserve = self.min_free.map_or_else(Reserve::default, Reserve::bytes);
        options
    }

    /// A system that does not run has nothing to wait for.
    const fn finalise(&self, running: Option<&DeploymentId>) -> Finalise {
        match (self.download_only, self.apply, running) {
            (true, ..) => Finalise::AtShutdown { locked: true },
            (false, false, Some(_)) => Finalise::AtShutdown { locked: false },
            (false, ..) => Finalise::Now,
        }
    }
}

/// What is followed, and where.
pub struct Following {
    pub target: Target,
    pub running: Option<DeploymentId>,
    /// What there is, as it was when the verb began.
    pub standing: Standing,
    /// The reference as it is recorded.
    pub name: String,
    pub place: Reference,
}

/// Checks, and does what is to be done.
pub fn run(following: &Following, options: &Options, context: &Context) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let Following { target, running, standing, name, place } = following;
    let import = options.import();
    let what = || format!("update from {}", escape(name.as_bytes()));
    let source = source::open(place, &options.registry, &import, &target.repository, context)?;
    let mut check = check_update(target, standing, name, &*source, &import).with_context(what)?;
    // An update that is made now finds out itself what its image binds.
    if options.check || options.dry_run || check.verdict != Verdict::Available {
        let opener = bound::opener(&options.registry, &import, &target.repository, context);
        check_bound(target, standing, &mut check, &*source, &opener, &import, context.control()?)?;
    }
    let run = Run { target, running: running.as_ref(), options, context, start };
    run.tell_faults(standing);
    if options.check {
        return update_show::check(&check, running.is_some(), options.reporting.json, context);
    }
    if options.dry_run {
        return update_show::plan(
            &check,
            run.plan_of(&check, standing)?.as_ref(),
            options.reporting.json,
            context,
        );
    }
    match check.verdict {
        Verdict::Available => run.update(name, &*source, &import).with_context(what),
        Verdict::Withdrawn => run.withdraw(),
        Verdict::Current | Verdict::Queued | Verdict::Broken => run.nothing_new(&check, standing),
    }
}

/// Takes what was downloaded: it is finalised at the next shutdown from now on, or now.
pub fn from_downloaded(
    target: &Target,
    running: Option<&DeploymentId>,
    options: &Options,
    context: &Context,
) -> anyhow::Result<Exit> {
    let run = Run { target, running, options, context, start: Instant::now() };
    let Some(staged) = staged(target)? else {
        bail!("nothing was downloaded: `store update --download-only` does that");
    };
    let wish = StagedWish { unlock: true, etc: options.etc.policy() };
    let is_finalised = options.finalise(running) == Finalise::Now;
    if options.dry_run {
        let plan = if is_finalised {
            plan_finalize(target, running, &wish)?
        } else {
            plan_restage(target, &staged.id, &wish, running)?
        };
        return planned::show(&plan, options.reporting.json, context);
    }
    if is_finalised {
        return run.finish_staged(&staged);
    }
    let plan = plan_restage(target, &staged.id, &wish, running)?;
    run.finish(Outcome::Staged, &plan, &staged, None)
}

/// The deployment that waits to be finalised.
fn staged(target: &Target) -> anyhow::Result<Option<Record>> {
    let (records, _) = target.sysroot.records()?;
    Ok(records.into_iter().find(|record| record.state == State::Staged))
}

/// One run.
struct Run<'a> {
    target: &'a Target,
    running: Option<&'a DeploymentId>,
    options: &'a Options,
    context: &'a Context,
    start: Instant,
}

impl Run<'_> {
    /// Brings the image in, and makes it what boots next.
    fn update(&self, name: &str, source: &dyn Source, import: &ImportOptions) -> anyhow::Result<Exit> {
        self.options.target.require_esp()?;
        let imported = import_image(&self.target.repository, source, name, import, self.context.control()?)?;
        let finalise = self.options.finalise(self.running);
        let mut request = update_request(name, &imported, self.running.copied(), finalise, now()?)?;
        self.options.etc.add_to(&mut request);
        self.options.boot.add_to(&mut request);
        request.retention = self.options.retention.policy();
        let settings = (&self.options.registry, import);
        let bound = bound::bind(&mut request, self.target, settings, false, self.context)?;
        self.deploy(&request, bound)
    }

    /// Makes an imported image what boots next.
    fn deploy(&self, request: &DeployRequest, bound: PreparedBound) -> anyhow::Result<Exit> {
        let plan = plan_update(self.target, request)?;
        let Some(record) = &plan.deployment else {
            // The content was there already.
            let Some(next) = plan.rewritten.first() else {
                bail!("the system changed meanwhile: run it again");
            };
            return self.finish(Outcome::SameContent, &plan, next, Some(bound));
        };
        let outcome = match (record.state, record.locked) {
            (State::Staged, true) => Outcome::Downloaded,
            (State::Staged, false) => Outcome::Staged,
            _ => Outcome::Deployed,
        };
        self.finish(outcome, &plan, record, Some(bound))
    }

    /// What waits is not what the reference names any more; what runs is.
    fn withdraw(&self) -> anyhow::Result<Exit> {
        let Some(staged) = staged(self.target)? else { bail!("the system changed meanwhile: run it again") };
        let plan = plan_remove(self.target, &staged.id, self.running)?;
        self.finish(Outcome::Withdrawn, &plan, &staged, None)
    }

    fn nothing_new(&self, check: &UpdateCheck, standing: &Standing) -> anyhow::Result<Exit> {
        let mut mended = Vec::new();
        if let Some(plan) = plan_unchanged(self.target, standing, check, self.running)? {
            apply(self.target, &plan, self.context.control()?)?;
            if standing.is_out_of_step() {
                mended.push(MENDED.to_owned());
                mended.extend(plan.warnings);
            }
        }
        let waits = check.verdict == Verdict::Queued;
        let staged = if waits { staged(self.target)? } else { None };
        if let Some(staged) = &staged
            && self.options.apply
        {
            return self.finish_staged(staged);
        }
        if let Some(staged) = &staged
            && !self.options.etc.policy().is_default()
        {
            let wish = StagedWish { etc: self.options.etc.policy(), ..StagedWish::default() };
            let plan = plan_restage(self.target, &staged.id, &wish, self.running)?;
            return self.finish(Outcome::Queued, &plan, staged, None);
        }
        let outcome = match check.verdict {
            Verdict::Broken => Outcome::Broken,
            _ if waits => Outcome::Queued,
            _ => Outcome::Current,
        };
        let reboots = waits && self.options.apply;
        let failed = staged.as_ref().and_then(|staged| staged.unfinalised.as_ref());
        let failed = failed.map(|reason| format!("it could not be finalised at shutdown: {reason}"));
        let record = check.deployment.filter(|_| waits).and_then(|id| standing.record(&id));
        let done = Done {
            deployment: check.deployment,
            record: record.cloned(),
            warnings: check.warnings.iter().cloned().chain(failed).chain(mended).collect(),
            ..Done::of(outcome, self.start)
        };
        self.show(&done, reboots)
    }

    /// Finalises what is staged now.
    fn finish_staged(&self, staged: &Record) -> anyhow::Result<Exit> {
        self.options.target.require_esp()?;
        let wish = StagedWish { unlock: true, etc: self.options.etc.policy() };
        let plan = plan_finalize(self.target, self.running, &wish)?;
        self.finish(Outcome::Deployed, &plan, staged, None)
    }

    /// Applies a plan, tells the journal, and shows what was done to a deployment. What is `held` against gc is let go of once
    /// the plan was applied.
    fn finish(
        &self,
        outcome: Outcome,
        plan: &Plan,
        of: &Record,
        held: Option<PreparedBound>,
    ) -> anyhow::Result<Exit> {
        let applied = apply(self.target, plan, self.context.control()?)?;
        drop(held);
        self.options.boot.register(self.target, plan, self.context)?;
        self.tell(outcome, plan, &of.id);
        let repository = &self.target.repository;
        let (freed, failed) =
            freed::collect_or_warn(self.options.retention.gc, repository, plan, self.context)?;
        let warnings = plan.warnings.iter().cloned().chain(failed_partitions(&applied)).chain(failed);
        let is_gone = outcome == Outcome::Withdrawn;
        let done = Done {
            deployment: Some(of.id),
            record: plan.record(&of.id).or(Some(of)).filter(|_| !is_gone).cloned(),
            plan: Some(plan),
            freed,
            steps: applied.steps,
            warnings: warnings.collect(),
            ..Done::of(outcome, self.start)
        };
        self.show(&done, outcome == Outcome::Deployed && self.options.apply)
    }

    /// Shows what was done; and with `--apply` reboots the system that runs.
    fn show(&self, done: &Done<'_>, reboots: bool) -> anyhow::Result<Exit> {
        let reboots = reboots && self.running.is_some() && !self.options.no_reboot;
        let done = Done { is_of_what_runs: self.running.is_some(), ..done.clone() };
        update_show::done(&done, reboots, self.options.reporting.json, self.context)?;
        if reboots {
            reboot()?;
        }
        Ok(Exit::Done)
    }

    fn tell(&self, outcome: Outcome, plan: &Plan, id: &DeploymentId) {
        let journal = self.options.target.journal();
        let told = match outcome {
            Outcome::Staged => Some((Event::Staged, "is staged, and boots after the next shutdown")),
            Outcome::Downloaded => {
                Some((Event::Downloaded, "is downloaded, and waits until it is asked for"))
            }
            Outcome::Deployed => Some((Event::Deployed, "boots next")),
            _ => None,
        };
        match told {
            Some((event, what)) => journal.tell_of(event, self.target, Some(id), what, plan),
            None => journal.tell_pruned(plan),
        }
    }

    /// Tells what is wrong with the system that runs: that it is not what should, and what it lacks. That it cannot be known
    /// now stops no update.
    fn tell_faults(&self, standing: &Standing) {
        let Some(running) = standing.running() else { return };
        let journal = self.options.target.journal();
        if let Some((Fallback { deployment, reason }, record)) = standing.fallback() {
            let message = format!("the deployment {deployment} should run, and did not boot: {reason}");
            journal.tell(Event::FellBack, &message, Some(record));
        }
        let bound = bound_condition(&self.target.sysroot, &self.target.repository, running);
        if let Ok(Some(BoundCondition::Missing(reasons))) = bound {
            let (id, reasons) = (running.id, reasons.join("; "));
            let message = format!("images that are bound to the deployment {id} are missing: {reasons}");
            journal.tell(Event::BoundMissing, &message, Some(running));
        }
    }

    /// The plan of what a check found, if the content is there.
    fn plan_of(&self, check: &UpdateCheck, standing: &Standing) -> anyhow::Result<Option<Plan>> {
        match check.verdict {
            // What is left to be done of it.
            Verdict::Queued if standing.staged().is_some() => {
                let wish = StagedWish { unlock: true, etc: self.options.etc.policy() };
                Ok(Some(plan_finalize(self.target, self.running, &wish)?))
            }
            Verdict::Current | Verdict::Queued | Verdict::Broken => {
                Ok(plan_unchanged(self.target, standing, check, self.running)?)
            }
            Verdict::Withdrawn => {
                let staged = staged(self.target)?;
                let plan = |staged: Record| plan_remove(self.target, &staged.id, self.running);
                Ok(staged.map(plan).transpose()?)
            }
            Verdict::Available => {
                let finalise = self.options.finalise(self.running);
                let running = self.running.copied();
                let request = known_update_request(self.target, check, running, finalise, now()?)?;
                let Some(mut request) = request else { return Ok(None) };
                self.options.etc.add_to(&mut request);
                self.options.boot.add_to(&mut request);
                request.retention = self.options.retention.policy();
                let settings = (&self.options.registry, &self.options.import());
                let _dry = bound::bind(&mut request, self.target, settings, true, self.context)?;
                Ok(Some(plan_update(self.target, &request)?))
            }
        }
    }
}

/// The boot partitions that failed on the way, as sentences.
fn failed_partitions(done: &Applied) -> impl Iterator<Item = String> {
    done.failed.iter().map(|failed| format!("the boot partition {} failed: {}", failed.place, failed.reason))
}
