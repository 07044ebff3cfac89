//! What the guests are made of, made once a clone by `tests/vm/base` from Debian's packages.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that `tests/vm/base` filled.
pub struct Base {
    folder: PathBuf,
}

/// The two systems there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// busybox as the first process: boots in seconds.
    Tiny,
    /// systemd and udev.
    Systemd,
}

impl Base {
    /// The base, made now if need be; `None`, and a line about it, where proofs are not wanted.
    pub fn get(test: &str) -> Option<&'static Self> {
        static BASE: OnceLock<Base> = OnceLock::new();
        if std::env::var_os("SEALSTONE_VM_PROOFS").is_none() {
            crate::kit::skip(test, "`make vm` runs it");
            return None;
        }
        Some(BASE.get_or_init(Self::make))
    }

    fn make() -> Self {
        let folder = target().join("base");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let status = Command::new(root.join("tests/vm/base")).arg(&folder).current_dir(root).status();
        assert!(status.expect("it starts").success(), "the base of the guests cannot be made");
        Self { folder }
    }

    /// The tar of a system without its kernel.
    pub fn system(&self, kind: Kind) -> Vec<u8> {
        self.read(match kind {
            Kind::Tiny => "tiny.tar",
            Kind::Systemd => "systemd.tar",
        })
    }

    /// A file of the systems.
    pub fn file(&self, path: &str) -> Vec<u8> {
        let tar = self.system(Kind::Tiny);
        let mut archive = tar::Archive::new(&tar[..]);
        let entries = archive.entries().expect("a tar").map(|entry| entry.expect("an entry"));
        let wanted = Path::new("./").join(path);
        let mut found = entries.filter(|entry| entry.path().is_ok_and(|path| path == wanted));
        let mut bytes = Vec::new();
        found.next().unwrap_or_else(|| panic!("no {path}")).read_to_end(&mut bytes).expect("a file");
        bytes
    }

    /// The tar of `/usr/lib/modules`, without an initramfs.
    pub fn kernel(&self) -> Vec<u8> {
        self.read("kernel.tar")
    }

    /// The same, without the kernel, with the modules of other roots than ext4.
    pub fn roots(&self) -> Vec<u8> {
        self.read("roots.tar")
    }

    /// The kernel's version, as its folder is named.
    pub fn release(&self) -> String {
        String::from_utf8(self.read("release")).expect("text").trim().to_owned()
    }

    /// The folder of the kernel's modules.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// The same with those of other roots than ext4.
    pub fn modules_of_roots(&self) -> PathBuf {
        self.folder.join("modules-of-roots")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// Whether the proofs are wanted that take too long for each build; says so when not.
pub fn all_are_wanted(test: &str) -> bool {
    let are_wanted = std::env::var_os("SEALSTONE_VM_PROOFS").is_some_and(|which| which == "all");
    if !are_wanted {
        crate::kit::skip(test, "`make vm-all` runs it");
    }
    are_wanted
}

/// Where what the proofs make is kept: `target/vm`.
pub fn target() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_store"));
    let target = program.ancestors().nth(2).expect("target/PROFILE/store");
    target.join("vm")
}
