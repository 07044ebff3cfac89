//! `store uki VERB`: unified kernel images.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::{uki_addon, uki_build, uki_inspect, uki_sign, uki_verify};

/// Build, sign and look at unified kernel images
///
/// One is a single file that firmware boots: kernel, initramfs and a command line that names the image to boot, so that a
/// signature on it seals the whole system: docs/uki.md.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store uki build os:1 --output os.efi
  store uki sign os.efi --key db.key --cert db.pem --output os.signed.efi
  store uki verify os.signed.efi --cert db.pem
  store uki inspect os.efi
  store uki addon --karg console=ttyS0 --stub addonx64.efi.stub --output console.addon.efi")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with unified kernel images.
#[derive(Subcommand)]
enum What {
    Build(Box<uki_build::Args>),
    Addon(Box<uki_addon::Args>),
    Inspect(Box<uki_inspect::Args>),
    Sign(Box<uki_sign::Args>),
    Verify(Box<uki_verify::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::Build(args) => uki_build::run(args, context),
        What::Addon(args) => uki_addon::run(args, context),
        What::Inspect(args) => uki_inspect::run(args, context),
        What::Sign(args) => uki_sign::run(args, context),
        What::Verify(args) => uki_verify::run(args, context),
    }
}
