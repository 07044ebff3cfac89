//! What `store install` answers: what would be done, and what was.

use std::path::Path;

use anyhow::bail;
use sealstone::deploy::install::{
    DiskFormat, DiskRequest, LuksUnlock, MadeDisk, is_device, look_at_device, signatures_of_file,
};
use sealstone::deploy::kargs::RootFileSystem;
use sealstone::deploy::{DeploymentStatus, Target, status};
use sealstone::import::SourceImage;
use sealstone::store::disk::{File, RealDisk};
use sealstone::store::{Algorithm, Optional, Verity};
use serde::Serialize;

use super::install_options::{Done, ImageArgs};
use super::planned::warnings;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Elapsed, Facts, escape, plural, printable, write_document};

/// Where an installation would go.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum PlannedTarget<'a> {
    /// Folders that the caller mounted.
    Folders { root: &'a Path, esps: Vec<String> },
    /// A disk that is made.
    Disk(PlannedDisk<'a>),
}

/// A disk that would be made.
#[derive(Serialize)]
pub struct PlannedDisk<'a> {
    path: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    sector: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    esp: Option<u64>,
    tail: u64,
    format: DiskFormat,
    filesystem: RootFileSystem,
    #[serde(skip_serializing_if = "Option::is_none")]
    luks: Option<LuksUnlock>,
    destroys: Vec<String>,
}

impl<'a> PlannedDisk<'a> {
    /// Looks at what is there.
    pub fn of(
        path: &'a Path,
        request: &DiskRequest,
        (filesystem, luks): (RootFileSystem, Option<LuksUnlock>),
    ) -> anyhow::Result<Self> {
        let DiskRequest { size, sector, esp, tail, format, .. } = *request;
        let disk = RealDisk::shared();
        let destroys = Vec::new();
        let mut planned = Self { path, size, sector, esp, tail, format, filesystem, luks, destroys };
        if is_device(&disk, path)? {
            let (destroys, size) = look_at_device(&disk, path)?;
            (planned.destroys, planned.size) = (destroys, planned.size.or(Some(size)));
        } else if let Some(file) = File::open(&disk, path).optional()? {
            planned.destroys = signatures_of_file(&file)?;
        }
        Ok(planned)
    }
}

/// The answer of a dry run, `sealstone.install-plan/1`.
#[derive(Serialize)]
struct PlanDocument<'a> {
    reference: String,
    manifest: String,
    layers: usize,
    bytes_to_fetch: u64,
    target: &'a PlannedTarget<'a>,
}

/// The answer, `sealstone.install/1`.
#[derive(Serialize)]
struct Document<'a> {
    reference: &'a str,
    target: &'a str,
    deployment: &'a DeploymentStatus,
    verity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<&'a MadeDisk>,
    fetched_bytes: u64,
    steps: usize,
    files: u64,
    bytes: u64,
    without_owner: u64,
    without_attributes: u64,
    without_node: u64,
    warnings: &'a [String],
    seconds: f64,
}

/// Says what would be done.
pub fn plan(
    args: &ImageArgs,
    image: &SourceImage,
    target: &PlannedTarget<'_>,
    context: &Context,
) -> anyhow::Result<Exit> {
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = PlanDocument {
                reference: args.reference(),
                manifest: image.manifest.to_string(),
                layers: image.layers.len(),
                bytes_to_fetch: image.bytes_to_fetch(),
                target,
            };
            return write_document(out, "sealstone.install-plan/1", &document);
        }
        let mut facts = Facts::new();
        facts.add("image", image.manifest);
        let layers = plural(image.layers.len() as u64, "layer");
        facts.add("to fetch", format!("{layers}, {}", Bytes(image.bytes_to_fetch())));
        facts.add("followed", escape(args.reference().as_bytes()));
        match target {
            PlannedTarget::Folders { root, esps } => {
                facts.add("root", root.display());
                for esp in esps {
                    facts.add("boot partition", escape(esp.as_bytes()));
                }
            }
            PlannedTarget::Disk(disk) => {
                facts.add("disk", disk.path.display());
                facts.add_some("size", disk.size.map(Bytes));
                facts.add_some("root in", disk.luks.map(volume));
                for what in &disk.destroys {
                    facts.add("would destroy", terminal.bad(&escape(what.as_bytes())));
                }
            }
        }
        facts.write(out, terminal)?;
        let mark = terminal.warning("warning:");
        image.warnings.iter().try_for_each(|warning| writeln!(out, "{mark} {}", printable(warning)))
    })?;
    Ok(Exit::Done)
}

/// What is told of an installed target, read while it is there.
pub struct Shown {
    deployment: DeploymentStatus,
    algorithm: Algorithm,
    verity: Verity,
}

impl Shown {
    /// Of what was just installed.
    pub fn of(target: &Target, done: &Done) -> anyhow::Result<Self> {
        let wanted = done.installed.plan.deployment.as_ref().map(|record| record.id);
        let deployments = status(target, None)?.deployments;
        let deployment = deployments.into_iter().find(|deployment| Some(deployment.record.id) == wanted);
        let Some(deployment) = deployment else {
            bail!("the deployment was removed while it was being made")
        };
        Ok(Self { deployment, algorithm: target.repository.algorithm(), verity: target.repository.verity() })
    }
}

/// Says what was done on a target; `place` names it.
pub fn done(
    args: &ImageArgs,
    shown: &Shown,
    done: &Done,
    (place, disk): (&str, Option<&MadeDisk>),
    context: &Context,
) -> anyhow::Result<Exit> {
    let (plan, populated) = (&done.installed.plan, &done.installed.applied.populated);
    let Shown { deployment, algorithm, verity } = shown;
    let reference = args.reference();
    let elapsed = done.start.elapsed();
    context.print(|out, terminal| {
        if args.reporting.json {
            let document = Document {
                reference: &reference,
                target: place,
                deployment,
                verity: verity.name(),
                disk,
                fetched_bytes: done.installed.imported.report.fetched_bytes(),
                steps: done.installed.applied.steps,
                files: populated.files,
                bytes: populated.bytes,
                without_owner: populated.without_owner,
                without_attributes: populated.without_attributes,
                without_node: populated.without_node,
                warnings: &plan.warnings,
                seconds: elapsed.as_secs_f64(),
            };
            return write_document(out, "sealstone.install/1", &document);
        }
        let record = &deployment.record;
        let name = terminal.bold(&escape(record.os.title.as_bytes()));
        writeln!(out, "{name} installed on {} in {}", escape(place.as_bytes()), Elapsed(elapsed))?;
        let mut facts = Facts::new();
        facts
            .add("deployment", record.id)
            .add("kernel", escape(record.kernel.version.as_bytes()))
            .add("updates from", escape(reference.as_bytes()))
            .add("objects", format!("{}, verity {verity}", algorithm.name()));
        if let Some(disk) = disk {
            of_disk(disk, &mut facts);
        }
        if *verity == Verity::Computed {
            facts.add("unprotected", "no fs-verity here: store fsck checks objects, reading does not");
        }
        if !populated.is_complete() {
            let left = format!(
                "{} without owner, {} without attributes, {} without node: run as root to set them",
                populated.without_owner, populated.without_attributes, populated.without_node
            );
            facts.add("not root", left);
        }
        facts.write(out, terminal)?;
        warnings(plan, out, terminal)
    })?;
    Ok(Exit::Done)
}

/// What is told of a root's volume.
fn volume(unlock: LuksUnlock) -> String {
    let who = match unlock {
        LuksUnlock::Tpm2 => "this machine's TPM alone",
        LuksUnlock::KeyFile => "its key",
        LuksUnlock::KeyFileAndTpm2 => "this machine's TPM or its key",
    };
    format!("a LUKS2 volume, opened by {who}")
}

/// What is told of a disk that was made.
fn of_disk(disk: &MadeDisk, facts: &mut Facts) {
    let sealed = disk.sealed.map(|count| format!(", {count} files with fs-verity"));
    let (size, used) = (Bytes(disk.layout.size), Bytes(disk.used));
    facts
        .add("disk", format!("{size}, {used} of the root in use{}", sealed.unwrap_or_default()))
        .add("root", format!("{} {}, UUID {}", Bytes(disk.layout.root.size), disk.filesystem, disk.root_uuid))
        .add("boot partition", Bytes(disk.layout.esp.size));
    if let Some(luks) = &disk.luks {
        facts.add("root in", format!("{}, UUID {}", volume(luks.unlock), luks.uuid));
    }
}
