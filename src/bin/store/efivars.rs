//! `--efivars`: whose firmware's variables are read and written.

use std::path::PathBuf;

use anyhow::Context as _;
use sealstone::boot::Efivarfs;
use sealstone::store::disk::RealDisk;

use crate::target::{EFIVARFS, TargetArgs};

/// `--efivars`.
#[derive(clap::Args)]
pub struct EfivarsArgs {
    /// The firmware's variables, as Linux shows them [default: /sys/firmware/efi/efivars, of the system that runs]
    #[arg(long, value_name = "DIR")]
    efivars: Option<PathBuf>,
}

impl EfivarsArgs {
    /// Those that are named, else those of the system that runs; none for one that does not run.
    pub fn open(&self, target: &TargetArgs) -> anyhow::Result<Option<Efivarfs>> {
        let disk = RealDisk::shared();
        let path = match &self.efivars {
            Some(path) => path.clone(),
            None if target.running().is_some() => PathBuf::from(EFIVARFS),
            None => return Ok(None),
        };
        let opened = Efivarfs::open(&disk, &path);
        opened.map(Some).with_context(|| format!("this machine has no EFI variables in {}", path.display()))
    }

    /// The same, where it is no fault that there are none.
    pub fn find(&self, target: &TargetArgs) -> Option<Efivarfs> {
        self.open(target).ok().flatten()
    }
}
