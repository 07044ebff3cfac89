//! `store uki addon`: an addon with kernel arguments for unified kernel images.

use std::path::PathBuf;

use sealstone::boot::Karg;
use sealstone::boot::uki::UkiParts;
use sealstone::store::disk::{File, RealDisk};

use super::uki_build::{Document, write_uki};
use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, escape, write_document};

/// Build an addon: kernel arguments for images that are sealed
///
/// The stub of an image takes the arguments of the addons beside it, signed with the same keys under Secure Boot. In an image,
/// an addon belongs below /boot/EFI/Linux/NAME.efi.extra.d/ or /boot/loader/addons/, and `store deploy --uki-addon` takes it;
/// on a boot partition, loader/addons/ has those of the machine for all of its systems.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store uki addon --stub /usr/lib/systemd/boot/efi/addonx64.efi.stub --karg console=ttyS0 --output console.addon.efi")]
pub struct Args {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// A kernel argument; may be given several times
    #[arg(long, value_name = "KEY[=VALUE]", required = true)]
    karg: Vec<Karg>,
    /// The stub of addons
    #[arg(long, value_name = "FILE")]
    stub: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let stub = File::open(&RealDisk::shared(), &args.stub)?;
    let kargs: Vec<&str> = args.karg.iter().map(Karg::as_str).collect();
    let cmdline = kargs.join(" ");
    let size = write_uki(&args.output, &stub, &UkiParts { cmdline: Some(&cmdline), ..UkiParts::default() })?;
    context.print(|out, terminal| {
        let output = args.output.display().to_string();
        if args.reporting.json {
            let document = Document { output, size, image: None, cmdline: Some(cmdline), uname: None };
            return write_document(out, "sealstone.uki-build/1", &document);
        }
        let name = terminal.bold(&escape(output.as_bytes()));
        writeln!(out, "{name} written, {}: {}", Bytes(size), escape(cmdline.as_bytes()))
    })?;
    Ok(Exit::Done)
}
