//! `store image VERB`: images as such, wherever their files are.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::image_digest;

/// Compute the digest of an image, without making it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store image digest --root /mnt/rootfs
  store image digest --source oci:image:latest --karg")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with an image.
#[derive(Subcommand)]
enum What {
    Digest(Box<image_digest::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::Digest(args) => image_digest::run(args, context),
    }
}
