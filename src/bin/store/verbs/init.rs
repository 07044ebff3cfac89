//! `store init`: makes a repository, or confirms that there is one like it.

use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;
use sealstone::store::disk::RealDisk;
use sealstone::store::{Algorithm, InitOptions, Repository, Verity};
use serde::Serialize;

use crate::args::{Hash, Reporting};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Facts, write_document};

/// Make a repository
///
/// Running it again on the same folder changes nothing. Whether the kernel can guard objects with fs-verity is found out
/// once, here, and recorded; the repository never drops silently from that to checking by itself.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store init                          # one of your own
  store init --repo /mnt/composefs    # of a system to be installed on /mnt
  store init --algorithm sha512 --verity offline")]
pub struct Args {
    /// The hash of object ids [default: sha512 for a folder named composefs, as a sysroot has it; else sha256]
    #[arg(long, value_enum, value_name = "HASH")]
    algorithm: Option<Hash>,
    /// Who guards objects against change [default: the kernel where it can, else computed]
    #[arg(long, value_enum, value_name = "BY")]
    verity: Option<Guard>,
    #[command(flatten)]
    reporting: Reporting,
}

/// `--verity`, also of `store install`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Guard {
    /// The kernel, by fs-verity on each object; fails where it cannot
    Required,
    /// We compute and compare; for file systems without fs-verity
    Computed,
    /// We compute now, and an installer seals later; for disk images
    Offline,
}

/// The answer, `sealstone.init/1`.
#[derive(Serialize)]
struct Document<'a> {
    repository: &'a Path,
    created: bool,
    algorithm: &'a str,
    verity: &'a str,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let folder = &context.repository;
    let options =
        InitOptions { algorithm: algorithm(args.algorithm, folder), verity: args.verity.map(Verity::from) };
    make_parents(folder)?;
    let (repository, created) = Repository::init(&RealDisk::shared(), folder, &options)?;
    let document = Document {
        repository: folder,
        created,
        algorithm: repository.algorithm().name(),
        verity: repository.verity().name(),
    };
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.init/1", &document);
        }
        let verb = if created { "Made a repository" } else { "The repository is there" };
        writeln!(out, "{}", terminal.bold(verb))?;
        let mut facts = Facts::new();
        facts.add("folder", folder.display()).add("algorithm", document.algorithm);
        facts.add("verity", explain(repository.verity())).write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn algorithm(wanted: Option<Hash>, folder: &Path) -> Algorithm {
    match wanted {
        Some(Hash::Sha512) => Algorithm::Sha512,
        // bootc reads no other than sha512 under a sysroot.
        None if folder.ends_with("composefs") => Algorithm::Sha512,
        Some(Hash::Sha256) | None => Algorithm::Sha256,
    }
}

/// Makes the folders above the repository: the user's own data folder need not exist yet.
#[allow(clippy::disallowed_methods, reason = "folders above the repository are not the store's")]
fn make_parents(folder: &Path) -> anyhow::Result<()> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).with_context(|| format!("make the folder {}", parent.display()))
}

fn explain(verity: Verity) -> &'static str {
    match verity {
        Verity::Required => "required: the kernel checks every read",
        Verity::Offline => "offline: an installer seals, until then store fsck checks",
        Verity::Computed => "computed: no fs-verity here, imports and store fsck check",
    }
}

impl From<Guard> for Verity {
    fn from(guard: Guard) -> Self {
        match guard {
            Guard::Required => Self::Required,
            Guard::Computed => Self::Computed,
            Guard::Offline => Self::Offline,
        }
    }
}
