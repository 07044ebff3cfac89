//! The corpus: OCI layouts made from Debian's packages, built once and cached.
//!
//! Lives here: which images there are and the order of building. Not here: how layers and layouts are written.
//! Invariant: an image folder that exists is whole and is never built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use self::debian::DebianTree;
use self::layer::LayerTar;
use self::layout::{Compression, Layout, LayoutWriter};
use self::snapshot::Snapshot;

pub mod debian;
mod layer;
pub mod layout;
mod snapshot;
mod synthetic;
mod tiny;
mod update;

/// The folder that holds the images and the peers' programs.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
}

impl Corpus {
    /// A corpus under `root`, which may not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The layout of an image.
    pub fn image(&self, name: &str) -> PathBuf {
        self.root.join("images").join(name)
    }

    /// The tree with the peers' programs.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Where the registry keeps what was pushed to it.
    pub fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    /// A folder for scratch files.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Builds every image that is missing.
    pub fn build(&self) -> Result<()> {
        fs::create_dir_all(self.root.join("images")).context("create the corpus folder")?;
        fs::create_dir_all(self.scratch()).context("create the scratch folder")?;
        self.build_debian()?;
        self.once("small", |layout| layout.reuse_layer(&Layout::open(&self.image("os"))?, 0))?;
        self.once("os-v2", |layout| self.changed_os(layout))?;
        self.once("os-zstd", |layout| self.zstd_os(layout))?;
        self.once("many", |layout| layout.add_layer(Compression::Gzip, |to| synthetic::many(to)))?;
        self.once("big", |layout| layout.add_layer(Compression::Gzip, |to| synthetic::big(to)))?;
        debian::tools(&self.tools())
    }

    /// `os` and `tiny`: their layers are the stages of one growing tree.
    fn build_debian(&self) -> Result<()> {
        if self.image("os").exists() && self.image("tiny").exists() {
            return Ok(());
        }
        println!("building tiny and os from Debian's packages");
        let root = self.scratch().join("tree");
        let tree = DebianTree::base(&root)?;
        if !self.image("tiny").exists() {
            tiny::write(&root, &self.image("tiny"))?;
        }
        if !self.image("os").exists() {
            self.os(&tree)?;
        }
        debian::run(Command::new("rm").args(["-rf", "--one-file-system"]).arg(&root))
    }

    fn os(&self, tree: &DebianTree) -> Result<()> {
        let mut layout = LayoutWriter::create(&self.image("os"))?;
        let mut before = Snapshot::default();
        for stage in 1..=4 {
            match stage {
                1 => {}
                4 => tree.thin()?,
                _ => tree.install(stage)?,
            }
            let now = Snapshot::take(tree.root())?;
            let difference = now.since(&before);
            println!(
                "layer {stage}: {} entries, {} whiteouts",
                difference.changed.len(),
                difference.removed.len()
            );
            layout.add_layer(Compression::Gzip, |to| {
                let mut layer = LayerTar::new(to);
                layer.difference(tree.root(), &difference)?;
                layer.finish()
            })?;
            before = now;
        }
        layout.finish()
    }

    fn changed_os(&self, layout: &mut LayoutWriter) -> Result<()> {
        let os = Layout::open(&self.image("os"))?;
        layout.reuse_layer(&os, 0)?;
        layout.add_layer(Compression::Gzip, |to| update::change(&os.layers[1], to))?;
        layout.add_layer(Compression::Gzip, |to| update::change(&os.layers[2], to))?;
        layout.reuse_layer(&os, 3)
    }

    fn zstd_os(&self, layout: &mut LayoutWriter) -> Result<()> {
        let os = Layout::open(&self.image("os"))?;
        os.layers
            .iter()
            .try_for_each(|layer| layout.add_layer(Compression::Zstd, |to| update::repack(layer, to)))
    }

    fn once(&self, name: &str, write: impl FnOnce(&mut LayoutWriter) -> Result<()>) -> Result<()> {
        let destination = self.image(name);
        if destination.exists() {
            return Ok(());
        }
        println!("building {name}");
        let mut layout = LayoutWriter::create(&destination)?;
        write(&mut layout).with_context(|| format!("build {name}"))?;
        layout.finish()
    }
}

/// Where the corpus lives unless an option says otherwise.
pub fn default_root() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).map_or_else(|| PathBuf::from("target/peers"), |cache| cache.join("sealstone-peers"))
}
