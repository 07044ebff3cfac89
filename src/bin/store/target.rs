//! What `deploy`, `status` and the verbs between work on: a sysroot, the repository in it, and its boot partitions.

use std::path::{Path, PathBuf};

use anyhow::bail;
use sealstone::boot::{Esp, Kargs};
use sealstone::deploy::{DeploymentId, REPOSITORY, StagedByBootc, Sysroot, Target, booted};
use sealstone::store::Repository;
use sealstone::store::disk::{Dir, RealDisk};

use crate::context::Context;
use crate::journal::Journal;

/// Where a booted system has its physical root.
const OF_THE_BOOTED_SYSTEM: &str = "/sysroot";

/// Where bootc says what it has staged.
const STAGED_BY_BOOTC: &str = "/run/composefs/staged-deployment";

/// `--sysroot` and `--esp`.
#[derive(clap::Args)]
pub struct TargetArgs {
    /// The physical root of the system; its repository is composefs in it
    #[arg(long, global = true, value_name = "DIR", default_value = OF_THE_BOOTED_SYSTEM)]
    sysroot: PathBuf,
    /// A mounted EFI system partition; give each that there is
    #[arg(long, global = true, value_name = "DIR")]
    esp: Vec<PathBuf>,
    /// Where events are told [default: this machine's journal, if it is the system that runs]
    #[arg(long, value_name = "SOCKET")]
    journal: Option<PathBuf>,
}

impl TargetArgs {
    /// Opens sysroot, repository and boot partitions.
    pub fn open(&self, context: &Context) -> anyhow::Result<Target> {
        let disk = RealDisk::shared();
        let repository = self.sysroot.join(REPOSITORY);
        if let Some(given) = context.explicit_repository()
            && !is_same(given, &repository)
        {
            bail!("the repository of --sysroot is {}: leave --repo out", repository.display());
        }
        let sysroot = Sysroot::open(&disk, &self.sysroot)?;
        let open = |path| Dir::open(&disk, path).map(Esp::new);
        let esps = self.esp.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Target { sysroot, repository: Repository::open(&disk, repository)?, esps })
    }

    /// Whether there is a boot partition to write to.
    pub fn has_esp(&self) -> bool {
        !self.esp.is_empty()
    }

    /// Refuses what changes the menu without a boot partition to write to.
    pub fn require_esp(&self) -> anyhow::Result<()> {
        if !self.has_esp() {
            bail!("say with --esp where the boot partition is mounted: without one, nothing can boot");
        }
        Ok(())
    }

    /// Where what happens to the deployments is told.
    pub fn journal(&self) -> Journal {
        Journal::new(self.journal.as_deref(), self.running().is_some())
    }

    /// The deployment that runs, if the sysroot is that of the booted system.
    #[allow(
        clippy::disallowed_methods,
        reason = "the running kernel's command line is no part of a repository"
    )]
    pub fn running(&self) -> Option<DeploymentId> {
        if self.sysroot != Path::new(OF_THE_BOOTED_SYSTEM) {
            return None;
        }
        let line = std::fs::read_to_string("/proc/cmdline").ok()?;
        booted(&line.trim().parse::<Kargs>().ok()?)
    }

    /// What bootc has staged, if the sysroot is that of the booted system. What it does not say is no reason to fail.
    #[allow(
        clippy::disallowed_methods,
        reason = "the running system's own folder is no part of a repository"
    )]
    pub fn staged_by_bootc(&self) -> Option<StagedByBootc> {
        if self.sysroot != Path::new(OF_THE_BOOTED_SYSTEM) {
            return None;
        }
        StagedByBootc::parse(&std::fs::read_to_string(STAGED_BY_BOOTC).ok()?).ok()
    }
}

/// Whether two paths are one folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole(a) == whole(b)
}
