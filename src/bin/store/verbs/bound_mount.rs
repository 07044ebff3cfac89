//! `store bound mount`: shows the bound images of the running deployment to podman.

use anyhow::bail;
use sealstone::deploy::bound::image_store::{MOUNT_POINT, place};
use sealstone::store::bind_read_only;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::plural;
use crate::target::TargetArgs;

/// Mount the running deployment's image store where /usr/lib/bootc/storage leads, read-only
///
/// contrib/systemd/store-bound-images.service does it at boot. Needs root.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store bound mount
  podman --storage-opt=additionalimagestore=/usr/lib/bootc/storage images")]
pub struct Args {
    /// The deployment, by its whole id [default: the running one]
    #[arg(long, value_name = "ID")]
    deployment: Option<sealstone::deploy::DeploymentId>,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let target = args.target.open(context)?;
    let Some(id) = args.deployment.or_else(|| args.target.running()) else {
        bail!("no deployment of this sysroot runs: say which one with --deployment");
    };
    let (records, _) = target.sysroot.records()?;
    let bound = records.iter().find(|record| record.id == id).map_or(0, |record| record.bound.len());
    if bound == 0 {
        context.print(|out, _| writeln!(out, "nothing is bound to it"))?;
        return Ok(Exit::Done);
    }
    let root = target.sysroot.dir();
    let onto = root.label().join(MOUNT_POINT);
    bind_read_only(&root.open_dir(place(&id))?, &onto)?;
    context.print(|out, _| {
        writeln!(out, "{} shown at {}", plural(bound as u64, "bound image"), onto.display())
    })?;
    Ok(Exit::Done)
}
