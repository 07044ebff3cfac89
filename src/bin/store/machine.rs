//! What a deployment gets that is this machine's own: overlays, and who wins in `/etc`. For every verb that deploys.
//!
//! What lives here: the flags, and how they become part of a request. What does not: what an overlay is.

#![allow(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sealstone::deploy::{
    DeployRequest, EtcPolicy, FileBody, Overlay, OverlayFile, OverlayName, OverlaySource, StrategyRule,
    Target, import_overlay, measure_overlay,
};
use sealstone::store::disk::{Dir, File, RealDisk};

use crate::context::Context;
use crate::failure::WrongUsage;
use crate::output::escape;

/// The most bytes of a file with keys.
const KEYS_MAX: u64 = 1 << 20;

/// Flags about `/etc` and `/var` of this machine.
#[derive(clap::Args)]
#[command(next_help_heading = "This machine's own")]
pub struct MachineArgs {
    /// Lay etc/ and var/ of a folder or a tar on the image, now and on every update
    #[arg(long, value_name = "[NAME=]DIR|TAR")]
    overlay: Vec<String>,
    /// Lay a folder on /etc, such as another system's /etc
    #[arg(long, value_name = "DIR")]
    copy_etc: Option<PathBuf>,
    /// Let the keys in this file log in as root
    #[arg(long, value_name = "FILE")]
    authorized_keys: Option<PathBuf>,
    /// Set the host name
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Set /etc/fstab
    #[arg(long, value_name = "FILE")]
    fstab: Option<PathBuf>,
    /// Set a file below /etc, with the permissions of its source
    #[arg(long, value_name = "PATH=SOURCE")]
    file: Vec<String>,
    /// Stop laying an overlay on the image, by its name
    #[arg(long, value_name = "NAME")]
    no_overlay: Vec<OverlayName>,
    /// Boot with an addon of the image to its unified kernel image, now and on every update
    #[arg(long, value_name = "NAME")]
    uki_addon: Vec<String>,
    /// Stop booting with an addon, by its name
    #[arg(long, value_name = "NAME")]
    no_uki_addon: Vec<String>,
    #[command(flatten)]
    etc: EtcArgs,
}

/// The flag about conflicts in `/etc`.
#[derive(clap::Args)]
pub struct EtcArgs {
    /// Who wins where machine and image changed the same file of /etc: fail, keep-local or take-image
    #[arg(long, value_name = "[PATH=]STRATEGY")]
    etc_strategy: Vec<StrategyRule>,
}

impl EtcArgs {
    /// Adds the strategies to a request.
    pub fn add_to(&self, request: &mut DeployRequest) {
        request.etc = self.policy();
    }

    /// The strategies.
    pub fn policy(&self) -> EtcPolicy {
        EtcPolicy { rules: self.etc_strategy.clone() }
    }
}

impl MachineArgs {
    /// Imports the overlays, and adds all of it to a request. Of a dry run, nothing is stored.
    pub fn add_to(
        &self,
        request: &mut DeployRequest,
        target: &Target,
        is_dry: bool,
        context: &Context,
    ) -> anyhow::Result<()> {
        self.etc.add_to(request);
        request.overlays.remove.clone_from(&self.no_overlay);
        request.addons.add.clone_from(&self.uki_addon);
        request.addons.remove.clone_from(&self.no_uki_addon);
        let disk = RealDisk::shared();
        for (name, source) in self.sources(request)? {
            let name: OverlayName = name.parse()?;
            let control = context.control()?;
            let done = if is_dry {
                let trees = (&request.trees, control);
                measure_overlay(&target.repository, &disk, name, &source, trees)?
            } else {
                import_overlay(&target.repository, &disk, name, &source, control)?
            };
            for path in &done.skipped {
                control.warn(format!("{} is no file: it is left out", escape(path.as_bytes())));
            }
            let is_same = |overlay: &Overlay| overlay.name == done.overlay.name;
            if request.overlays.add.iter().any(is_same) {
                let name = done.overlay.name.to_string();
                anyhow::bail!(
                    "two overlays have the name {}: give one another, as NAME=DIR",
                    escape(name.as_bytes())
                );
            }
            request.overlays.add.push(done.overlay);
        }
        Ok(())
    }

    /// The overlays that are asked for, each with its name, the lowest first.
    fn sources(&self, request: &DeployRequest) -> anyhow::Result<Vec<(String, OverlaySource)>> {
        let mut sources = Vec::new();
        let one = |file: OverlayFile| OverlaySource::Files(vec![file]);
        if let Some(folder) = &self.copy_etc {
            sources.push(("copy-etc".to_owned(), OverlaySource::Etc(folder.clone())));
        }
        for text in &self.overlay {
            sources.push(overlay(text)?);
        }
        if let Some(path) = &self.authorized_keys {
            let bytes = File::open(&RealDisk::shared(), path)?.read_all(KEYS_MAX)?;
            let keys = String::from_utf8(bytes).with_context(|| format!("read {}", path.display()))?;
            let source = OverlaySource::RootKeys { image: request.image, keys };
            sources.push(("authorized-keys".to_owned(), source));
        }
        if let Some(name) = &self.hostname {
            sources.push(("hostname".to_owned(), one(OverlayFile::hostname(name)?)));
        }
        if let Some(path) = &self.fstab {
            let file = OverlayFile::at("/etc/fstab", FileBody::File(path.clone()))?;
            sources.push(("fstab".to_owned(), one(file)));
        }
        for text in &self.file {
            let Some((path, source)) = text.split_once('=') else {
                let what = "--file needs a path and a source";
                return Err(WrongUsage { what, hint: "--file /etc/issue=issue.txt" }.into());
            };
            let file = OverlayFile::at(path, FileBody::File(source.into()))?;
            sources.push((path.to_owned(), one(file)));
        }
        Ok(sources)
    }
}

/// `[NAME=]DIR|TAR`: without a name, that of the folder, or of the file up to `.tar`.
fn overlay(text: &str) -> anyhow::Result<(String, OverlaySource)> {
    let named = text.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains('/'));
    let path = Path::new(named.map_or(text, |(_, path)| path));
    let source = match Dir::open(&RealDisk::shared(), path) {
        Ok(_) => OverlaySource::Folder(path.to_owned()),
        Err(error) if error.is_missing() => return Err(error.into()),
        Err(_) => OverlaySource::Tar(path.to_owned()),
    };
    if let Some((name, _)) = named {
        return Ok((name.to_owned(), source));
    }
    let own = std::path::absolute(path).ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let Some(own) = own else {
        let what = "the overlay's folder has no name";
        return Err(WrongUsage { what, hint: "give it one: --overlay NAME=DIR" }.into());
    };
    let name = match source {
        OverlaySource::Tar(_) => own.split_once(".tar").map_or(&*own, |(name, _)| name).to_owned(),
        _ => own,
    };
    Ok((name, source))
}
