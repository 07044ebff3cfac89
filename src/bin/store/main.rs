//! The command `store`: parse, call one verb, show its answer, end with a documented exit code.
//!
//! Thin by rule: no logic here that a program linking the libraries would miss. `anyhow` is used in this binary alone;
//! so is the environment (`SEALSTONE_REPO`, `NO_COLOR`, those of `registry/`), which the libraries never read.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod args;
mod boot_flags;
mod boot_targets;
mod bound;
mod context;
mod efivars;
mod etc;
mod exit;
mod failure;
mod image;
mod journal;
mod location;
mod machine;
mod output;
mod output_file;
mod policy;
mod progress;
mod reboot;
mod registry;
mod running;
mod secret;
mod signal;
mod size;
mod source;
mod target;
mod verbs;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use console::Style;

use args::{Cli, Verb};
use context::Context;
use exit::Exit;

fn main() -> ExitCode {
    sealstone::store::keep_heap_tight();
    let cli = Cli::parse();
    let context = Context::new(&cli.global);
    let exit = run(&cli.verb, &context).unwrap_or_else(|error| {
        context.clear_bars();
        report(&error)
    });
    exit.into()
}

fn run(verb: &Verb, context: &Context) -> anyhow::Result<Exit> {
    match verb {
        Verb::Init(args) => verbs::init::run(args, context),
        Verb::Import(args) => verbs::import::run(args, context),
        Verb::Export(args) => verbs::export::run(args, context),
        Verb::Copy(args) => verbs::copy::run(args, context),
        Verb::Push(args) => verbs::push::run(args, context),
        Verb::Artifact(args) => verbs::artifact::run(args, context),
        Verb::Image(args) => verbs::image::run(args, context),
        Verb::Images(args) => verbs::images::run(args, context),
        Verb::Inspect(args) => verbs::inspect::run(args, context),
        Verb::Ls(args) => verbs::ls::run(args, context),
        Verb::Cat(args) => verbs::cat::run(args, context),
        Verb::Dump(args) => verbs::dump::run(args, context),
        Verb::Diff(args) => verbs::diff::run(args, context),
        Verb::Du(args) => verbs::du::run(args, context),
        Verb::Install(args) => verbs::install::run(args, context),
        Verb::Deploy(args) => verbs::deploy::run(args, context),
        Verb::Update(args) => verbs::update::run(args, context),
        Verb::Switch(args) => verbs::switch::run(args, context),
        Verb::Bound(args) => verbs::bound::run(args, context),
        Verb::Uki(args) => verbs::uki::run(args, context),
        Verb::Bundle(args) => verbs::bundle::run(args, context),
        Verb::Status(args) => verbs::status::run(args, context),
        Verb::Kargs(args) => verbs::kargs::run(args, context),
        Verb::Rollback(args) => verbs::rollback::run(args, context),
        Verb::BootNext(args) => verbs::boot_next::run(args, context),
        Verb::Pin(args) => verbs::pin::pin(args, context),
        Verb::Unpin(args) => verbs::pin::unpin(args, context),
        Verb::Prune(args) => verbs::prune::run(args, context),
        Verb::Finalize(args) => verbs::finalize::run(args, context),
        Verb::Bless(args) => verbs::bless::run(args, context),
        Verb::Reconcile(args) => verbs::reconcile::run(args, context),
        Verb::Mount(args) => verbs::mount::run(args, context),
        Verb::Umount(args) => verbs::umount::run(args),
        Verb::Rm(args) => verbs::rm::run(args, context),
        Verb::Gc(args) => verbs::gc::run(args, context),
        Verb::Fsck(args) => verbs::fsck::run(args, context),
        Verb::Index(args) => verbs::index::run(args, context),
        Verb::Doctor(args) => verbs::doctor::run(args, context),
        Verb::Completions(args) => verbs::completions::run(args),
        Verb::Man(args) => verbs::man::run(args),
    }
}

/// Says what went wrong, on standard error, and what to do next.
fn report(error: &anyhow::Error) -> Exit {
    if failure::is_closed_pipe(error) {
        return Exit::Done;
    }
    let (exit, hint) = failure::explain(error);
    let mut err = io::stderr().lock();
    let red = Style::new().for_stderr().red().bold();
    let dim = Style::new().for_stderr().dim();
    let _ = writeln!(err, "{} {}", red.apply_to("error:"), output::printable(&failure::message(error)));
    if let Some(hint) = hint {
        let _ = writeln!(err, "{} {hint}", dim.apply_to(" hint:"));
    }
    exit
}
