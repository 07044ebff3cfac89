//! `store cat IMAGE PATH`: the bytes of a file, checked on the way.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use sealstone::store::Error as StoreError;
use sealstone::store::tree::Content;

use crate::context::Context;
use crate::exit::Exit;
use crate::image::OpenImage;
use crate::output::escape;
use crate::output::file::type_name;

/// Print a file of an image
///
/// Links are followed inside the image. The bytes are checked against the object's id while they are printed: after
/// damage the exit code is not 0, whatever was printed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store cat os:1 /usr/lib/os-release
  store cat os:1 /usr/lib/modules/6.1.0/vmlinuz > vmlinuz")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    /// The file
    path: String,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let image = OpenImage::open(context, &args.image)?;
    let inode = image.tree.resolve(args.path.as_bytes())?;
    let mut out = BufWriter::new(io::stdout().lock());
    match image.tree.content(inode) {
        Content::Inline(bytes) => out.write_all(bytes)?,
        Content::External { object, .. } => {
            let mut broken = None;
            let copied = image.repository.copy_object(&object, |piece| {
                out.write_all(piece).map_err(|error| {
                    broken = Some(error);
                    StoreError::Cancelled
                })
            });
            // The pipe's own error says more than that the copy was stopped.
            if let Some(error) = broken {
                return Err(error.into());
            }
            copied?;
        }
        _ => {
            let kind = type_name(image.tree.file_type(inode));
            bail!("{} is a {kind}, and has no bytes to print", escape(args.path.as_bytes()));
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}
