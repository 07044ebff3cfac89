//! Systems that install onto devices: the tools that make what holds a root, and the initramfs that finds it again.
//!
//! An encrypted root is opened by an initramfs with systemd, by what `luks.uuid=` and `luks.options=` say, as those of distributions
//! do: by systemd's generators. In it are the modules of the base, our program with its unit of `contrib/systemd`, and no
//! knowledge of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::base::{Base, target};
use super::initramfs::{self, RootProgram};
use super::kit::Layer;
use super::system_image::initramfs_of;

/// What images have more whose root can be encrypted, as tars.
pub fn encrypted(base: &Base) -> Vec<Vec<u8>> {
    let initramfs = initramfs(base, &made().join("initrd.cpio"));
    vec![tools(), Layer::new().file(&initramfs_of(base), &initramfs).finish()]
}

/// What images have more whose root can be btrfs or xfs, as tars.
pub fn of_any_root(base: &Base) -> Vec<Vec<u8>> {
    let initramfs = initramfs::make(&base.modules_of_roots(), RootProgram::Ours, None);
    vec![tools(), base.roots(), Layer::new().file(&initramfs_of(base), &initramfs).finish()]
}

fn tools() -> Vec<u8> {
    fs::read(made().join("tools.tar")).expect("the tools")
}

/// The folder that `tests/vm/base-devices` filled, made now if need be.
fn made() -> PathBuf {
    let folder = target().join("base-devices");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new(root.join("tests/vm/base-devices")).arg(&folder).current_dir(root).status();
    assert!(status.expect("it starts").success(), "what guests need to install cannot be made");
    folder
}

/// The initramfs for encrypted roots: what all have, and an archive behind it with modules and our program.
fn initramfs(base: &Base, common: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
        root=$(mktemp -d) && trap 'rm -rf "$root"' EXIT
        mkdir -p "$root/usr/bin" "$root/usr/lib/modules"
        cp -r "$2" "$root/usr/lib/modules/$3" && rm -f "$root/usr/lib/modules/$3/vmlinuz"
        install -m 755 "$4" "$root/usr/bin/store-setup-root"
        cd "$root"
        find . -exec touch -h -d @0 {} +
        { cat "$1"; find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0; } | gzip -n > "$5"
    "#;
    let out = folder.path().join("initramfs");
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script, "make"])
        .args([common, &base.modules(), Path::new(&base.release()), &initramfs::ours(), &out])
        .status();
    assert!(status.expect("bash").success(), "the initramfs cannot be made");
    fs::read(out).expect("an initramfs")
}
