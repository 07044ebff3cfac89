//! `store kargs`: the kernel arguments of what boots next.

use sealstone::boot::Karg;
use sealstone::deploy::kargs::{KargsEdit, KargsOwner, SourceName};
use sealstone::deploy::{
    DeploymentStatus, KargOrigin, Place, RecordedKarg, State, Status, apply, plan_kargs, status,
};
use serde::Serialize;

use super::planned::{show as show_plan, tell_warnings};
use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Table, Terminal, escape, write_document};
use crate::target::TargetArgs;

/// Show or change the kernel arguments of what boots next
///
/// Arguments are the image's, this machine's, or a named source's. An update replaces the image's; all others stay, and
/// what was taken away of an image's stays away. A change rewrites the boot entry of what boots next; what runs has it
/// after a reboot. With --source, only the arguments of that source are shown or changed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store kargs --esp /boot                                # list
  store kargs set console=ttyS0 console=tty0 --esp /boot # instead of all console= set before
  store kargs unset quiet --esp /boot                    # the image's too, for good
  store kargs --source tuned set isolcpus=2-3 --esp /boot
  store kargs --source tuned unset --all --esp /boot")]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// The owner of the arguments [default: you, the administrator]
    #[arg(long, value_name = "NAME", global = true)]
    source: Option<SourceName>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    reporting: Reporting,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Put arguments in the place of all that their owner set of the same keys
    Set {
        /// The arguments
        #[arg(required = true, value_name = "KEY[=VALUE]")]
        kargs: Vec<Karg>,
        #[command(flatten)]
        change: Change,
    },
    /// Take arguments away: KEY=VALUE that one, KEY all of the key
    Unset {
        /// The arguments
        #[arg(required_unless_present = "all", value_name = "KEY[=VALUE]")]
        kargs: Vec<Karg>,
        /// All that the owner set
        #[arg(long, conflicts_with = "kargs")]
        all: bool,
        #[command(flatten)]
        change: Change,
    },
    /// List the arguments, and who wants each
    List,
}

#[derive(clap::Args)]
struct Change {
    /// Print the plan, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// The answer, `sealstone.kargs/1`.
#[derive(Serialize)]
struct Document<'a> {
    deployment: String,
    kargs: Vec<&'a RecordedKarg>,
    deleted: &'a [String],
    steps: usize,
    warnings: &'a [String],
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if let Some(Action::Set { change, .. } | Action::Unset { change, .. }) = &args.action
        && !change.dry_run
    {
        args.target.make_writable();
    }
    let target = args.target.open(context)?;
    let running = args.target.running();
    let owner = args.source.clone().map_or(KargsOwner::Caller, KargsOwner::Source);
    let (edit, change) = match &args.action {
        None | Some(Action::List) => {
            return show(args, &status(&target, running.as_ref())?, (0, &[]), context);
        }
        Some(Action::Set { kargs, change }) => (KargsEdit::Set(kargs.clone()), change),
        Some(Action::Unset { all: true, change, .. }) => (KargsEdit::Clear, change),
        Some(Action::Unset { kargs, change, .. }) => (KargsEdit::Unset(kargs.clone()), change),
    };
    args.target.require_esp()?;
    let plan = plan_kargs(&target, &owner, &edit, running.as_ref())?;
    if change.dry_run {
        return show_plan(&plan, args.reporting.json, context);
    }
    let done = apply(&target, &plan, context.control()?)?;
    show(args, &status(&target, running.as_ref())?, (done.steps, &plan.warnings), context)
}

/// The deployment that boots next: what a change was about.
fn next(status: &Status) -> Option<&DeploymentStatus> {
    let is_next = |deployment: &&DeploymentStatus| {
        status.next.as_ref().is_some_and(|next| next.deployment == deployment.record.id)
    };
    status.deployments.iter().find(is_next)
}

fn show(
    args: &Args,
    status: &Status,
    (steps, warnings): (usize, &[String]),
    context: &Context,
) -> anyhow::Result<Exit> {
    let Some(deployment) = next(status) else { anyhow::bail!("nothing is deployed here") };
    let is_shown = |recorded: &&RecordedKarg| {
        let of = |source: &SourceName| recorded.origin == KargsOwner::Source(source.clone()).origin();
        args.source.as_ref().is_none_or(of)
    };
    let record = &deployment.record;
    let kargs: Vec<&RecordedKarg> = record.kargs.iter().filter(is_shown).collect();
    context.print(|out, terminal| {
        if args.reporting.json {
            let deployment = record.id.to_string();
            let document = Document { deployment, kargs, deleted: &record.karg_deletes, steps, warnings };
            return write_document(out, "sealstone.kargs/1", &document);
        }
        table(&kargs, &record.karg_deletes, args.source.is_some(), terminal).write(out, terminal)?;
        let of = format!("of {}, {}", short_id(&record.id, false), what(deployment));
        writeln!(out, "{}", terminal.dim(&of))?;
        tell_warnings(warnings, out, terminal)
    })?;
    Ok(Exit::Done)
}

fn what(deployment: &DeploymentStatus) -> &'static str {
    match (deployment.record.state, deployment.booted, deployment.place) {
        (State::Staged, ..) => "which is staged, and boots next",
        (_, true, Some(Place::Default)) => "which runs, and boots next",
        _ => "which boots next",
    }
}

fn table(kargs: &[&RecordedKarg], deleted: &[String], is_of_source: bool, terminal: Terminal) -> Table {
    let mut table = Table::new().left("ARGUMENT").elastic().left("FROM");
    for recorded in kargs {
        let from = match &recorded.origin {
            KargOrigin::Caller => "you".to_owned(),
            KargOrigin::Source { name } => escape(format!("source {name}").as_bytes()),
            KargOrigin::Image { file } => escape(format!("image, {file}").as_bytes()),
            KargOrigin::Install { file } => escape(format!("installation, {file}").as_bytes()),
            _ => "another origin".to_owned(),
        };
        table.row([escape(recorded.karg.as_str().as_bytes()), from]);
    }
    for karg in deleted.iter().filter(|_| !is_of_source) {
        table.row([terminal.dim(&escape(karg.as_bytes())), terminal.dim("deleted")]);
    }
    table
}
