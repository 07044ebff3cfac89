//! `store uki build`: a unified kernel image of an image's own parts, or of files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sealstone::boot::uki::{NewSection, ReadAt, SectionContent, UkiParts, build_uki};
use sealstone::boot::{BootError, Karg};
use sealstone::deploy::{ImageId, SealOptions, SealParts};
use sealstone::store::disk::{File, RealDisk};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::WrongUsage;
use crate::image::stored_image;
use crate::output::{Bytes, Facts, escape, write_document};
use crate::output_file::write_file;

/// The most bytes of a text that is put in.
const TEXT_MAX: u64 = 64 << 10;

/// Build a unified kernel image
///
/// Of an imported image: its stub (/usr/lib/systemd/boot/efi/linux*.efi.stub), kernel, initramfs and os-release, and a command
/// line of the arguments in its kargs.d, those given here, and the one that names the image. What is given as a file takes the
/// place of the image's. The same parts make the same bytes. The image stays as it is: the file belongs below /boot/EFI/Linux
/// in a layer on top of it, which does not change what is booted.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store uki build os:1 --output os.efi
  store uki build os:1 --karg console=ttyS0 --allow-missing-verity --output os.efi
  store uki build --stub linuxx64.efi.stub --linux vmlinuz --initrd initramfs.img \\
    --os-release os-release --uname 6.12.1 --cmdline 'quiet' --output os.efi")]
pub struct Args {
    /// The image to boot: a name, a manifest digest or an image id
    image: Option<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// A kernel argument beside the image's own; may be given several times
    #[arg(long, value_name = "KEY[=VALUE]")]
    karg: Vec<Karg>,
    /// Let it boot where the file system has no fs-verity
    #[arg(long, requires = "image")]
    allow_missing_verity: bool,
    /// The stub
    #[arg(long, value_name = "FILE", required_unless_present = "image")]
    stub: Option<PathBuf>,
    /// The kernel
    #[arg(long, value_name = "FILE", required_unless_present = "image")]
    linux: Option<PathBuf>,
    /// An initramfs; may be given several times, in the order in which the kernel unpacks them
    #[arg(long, value_name = "FILE")]
    initrd: Vec<PathBuf>,
    /// What the system is
    #[arg(long, value_name = "FILE")]
    os_release: Option<PathBuf>,
    /// The kernel's version
    #[arg(long, value_name = "VERSION")]
    uname: Option<String>,
    /// The whole command line, of an image that is not imported
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["image", "karg"])]
    cmdline: Option<String>,
    /// A picture to show while it boots
    #[arg(long, value_name = "FILE")]
    splash: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.uki-build/1`, which addons give as well.
#[derive(Serialize)]
pub(super) struct Document {
    pub output: String,
    pub size: u64,
    pub image: Option<String>,
    pub cmdline: Option<String>,
    pub uname: Option<String>,
}

/// The files that were given.
struct Given {
    stub: Option<File>,
    linux: Option<File>,
    initrds: Vec<File>,
    os_release: Option<String>,
    splash: Option<File>,
}

impl Given {
    fn open(args: &Args) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| File::open(&RealDisk::shared(), path);
        Ok(Self {
            stub: args.stub.as_ref().map(open).transpose()?,
            linux: args.linux.as_ref().map(open).transpose()?,
            initrds: args.initrd.iter().map(open).collect::<Result<_, _>>()?,
            os_release: args.os_release.as_deref().map(text).transpose()?,
            splash: args.splash.as_ref().map(open).transpose()?,
        })
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = File::open(&RealDisk::shared(), path)?.read_all(TEXT_MAX)?;
    String::from_utf8(bytes).with_context(|| format!("read {}", path.display()))
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let given = Given::open(args)?;
    let document = match &args.image {
        Some(image) => of_image(args, &given, image, context)?,
        None => of_files(args, &given)?,
    };
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(out, "sealstone.uki-build/1", &document);
        }
        let name = terminal.bold(&escape(document.output.as_bytes()));
        writeln!(out, "{name} written, {}", Bytes(document.size))?;
        let mut facts = Facts::new();
        facts
            .add_some("boots", document.image.as_deref())
            .add_some("command line", document.cmdline.as_deref().map(|line| escape(line.as_bytes())))
            .add_some("kernel", document.uname.as_deref().map(|uname| escape(uname.as_bytes())));
        facts.write(out, terminal)
    })?;
    Ok(Exit::Done)
}

/// Of an imported image; what was given goes before what it has.
fn of_image(args: &Args, given: &Given, name: &str, context: &Context) -> anyhow::Result<Document> {
    let repository = context.open_repository()?;
    let stored = stored_image(&repository, name)?;
    let bootable = stored.content.as_ref().ok().and_then(|content| content.bootable);
    let bootable = bootable.map(ImageId::new).with_context(|| {
        format!("{} has no image that boots: `store inspect` says why", escape(stored.name.as_bytes()))
    })?;
    let options = SealOptions { kargs: args.karg.clone(), allow_missing_verity: args.allow_missing_verity };
    let parts = SealParts::of(&repository, &bootable, &stored.manifest, &options)?;
    for warning in &parts.warnings {
        context.progress().warn(escape(warning.to_string().as_bytes()));
    }
    let mut uname = None;
    let size = parts.with(|stub, of_image| Ok(write(args, given, stub, of_image, &mut uname)))??;
    Ok(Document {
        output: args.output.display().to_string(),
        size,
        image: Some(bootable.to_string()),
        cmdline: Some(parts.cmdline().to_string()),
        uname,
    })
}

/// Of files alone.
fn of_files(args: &Args, given: &Given) -> anyhow::Result<Document> {
    let (Some(stub), Some(_)) = (&given.stub, &given.linux) else {
        let what = "an image, or a stub and a kernel, are needed";
        return Err(WrongUsage { what, hint: "store uki build IMAGE --output FILE" }.into());
    };
    let kargs: Vec<&str> = args.karg.iter().map(Karg::as_str).collect();
    let cmdline = args.cmdline.clone().unwrap_or_else(|| kargs.join(" "));
    let parts = UkiParts { cmdline: Some(&cmdline), ..UkiParts::default() };
    let mut uname = None;
    let size = write(args, given, stub, &parts, &mut uname)?;
    let cmdline = Some(cmdline).filter(|line| !line.is_empty());
    Ok(Document { output: args.output.display().to_string(), size, image: None, cmdline, uname })
}

/// Writes the file of these parts, with what was given in their place. Returns its size.
fn write(
    args: &Args,
    given: &Given,
    stub: &dyn ReadAt,
    parts: &UkiParts<'_>,
    uname: &mut Option<String>,
) -> anyhow::Result<u64> {
    let initrds: Vec<&dyn ReadAt> = given.initrds.iter().map(|file| file as &dyn ReadAt).collect();
    let splash: Vec<&dyn ReadAt> = given.splash.iter().map(|file| file as &dyn ReadAt).collect();
    let others = [NewSection { name: ".splash", content: SectionContent::Files(&splash) }];
    let parts = UkiParts {
        os_release: given.os_release.as_deref().or(parts.os_release),
        uname: args.uname.as_deref().or(parts.uname),
        linux: given.linux.as_ref().map(|file| file as &dyn ReadAt).or(parts.linux),
        initrds: if initrds.is_empty() { parts.initrds } else { &initrds },
        others: if splash.is_empty() { &[] } else { &others },
        ..*parts
    };
    *uname = parts.uname.map(str::to_owned);
    let stub = given.stub.as_ref().map_or(stub, |file| file as &dyn ReadAt);
    write_uki(&args.output, stub, &parts)
}

/// Writes a file of a stub and parts, whole or not at all. Returns its size.
pub fn write_uki(output: &Path, stub: &dyn ReadAt, parts: &UkiParts<'_>) -> anyhow::Result<u64> {
    write_file(output, |file| {
        let mut at = 0;
        let size = build_uki(stub, parts, |piece| {
            file.write_all_at(at, piece).map_err(BootError::from)?;
            at += piece.len() as u64;
            Ok(())
        })?;
        Ok(size)
    })
}
