//! `store rm NAME`: takes an image's name away; the objects go with the next `store gc`.

use sealstone::deploy::forget_bundled;
use sealstone::import::catalogue::{Catalogue, NamedImage};
use sealstone::store::{Place, Repository};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{escape, write_document};

/// Remove an image's name
///
/// Takes whole names only, never a digest or a prefix. Deployments keep what they need under refs of their own, so a
/// deployed image stays bootable. Space comes back with `store gc`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store rm os:1 && store gc
  store rm --dry-run os:1 os:2")]
pub struct Args {
    /// Names, as `store images` prints them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.rm/1`.
#[derive(Serialize)]
struct Document<'a> {
    removed: &'a [String],
    dry_run: bool,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let repository =
        if args.dry_run { context.open_repository()? } else { context.open_repository_to_change()? };
    let catalogue = Catalogue::read(&repository)?;
    // All names are looked up before the first one goes.
    let refs = args.names.iter().map(|name| catalogue.ref_of(name)).collect::<Result<Vec<_>, _>>()?;
    if !args.dry_run {
        for name in &refs {
            let gone = repository.remove_ref(Place::Streams, name)?;
            anyhow::ensure!(*gone, "{name} went while it was being removed");
        }
        forget_bundles(&repository, &catalogue, &args.names)?;
    }
    context.print(|out, _| {
        if args.reporting.json {
            let document = Document { removed: &args.names, dry_run: args.dry_run };
            return write_document(out, "sealstone.rm/1", &document);
        }
        let verb = if args.dry_run { "would remove" } else { "removed" };
        args.names.iter().try_for_each(|name| writeln!(out, "{verb} {}", escape(name.as_bytes())))
    })?;
    Ok(Exit::Done)
}

/// The bound images that came with a system in a bundle go with its last name.
fn forget_bundles(repository: &Repository, before: &Catalogue, removed: &[String]) -> anyhow::Result<()> {
    let is_removed = |image: &&NamedImage| removed.contains(&image.name);
    for image in before.images().iter().filter(is_removed) {
        let has_other = |other: &NamedImage| {
            other.manifest == image.manifest && !is_removed(&other) && !other.is_kept_by_deployment()
        };
        if !before.images().iter().any(has_other) {
            forget_bundled(repository, &image.manifest)?;
        }
    }
    Ok(())
}
