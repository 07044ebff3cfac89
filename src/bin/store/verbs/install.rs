//! `store install VERB`: a first system, wherever it is to go.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;

use super::{install_from_artifact, install_to_disk, install_to_filesystem};

/// Install a system
///
/// The image is imported straight into the target's own repository, then planned and deployed as any update is: nothing of it is
/// run, no container runtime is needed, and this machine's own configuration has no say. What lets the target boot is
/// written last; a run that was cut off is run again. docs/install.md tells more.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store install to-disk disk.raw docker://quay.io/example/os:1
  store install to-filesystem --root /mnt --esp /mnt/boot/efi docker://quay.io/example/os:1
  store install to-filesystem --root /mnt oci:image:1 --target-ref docker://quay.io/example/os:1
  store install from-artifact oci://registry.example/os:1 /dev/nvme0n1 --wipe")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// Where to.
#[derive(Subcommand)]
enum What {
    ToDisk(Box<install_to_disk::Args>),
    ToFilesystem(Box<install_to_filesystem::Args>),
    FromArtifact(Box<install_from_artifact::Args>),
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    match &args.what {
        What::ToDisk(args) => install_to_disk::run(args, context),
        What::ToFilesystem(args) => install_to_filesystem::run(args, context),
        What::FromArtifact(args) => install_from_artifact::run(args, context),
    }
}
