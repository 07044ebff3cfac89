//! The initramfs of the guests, by the recipe of `contrib/cpio`: busybox, modules and a program that makes the root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::base::target;

/// Which program makes the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootProgram {
    /// The static program that `make setup-root` builds.
    Ours,
    /// That of composefs-rs, which `tests/tools/composefs-setup-root` builds.
    OfComposefs,
}

impl RootProgram {
    fn path(self) -> PathBuf {
        match self {
            Self::Ours => ours(),
            Self::OfComposefs => of_composefs(),
        }
    }
}

/// The archive, the same bytes for the same programs, with what it wants of a folder of modules. Where there is a configuration,
/// it is `setup-root-conf.toml`.
pub fn make(modules: &Path, program: RootProgram, configuration: Option<&str>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, conf) = (folder.path().join("initramfs"), folder.path().join("setup-root-conf.toml"));
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/cpio/make-initramfs");
    let mut command = Command::new(recipe);
    command.arg(&out).arg(modules).arg(program.path());
    if let Some(text) = configuration {
        fs::write(&conf, text).expect("a file");
        command.env("CONFIGURATION", &conf);
    }
    let made = command.output().expect("the recipe starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(out).expect("an initramfs")
}

/// `target/HOST/initramfs/store-setup-root`.
pub fn ours() -> PathBuf {
    let target = target();
    let hosts = fs::read_dir(target.parent().expect("target")).expect("target");
    let places = hosts.map(|entry| entry.expect("a folder").path().join("initramfs/store-setup-root"));
    let mut built = places.filter(|place| place.is_file());
    built.next().expect("store-setup-root: `make setup-root` builds it")
}

/// `target/tools/composefs-setup-root/bin/composefs-setup-root`, built now if need be.
fn of_composefs() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tool = root.join("tests/tools/composefs-setup-root");
    let output = Command::new(tool).current_dir(root).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target().parent().expect("target").join("tools/composefs-setup-root/bin/composefs-setup-root")
}
