//! `store bundle VERB`: a system and the images that it binds in one layout, for machines without a network.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::{bundle_export, bundle_import};

/// Carry a system and the images that it binds to machines without a network
///
/// A bundle is one OCI layout with an index over all of them: other tools see the system, `skopeo copy --all` moves the
/// whole.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bundle export os:1 oci:bundle:1
  store bundle export os:1 oci-archive:bundle.tar:1
  store bundle import oci-archive:bundle.tar:1     # on the other machine
  store deploy os:1 --esp /boot                    # asks no registry")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with a bundle.
#[derive(Subcommand)]
enum What {
    Export(Box<bundle_export::Args>),
    Import(Box<bundle_import::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::Export(args) => bundle_export::run(args, context),
        What::Import(args) => bundle_import::run(args, context),
    }
}
