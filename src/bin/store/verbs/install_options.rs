//! What all ways to install have in common: the flags about the image, and the run of an installation on a target.

use std::time::Instant;

use sealstone::boot::Karg;
use sealstone::deploy::install::{
    DiskRequest, InstallRequest, Installed, LuksRequest, LuksUnlock, MountSpecs, to_filesystem,
};
use sealstone::deploy::{DeployRequest, Target};
use sealstone::import::oci::Platform;
use sealstone::import::source::Reference;
use sealstone::import::{ImportOptions, SourceImage, look};

use crate::args::Reporting;
use crate::bound;
use crate::context::Context;
use crate::machine::MachineArgs;
use crate::registry::RegistryArgs;
use crate::source;

/// The image, and what this machine adds to it.
#[derive(clap::Args)]
pub struct ImageArgs {
    /// Where the image is: docker://…, oci:DIR, oci-archive:FILE and others (docs/cli.md)
    image: Reference,
    /// Where updates come from, if not from where the image is now
    #[arg(long, value_name = "REF")]
    target_ref: Option<Reference>,
    /// A kernel argument; may be given several times
    #[arg(long, value_name = "KEY[=VALUE]")]
    karg: Vec<Karg>,
    /// A kernel argument of the image to leave out, for good: KEY=VALUE that one, KEY all of the key
    #[arg(long, value_name = "KEY[=VALUE]")]
    karg_delete: Vec<Karg>,
    /// How the initramfs finds the root, as in UUID=… or LABEL=…; empty: it finds it itself [default: what the image says,
    /// else by UUID]
    #[arg(long, value_name = "SPEC")]
    root_mount_spec: Option<String>,
    /// The same of a /boot of its own [default: none]
    #[arg(long, value_name = "SPEC")]
    boot_mount_spec: Option<String>,
    /// Which image of an index [default: linux on this processor]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Say what would be done and destroyed, and change nothing: only the image's documents are read
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    pub reporting: Reporting,
}

impl ImageArgs {
    /// What updates follow.
    pub fn reference(&self) -> String {
        self.target_ref.as_ref().unwrap_or(&self.image).to_string()
    }

    fn import(&self) -> ImportOptions {
        let mut options = ImportOptions::default();
        if let Some(platform) = &self.platform {
            options.platform = platform.clone();
        }
        options
    }

    /// What the image's documents say.
    pub fn look(&self, context: &Context) -> anyhow::Result<SourceImage> {
        let options = self.import();
        let source = source::open_bare(&self.image, &self.registry, &options, context)?;
        Ok(look(None, &*source, &options)?)
    }

    /// Installs the image on a target whose root is found so.
    pub fn install(
        &self,
        target: &Target,
        found: MountSpecs,
        time: i64,
        context: &Context,
    ) -> anyhow::Result<Done> {
        let start = Instant::now();
        let options = self.import();
        let source = source::open(&self.image, &self.registry, &options, &target.repository, context)?;
        let request = InstallRequest {
            reference: self.reference(),
            kargs: self.karg.clone(),
            karg_deletes: self.karg_delete.iter().map(ToString::to_string).collect(),
            mounts: MountSpecs {
                root: self.root_mount_spec.clone(),
                boot: self.boot_mount_spec.clone(),
                ..found
            },
            time,
        };
        let adjust = |target: &Target, request: &mut DeployRequest| {
            self.machine.add_to(request, target, false, context)?;
            bound::bind(request, target, (&self.registry, &options), false, context)
        };
        let installed = to_filesystem(target, &*source, &request, (&options, context.control()?), adjust)?;
        Ok(Done { installed, start })
    }
}

/// How a booting system finds the root of a disk that is made, where this opens the root's volume, if it is in one.
pub fn found_by(request: &DiskRequest, unlock: Option<LuksUnlock>) -> anyhow::Result<MountSpecs> {
    let luks = unlock.map(|unlock| unlock.kargs(LuksRequest::uuid(&request.seed)));
    let uuid = Some(request.root_uuid().to_string());
    Ok(MountSpecs { uuid, luks: luks.transpose()?.unwrap_or_default(), ..MountSpecs::default() })
}

/// What was done, and when it began.
pub struct Done {
    pub installed: Installed,
    pub start: Instant,
}
