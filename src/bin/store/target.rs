//! What `deploy`, `status` and the verbs between work on: a sysroot, the repository in it, and its boot partitions.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::bail;
use sealstone::boot::Esp;
use sealstone::deploy::{DeploymentId, REPOSITORY, StagedByBootc, Sysroot, Target};
use sealstone::store::disk::{Dir, RealDisk};
use sealstone::store::{Repository, write_through_own_mounts};

use crate::boot_targets::{self, Found, Machine};
use crate::context::Context;
use crate::journal::Journal;
use crate::running::{OF_THE_BOOTED_SYSTEM, booted_on, running_on};

/// The running firmware's variables.
pub const EFIVARFS: &str = "/sys/firmware/efi/efivars";

/// Where bootc says what it has staged.
const STAGED_BY_BOOTC: &str = "/run/composefs/staged-deployment";

/// `--sysroot` and `--esp`.
#[derive(clap::Args)]
pub struct TargetArgs {
    /// The physical root of the system; its repository is composefs in it
    #[arg(long, global = true, value_name = "DIR", default_value = OF_THE_BOOTED_SYSTEM)]
    sysroot: PathBuf,
    /// A mounted boot partition; give each that there is [default: those of the booted system]
    #[arg(long, global = true, value_name = "DIR")]
    esp: Vec<PathBuf>,
    /// Where events are told [default: this machine's journal, if it is the system that runs]
    #[arg(long, global = true, value_name = "SOCKET")]
    journal: Option<PathBuf>,
    /// The boot partitions of the booted system, once they were looked for.
    #[arg(skip)]
    found: OnceCell<Found>,
    /// The deployment that runs, once it was looked for.
    #[arg(skip)]
    running: OnceCell<Option<DeploymentId>>,
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
        let mut esps = self.esp.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        if self.esp.is_empty() {
            let found = self.found();
            for failed in &found.failed {
                context.progress().warn(format!("a boot partition is left out: {failed}"));
            }
            esps.clone_from(&found.esps);
        }
        Ok(Target { sysroot, repository: Repository::open(&disk, repository)?, esps })
    }

    /// Before anything is opened by a verb that changes something: what the system that runs has mounted read-only, as
    /// `/sysroot` is, can be written by this process, and by nobody else. Of other systems nothing is touched.
    pub fn make_writable(&self) {
        if self.running().is_none() {
            return;
        }
        let given = self.esp.iter().cloned();
        let places = boot_targets::PLACES.iter().map(|place| Path::new("/").join(place));
        let esps: Vec<PathBuf> = if self.esp.is_empty() { places.collect() } else { given.collect() };
        own_mounts(std::iter::once(self.sysroot.clone()).chain(esps));
    }

    /// Whether there is a boot partition to write to.
    pub fn has_esp(&self) -> bool {
        !self.esp.is_empty() || !self.found().esps.is_empty()
    }

    /// The boot partitions of the booted system, if it is this one; those of another are to be given.
    fn found(&self) -> &Found {
        self.found.get_or_init(|| {
            // A folder of this name on a machine that was booted otherwise says nothing about that machine's partitions.
            if self.running().is_none() {
                return Found::default();
            }
            let disk = RealDisk::shared();
            Machine { disk: &disk, root: Path::new("/") }.boot_targets(&self.sysroot)
        })
    }

    /// The physical root.
    pub fn sysroot(&self) -> &Path {
        &self.sysroot
    }

    /// Whether it is that of the system that runs.
    pub fn is_of_the_booted_system(&self) -> bool {
        self.sysroot == Path::new(OF_THE_BOOTED_SYSTEM)
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
    pub fn running(&self) -> Option<DeploymentId> {
        *self.running.get_or_init(|| running_on(&self.sysroot))
    }

    /// The deployment that the firmware booted: another one than what runs, after a soft reboot.
    pub fn booted(&self) -> Option<DeploymentId> {
        booted_on(&self.sysroot)
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

/// The same as [`TargetArgs::make_writable`] for verbs that change a repository alone, if it is that of the booted system.
pub fn make_repository_writable(repository: &Path) {
    let sysroot = Path::new(OF_THE_BOOTED_SYSTEM);
    if repository == sysroot.join(REPOSITORY) && running_on(sysroot).is_some() {
        own_mounts(std::iter::once(sysroot.to_owned()));
    }
}

fn own_mounts(folders: impl Iterator<Item = PathBuf>) {
    let folders: Vec<PathBuf> = folders.collect();
    // What cannot be is told by the first write, in words about what could not be written.
    let _ = write_through_own_mounts(&RealDisk::shared(), &folders);
}

/// Whether two paths are one folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole(a) == whole(b)
}
