//! What an error means to whoever typed the command: an exit code, and what to do next.
//!
//! The libraries' errors are typed by what a caller can decide; here each becomes a code and, where there is one, a hint.

use std::{fmt, io};

use sealstone::boot::BootError;
use sealstone::deploy::DeployError;
use sealstone::import::ImportError;
use sealstone::store::Error as StoreError;
use sealstone::store::erofs::ImageError;
use sealstone::store::tree::TreeError;

use crate::exit::Exit;

/// A command line that clap takes and we do not.
#[derive(Debug)]
pub struct WrongUsage {
    /// What is wrong; without the value, which may be a secret.
    pub what: &'static str,
    /// What to write instead.
    pub hint: &'static str,
}

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for WrongUsage {}

/// The exit code of an error, and what to try.
pub fn explain(error: &anyhow::Error) -> (Exit, Option<&'static str>) {
    for cause in error.chain() {
        if let Some(WrongUsage { hint, .. }) = cause.downcast_ref() {
            return (Exit::Usage, Some(hint));
        }
        if let Some(cause) = cause.downcast_ref::<StoreError>() {
            return of_store(cause);
        }
        if let Some(cause) = cause.downcast_ref::<ImportError>() {
            return of_import(cause);
        }
        if let Some(cause) = cause.downcast_ref::<DeployError>() {
            return of_deploy(cause);
        }
        if let Some(cause) = cause.downcast_ref::<BootError>() {
            return of_boot(cause);
        }
        if let Some(cause) = cause.downcast_ref::<TreeError>() {
            return of_tree(cause);
        }
        if cause.is::<ImageError>() {
            return (Exit::Failed, Some("`store fsck` says what else is damaged"));
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return of_io(cause);
        }
    }
    (Exit::Failed, None)
}

/// What went wrong, from the outside in. The libraries' errors say their causes themselves, which are not repeated.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// Whether standard output went away, which ends the command well: `store ls IMAGE | head`.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn of_store(error: &StoreError) -> (Exit, Option<&'static str>) {
    match error {
        StoreError::NoSpace { .. } => (
            Exit::NoSpace,
            Some("free some space, for instance with `store gc`, and run it again; nothing was published"),
        ),
        StoreError::Missing { what } if what.starts_with("repository") => {
            (Exit::NotFound, Some("`store init` makes one; `--repo DIR` or SEALSTONE_REPO names another"))
        }
        StoreError::Missing { what } if what.starts_with("mount") => {
            (Exit::NotFound, Some("`findmnt` lists what is mounted"))
        }
        StoreError::Missing { what } if what.starts_with("deployment") || what.starts_with("overlay") => {
            (Exit::NotFound, Some("`store status -v` lists the deployments, with their overlays"))
        }
        StoreError::Missing { .. } => (Exit::NotFound, Some("`store images` lists what is there")),
        StoreError::Foreign { .. } => {
            (Exit::Failed, Some("`--repo DIR` names another folder; `store init` fills an empty one"))
        }
        StoreError::Unsupported { .. } => (Exit::Unsupported, None),
        StoreError::Verity { .. } => (
            Exit::Untrusted,
            Some("`store fsck` says what else is damaged; `store doctor` what the file system can do"),
        ),
        StoreError::Corrupt { .. } => (
            Exit::Failed,
            Some("`store fsck --repair` mends what it can; importing the image again brings objects back"),
        ),
        StoreError::Busy { .. } => (Exit::Busy, Some("wait for it to end, and run it again")),
        StoreError::Invalid { .. } => (Exit::Usage, None),
        StoreError::ReadOnly { .. } => (
            Exit::Failed,
            Some(
                "reading still works; to write, mount its file system read-write: `mount -o remount,rw PLACE`",
            ),
        ),
        StoreError::Mount { .. } => (Exit::Unsupported, Some("`store doctor` says what this kernel offers")),
        StoreError::Cancelled => (Exit::Cancelled, None),
        StoreError::Io { source, .. } => of_io(source),
        _ => (Exit::Failed, None),
    }
}

fn of_io(error: &io::Error) -> (Exit, Option<&'static str>) {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Exit::NoSpace, Some("free some space and run it again"))
        }
        io::ErrorKind::NotFound => (Exit::NotFound, None),
        io::ErrorKind::PermissionDenied => (Exit::Failed, Some("this needs other permissions, perhaps root")),
        io::ErrorKind::Unsupported => (Exit::Unsupported, Some("`store doctor` says what works here")),
        _ => (Exit::Failed, None),
    }
}

fn of_import(error: &ImportError) -> (Exit, Option<&'static str>) {
    match error {
        ImportError::Store(error) => of_store(error),
        ImportError::Reference { .. } => {
            (Exit::Usage, Some("`store help import` lists where images may come from, with examples"))
        }
        ImportError::Ambiguous { .. } => (Exit::Usage, Some("add the tag or name, as in oci:DIR:TAG")),
        ImportError::UnknownImage { .. } => (Exit::NotFound, Some("`store images` lists what is there")),
        ImportError::Missing { .. } | ImportError::NoPlatform { .. } => (Exit::NotFound, None),
        ImportError::Unsupported { .. } => (Exit::Unsupported, None),
        ImportError::Config { .. } => (Exit::Failed, Some("mend what the message names, and run it again")),
        ImportError::Denied { .. } => (Exit::Untrusted, None),
        ImportError::Unreachable { .. } => {
            (Exit::Failed, Some("nothing was published; run it again when the registry can be reached"))
        }
        ImportError::Unauthorized { .. } => (
            Exit::Failed,
            Some(
                "give credentials with --creds USER or --authfile FILE, or log in with podman; check the name",
            ),
        ),
        ImportError::Insecure { .. } => (
            Exit::Untrusted,
            Some("give its certificate authority with --cert-dir DIR; --tls-verify=false takes anybody"),
        ),
        ImportError::NoSpace { .. } => (
            Exit::NoSpace,
            Some(
                "free some space, for instance with `store gc`, or keep less with --min-free; nothing was published",
            ),
        ),
        ImportError::Cancelled => (Exit::Cancelled, None),
        // Everything else says that the input is not what it says it is, or more than we take.
        _ => (Exit::Untrusted, Some("nothing was published; get the image from its source again")),
    }
}

fn of_tree(error: &TreeError) -> (Exit, Option<&'static str>) {
    match error {
        TreeError::Missing(_) | TreeError::NotADirectory(_) => {
            (Exit::NotFound, Some("`store ls IMAGE` lists what is there"))
        }
        _ => (Exit::Failed, None),
    }
}

fn of_deploy(error: &DeployError) -> (Exit, Option<&'static str>) {
    match error {
        DeployError::Store(error) => of_store(error),
        DeployError::Import(error) => of_import(error),
        DeployError::Boot(error) => of_boot(error),
        DeployError::Tree(error) => of_tree(error),
        DeployError::Layer { .. }
        | DeployError::Policy { .. }
        | DeployError::ImageFile { .. }
        | DeployError::TooBig { .. }
        | DeployError::BoundUnit { .. } => {
            (Exit::Untrusted, Some("nothing was published; the image has to be built differently"))
        }
        DeployError::Invalid { .. } => (Exit::Usage, None),
        DeployError::Occupied { .. } => (
            Exit::Failed,
            Some(
                "nothing was changed; name another place, or let it go with --wipe where there is that flag",
            ),
        ),
        DeployError::Program { .. } => {
            (Exit::Failed, Some("install the program that the message names, or see what it says"))
        }
        DeployError::Overlay { .. } => {
            (Exit::Usage, Some("an overlay is laid on /etc and /var: put it together differently"))
        }
        DeployError::EtcConflict { .. } => (
            Exit::Failed,
            Some(
                "say who wins: --etc-strategy keep-local or take-image, or PATH=STRATEGY; --dry-run tells why",
            ),
        ),
        _ => (Exit::Failed, None),
    }
}

fn of_boot(error: &BootError) -> (Exit, Option<&'static str>) {
    match error {
        BootError::Store(error) => of_store(error),
        BootError::NoSpace { .. } => (
            Exit::NoSpace,
            Some("remove deployments that are not needed, or give the place that is named more room"),
        ),
        BootError::Invalid { .. } => (Exit::Usage, None),
        BootError::Missing { .. } => (Exit::NotFound, None),
        BootError::WrongImage { .. } => (
            Exit::Untrusted,
            Some(
                "the image was changed after the unified kernel image was built: build both anew, in this order",
            ),
        ),
        BootError::Malformed { .. } | BootError::Untrusted { .. } => (Exit::Untrusted, None),
        _ => (Exit::Failed, None),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_wrapped_error_keeps_its_code() {
        let full = StoreError::NoSpace { op: "write", path: "/x".into() };
        let error = Err::<(), _>(ImportError::Store(full)).context("import oci:x").unwrap_err();
        assert_eq!(explain(&error).0, Exit::NoSpace);
        assert_eq!(explain(&anyhow::anyhow!("plain")), (Exit::Failed, None));
    }

    #[test]
    fn a_cause_that_its_error_tells_is_told_once() {
        let source = io::Error::from_raw_os_error(2);
        let error = StoreError::Io { op: "open", path: "/x".into(), source };
        let error = Err::<(), _>(ImportError::Store(error)).context("import oci:x").unwrap_err();
        assert_eq!(message(&error), "import oci:x: cannot open /x: No such file or directory (os error 2)");
        assert_eq!(message(&anyhow::anyhow!("inner").context("outer")), "outer: inner");
    }

    #[test]
    fn a_reader_that_leaves_is_not_an_error() {
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_closed_pipe(&closed));
        assert!(!is_closed_pipe(&anyhow::anyhow!("other")));
    }
}
