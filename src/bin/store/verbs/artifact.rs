//! `store artifact VERB`: files in registries that are no images: disk images above all.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::{artifact_fetch, artifact_inspect, artifact_push};

/// Fetch and push files that lie in registries as OCI artifacts, such as disk images
///
/// What counts as one, and which of several is meant, is by the rules of Ironic: docs/cli.md.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store artifact inspect docker://quay.io/podman/machine-os:5.6
  store artifact fetch docker://quay.io/podman/machine-os:5.6 --output machine.raw
  store artifact fetch oci://registry.example/os:1 --output /dev/vdb
  store artifact push docker://registry.example/os:1 os.raw.zst,arch=amd64,disktype=raw")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with artifacts.
#[derive(Subcommand)]
enum What {
    Fetch(Box<artifact_fetch::Args>),
    Inspect(Box<artifact_inspect::Args>),
    Push(Box<artifact_push::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::Fetch(args) => artifact_fetch::run(args, context),
        What::Inspect(args) => artifact_inspect::run(args, context),
        What::Push(args) => artifact_push::run(args, context),
    }
}
