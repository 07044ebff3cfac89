//! A temporary folder with a repository in it, and the command `store` run there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::layout::Image;

/// A folder that goes away with the test. The environment that the command sees is empty but for `PATH` and `HOME`.
pub struct Sandbox {
    folder: TempDir,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// An empty folder, no repository yet.
    pub fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    /// The same on the file system of `folder`.
    pub fn within(folder: &Path) -> Self {
        Self { folder: TempDir::new_in(folder).expect("a temporary folder") }
    }

    /// A folder with an initialised repository.
    pub fn with_repository() -> Self {
        let sandbox = Self::new();
        sandbox.store(["init"]).succeeds();
        sandbox
    }

    /// A repository that holds `image` under the name `example`; the layout stays in `layout/`.
    pub fn with_image(image: &Image) -> Self {
        let sandbox = Self::with_repository();
        sandbox.import("layout", image, "example").succeeds();
        sandbox
    }

    /// Writes `image` as a layout into `folder` and imports it under `name`.
    pub fn import(&self, folder: &str, image: &Image, name: &str) -> Outcome {
        image.write(&self.path(folder));
        self.store(["import", "--name", name, &format!("oci:{}", self.path(folder).display())])
    }

    /// A path in the sandbox.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The repository's folder.
    pub fn repository(&self) -> PathBuf {
        self.path("repo")
    }

    /// The command, ready to run, its repository named by `SEALSTONE_REPO`.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_store"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.folder.path());
        command.env("SEALSTONE_REPO", self.repository()).stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub fn store<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        Outcome::of(&mut self.command(args))
    }

    /// Runs the command with a line on its standard input.
    pub fn store_told<A: AsRef<OsStr>>(&self, line: &str, args: impl IntoIterator<Item = A>) -> Outcome {
        let input = self.path("input");
        std::fs::write(&input, format!("{line}\n")).expect("a file");
        let input = std::fs::File::open(input).expect("a file");
        Outcome::of(self.command(args).stdin(input))
    }
}

/// What a run of the command left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Runs `command` and keeps its answer; -1 for a signal.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the command starts");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The standard output of a run that must have ended with 0.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The standard error of a run that must have ended with `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stderr
    }

    /// The JSON document on standard output of a run that must have ended with 0.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let stdout = self.succeeds();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}:\n{stdout}"))
    }
}

/// Every path under `folder` with its kind and size, sorted: equal lists mean that nothing was added or lost.
pub fn listing(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    walk(folder, folder, &mut paths);
    paths.sort();
    paths
}

fn walk(top: &Path, folder: &Path, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("metadata");
        let relative = path.strip_prefix(top).expect("inside").display().to_string();
        if metadata.is_dir() {
            paths.push(format!("{relative}/"));
            walk(top, &path, paths);
        } else {
            paths.push(format!("{relative} {}", metadata.len()));
        }
    }
}
