//! The command line as clap reads it: the flags that every verb takes, and the list of verbs.
//!
//! Parsing is dumb: it knows shapes, not meanings. Each verb's own file holds its arguments and turns them into
//! validated options; nothing here opens a file.

#![allow(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sealstone::store::Algorithm;

use crate::verbs;

/// The text of `store --help`: verbs in the order in which somebody meets them, then the first steps.
const HELP: &str = "\
{about}

{usage-heading} {usage}

Bring images in:
  init         Make a repository
  import       Import an OCI image: verify every byte, store what is new
  artifact     Fetch and push files that are no images: disk images

Look:
  images       List the images
  inspect      Show one image: digests, layers, sizes, kernel
  ls           List files in an image
  cat          Print a file of an image
  dump         Print an image as composefs-dump(5)
  diff         List what differs between two images, and why
  image        Compute the digest of an image, without making it
  du           Show which bytes are an image's own and which are shared

Bring images out:
  export       Write an image as an OCI layout or archive
  push         Push an image to a registry
  copy         Copy an image to another repository
  bundle       Carry a system and the images that it binds to other machines
  uki          Build, sign and look at unified kernel images

Use:
  install      Install a system: onto a disk, into a disk image, into a mounted folder
  deploy       Make an image bootable: state, kernel, boot entry
  update       Update the system: fetch what is new, and stage or deploy it
  switch       Follow another image from now on
  status       Show the deployments
  kargs        Show or change the kernel arguments of what boots next
  rollback     Boot the other deployment next
  boot-next    Boot another deployment once, at the next boot
  pin          Keep a deployment whatever retention says
  unpin        Let retention take a deployment again
  prune        Remove older deployments
  finalize     Let what is staged boot next
  bless        Say that what runs has booted well
  reconcile    Bring the boot menu back to what the deployments' records say
  bound        Look after the container images that a system binds
  mount        Mount an image, read-only and verified
  umount       Unmount it

Keep:
  rm           Remove an image's name
  gc           Delete objects that nothing needs
  fsck         Check every object, image and ref; mend with --repair
  index        Note the SHA-256 of each object, so that updates can be fetched in part
  doctor       Show what this file system and kernel offer

Shell:
  completions  Print completions for a shell
  man          Write the man pages

Options:
{options}{after-help}";

const FIRST_STEPS: &str = "\
First steps:
  store init
  store import --name os:1 oci:image      # a folder in OCI layout
  store ls os:1 /usr/bin
  store deploy os:1 --sysroot /mnt --esp /mnt/boot

An IMAGE is the name given at import, a manifest digest, or an image id.
Digests and ids may be shortened as long as they are unique.

Exit codes:
  0 done       1 failed, or damage found   2 usage   3 verification failed
  4 no space   5 not found   6 busy   7 not supported here   130 cancelled

store help VERB explains one verb, with examples.";

/// OCI images in, verified bootable systems out.
#[derive(Parser)]
#[command(name = "store", version, about, help_template = HELP, after_help = FIRST_STEPS, disable_help_subcommand = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Args)]
#[command(next_help_heading = "Common options")]
pub struct Global {
    /// The repository [env: SEALSTONE_REPO] [default: /sysroot/composefs, else your own]
    #[arg(long, global = true, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Progress on standard error: bar, json, none, or auto (bars on a terminal)
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub progress: ProgressMode,
    /// Threads to use [default: all processors]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// Memory for buffers, as in 16M, beside what decoders and lists of files need [default: 32M]
    #[arg(long, global = true, value_name = "SIZE", value_parser = crate::size::parse)]
    pub memory: Option<u64>,
}

/// `--progress`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    Auto,
    Bar,
    Json,
    None,
}

/// `--json` and `--no-trunc`, of verbs that list.
#[derive(Args)]
pub struct Listing {
    /// Print one JSON document instead (docs/json.md)
    #[arg(long)]
    pub json: bool,
    /// Print ids whole
    #[arg(long)]
    pub no_trunc: bool,
}

/// `--json`, of verbs that report.
#[derive(Args)]
pub struct Reporting {
    /// Print one JSON document instead (docs/json.md)
    #[arg(long, global = true)]
    pub json: bool,
}

/// `--algorithm`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Hash {
    Sha256,
    Sha512,
}

impl From<Hash> for Algorithm {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256,
            Hash::Sha512 => Self::Sha512,
        }
    }
}

/// What to do; one file each in `verbs/`.
#[derive(Subcommand)]
pub enum Verb {
    Init(verbs::init::Args),
    Import(Box<verbs::import::Args>),
    Export(verbs::export::Args),
    Copy(verbs::copy::Args),
    Push(verbs::push::Args),
    Artifact(verbs::artifact::Args),
    Image(verbs::image::Args),
    Images(verbs::images::Args),
    Inspect(verbs::inspect::Args),
    Ls(verbs::ls::Args),
    Cat(verbs::cat::Args),
    Dump(verbs::dump::Args),
    Diff(verbs::diff::Args),
    Du(verbs::du::Args),
    Install(Box<verbs::install::Args>),
    Deploy(Box<verbs::deploy::Args>),
    Update(Box<verbs::update::Args>),
    Switch(Box<verbs::switch::Args>),
    Bound(verbs::bound::Args),
    Uki(verbs::uki::Args),
    Bundle(verbs::bundle::Args),
    Status(verbs::status::Args),
    Kargs(verbs::kargs::Args),
    Rollback(verbs::rollback::Args),
    BootNext(verbs::boot_next::Args),
    Pin(verbs::pin::Pin),
    Unpin(verbs::pin::Unpin),
    Prune(verbs::prune::Args),
    Finalize(verbs::finalize::Args),
    Bless(verbs::bless::Args),
    Reconcile(verbs::reconcile::Args),
    Mount(verbs::mount::Args),
    Umount(verbs::umount::Args),
    Rm(verbs::rm::Args),
    Gc(verbs::gc::Args),
    Fsck(verbs::fsck::Args),
    Index(verbs::index::Args),
    Doctor(verbs::doctor::Args),
    Completions(verbs::completions::Args),
    Man(verbs::man::Args),
}
