//! The pieces of work that are measured, and one measured run of each.
//!
//! Lives here: what must be in the store before, and what is taken away from it. Not here: how a program is told.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::measure::{Cost, measure};
use crate::peer::{Bench, Peer};
use crate::registry::Registry;
use crate::repository::{names, object_path};
use crate::scratch::Scratch;

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// `os` into an empty store.
    Os,
    /// `small` into an empty store.
    Small,
    /// `many` into an empty store.
    Many,
    /// `big` into an empty store.
    Big,
    /// `os-zstd` into an empty store.
    OsZstd,
    /// `os-v2` into a store that has `os`.
    Update,
    /// `os` into a store that has its objects, but has forgotten its layers.
    Forgotten,
    /// `os` into a store that has it, but has lost its own records of the layers' trees.
    RecordsLost,
    /// `os` into a store that has it.
    Again,
    /// The image of `os` from its layers: merge, EROFS, sync.
    Image,
    /// `os` into an empty store, from a registry on the loopback interface over plain http.
    Pull,
}

impl Work {
    /// Its name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Os => "os, cold",
            Self::Small => "small, cold",
            Self::Many => "many, cold",
            Self::Big => "big, cold",
            Self::OsZstd => "os-zstd, cold",
            Self::Update => "os-v2 onto os",
            Self::Forgotten => "os again, layers forgotten",
            Self::RecordsLost => "os again, records lost",
            Self::Again => "os again",
            Self::Image => "image of os",
            Self::Pull => "os from a registry, cold",
        }
    }

    /// The image that is imported.
    pub fn image(self) -> &'static str {
        match self {
            Self::Os | Self::Forgotten | Self::RecordsLost | Self::Again | Self::Image | Self::Pull => "os",
            Self::Small => "small",
            Self::Many => "many",
            Self::Big => "big",
            Self::OsZstd => "os-zstd",
            Self::Update => "os-v2",
        }
    }

    /// The peers that can do it and are worth a comparison.
    pub fn peers(self) -> &'static [Peer] {
        use Peer::{ComposefsOci, Erofs, Floor, Layout, Ostree, Podman, Sealstone, Skopeo, Tar, Umoci};
        match self {
            Self::Os | Self::Small => &[Sealstone, Floor, ComposefsOci, Tar, Ostree, Umoci, Podman, Erofs],
            Self::Many | Self::Big => &[Sealstone, Floor, ComposefsOci, Tar, Ostree],
            Self::OsZstd => &[Sealstone, Floor, ComposefsOci, Tar],
            Self::Update => &[Sealstone, ComposefsOci, Ostree],
            Self::RecordsLost => &[Sealstone],
            Self::Pull => &[Sealstone, Layout, ComposefsOci, Skopeo, Podman],
            Self::Forgotten | Self::Again | Self::Image => &[Sealstone, ComposefsOci],
        }
    }

    /// The image that must be there before.
    fn before(self) -> Option<&'static str> {
        matches!(self, Self::Update | Self::Forgotten | Self::RecordsLost | Self::Again | Self::Image)
            .then_some("os")
    }
}

/// What one run cost and left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The work.
    pub work: Work,
    /// The program.
    pub peer: Peer,
    /// Runs of one round are compared with each other.
    pub round: usize,
    /// Time and memory.
    pub cost: Cost,
    /// Files in the store.
    pub files: u64,
    /// Bytes allocated in the store.
    pub bytes: u64,
}

/// Does the work once on a fresh file system.
pub fn run(bench: &Bench, work: Work, peer: Peer, round: usize) -> Result<Run> {
    let scratch = Scratch::fresh(&bench.corpus.scratch())?;
    let nothing = || Ok(());
    if let Some(mut command) = bench.prepare(peer, scratch.path()) {
        measure(&mut command, nothing)?;
    }
    if let Some(image) = work.before() {
        measure(&mut bench.import(peer, image, scratch.path())?, nothing)?;
    }
    let repository = scratch.path().join("repo");
    match work {
        Work::Forgotten => forget(&repository, &["streams", "images", "sealstone"])?,
        Work::RecordsLost => forget(&repository, &["sealstone"])?,
        Work::Image => forget_images(&repository)?,
        _ => {}
    }
    warm(&bench.corpus.image(work.image()))?;
    let registry = (work == Work::Pull).then(|| Registry::serve(bench, work.image())).transpose()?;
    let mut command = match &registry {
        Some(registry) => {
            warm(&bench.corpus.registry())?;
            bench.pull(peer, &registry.name(work.image()), work.image(), scratch.path())?
        }
        None if work == Work::Image => bench.make_image(peer, work.image(), scratch.path())?,
        None => bench.import(peer, work.image(), scratch.path())?,
    };
    scratch.sync()?;
    let (cost, _) = measure(&mut command, || scratch.sync())
        .with_context(|| format!("{}: {}", work.label(), peer.label()))?;
    let (mut files, mut bytes) = (0, 0);
    add_up(scratch.path(), &mut files, &mut bytes)?;
    Ok(Run { work, peer, round, cost, files, bytes })
}

/// Removes folders of a repository in which it keeps what it knows of layers and images; the objects stay.
fn forget(repository: &Path, folders: &[&str]) -> Result<()> {
    for name in folders {
        let folder = repository.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
    }
    Ok(())
}

/// Removes the images of a repository and the objects that hold them.
fn forget_images(repository: &Path) -> Result<()> {
    for (name, object) in names(repository, "images")? {
        fs::remove_file(repository.join("images").join(name)).context("remove an image's name")?;
        fs::remove_file(object_path(repository, &object)).context("remove an image")?;
    }
    Ok(())
}

/// Reads an image's files, so that the page cache has them.
fn warm(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            warm(&path)?;
        } else {
            let mut file = fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
            std::io::copy(&mut file, &mut std::io::sink())?;
        }
    }
    Ok(())
}

fn add_up(folder: &Path, files: &mut u64, bytes: &mut u64) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        *bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            add_up(&entry.path(), files, bytes)?;
        } else {
            *files += 1;
        }
    }
    Ok(())
}
