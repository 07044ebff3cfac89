//! The boot loader of a plan: which one is wanted, and what of it has to be written where.
//!
//! What lives here: the choice between what was asked for, what this machine has, and what the image wants; the steps. What
//! does not: which file is newer (the boot crate). Invariant: everything comes from the image's tree, and nothing is run.

use sealstone_boot::{BootError, BootRole, Loader, LoaderKind, LoaderWish};
use sealstone_store::tree::Tree;

use super::{LoaderSection, LoaderWrite, Step, planner::Planner};
use crate::{
    BootLoader, DeployError, DeployedKernel, ImageId, Target,
    adopt::architecture,
    kargs::{Bootloader, ImageKargs},
};

/// What systemd-boot is told where nobody told it anything: to show its menu for a while, as bootc has it.
const LOADER_CONF: (&str, &str) = ("loader/loader.conf", "timeout 5\n");

/// What says that the entries are of type 1, so that kernel-install keeps to it.
const ENTRIES_SREL: (&str, &str) = ("loader/entries.srel", "type1\n");

/// A boot loader that the image brings and the machine shall have.
pub(super) struct WantedLoader {
    pub image: ImageId,
    pub loader: Loader,
    pub wish: LoaderWish,
    /// Whether it shows entries of unified kernel images.
    reads_ukis: bool,
}

/// The writes on one boot partition.
#[derive(Default)]
pub(super) struct LoaderWrites {
    pub steps: Vec<Step>,
    /// What they take, in bytes.
    pub needed: u64,
}

impl WantedLoader {
    /// The boot loader for a deployment of this image: what is asked for now, else what was (`kept`), else what the image's
    /// installation wants, else what the image has. Warnings are of what was passed over.
    pub(super) fn of(
        target: &Target,
        (image, tree, manifest): (ImageId, &Tree, &sealstone_import::ManifestDigest),
        (asked, kept): (Option<Bootloader>, Option<Bootloader>),
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, DeployError> {
        let repository = &target.repository;
        let install = || -> Result<Option<Bootloader>, DeployError> {
            let architecture = architecture(repository, manifest);
            Ok(ImageKargs::read(repository, tree, architecture.as_ref())?.install.bootloader)
        };
        let chosen = match asked.or(kept) {
            Some(chosen) => Some(chosen),
            None => install()?,
        };
        let found = match chosen {
            Some(Bootloader::None) => return Ok(None),
            Some(Bootloader::Systemd) => Loader::systemd_boot(tree, repository),
            Some(Bootloader::Grub | Bootloader::GrubCc) => Loader::grub(tree, repository),
            None => Loader::systemd_boot(tree, repository).and_then(|found| {
                found.map_or_else(|| Loader::grub(tree, repository), |found| Ok(Some(found)))
            }),
        };
        let loader = match found {
            // What nobody asked for is no reason to fail.
            Err(error @ (BootError::Invalid { .. } | BootError::TooBig { .. })) if asked.is_none() => {
                warnings.push(format!("the image's boot loader is passed over: {error}"));
                None
            }
            found => found?,
        };
        if loader.is_none()
            && let Some(asked) = asked
        {
            let reason = format!("it has no {} to install", asked.name());
            return Err(DeployError::Unfit { profile: "bootable by itself", reason });
        }
        let wish = if asked.is_some() { LoaderWish::Asked } else { LoaderWish::Default };
        let of = |loader: Loader| {
            let reads_ukis = loader.kind == LoaderKind::SystemdBoot || chosen == Some(Bootloader::GrubCc);
            Self { image, loader, wish, reads_ukis }
        };
        Ok(loader.map(of))
    }
}

impl Planner<'_> {
    /// Plans to write the boot loader where it is missing, older or different.
    pub(super) fn want_loader(&mut self, wanted: &WantedLoader) -> Result<(), DeployError> {
        let loader = &wanted.loader;
        let mut section =
            LoaderSection { kind: loader.kind, version: loader.version.clone(), written: Vec::new() };
        let mut all = Vec::new();
        for number in 0..self.target.esps.len() {
            let is_usable = self.world.is_usable(number);
            let writes = if is_usable {
                self.loader_writes(number, wanted, &mut section)?
            } else {
                LoaderWrites::default()
            };
            all.push(writes);
        }
        self.loader = all;
        self.plan.loader = Some(section);
        Ok(())
    }

    /// What is written on one boot partition.
    fn loader_writes(
        &mut self,
        number: usize,
        wanted: &WantedLoader,
        section: &mut LoaderSection,
    ) -> Result<LoaderWrites, DeployError> {
        let WantedLoader { image, loader, wish, .. } = wanted;
        let mut writes = LoaderWrites::default();
        let Some(esp) = self.target.esps.get(number) else { return Ok(writes) };
        let (role, place) = (esp.role(), esp.name());
        let mut texts = Vec::new();
        if role.has_loader() {
            let there = loader.files.iter().filter_map(|file| esp.loader_file(&file.path).transpose());
            let there = there.collect::<Result<Vec<_>, _>>()?;
            let changes = loader.changes(&there, *wish);
            self.plan.warnings.extend(changes.notes.iter().map(|note| format!("{place}: {note}")));
            for file in &changes.write {
                let (path, source) = (file.path.clone(), file.source.clone());
                let before =
                    there.iter().find(|found| found.path == path).and_then(|found| found.version.clone());
                section.written.push(LoaderWrite { place: place.clone(), path: path.clone(), before });
                writes.steps.push(Step::WriteLoader { esp: number, path, image: *image, source });
                writes.needed += esp.loader_bytes_needed(file.size)?;
            }
            let is_ours = !changes.write.is_empty() || there.iter().any(|found| found.version.is_some());
            texts.extend(is_ours.then_some([LOADER_CONF, ENTRIES_SREL]).into_iter().flatten());
        } else {
            texts.push(ENTRIES_SREL);
        }
        texts.retain(|(path, _)| role.has_entries() || *path != ENTRIES_SREL.0);
        for (path, text) in texts.into_iter().filter(|_| loader.kind == LoaderKind::SystemdBoot) {
            if !esp.has_text(path)? {
                let (path, text) = (path.to_owned(), text.to_owned());
                section.written.push(LoaderWrite { place: place.clone(), path: path.clone(), before: None });
                writes.needed += esp.loader_bytes_needed(text.len() as u64)?;
                writes.steps.push(Step::WriteLoaderText { esp: number, path, text });
            }
        }
        Ok(writes)
    }

    /// Refuses what GRUB would never show: its menu is of entries with the key `linux` (`blscfg`; GRUB's own command `uki` goes by
    /// the names of files, which say nothing of what boots by default).
    pub(super) fn check_loader_takes(
        &self,
        kernel: &DeployedKernel,
        wanted: Option<&WantedLoader>,
        chosen: Option<Bootloader>,
    ) -> Result<(), DeployError> {
        // Who wants none installed looks after the one that is there.
        let is_left = chosen == Some(Bootloader::None);
        if !kernel.is_uki() || is_left || !self.boots_by_grub(wanted, chosen)? {
            return Ok(());
        }
        let reason = "it boots by a unified kernel image, and GRUB's menu has no entries for those:                       `--boot-loader systemd-boot` installs one that has, `--boot-loader none` leaves the menu to others,                       and an image without a UKI boots by its kernel";
        Err(DeployError::Unfit { profile: "bootable by GRUB", reason: reason.into() })
    }

    /// Whether GRUB boots this machine, or will, as far as files tell.
    fn boots_by_grub(
        &self,
        wanted: Option<&WantedLoader>,
        chosen: Option<Bootloader>,
    ) -> Result<bool, DeployError> {
        let reads_ukis = wanted.map(|wanted| wanted.reads_ukis);
        if chosen.is_some() {
            return Ok(reads_ukis == Some(false));
        }
        let has_systemd_boot =
            self.world.esps.iter().any(|boot| boot.loaders.iter().any(|found| found.version.is_some()));
        if has_systemd_boot || reads_ukis == Some(true) {
            return Ok(false);
        }
        let reads_boot = self.target.esps.iter().any(|esp| esp.role() == BootRole::Boot);
        Ok(reads_ukis == Some(false) || reads_boot || BootLoader::of(self.target)? == BootLoader::Grub)
    }

    /// Whether systemd-boot boots this machine, or will: then entries can be counted.
    pub(super) fn counts_boots(&self, wanted: Option<&WantedLoader>) -> bool {
        let wants = wanted.is_some_and(|wanted| wanted.loader.kind == LoaderKind::SystemdBoot);
        let is_grub = wanted.is_some_and(|wanted| wanted.loader.kind == LoaderKind::Grub);
        let has = self.world.esps.iter().any(|boot| boot.loaders.iter().any(|found| found.version.is_some()));
        !is_grub && (wants || has)
    }
}
