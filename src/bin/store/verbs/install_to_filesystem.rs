//! `store install to-filesystem`: installs into a folder that the caller has made and mounted.

use std::path::{Path, PathBuf};

use sealstone::boot::Esp;
use sealstone::deploy::install::{MountSpecs, SysrootOptions, prepare_sysroot};
use sealstone::store::Algorithm;
use sealstone::store::disk::{Dir, RealDisk};

use super::init::Guard;
use super::install_options::ImageArgs;
use super::install_show::{self, PlannedTarget, Shown};
use super::planned::now;
use crate::boot_targets::Machine;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::WrongUsage;

/// Where this machine says which file system has which UUID.
const BY_UUID: &str = "/dev/disk/by-uuid";

/// Install into a mounted folder: for installers that partition and mount themselves
///
/// The folder becomes the physical root of the system (/sysroot once it runs). What else is in it stays. The arguments root= and rw are
/// set; --root-mount-spec, the image's install configuration or the file system's UUID say what root= is. A subvolume of btrfs is
/// named by rootflags=.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store install to-filesystem --root /mnt docker://quay.io/example/os:1
  store install to-filesystem --root /mnt --esp /mnt/efi1 --esp /mnt/efi2 oci:image:1 --target-ref docker://quay.io/example/os:1
  store install to-filesystem --root /mnt --root-mount-spec UUID=7a1c… --karg rd.luks.uuid=… docker://quay.io/example/os:1
  store install to-filesystem --root /mnt docker://quay.io/example/os:1 --dry-run --json")]
pub struct Args {
    /// The folder that becomes the physical root
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// A mounted EFI system partition; give each that there is [default: what is mounted on efi, boot/efi or boot in the
    /// root]. Beside one, kernels and entries go to an XBOOTLDR that is mounted on the root's boot
    #[arg(long, value_name = "DIR")]
    esp: Vec<PathBuf>,
    /// Who guards objects against change [default: the kernel where it can, else computed]
    #[arg(long, value_enum, value_name = "BY")]
    verity: Option<Guard>,
    #[command(flatten)]
    image: ImageArgs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let disk = RealDisk::shared();
    let machine = Machine { disk: &disk, root: Path::new("/") };
    let esps = machine.boot_targets_below(&args.root, &args.esp)?;
    if esps.is_empty() {
        let what = "nothing is mounted on boot/efi, efi or boot in the root";
        return Err(WrongUsage { what, hint: "say with --esp where the boot partition is mounted" }.into());
    }
    if args.image.dry_run {
        let image = args.image.look(context)?;
        let planned = PlannedTarget::Folders { root: &args.root, esps: esps.iter().map(Esp::name).collect() };
        return install_show::plan(&args.image, &image, &planned, context);
    }
    let options = SysrootOptions {
        algorithm: Algorithm::Sha512,
        verity: args.verity.map(sealstone::store::Verity::from),
    };
    let target = prepare_sysroot(&disk, &args.root, esps, &args.image.reference(), options)?;
    let found = MountSpecs::of(&Dir::open(&disk, &args.root)?, Path::new(BY_UUID))?;
    let done = args.image.install(&target, found, now()?, context)?;
    let place = args.root.display().to_string();
    install_show::done(&args.image, &Shown::of(&target, &done)?, &done, (&place, None), context)
}
