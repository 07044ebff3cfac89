//! `store dump IMAGE`: the image as text, in the format of composefs-dump(5).

use std::io::{self, BufWriter, Write};

use sealstone::store::dump::Dump;

use crate::context::Context;
use crate::exit::Exit;
use crate::image::OpenImage;

/// Print an image as composefs-dump(5)
///
/// One line a file, sorted: path, size, mode, links, owner, time, content, object. Two images with equal dumps are the same
/// image. `mkcomposefs --from-file` and `composefs-info dump` speak the same format.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store dump os:1 | grep '^/etc/'
  diff <(store dump os:1) <(store dump os:2)
  store dump os:1 | mkcomposefs --min-version=1 --from-file - os.cfs")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let image = OpenImage::open(context, &args.image)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    write!(out, "{}", Dump::new(&image.tree))?;
    out.flush()?;
    Ok(Exit::Done)
}
