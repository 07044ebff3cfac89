//! A system that does not run: a sysroot with a repository and a boot partition, and the command run on it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::layout::digest;
use super::{Outcome, Sandbox};

/// Verbs that take `--sysroot` and `--esp`.
const OF_SYSTEMS: [&str; 7] = ["deploy", "finalize", "prune", "rollback", "status", "switch", "update"];

/// A sysroot in a sandbox.
pub struct Machine {
    pub sandbox: Sandbox,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// With an empty repository.
    pub fn new() -> Self {
        Self::of(Sandbox::new())
    }

    /// The same in a folder of this one.
    pub fn within(folder: &Path) -> Self {
        Self::of(Sandbox::within(folder))
    }

    fn of(sandbox: Sandbox) -> Self {
        for folder in ["sysroot", "esp"] {
            fs::create_dir(sandbox.path(folder)).expect("a folder");
        }
        let machine = Self { sandbox };
        machine.repository(["init"]).succeeds();
        machine
    }

    /// Runs a verb of systems on it; registries are without TLS.
    pub fn store<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        let mut args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let verb = args.first().expect("a verb").clone();
        assert!(OF_SYSTEMS.contains(&verb.as_str()), "{verb}");
        let path = |name| self.sandbox.path(name).display().to_string();
        args.extend(["--sysroot".to_owned(), path("sysroot"), "--esp".to_owned(), path("esp")]);
        if matches!(verb.as_str(), "update" | "switch") {
            args.push("--tls-verify=false".to_owned());
        }
        Outcome::of(self.sandbox.command(args).env_remove("SEALSTONE_REPO"))
    }

    /// Runs a verb of repositories on its repository.
    pub fn repository<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        let mut args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        args.extend(["--repo".to_owned(), self.sandbox.path("sysroot/composefs").display().to_string()]);
        Outcome::of(self.sandbox.command(args).env_remove("SEALSTONE_REPO"))
    }

    /// Imports an image under a name.
    pub fn import(&self, reference: &str, name: &str) -> Outcome {
        self.repository(["import", "--tls-verify=false", "--name", name, reference])
    }

    /// Imports an image under its reference, and deploys it with more options.
    #[track_caller]
    pub fn install(&self, reference: &str, options: &[&str]) {
        self.import(reference, reference).succeeds();
        self.store([&["deploy", reference], options].concat()).succeeds();
    }

    /// Deploys a small system of this version.
    #[track_caller]
    pub fn import_system(&self, version: &str) {
        super::running::system(version).write(&self.sandbox.path("layout"));
        self.import("oci:layout", "os").succeeds();
        self.store(["deploy", "os"]).succeeds();
    }

    /// The boot entries: name and text.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let folder = self.sandbox.path("esp/loader/entries");
        let entries = fs::read_dir(folder).expect("entries").map(|entry| entry.expect("an entry"));
        let text = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(entry.path()).expect("text"))
        };
        entries.map(text).collect()
    }

    /// All of sysroot and boot partition: paths, kinds, modes, times of change, and what files say.
    pub fn snapshot(&self) -> Vec<String> {
        let mut found = Vec::new();
        for top in ["sysroot", "esp"] {
            walk(&self.sandbox.path(top), top, &mut found);
        }
        found.sort();
        found
    }
}

fn walk(folder: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("metadata");
        let name = format!("{name}/{}", path.file_name().expect("a name").to_string_lossy());
        let content = if metadata.is_file() {
            digest(&fs::read(&path).expect("a file"))
        } else if metadata.is_symlink() {
            fs::read_link(&path).expect("a link").display().to_string()
        } else {
            String::new()
        };
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        found.push(format!("{name} {:o} {seconds}.{nanoseconds} {content}", metadata.mode()));
        if metadata.is_dir() {
            walk(&path, &name, found);
        }
    }
}
