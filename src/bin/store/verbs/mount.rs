//! `store mount IMAGE DIR`: mounts an image, read-only.

use std::path::PathBuf;

use sealstone::import::catalogue::Catalogue;
use sealstone::store::mount_image;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::escape;

/// Mount an image, read-only and verified
///
/// Needs root. Names and metadata come from the image itself, checked against its id; file bodies from objects. In a
/// repository with kernel verity the kernel checks every read, else `store fsck` does; `store doctor` says which it is.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store mount os:1 /mnt
  store umount /mnt")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    /// Where to
    dir: PathBuf,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository = context.open_repository()?;
    let found = Catalogue::read(&repository)?.find(&args.image)?;
    mount_image(&repository, &found.image, &args.dir)?;
    context.print(|out, _| {
        writeln!(out, "{} is mounted on {}", escape(args.image.as_bytes()), args.dir.display())
    })?;
    Ok(Exit::Done)
}
