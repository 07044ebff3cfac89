//! A whole installer, with nothing but the library: an image out of a registry (or a layout on a stick) onto a root and a boot
//! partition that are mounted, with progress, a way to cancel, and an answer that a program can decide by.
//!
//! ```text
//! installer IMAGE ROOT ESP [--keys FILE] [--karg KARG]… < commands
//! ```
//!
//! A line `cancel` on standard input ends it; `secret TEXT`, as the first line, is a pull secret that only lives in memory. It
//! exits with 0, or with the number of [`Outcome`]. Partitions are the caller's: `store install to-disk` makes them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program, and no library")]

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sealstone::boot::{Esp, Karg};
use sealstone::deploy::install::{
    InstallRequest, Installed, MountSpecs, SysrootOptions, prepare_sysroot, to_filesystem,
};
use sealstone::deploy::{DeployError, DeployRequest, OverlaySource, Target, import_overlay};
use sealstone::import::registry::{Credentials, RegistryEndpoint, RegistrySettings, RegistrySource, Trust};
use sealstone::import::source::{self, Reference, Source};
use sealstone::import::{ImportError, ImportOptions};
use sealstone::store::control::{CancelToken, Event};
use sealstone::store::disk::{Dir, Disk, File, RealDisk};
use sealstone::store::{Control, Error as StoreError};

/// What an agent tells its conductor: by this it decides whether to try again, to take another node, or to give up. The names
/// on the right are those of Ironic's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The registry cannot be reached, refuses, or lacks the image: `ImageDownloadError`.
    Download = 10,
    /// The bytes are not those that were promised, or nobody vouches for them: `ImageChecksumError`.
    Untrusted = 11,
    /// The image is none that can be installed: `ImageDownloadError`, and no try will mend it.
    Image = 12,
    /// The disk is full, held by somebody, or fails: `ImageWriteError`.
    Disk = 13,
    /// What the caller gave is wrong: `InvalidCommandParamsError`.
    Request = 14,
    /// The caller cancelled it.
    Cancelled = 15,
}

/// Sorts an error. No text is looked at.
#[must_use]
pub fn outcome(error: &DeployError) -> Outcome {
    match error {
        DeployError::Import(error) => of_import(error),
        DeployError::Store(error) => of_store(error),
        DeployError::Unfit { .. }
        | DeployError::Layer { .. }
        | DeployError::Policy { .. }
        | DeployError::ImageFile { .. }
        | DeployError::BoundUnit { .. } => Outcome::Image,
        DeployError::Invalid { .. } | DeployError::Overlay { .. } => Outcome::Request,
        _ => Outcome::Disk,
    }
}

fn of_import(error: &ImportError) -> Outcome {
    match error {
        ImportError::Store(error) => of_store(error),
        ImportError::Cancelled => Outcome::Cancelled,
        ImportError::Reference { .. } | ImportError::Ambiguous { .. } => Outcome::Request,
        ImportError::Unreachable { .. } | ImportError::Unauthorized { .. } | ImportError::Missing { .. } => {
            Outcome::Download
        }
        ImportError::NoPlatform { .. } | ImportError::Unsupported { .. } => Outcome::Image,
        ImportError::NoSpace { .. } => Outcome::Disk,
        _ => Outcome::Untrusted,
    }
}

fn of_store(error: &StoreError) -> Outcome {
    if matches!(error, StoreError::Cancelled) { Outcome::Cancelled } else { Outcome::Disk }
}

/// What shall be installed, and where.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where the image is: `docker://…`, `oci:DIR`…
    pub image: String,
    /// The physical root, mounted.
    pub root: PathBuf,
    /// The boot partition, mounted.
    pub esp: PathBuf,
    /// The content of an `authorized_keys` for root.
    pub keys: Option<String>,
    /// Kernel arguments.
    pub kargs: Vec<String>,
    /// A pull secret, `USER:PASSWORD` or what an auth file has.
    pub secret: Option<String>,
}

/// Installs. Killed or cancelled anywhere, the same call goes on; until its end nothing boots.
///
/// # Errors
/// See [`outcome`].
pub fn install(request: &Request, control: &Control) -> Result<Installed, DeployError> {
    let disk: Arc<dyn Disk> = RealDisk::shared();
    let options = ImportOptions::default();
    let reference: Reference = request.image.parse()?;
    let source = open(&disk, &reference, request.secret.as_deref(), &options, control)?;
    let esps = vec![Esp::new(Dir::open(&disk, &request.esp)?)];
    let target = prepare_sysroot(&disk, &request.root, esps, &request.image, SysrootOptions::default())?;
    let mounts = MountSpecs::of(&Dir::open(&disk, &request.root)?, Path::new("/dev/disk/by-uuid"))?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let install = InstallRequest {
        reference: request.image.clone(),
        kargs: request.kargs.iter().map(|karg| karg.parse::<Karg>()).collect::<Result<_, _>>()?,
        karg_deletes: Vec::new(),
        mounts,
        time: i64::try_from(time).unwrap_or(i64::MAX),
    };
    let adjust = |target: &Target, deploy: &mut DeployRequest| add_keys(request, target, deploy, control);
    to_filesystem(&target, &*source, &install, (&options, control), adjust)
}

/// A registry with the machine's certificates and this secret, or a place on this machine. What a registry is asked ends when
/// the caller cancels.
fn open(
    disk: &Arc<dyn Disk>,
    reference: &Reference,
    secret: Option<&str>,
    options: &ImportOptions,
    control: &Control,
) -> Result<Box<dyn Source>, DeployError> {
    let Reference::Registry(registry) = reference else {
        return Ok(source::open(disk, reference, &options.limits)?);
    };
    let mut trust = Trust::default();
    trust.add_file(disk, Path::new("/etc/ssl/certs/ca-certificates.crt"), &options.limits)?;
    let mut endpoint = RegistryEndpoint::of(registry);
    endpoint.trust = trust;
    endpoint.credentials = secret.map(Credentials::from_pull_secret);
    let mut settings = RegistrySettings::default();
    settings.cancel = Some(control.cancel_token());
    Ok(Box::new(RegistrySource::new(registry.clone(), vec![endpoint], &settings)?))
}

/// Lets the keys log in as root, with this image and all that follow.
fn add_keys(
    request: &Request,
    target: &Target,
    deploy: &mut DeployRequest,
    control: &Control,
) -> Result<(), DeployError> {
    let Some(keys) = &request.keys else { return Ok(()) };
    let source = OverlaySource::RootKeys { image: deploy.image, keys: keys.clone() };
    let name = "authorized-keys".parse()?;
    let made = import_overlay(&target.repository, target.sysroot.dir().disk(), name, &source, control)?;
    deploy.overlays.add.push(made.overlay);
    Ok(())
}

/// Reads the command line and the first line of standard input.
fn request(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut next = |what: &str| args.next().ok_or_else(|| format!("there is no {what}"));
    let mut request = Request {
        image: next("IMAGE")?,
        root: next("ROOT")?.into(),
        esp: next("ESP")?.into(),
        ..Request::default()
    };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} has no value"))?;
        match flag.as_str() {
            "--karg" => request.kargs.push(value),
            "--keys" => {
                let keys = File::open(&RealDisk::shared(), &value).and_then(|file| file.read_all(1 << 20));
                let keys = keys.map_err(|error| error.to_string())?;
                request.keys = Some(String::from_utf8(keys).map_err(|error| error.to_string())?);
            }
            _ => return Err(format!("{flag} is no flag")),
        }
    }
    Ok(request)
}

/// Hears `cancel`, and the secret that may come first.
fn listen(cancel: CancelToken) -> Option<String> {
    let mut lines = std::io::stdin().lock().lines();
    let first = lines.next().and_then(Result::ok);
    let secret = first.as_deref().and_then(|line| line.strip_prefix("secret ")).map(str::to_owned);
    let is_cancel = |line: &String| line == "cancel";
    if first.as_ref().is_some_and(is_cancel) {
        cancel.cancel();
    }
    std::thread::spawn(move || {
        if std::io::stdin().lock().lines().map_while(Result::ok).any(|line| is_cancel(&line)) {
            cancel.cancel();
        }
    });
    secret
}

fn main() -> ExitCode {
    let mut request = match request(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(reason) => {
            eprintln!("installer: {reason}");
            return ExitCode::from(Outcome::Request as u8);
        }
    };
    let control = Control::new().with_progress(Arc::new(|event| match event {
        Event::Started { work, name, .. } => eprintln!("{work:?} {name}"),
        Event::Warning(text) => eprintln!("warning: {text}"),
        _ => {}
    }));
    request.secret = listen(control.cancel_token());
    match install(&request, &control) {
        Ok(installed) => {
            println!("{} steps, {} warnings", installed.applied.steps, installed.plan.warnings.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("installer: {error}");
            ExitCode::from(outcome(&error) as u8)
        }
    }
}
