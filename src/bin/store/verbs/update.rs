//! `store update`: looks for a newer image where the system came from, and makes it what boots next.

use anyhow::bail;
use sealstone::deploy::{Standing, place_of_updates};

use crate::context::Context;
use crate::exit::Exit;

use super::update_run::{self, Following, Options};

/// Update the system: fetch what is new, and stage or deploy it
///
/// Follows the image that waits, else that which runs, else that which boots by default. What is there already is not fetched
/// again, and if nothing is new, that costs one HEAD request. Kernel arguments, overlays, /etc and pins of this machine are kept. On the
/// system that runs, the update is staged: /etc is merged when the system shuts down (store-finalize.service), and until then the old
/// one boots. On another --sysroot all is done at once.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store update --check                             # is there an update, and how large is it?
  store update --check --json | jq -e .changed     # the same, as an exit code
  store update --esp /boot                         # fetch and stage it; it boots after the next shutdown
  store update --esp /boot --download-only         # fetch it now …
  store update --esp /boot --from-downloaded --apply  # … and reboot into it in the maintenance window
  store update --sysroot /mnt --esp /mnt/boot      # of a system that does not run

docs/updates.md tells of timers, staging and rolling back.")]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// Take what --download-only fetched, and ask no network
    #[arg(long, conflicts_with_all = ["check", "download_only"])]
    from_downloaded: bool,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    args.options.make_writable();
    let target = args.options.target.open(context)?;
    let running = args.options.target.running();
    let standing = Standing::read(&target, running.as_ref())?;
    let Some(followed) = standing.tracked() else {
        bail!("nothing is deployed here: `store deploy` installs, and updates follow");
    };
    if args.from_downloaded {
        return update_run::from_downloaded(&target, running.as_ref(), &args.options, context);
    }
    let (place, name) = (place_of_updates(followed)?, followed.image.reference.clone());
    let following = Following { target, running, standing, name, place };
    update_run::run(&following, &args.options, context)
}
