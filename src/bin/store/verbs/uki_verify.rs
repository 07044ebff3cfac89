//! `store uki verify FILE`: whether a PE image is signed by one who is trusted.

use std::path::PathBuf;

use sealstone::boot::uki::verify_signature;
use sealstone::store::disk::{File, RealDisk};

use super::uki_sign::{certificates, show};
use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;

/// Check that a unified kernel image, an addon or any other PE image is signed
///
/// As firmware does under Secure Boot: one of its signatures must be by one of the certificates, or by one that they signed,
/// over each byte of the file. When certificates end is not looked at, as firmware has no clock to trust.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store uki verify os.efi --cert db.pem
  store uki verify /boot/EFI/systemd/systemd-bootx64.efi --cert microsoft.pem --cert db.pem")]
pub struct Args {
    /// The file
    file: PathBuf,
    /// Certificates that are trusted, PEM or DER; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    cert: Vec<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let mut trusted = Vec::new();
    for path in &args.cert {
        trusted.extend(certificates(path)?);
    }
    let file = File::open(&RealDisk::shared(), &args.file)?;
    let name = args.file.display().to_string();
    let signed = verify_signature(&file, &name, &trusted)?;
    show(&name, &signed, args.reporting.json, context)
}
