//! `--boot-loader`, `--boot-tries` and `--efi-variables`: how what is deployed is booted, for every verb that deploys.
//!
//! What lives here: the flags, how they become part of a request, and the firmware's menu, which is written only when asked.

#![allow(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use anyhow::Context as _;
use clap::ValueEnum;
use sealstone::boot::{BootOption, BootPartitionId, Efivarfs, register_boot_entry};
use sealstone::deploy::kargs::Bootloader;
use sealstone::deploy::{DeployRequest, Plan, Target};
use sealstone::store::disk::{Dir, RealDisk};

use crate::boot_targets::Machine;
use crate::context::Context;
use crate::target::EFIVARFS;

/// Flags about booting.
#[derive(clap::Args)]
#[command(next_help_heading = "Booting")]
pub struct BootFlags {
    /// The boot loader to install from the image and to keep up to date [default: as before, else what the image has]
    #[arg(long, value_enum, value_name = "WHICH")]
    boot_loader: Option<BootLoaderFlag>,
    /// How often systemd-boot tries the new system before it falls back; 0 for always [default: 3, if the image says when
    /// it has booted well and there is something to fall back to]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=9))]
    boot_tries: Option<u32>,
    /// Make the boot loader the first of the firmware's menu (EFI variables)
    #[arg(long)]
    efi_variables: bool,
}

/// `--boot-loader`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BootLoaderFlag {
    /// From /usr/lib/systemd/boot/efi of the image
    SystemdBoot,
    /// shim and GRUB, from what the image has for bootupd
    Grub,
    /// Somebody else's business
    None,
}

impl BootFlags {
    /// Adds them to a request.
    pub fn add_to(&self, request: &mut DeployRequest) {
        request.boot_loader = self.boot_loader.map(|flag| match flag {
            BootLoaderFlag::SystemdBoot => Bootloader::Systemd,
            BootLoaderFlag::Grub => Bootloader::Grub,
            BootLoaderFlag::None => Bootloader::None,
        });
        request.tries = self.boot_tries;
    }

    /// Writes the firmware's menu, if that is asked for: an entry for the boot loader on each ESP.
    pub fn register(&self, target: &Target, plan: &Plan, context: &Context) -> anyhow::Result<()> {
        if !self.efi_variables {
            return Ok(());
        }
        let disk = RealDisk::shared();
        let variables = Efivarfs::open(&disk, EFIVARFS).context("the firmware has no EFI variables")?;
        let machine = Machine { disk: &disk, root: std::path::Path::new("/") };
        let title = plan.deployment.as_ref().map_or("Linux", |record| record.os.title.as_str());
        // The first ESP is registered last, so that it comes first.
        for esp in target.esps.iter().rev().filter(|esp| esp.role().has_loader()) {
            let found = esp.loaders()?;
            let own = found.iter().find(|found| found.path.starts_with("EFI/systemd/"));
            let Some(loader) = own.or(found.first()) else { continue };
            let Some(entry) = machine.gpt_entry(device(esp.directory())?) else {
                context.progress().warn(format!("{} is on no GPT partition: it gets no entry", esp.name()));
                continue;
            };
            let (number, start, blocks, guid) = (entry.number, entry.start, entry.blocks, entry.guid);
            let partition = BootPartitionId { number, start, blocks, guid };
            let option = BootOption { title: title.to_owned(), partition, path: loader.path.clone() };
            register_boot_entry(&variables, &option)?;
        }
        Ok(())
    }
}

fn device(dir: &Dir) -> anyhow::Result<(u32, u32)> {
    Ok(dir.own_metadata()?.device)
}
