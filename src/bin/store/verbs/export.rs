//! `store export IMAGE TARGET`: an image out of the repository, as an OCI layout or an archive of one.

use std::time::Instant;

use anyhow::Context as _;
use sealstone::import::export::{ExportOptions, export};
use sealstone::import::source::Reference;
use sealstone::store::disk::RealDisk;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::stored_image;
use crate::output::{Elapsed, escape, write_document};

use super::exported::{self, FormatArg};

/// Write an image as an OCI layout or archive
///
/// The configuration, and with it the digests of the tars, go out byte for byte. The repository keeps tars, not compressed blobs: a
/// blob that is not compressed, or that this program once made, comes out as it was; another is compressed anew, and then the
/// manifest is another as well, which is said.
/// A layout that is there gains the image, and an archive is replaced; both are whole at any moment.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store export os:1 oci:image:1
  store export os:1 oci-archive:os.tar:1
  store export --compression zstd os:1 oci:image:1
  skopeo copy oci:image:1 docker://registry.example/os:1")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    /// Where to: oci:DIR or oci-archive:FILE, each with :TAG or without
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    format: FormatArg,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target: Reference = args.target.parse()?;
    let repository = context.open_repository()?;
    let stored = stored_image(&repository, &args.image)?;
    let mut options = ExportOptions::default();
    options.format = args.format.format();
    let start = Instant::now();
    let control = context.control()?;
    let what = || format!("export {} to {}", escape(stored.name.as_bytes()), escape(args.target.as_bytes()));
    let disk = RealDisk::shared();
    let report =
        export(&repository, &stored.manifest, &disk, &target, &options, control).with_context(what)?;
    let time = start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = exported::document(&stored.name, &args.target, &report, time);
            return write_document(out, "sealstone.export/1", &document);
        }
        let target = escape(args.target.as_bytes());
        writeln!(out, "{} exported in {}", terminal.bold(&target), Elapsed(time))?;
        exported::write(&report, out, terminal)
    })?;
    Ok(Exit::Done)
}
