//! `store man DIR`: a man page for the command and one for each verb, written into a folder.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::Exit;

/// Write the man pages, `store.1` and one for each verb
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store man target/man && man -l target/man/store-import.1")]
pub struct Args {
    /// The folder; made if it is missing
    dir: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let folder = &args.dir;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
        .with_context(|| format!("write man pages into {}", folder.display()))?;
    writeln!(std::io::stdout().lock(), "wrote man pages into {}", folder.display())?;
    Ok(Exit::Done)
}
