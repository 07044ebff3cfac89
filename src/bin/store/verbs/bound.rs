//! `store bound VERB`: the container images that a system image binds.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::{bound_annotate, bound_lint, bound_list, bound_mount, bound_sync};

/// Look after the container images that a system image binds
///
/// They are named by links in the image's /usr/lib/bootc/bound-images.d, resolved to digests and fetched when it is
/// deployed, and shown to podman per deployment: docs/bound-images.md.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bound list                      # of all deployments
  store bound list os:1                 # of an image
  store bound lint os:1                 # before it is shipped
  store bound annotate os:1 oci:image:1
  store bound sync                      # bring back what the running system lacks
  store bound mount                     # show them to podman")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with bound images.
#[derive(Subcommand)]
enum What {
    List(Box<bound_list::Args>),
    Lint(Box<bound_lint::Args>),
    Sync(Box<bound_sync::Args>),
    Annotate(Box<bound_annotate::Args>),
    Mount(Box<bound_mount::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::List(args) => bound_list::run(args, context),
        What::Lint(args) => bound_lint::run(args, context),
        What::Sync(args) => bound_sync::run(args, context),
        What::Annotate(args) => bound_annotate::run(args, context),
        What::Mount(args) => bound_mount::run(args, context),
    }
}
