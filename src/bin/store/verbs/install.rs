//! `store install VERB`: a first system, wherever it is to go.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::install_from_artifact;

/// Install a system
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store install from-artifact oci://registry.example/os:1 /dev/nvme0n1 --wipe")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// Where to.
#[derive(Subcommand)]
enum What {
    FromArtifact(Box<install_from_artifact::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::FromArtifact(args) => install_from_artifact::run(args, context),
    }
}
