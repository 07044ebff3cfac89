//! `store image digest`: the digest that an image has, of a folder, of an image elsewhere or of a stored one.

use std::path::PathBuf;

use anyhow::Context as _;
use sealstone::boot::ComposefsArg;
use sealstone::deploy::{
    DigestRequest, ImageDigest, Profile, digest_folder, digest_source, digest_stored, stored_layers,
};
use sealstone::import::ImportOptions;
use sealstone::import::oci::Platform;
use sealstone::import::source::Reference;
use sealstone::store::Algorithm;
use sealstone::store::disk::{Dir, RealDisk};
use sealstone::store::erofs::Version;
use serde::Serialize;

use crate::args::{Hash, Reporting};
use crate::context::Context;
use crate::exit::Exit;
use crate::image::stored_image;
use crate::output::{escape, write_document};
use crate::registry::RegistryArgs;
use crate::source;

/// Compute the digest of an image, without making it
///
/// The id that the image has in a repository, and that a UKI's command line names: of a folder that holds its files, of an image
/// in a layout, an archive or a registry, or of one in the repository. A folder into which an image was unpacked as root, with
/// times and extended attributes, gives the digest of the image. Nothing is written anywhere.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store image digest --root /mnt/rootfs                      # of the files of a build
  store image digest --source oci:image:latest --karg        # for the command line of a UKI
  store image digest os:1 --erofs v1,v2 --algorithm sha256,sha512
  store image digest --root /mnt/rootfs --profile oci --json")]
#[group(id = "what", required = true, multiple = false, args = ["image", "root", "source"])]
pub struct Args {
    /// An image of the repository: a name, a manifest digest or an image id
    image: Option<String>,
    /// A folder with the files of the image
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// An image elsewhere, as `store import` takes it
    #[arg(long, value_name = "REFERENCE")]
    source: Option<Reference>,
    /// How the files are made canonical [default: bootable for an image with a kernel, else oci]
    #[arg(long, value_name = "bootable|oci|oci-plain")]
    profile: Option<Profile>,
    /// The format of the image, or several
    #[arg(long, value_name = "v1|v2", value_delimiter = ',', default_value = "v1")]
    erofs: Vec<Version>,
    /// The hash, or several
    #[arg(long, value_delimiter = ',', default_value = "sha512")]
    algorithm: Vec<Hash>,
    /// Print kernel arguments
    #[arg(long, conflicts_with = "json")]
    karg: bool,
    /// Which image of an index [default: linux on this processor]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", requires = "source")]
    platform: Option<Platform>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.image-digest/1`.
#[derive(Serialize)]
struct Document {
    profile: String,
    digests: Vec<DigestDocument>,
}

#[derive(Serialize)]
struct DigestDocument {
    erofs: String,
    algorithm: &'static str,
    digest: String,
    karg: String,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let request = DigestRequest {
        profile: args.profile,
        versions: args.erofs.clone(),
        algorithms: args.algorithm.iter().map(|hash| Algorithm::from(*hash)).collect(),
    };
    let digests = digests(args, &request, context)?;
    let profile = digests.first().map(|digest| digest.profile.to_string()).unwrap_or_default();
    let documents: Vec<DigestDocument> = digests.iter().map(document).collect::<Result<_, _>>()?;
    context.print(|out, _| {
        if args.reporting.json {
            return write_document(
                out,
                "sealstone.image-digest/1",
                &Document { profile, digests: documents },
            );
        }
        for document in &documents {
            match documents.len() {
                _ if args.karg => writeln!(out, "{}", document.karg)?,
                1 => writeln!(out, "{}", document.digest)?,
                _ => writeln!(out, "{} {} {}", document.erofs, document.algorithm, document.digest)?,
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn digests(args: &Args, request: &DigestRequest, context: &Context) -> anyhow::Result<Vec<ImageDigest>> {
    if let Some(root) = &args.root {
        let root = Dir::open(&RealDisk::shared(), root)
            .with_context(|| format!("open {}", escape(root.as_os_str().as_encoded_bytes())))?;
        return Ok(digest_folder(&root, request, context.control()?)?);
    }
    if let Some(reference) = &args.source {
        let mut options = ImportOptions::default();
        if let Some(platform) = &args.platform {
            options.platform = platform.clone();
        }
        let source = source::open_bare(reference, &args.registry, &options, context)?;
        return Ok(digest_source(&*source, &options, request, context.control()?)?);
    }
    let name = args.image.as_deref().unwrap_or_default();
    let repository = context.open_repository()?;
    let stored = stored_image(&repository, name)?.content.map_err(anyhow::Error::msg)?;
    let layers = stored_layers(&repository, &stored.diff_ids)?;
    Ok(digest_stored(&repository, &layers.iter().collect::<Vec<_>>(), request)?)
}

fn document(digest: &ImageDigest) -> anyhow::Result<DigestDocument> {
    Ok(DigestDocument {
        erofs: digest.version.to_string(),
        algorithm: digest.digest.algorithm().name(),
        digest: digest.digest.to_hex(),
        karg: ComposefsArg::for_version(digest.digest, digest.version, false).to_karg()?.as_str().to_owned(),
    })
}
