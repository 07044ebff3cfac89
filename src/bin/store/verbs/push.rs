//! `store push IMAGE docker://…`: an image out of the repository into a registry.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use sealstone::import::Limits;
use sealstone::import::catalogue::NamedImage;
use sealstone::import::registry::{PushOptions, RegistryReference, push};
use sealstone::store::disk::{Dir, RealDisk};

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::stored_image;
use crate::output::{Elapsed, escape, write_document};
use crate::registry::{self, RegistryArgs};

use super::exported::{self, FormatArg};

/// Push an image to a registry
///
/// What the registry has is not sent, and what another of its repositories has is mounted from there. So an image goes back to
/// the registry that it came from byte for byte; elsewhere, blobs that are compressed are made anew, and the manifest is another,
/// which is said. The manifest goes last, and is asked for again.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store push os:1 docker://registry.example/os:1
  store push --mount-from base/os os:1 docker://registry.example/my/os:1
  store push --compression zstd os:1 docker://registry.example/os:1")]
pub struct Args {
    /// A name, a manifest digest or an image id
    image: String,
    // An attribute, not a comment: rustdoc would read the brackets as a link.
    #[arg(value_name = "TARGET", help = "Where to: docker://HOST/REPOSITORY[:TAG][@DIGEST]")]
    target: String,
    #[command(flatten)]
    format: FormatArg,
    /// A repository of the same registry that may have some of the blobs [default: the one that the image came from]
    #[arg(long, value_name = "REPOSITORY")]
    mount_from: Vec<String>,
    /// Where blobs are made before they are sent [default: the repository]
    #[arg(long, value_name = "DIR")]
    tmpdir: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target: RegistryReference = args.target.parse()?;
    let repository = context.open_repository()?;
    let stored = stored_image(&repository, &args.image)?;
    let mut options = PushOptions::default();
    options.export.format = args.format.format();
    options.mount_from = mount_from(args, &stored, &target);
    options.scratch = args.tmpdir.as_ref().map(|dir| Dir::open(&RealDisk::shared(), dir)).transpose()?;
    let what = || format!("push {} to {}", escape(stored.name.as_bytes()), escape(args.target.as_bytes()));
    let limits = Limits::default();
    let (endpoint, settings) =
        registry::to_push(&target, &args.registry, &limits, context).with_context(what)?;
    let start = Instant::now();
    let control = context.control()?;
    let report = push(&repository, &stored.manifest, &target, endpoint, &settings, &options, control)
        .with_context(what)?;
    let time = start.elapsed();
    context.print(|out, terminal| {
        let target = target.to_string();
        if args.reporting.json {
            let document = exported::document(&stored.name, &target, &report, time);
            return write_document(out, "sealstone.push/1", &document);
        }
        writeln!(out, "{} pushed in {}", terminal.bold(&escape(target.as_bytes())), Elapsed(time))?;
        exported::write(&report, out, terminal)
    })?;
    Ok(Exit::Done)
}

/// Those that were given, and the one that the image came from if that is this registry's: an import names an image by its
/// reference unless told otherwise.
fn mount_from(args: &Args, stored: &NamedImage, target: &RegistryReference) -> Vec<String> {
    let mut repositories = args.mount_from.clone();
    if let Ok(origin) = stored.name.parse::<RegistryReference>()
        && origin.host() == target.host()
    {
        repositories.push(origin.repository().to_owned());
    }
    repositories
}
