//! A machine that runs a deployment, and its journal: the command is run where `/sysroot` is the machine's and the kernel's
//! command line names its deployment, in mount namespaces of its own, which needs root.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::machine::Machine;
use super::web_registry::WebRegistry;
use super::{Image, Layer, Outcome, skip};

const SYSROOT: &str = "/sysroot";

/// A system of this version.
pub fn system(version: &str) -> Image {
    let release = format!("ID=example\nVERSION_ID={version}\nPRETTY_NAME=\"Example {version}\"\n");
    let top = Layer::new().file("usr/lib/os-release", release.as_bytes());
    Image::new().layer(Layer::system("6.1.0")).layer(top)
}

/// A machine that runs version 1 of `stable`, and its journal.
pub struct Running {
    pub machine: Machine,
    pub registry: WebRegistry,
    /// How the machine's initramfs left the physical root.
    pub is_read_only: bool,
    journal: UnixDatagram,
    /// The folder was made for the test.
    made_sysroot: bool,
    /// Locked: another test would remove the folder meanwhile.
    _alone: File,
}

impl Running {
    /// `None`, and a line that says so, where that cannot be.
    pub fn new(test: &str) -> Option<Self> {
        let can_unshare = Command::new("unshare").args(["--mount", "true"]).output();
        if !super::is_root() || !can_unshare.is_ok_and(|output| output.status.success()) {
            skip(test, "mount namespaces need root");
            return None;
        }
        if Path::new(SYSROOT).join("composefs").exists() {
            skip(test, "this machine has a sysroot of its own");
            return None;
        }
        let alone = File::create(std::env::temp_dir().join("sealstone-test-of-sysroot.lock"))
            .expect("a sandbox that works");
        alone.lock().expect("a sandbox that works");
        let made_sysroot = std::fs::create_dir(SYSROOT).is_ok();
        let (machine, registry) = (Machine::new(), WebRegistry::start());
        let journal = UnixDatagram::bind(machine.sandbox.path("journal")).expect("a sandbox that works");
        journal.set_read_timeout(Some(Duration::from_millis(1))).expect("a sandbox that works");
        let running = Self { machine, registry, is_read_only: false, journal, made_sysroot, _alone: alone };
        running.push("1");
        running.machine.install(&running.registry.reference("stable"), &["--karg", "quiet"]);
        Some(running)
    }

    /// Pushes a version as `stable`.
    pub fn push(&self, version: &str) {
        let folder = self.machine.sandbox.path(&format!("layout-{version}"));
        system(version).write(&folder);
        self.registry.push(&folder, "stable");
    }

    /// The folder of state of the deployment that a command line boots.
    pub fn state(&self, line: &str) -> PathBuf {
        let id = line.split("composefs=").nth(1).expect("the argument").trim_start_matches('?');
        self.machine.sandbox.path(&format!("sysroot/state/deploy/{}", &id[..128]))
    }

    /// The command line of what boots first.
    pub fn command_line(&self) -> String {
        let entries = self.machine.entries();
        let first = entries
            .values()
            .find(|text| text.contains("sort-key bootc-example-0"))
            .expect("a sandbox that works");
        first
            .lines()
            .find_map(|line| line.strip_prefix("options"))
            .expect("a sandbox that works")
            .trim()
            .to_owned()
    }

    /// Runs a verb as on the system that was booted by `line`.
    pub fn store(&self, line: &str, args: &[&str]) -> Outcome {
        let path = |name: &str| self.machine.sandbox.path(name).display().to_string();
        std::fs::write(path("cmdline"), format!("{line}\n")).expect("a sandbox that works");
        let flags = if self.is_read_only { "remount,bind,ro,nodev" } else { "remount,bind,rw" };
        let script = "mount --bind \"$1\" /sysroot && mount -o \"$3\" /sysroot && mount --bind \"$2\" /proc/cmdline \
                      && shift 3 && exec \"$@\"";
        let mut command = self.machine.sandbox.command([""; 0]);
        let program = command.get_program().to_owned();
        let environment: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh", &path("sysroot"), &path("cmdline"), flags]);
        command.arg(program).args(args);
        // Verbs of repositories find theirs by themselves.
        if !matches!(args[0], "gc" | "fsck" | "rm" | "import") {
            command.args(["--esp", &path("esp"), "--journal", &path("journal")]);
        }
        command.env_clear().envs(environment).env_remove("SEALSTONE_REPO");
        Outcome::of(command.current_dir(self.machine.sandbox.path(".")))
    }

    /// The entries of the journal since the last call: their fields.
    pub fn told(&self) -> Vec<BTreeMap<String, String>> {
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(len) = self.journal.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..len].to_vec()).expect("a sandbox that works");
            let fields = text.lines().filter_map(|line| line.split_once('='));
            told.push(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        }
        told
    }

    /// The ids of those.
    pub fn told_ids(&self) -> Vec<String> {
        self.told().iter().map(|fields| fields["MESSAGE_ID"].clone()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.made_sysroot {
            let _ = std::fs::remove_dir(SYSROOT);
        }
    }
}
