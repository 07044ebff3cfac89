//! Systems whose root can be encrypted: the tools that make one, and an initramfs with systemd that opens it.
//!
//! The initramfs opens by what `luks.uuid=` and `luks.options=` say, as those of distributions: by systemd's generators. In it are
//! the modules of the base, our program with its unit of `contrib/systemd`, and no knowledge of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::base::{Base, target};
use super::initramfs;
use super::kit::Layer;
use super::system_image::initramfs_of;

/// What images have more, as tars.
pub fn layers(base: &Base) -> Vec<Vec<u8>> {
    let folder = made();
    let tools = fs::read(folder.join("tools.tar")).expect("the tools");
    let initramfs = initramfs(base, &folder.join("initrd.cpio"));
    vec![tools, Layer::new().file(&initramfs_of(base), &initramfs).finish()]
}

/// The folder that `tests/vm/base-luks` filled, made now if need be.
fn made() -> PathBuf {
    let folder = target().join("base-luks");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new(root.join("tests/vm/base-luks")).arg(&folder).current_dir(root).status();
    assert!(status.expect("it starts").success(), "what encrypted guests need cannot be made");
    folder
}

/// The initramfs: what all have, and an archive behind it with modules and our program.
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
