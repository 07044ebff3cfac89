//! `store umount DIR`: takes an image's mount off a folder.

use std::path::PathBuf;

use sealstone::store::unmount_image;

use crate::exit::Exit;

/// Unmount an image
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store umount /mnt")]
pub struct Args {
    /// Where it is mounted
    dir: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    unmount_image(&args.dir)?;
    Ok(Exit::Done)
}
