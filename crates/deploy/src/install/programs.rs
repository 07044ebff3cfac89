//! Programs of this machine, where there is no other way: making file systems on devices.
//!
//! What lives here: the one interface by which they are run, which tests replace. Invariants: a program is named, never a
//! shell; its arguments are a list; nothing of an image is ever run.

use std::{
    ffi::OsString,
    process::{Command, Stdio},
};

use crate::DeployError;

/// What runs programs.
pub trait Programs: Send + Sync {
    /// Runs a program to its end; it has to succeed.
    ///
    /// # Errors
    /// [`DeployError::Program`] when it is not there, or fails.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), DeployError>;
}

/// The programs in the folders of a search path, as `PATH` has them. They see no environment but that.
#[derive(Clone, Debug)]
pub struct HostPrograms {
    search_path: OsString,
}

impl HostPrograms {
    /// Programs in these folders, separated by colons; relative ones are passed over.
    #[must_use]
    pub fn new(search_path: impl Into<OsString>) -> Self {
        Self { search_path: search_path.into() }
    }
}

impl Programs for HostPrograms {
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), DeployError> {
        let failed = |reason: String| DeployError::Program { program: program.to_owned(), reason };
        for folder in std::env::split_paths(&self.search_path).filter(|folder| folder.is_absolute()) {
            let mut command = Command::new(folder.join(program));
            command.args(arguments).env_clear().env("PATH", &self.search_path).stdin(Stdio::null());
            match command.output() {
                Ok(output) if output.status.success() => return Ok(()),
                Ok(output) => {
                    let text = String::from_utf8_lossy(&output.stderr);
                    return Err(failed(format!("{}: {}", output.status, text.trim())));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(format!("it cannot be started: {error}"))),
            }
        }
        Err(failed("it is not installed".to_owned()))
    }
}
