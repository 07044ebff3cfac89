//! `store inspect IMAGE`: one image, with its digests, layers, sizes and kernel. One that is not imported is looked at where it
//! is, by `inspect_source.rs`.

use std::collections::HashMap;

use sealstone::boot::Kernel;
use sealstone::import::ImportOptions;
use sealstone::import::catalogue::{Catalogue, FoundImage, ImageContent};
use sealstone::import::oci::Platform;
use sealstone::import::source::Reference;
use sealstone::store::tree::{Content, FileType, Tree};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::OpenImage;
use crate::output::{Bytes, Count, Facts, escape, plural, write_document};
use crate::registry::RegistryArgs;

/// Show one image: digests, layers, sizes, kernel
///
/// An image of the repository, by its name, digest or id; or, by a reference, one that is elsewhere, without importing it: its
/// platforms, digests, labels and sizes, whether it is bootable as far as can be told without its layers, and what an import
/// would fetch. A name in the repository goes before a reference that is written alike.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store inspect os:1
  store inspect --json os:1 | jq -r '.layers[]'
  store inspect docker://quay.io/fedora/fedora-bootc:42
  store inspect --platform linux/arm64 oci:image:latest
  store inspect --remote docker://registry.example/os:1     # is there a new one?")]
pub struct Args {
    /// A name, a manifest digest or an image id; or a reference, as `store import` takes it
    image: String,
    /// Look where the reference leads, whatever is imported
    #[arg(long)]
    remote: bool,
    /// Which image of an index [default: linux on this processor]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.inspect/1`.
#[derive(Serialize)]
struct Document {
    name: Option<String>,
    manifest: Option<String>,
    config: Option<String>,
    image: String,
    bootable: Option<String>,
    platform: Option<String>,
    created: Option<String>,
    kernel: Option<String>,
    layers: Vec<String>,
    files: u64,
    directories: u64,
    other: u64,
    bytes: u64,
    objects: u64,
    object_bytes: u64,
}

/// What a tree holds.
#[derive(Default)]
struct Totals {
    files: u64,
    directories: u64,
    other: u64,
    bytes: u64,
    objects: u64,
    object_bytes: u64,
}

impl Totals {
    fn of(tree: &Tree) -> Self {
        let mut totals = Self::default();
        let mut objects = HashMap::new();
        let mut walk = tree.walk();
        while let Some((_, inode)) = walk.next_entry() {
            match tree.file_type(inode) {
                FileType::Regular => totals.files += 1,
                FileType::Directory => totals.directories += 1,
                _ => totals.other += 1,
            }
            match tree.content(inode) {
                Content::Inline(bytes) => totals.bytes += bytes.len() as u64,
                Content::External { object, size } => {
                    totals.bytes += size;
                    objects.insert(object, size);
                }
                _ => {}
            }
        }
        totals.objects = objects.len() as u64;
        totals.object_bytes = objects.values().sum();
        totals
    }
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if let Some(reference) = elsewhere(args, context)? {
        let mut options = ImportOptions::default();
        if let Some(platform) = &args.platform {
            options.platform = platform.clone();
        }
        let json = args.reporting.json;
        return super::inspect_source::run(&reference, &args.registry, &options, json, context);
    }
    let image = OpenImage::open(context, &args.image)?;
    // An image without a kernel, or with one that cannot be booted, is still an image.
    let kernel = Kernel::find(&image.tree).ok().flatten().map(|kernel| kernel.version().to_owned());
    let document = document(&image.found, kernel, &Totals::of(&image.tree));
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.inspect/1", &document);
        }
        writeln!(
            out,
            "{}",
            terminal.bold(&escape(document.name.as_deref().unwrap_or(&document.image).as_bytes()))
        )?;
        facts(&document).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

/// What is meant, if it is no image of the repository.
fn elsewhere(args: &Args, context: &Context) -> anyhow::Result<Option<Reference>> {
    if args.remote {
        return Ok(Some(args.image.parse()?));
    }
    let Ok(reference) = args.image.parse::<Reference>() else { return Ok(None) };
    let Ok(repository) = context.open_repository() else { return Ok(Some(reference)) };
    let is_name = Catalogue::read(&repository)?.ref_of(&args.image).is_ok();
    Ok((!is_name).then_some(reference))
}

fn facts(document: &Document) -> Facts {
    let mut facts = Facts::new();
    let Document { files, directories, other, .. } = *document;
    let safe = |text: &Option<String>| text.as_ref().map(|text| escape(text.as_bytes()));
    facts
        .add("image", &document.image)
        .add_some("bootable", document.bootable.as_ref())
        .add_some("manifest", document.manifest.as_ref())
        .add_some("config", document.config.as_ref())
        .add_some("platform", safe(&document.platform))
        .add_some("created", safe(&document.created))
        .add_some("kernel", safe(&document.kernel))
        .add(
            "content",
            format!("{}, {}, {} others", plural(files, "file"), folders(directories), Count(other)),
        )
        .add(
            "bytes",
            format!("{}, {} without duplicates", Bytes(document.bytes), Bytes(document.object_bytes)),
        )
        .add("objects", Count(document.objects));
    if !document.layers.is_empty() {
        facts.add("layers", document.layers.join("\n"));
    }
    facts
}

fn folders(count: u64) -> String {
    format!("{} {}", Count(count), if count == 1 { "directory" } else { "directories" })
}

fn document(found: &FoundImage, kernel: Option<String>, totals: &Totals) -> Document {
    let stored = found.stored.as_ref();
    let content: Option<&ImageContent> = stored.and_then(|stored| stored.content.as_ref().ok());
    Document {
        name: stored.map(|stored| stored.name.clone()),
        manifest: stored.map(|stored| stored.manifest.to_string()),
        config: content.map(|content| content.config.to_string()),
        image: found.image.to_string(),
        bootable: content.and_then(|content| content.bootable).map(|id| id.to_string()),
        platform: content.and_then(|content| content.platform.as_ref()).map(ToString::to_string),
        created: content.and_then(|content| content.created.clone()),
        kernel,
        layers: content
            .map_or_else(Vec::new, |content| content.diff_ids.iter().map(ToString::to_string).collect()),
        files: totals.files,
        directories: totals.directories,
        other: totals.other,
        bytes: totals.bytes,
        objects: totals.objects,
        object_bytes: totals.object_bytes,
    }
}
