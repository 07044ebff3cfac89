//! `tiny`: an image of some megabytes that has one of everything, for functional tests.
//!
//! Lives here: its three layers. Invariant: every peer accepts it, so no entry relies on one program's reading.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::layer::LayerTar;
use super::layout::{Compression, LayoutWriter};
use super::synthetic::Random;

/// Sizes around the borders that matter: inlining at 64, hash blocks of 4,096.
const SIZES: [usize; 12] = [0, 1, 63, 64, 65, 512, 4095, 4096, 4097, 8192, 524_288, 524_289];
/// Programs and libraries larger than this stay out.
const LARGEST: u64 = 300 << 10;

/// Writes the layout, with the base system under `root` as its material.
pub fn write(root: &Path, destination: &Path) -> Result<()> {
    let mut layout = LayoutWriter::create(destination)?;
    layout.add_layer(Compression::Gzip, |to| base(root, LayerTar::new(to)))?;
    layout.add_layer(Compression::Gzip, |to| middle(root, LayerTar::new(to)))?;
    layout.add_layer(Compression::Gzip, |to| top(LayerTar::new(to)))?;
    layout.finish()
}

fn base(root: &Path, mut layer: LayerTar<impl std::io::Write>) -> Result<()> {
    for folder in
        ["boot", "dev", "etc", "proc", "root", "run", "sys", "sysroot", "tmp", "usr", "usr/bin", "usr/lib"]
    {
        layer.folder(Path::new(folder))?;
    }
    for folder in ["bin", "lib", "sbin"] {
        layer.symlink(Path::new(folder), &Path::new("usr").join(folder))?;
    }
    layer.folder(Path::new("usr/sbin"))?;
    layer.folder(Path::new("usr/lib/x86_64-linux-gnu"))?;
    for folder in ["etc", "usr/bin", "usr/lib/x86_64-linux-gnu"] {
        for path in children(root, folder)? {
            layer.copy_from_disk(root, &path, &path)?;
        }
    }
    layer.folder(Path::new("var"))?;
    layer
        .file(Path::new("var/old"), b"removed by the top layer\n")
        .and_then(|()| layer.file(Path::new("var/replaced"), b"first\n"))
        .and_then(|()| layer.finish())
}

fn middle(root: &Path, mut layer: LayerTar<impl std::io::Write>) -> Result<()> {
    for folder in ["usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.12.0-tiny"] {
        layer.folder(Path::new(folder))?;
    }
    let kernel = Path::new("usr/lib/modules/6.12.0-tiny");
    layer.file(&kernel.join("vmlinuz"), &random_bytes(7, 700_000))?;
    layer.file(&kernel.join("initramfs.img"), &random_bytes(8, 900_000))?;
    for folder in ["usr/share", "usr/share/common-licenses"] {
        layer.folder(Path::new(folder))?;
    }
    for path in children(root, "usr/share/common-licenses")? {
        layer.copy_from_disk(root, &path, &path)?;
    }
    let sizes = Path::new("usr/share/sizes");
    layer.folder(sizes)?;
    for size in SIZES {
        layer.file(&sizes.join(size.to_string()), &random_bytes(size as u64, size))?;
    }
    layer.hardlink(&sizes.join("link-to-4097"), &sizes.join("4097"))?;
    layer.symlink(&sizes.join("symlink"), Path::new("../common-licenses/GPL-3"))?;
    let long = "n".repeat(200);
    layer.file(&sizes.join(&long), b"a long name\n")?;
    layer.folder(Path::new("var"))?;
    layer.folder(Path::new("var/opaque"))?;
    layer.file(Path::new("var/opaque/hidden"), b"hidden by the top layer\n")?;
    layer.finish()
}

fn top(mut layer: LayerTar<impl std::io::Write>) -> Result<()> {
    for folder in ["etc", "usr", "usr/share", "usr/share/sizes"] {
        layer.folder(Path::new(folder))?;
    }
    layer.whiteout(Path::new("usr/share/sizes/63"))?;
    layer.file(Path::new("usr/share/sizes/64"), &random_bytes(99, 64))?;
    layer.whiteout(Path::new("usr/share/common-licenses"))?;
    layer.folder(Path::new("var"))?;
    layer.folder(Path::new("var/opaque"))?;
    layer.opaque(Path::new("var/opaque"))?;
    layer.whiteout(Path::new("var/old"))?;
    layer.file(Path::new("var/replaced"), b"second\n")?;
    layer.finish()
}

/// What is directly in `folder`, small files and symlinks only, sorted.
fn children(root: &Path, folder: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let full = root.join(folder);
    for entry in fs::read_dir(&full).with_context(|| format!("read {}", full.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_symlink() || (metadata.is_file() && metadata.len() <= LARGEST) {
            found.push(Path::new(folder).join(entry.file_name()));
        }
    }
    found.retain(|path| path != Path::new("etc/resolv.conf") && path != Path::new("etc/hostname"));
    found.sort();
    Ok(found)
}

fn random_bytes(seed: u64, size: usize) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::with_capacity(size);
    // Reading from a generator into memory cannot fail.
    let _ = Random::new(seed).take(size as u64).read_to_end(&mut bytes);
    bytes
}
