//! The command `store`: parse, call one verb, show its answer, end with a documented exit code.
//!
//! Thin by rule: no logic here that a program linking the libraries would miss. `anyhow` is used in this binary alone;
//! so is the environment (`SEALSTONE_REPO`, `XDG_DATA_HOME`, `NO_COLOR`), which the libraries never read.

mod args;
mod context;
mod exit;
mod location;
mod output;
mod progress;
mod signal;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Verb};
use exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let _ = error;
            Exit::Failed.into()
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.verb {
        Verb::Completions(args) => verbs::completions::run(args),
        Verb::Man(args) => verbs::man::run(args),
    }
}
