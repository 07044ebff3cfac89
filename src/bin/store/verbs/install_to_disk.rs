//! `store install to-disk`: makes a disk, in a file or on a device, and installs onto it.

#![allow(clippy::doc_markdown, reason = "some of these comments are help texts, shown as they are")]

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use sealstone::deploy::install::{
    ConfigDrive, DeviceDisk, DiskFormat, DiskRequest, DiskTarget, FileDisk, HostPrograms, LuksRequest, Seed,
    is_device,
};
use sealstone::deploy::kargs::RootFileSystem;
use sealstone::store::disk::{File, RealDisk};

use super::install_luks::LuksArgs;
use super::install_options::{ImageArgs, found_by};
use super::install_show::{self, PlannedDisk, PlannedTarget};
use super::planned::now;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::WrongUsage;

/// Where programs are that only administrators have in their path.
const ADMINISTRATORS_PATH: &str = ":/usr/sbin:/sbin";

/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";

/// Install onto a disk: a GPT, an EFI system partition, a root
///
/// A device is partitioned, formatted and written in place (root, mkfs); its partition table comes last. A file becomes a disk image without root, loop devices or other programs: an ext4 whose objects have fs-verity already, so that the
/// system boots with nothing less. With --seed and --time (or SOURCE_DATE_EPOCH), the same image gives the same bytes. What is
/// in the place of the disk is named, and stays, unless --wipe is given. The file appears when it is whole.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store install to-disk disk.raw docker://quay.io/example/os:1
  store install to-disk /dev/vda --filesystem btrfs --wipe docker://quay.io/example/os:1
  store install to-disk /dev/vda --luks tpm2 docker://quay.io/example/os:1
  store install to-disk disk.qcow2 --format qcow2 --image-size 20G oci:image:1 --target-ref docker://quay.io/example/os:1
  store install to-disk disk.raw --seed web-1 --time 1760000000 oci:image:1     # the same bytes each time
  store install to-disk disk.raw --reserve-tail 64M --sector-size 4096 oci:image:1
  store install to-disk disk.raw oci:image:1 --dry-run                          # what would be destroyed?")]
pub struct Args {
    /// The file or the device; a file that is there must be empty, and its size is the disk's
    disk: PathBuf,
    /// The file system of a device's root; a file gets an ext4
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Filesystem::Ext4)]
    filesystem: Filesystem,
    #[command(flatten)]
    luks: LuksArgs,
    #[command(flatten)]
    size: SizeArgs,
    /// Let go what is in the disk's place
    #[arg(long)]
    wipe: bool,
    /// How a file is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Raw)]
    format: Format,
    /// What the disk's UUIDs are derived from; equal seeds and times give equal disks [default: random]
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// The time of the disk, in seconds since 1970 [env: SOURCE_DATE_EPOCH] [default: now]
    #[arg(long, value_name = "SECONDS")]
    time: Option<i64>,
    /// What the machine reads at its first boot, put into a partition config-2 at the end: an ISO 9660 or FAT file system, gzip
    /// and base64 of one, or a folder
    #[arg(long, value_name = "FILE|DIR")]
    config_drive: Option<PathBuf>,
    #[command(flatten)]
    image: ImageArgs,
}

/// How large everything is.
#[derive(clap::Args)]
struct SizeArgs {
    /// The size of the disk, as in 20G [default: what the image needs, as much again, and a GiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    image_size: Option<u64>,
    /// The size of the EFI system partition [default: three times the kernel and 64 MiB, 512 MiB at least]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    esp_size: Option<u64>,
    /// So much at the end belongs to no partition, for whoever makes one there
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, default_value = "0")]
    reserve_tail: u64,
    /// The size of the disk's sectors: 512 or 4096
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    sector_size: u32,
}

/// `--format`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The disk's bytes, with holes where there are zeros
    Raw,
    /// qcow2, version 3
    Qcow2,
}

/// `--filesystem`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Filesystem {
    Ext4,
    Btrfs,
    Xfs,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let mut request = request(args)?;
    let drive = config_drive(args, &mut request)?;
    let filesystem = match args.filesystem {
        Filesystem::Ext4 => RootFileSystem::Ext4,
        Filesystem::Btrfs => RootFileSystem::Btrfs,
        Filesystem::Xfs => RootFileSystem::Xfs,
    };
    let onto_device = is_device(&RealDisk::shared(), &args.disk)?;
    if !onto_device && args.filesystem != Filesystem::Ext4 {
        let hint = "leave --filesystem out, or install onto a device";
        return Err(WrongUsage { what: "a file gets an ext4: no other is written here", hint }.into());
    }
    let luks = args.luks.request()?;
    if luks.is_some() && !onto_device {
        let what = "--luks is for devices: a volume is opened by this machine's kernel, which takes root and a device";
        return Err(WrongUsage { what, hint: "losetup makes a device of a file" }.into());
    }
    if onto_device && args.format != Format::Raw {
        return Err(WrongUsage { what: "--format is for files", hint: "leave it out" }.into());
    }
    if args.image.dry_run {
        let planned =
            PlannedTarget::Disk(PlannedDisk::of(&args.disk, &request, (filesystem, args.luks.unlock()))?);
        return install_show::plan(&args.image, &args.image.look(context)?, &planned, context);
    }
    if onto_device {
        to_device(args, request, (filesystem, luks, drive.as_ref()), context)
    } else {
        to_file(args, request, drive.as_ref(), context)
    }
}

/// The config drive, with room for it at the end of the disk.
fn config_drive(args: &Args, request: &mut DiskRequest) -> anyhow::Result<Option<ConfigDrive>> {
    let Some(path) = &args.config_drive else { return Ok(None) };
    if args.format != Format::Raw {
        return Err(
            WrongUsage { what: "a config drive goes onto a raw disk", hint: "leave --format out" }.into()
        );
    }
    let drive = ConfigDrive::open(&RealDisk::shared(), path)?;
    request.tail = request.tail.max(drive.bytes().next_multiple_of(1 << 20));
    Ok(Some(drive))
}

/// Puts it onto the disk that was made.
fn add(drive: Option<&ConfigDrive>, path: &Path) -> anyhow::Result<()> {
    if let Some(drive) = drive {
        DiskTarget::look(&RealDisk::shared(), path, true)?.add_config_drive(drive)?;
    }
    Ok(())
}

fn to_device(
    args: &Args,
    request: DiskRequest,
    (filesystem, luks, drive): (RootFileSystem, Option<LuksRequest>, Option<&ConfigDrive>),
    context: &Context,
) -> anyhow::Result<Exit> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(ADMINISTRATORS_PATH);
    let programs = HostPrograms::new(path);
    let unlock = luks.as_ref().map(|luks| luks.unlock);
    let (reference, root) = (args.image.reference(), (filesystem, luks));
    let disk = DeviceDisk::begin(&args.disk, &reference, request, root, &programs)?;
    let found = found_by(&request, unlock)?;
    let done = args.image.install(disk.target(), found, request.time, context)?;
    let shown = install_show::Shown::of(disk.target(), &done)?;
    let made = disk.finish(context.control()?)?;
    add(drive, &args.disk)?;
    let place = args.disk.display().to_string();
    install_show::done(&args.image, &shown, &done, (&place, Some(&made)), context)
}

fn to_file(
    args: &Args,
    request: DiskRequest,
    drive: Option<&ConfigDrive>,
    context: &Context,
) -> anyhow::Result<Exit> {
    let disk = FileDisk::begin(&args.disk, &args.image.reference(), request)?;
    let found = found_by(&request, None)?;
    let done = match args.image.install(disk.target(), found, request.time, context) {
        Ok(done) => done,
        Err(error) => {
            // What went wrong is said; that its rest cannot be removed is not worth another word.
            let _ = disk.abandon();
            return Err(error);
        }
    };
    let shown = install_show::Shown::of(disk.target(), &done)?;
    let made = disk.finish(context.control()?)?;
    add(drive, &args.disk)?;
    let place = args.disk.display().to_string();
    install_show::done(&args.image, &shown, &done, (&place, Some(&made)), context)
}

fn request(args: &Args) -> anyhow::Result<DiskRequest> {
    let seed = if let Some(seed) = &args.seed {
        Seed::new(seed.as_bytes())
    } else {
        let mut bytes = [0; 32];
        File::open(&RealDisk::shared(), RANDOM)?.read_exact_at(0, &mut bytes)?;
        Seed::new(&bytes)
    };
    let time = match args.time {
        Some(time) => time,
        None => match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.trim().parse()?,
            Err(_) => now()?,
        },
    };
    let SizeArgs { image_size, esp_size, reserve_tail, sector_size } = args.size;
    Ok(DiskRequest {
        size: image_size,
        esp: esp_size,
        tail: reserve_tail,
        sector: sector_size,
        format: if args.format == Format::Raw { DiskFormat::Raw } else { DiskFormat::Qcow2 },
        wipe: args.wipe,
        ..DiskRequest::new(seed, time)
    })
}
