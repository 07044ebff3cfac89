//! The initramfs of the guests, by the recipe of `contrib/cpio`: busybox, modules and `store-setup-root`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::base::Base;

/// The archive, the same bytes for the same programs.
pub fn make(base: &Base) -> Vec<u8> {
    let out = tempfile::NamedTempFile::new().expect("a file");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/cpio/make-initramfs");
    let made = Command::new(recipe).arg(out.path()).arg(base.modules()).arg(setup_root()).output();
    let made = made.expect("the recipe starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(out.path()).expect("an initramfs")
}

/// The static program that `make setup-root` builds: `target/HOST/initramfs/store-setup-root`.
fn setup_root() -> PathBuf {
    let target = super::base::target();
    let hosts = fs::read_dir(target.parent().expect("target")).expect("target");
    let places = hosts.map(|entry| entry.expect("a folder").path().join("initramfs/store-setup-root"));
    let mut built = places.filter(|place| place.is_file());
    built.next().expect("store-setup-root: `make setup-root` builds it")
}
