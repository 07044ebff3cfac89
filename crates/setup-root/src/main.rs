//! The program `store-setup-root`: the command line, `/proc/cmdline`, messages on the console, an exit code.
//!
//! What lives here: all that a library must not do. What does not: the work.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod console;
mod options;

use std::{path::Path, process::ExitCode, sync::Arc};

use sealstone_setup_root::{Asked, Done, Places, Request, SetupError, keep_gpt_auto, set_up};
use sealstone_store::disk::{Dir, Disk, RealDisk};

use console::{Console, Level};
use options::{Options, USAGE};

/// The most bytes that are read of the kernel's command line.
const COMMAND_LINE_MAX: u64 = 64 << 10;

/// What tells an initramfs from a system.
const INITRD_RELEASE: &str = "initrd-release";

fn main() -> ExitCode {
    let disk = RealDisk::shared();
    let console = Console::new(&disk);
    match run(&disk, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.say(Level::Error, &format!("the root cannot be set up: {error}"));
            if !error.available().is_empty() {
                console.say(Level::Error, "deployments that are there:");
                for id in error.available() {
                    console.say(Level::Error, &format!("  {id}"));
                }
            }
            console.say(Level::Error, &format!("what to do: {}", error.advice()));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(disk: &Arc<dyn Disk>, console: &Console) -> Result<(), SetupError> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.help {
        Console::print(USAGE);
        return Ok(());
    }
    if options.version {
        Console::print(concat!("store-setup-root ", env!("CARGO_PKG_VERSION"), "\n"));
        return Ok(());
    }
    let line = match &options.command_line {
        Some(line) => line.clone(),
        None => kernels_command_line(disk)?,
    };
    let request = match Asked::parse(&line)? {
        Asked::Image(request) => request,
        Asked::Nothing => {
            console.say(Level::Info, "no composefs= is asked for: nothing to do");
            return Ok(());
        }
        Asked::Ostree => {
            console.say(Level::Info, "ostree= is asked for, which is ostree-prepare-root's: nothing to do");
            return Ok(());
        }
    };
    let done = set_up_with(disk, &options, &request)?;
    for warning in &done.warnings {
        console.say(Level::Warning, warning);
    }
    console.say(Level::Info, &summary(&done, &options.target));
    Ok(())
}

fn set_up_with(disk: &Arc<dyn Disk>, options: &Options, request: &Request) -> Result<Done, SetupError> {
    let is_initramfs = Dir::open(disk, "/etc").and_then(|etc| etc.exists(INITRD_RELEASE)).unwrap_or(false);
    if is_initramfs {
        keep_gpt_auto(disk, Path::new("/dev"), Path::new("/run/systemd"))?;
    }
    let configuration = match &options.configuration {
        Some(folder) => Some(Dir::open(disk, folder)?),
        None if is_initramfs => Some(Dir::open(disk, "/")?),
        None => None,
    };
    set_up(disk, &Places::new(&options.sysroot, &options.target), request, configuration.as_ref())
}

fn kernels_command_line(disk: &Arc<dyn Disk>) -> Result<String, SetupError> {
    let bytes = Dir::open(disk, "/proc")?.open_file("cmdline")?.read_all(COMMAND_LINE_MAX)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn summary(done: &Done, target: &Path) -> String {
    let guard = if done.is_guarded { "fs-verity guards every file" } else { "not guarded by fs-verity" };
    let steps: Vec<String> = done.plan.steps.iter().map(ToString::to_string).collect();
    let conf = done.conf.file.as_deref().map_or_else(String::new, |file| format!(", as {file} says"));
    format!("{} is the image {} ({guard}), with {}{conf}", target.display(), done.image, steps.join(", "))
}
