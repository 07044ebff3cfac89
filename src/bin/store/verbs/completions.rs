//! `store completions SHELL`: the completion script of a shell, on standard output.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;

/// Print completions for a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store completions bash > ~/.local/share/bash-completion/completions/store
  store completions zsh  > ~/.zfunc/_store
  store completions fish > ~/.config/fish/completions/store.fish")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "store", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}
