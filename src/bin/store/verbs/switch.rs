//! `store switch REFERENCE`: follows another image from now on.

use anyhow::bail;
use sealstone::deploy::Standing;

use crate::context::Context;
use crate::exit::Exit;
use crate::source;

use super::update_run::{self, Following, Options};

/// Follow another image from now on, and make it what boots next
///
/// Like an update whose image comes from elsewhere: kernel arguments, overlays, /etc, /var and pins of this machine are kept, and the old
/// system stays bootable. Later updates come from REFERENCE.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store switch docker://quay.io/example/os:stable --esp /boot
  store switch --check docker://quay.io/example/os:next
  store switch oci:/media/usb/os --sysroot /mnt --esp /mnt/boot")]
pub struct Args {
    /// Where the image is: TRANSPORT:PLACE, as `store help import` lists them
    reference: String,
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let place = source::absolute(args.reference.parse()?)?;
    if place.is_standard_input() {
        bail!("updates cannot come from the standard input: name a place that stays");
    }
    args.options.make_writable();
    let target = args.options.target.open(context)?;
    let running = args.options.target.running();
    let standing = Standing::read(&target, running.as_ref())?;
    if standing.tracked().is_none() {
        bail!("nothing is deployed here: `store deploy` installs, and updates follow");
    }
    let following = Following { target, running, standing, name: place.to_string(), place };
    update_run::run(&following, &args.options, context)
}
