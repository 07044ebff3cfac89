//! The programs that are measured, and how each is told to do the work.
//!
//! Lives here: command lines. Not here: measuring. Invariant: a peer does its usual work with its usual durability;
//! nothing is switched off to make it slower or faster.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::corpus::layout::{Compression, Layout};
use crate::repository::config;

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// This project's command.
    Sealstone,
    /// This project's command on an OCI layout, beside its own pull from a registry.
    Layout,
    /// The floor (see `floor`).
    Floor,
    /// The crate composefs-oci.
    ComposefsOci,
    /// GNU tar, a layer after the other.
    Tar,
    /// `ostree commit`, a layer after the other, bare-user.
    Ostree,
    /// `umoci unpack`.
    Umoci,
    /// `podman pull` into overlay storage.
    Podman,
    /// `skopeo copy` into overlay storage.
    Skopeo,
    /// `mkfs.erofs --tar=f`, an image a layer.
    Erofs,
}

impl Peer {
    /// Its name and version in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sealstone => "sealstone",
            Self::Layout => "sealstone, layout",
            Self::Floor => "floor",
            Self::ComposefsOci => "composefs-oci 0.9.4",
            Self::Tar => "gzip | tar -x",
            Self::Ostree => "ostree 2026.4",
            Self::Umoci => "umoci 0.6.0",
            Self::Podman => "podman 5.8.6",
            Self::Skopeo => "skopeo 1.22.0",
            Self::Erofs => "mkfs.erofs 1.9.4",
        }
    }
}

/// Where the programs and the images are.
pub struct Bench {
    /// The corpus and the tools.
    pub corpus: Corpus,
    /// Our command.
    pub store: PathBuf,
    /// This very program, for the floor.
    pub own: PathBuf,
    /// The driver of composefs-oci.
    pub driver: PathBuf,
}

impl Bench {
    /// Finds the programs beside this one; `store` is our command.
    pub fn new(corpus: Corpus, store: PathBuf) -> Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let driver = own.with_file_name("composefs-oci-driver");
        Ok(Self { corpus, store, own, driver })
    }

    /// What `peer` needs before its work can be measured on an empty `target`.
    pub fn prepare(&self, peer: Peer, target: &Path) -> Option<Command> {
        match peer {
            Peer::Sealstone | Peer::Layout => {
                let mut command = self.store(target);
                command.args(["init"]);
                Some(command)
            }
            Peer::Ostree => {
                Some(self.tool(target, r#"ostree --repo="$T/repo" init --mode=bare-user"#, Path::new("/")))
            }
            _ => None,
        }
    }

    /// The command that brings `image` into `target`.
    pub fn import(&self, peer: Peer, image: &str, target: &Path) -> Result<Command> {
        let layout = self.corpus.image(image);
        let mut command;
        match peer {
            Peer::Sealstone | Peer::Layout => {
                command = self.store(target);
                command.arg("import").arg(format!("oci:{}", layout.display()));
            }
            Peer::Floor => {
                command = Command::new(&self.own);
                command.arg("floor").arg(&layout).arg(target);
            }
            Peer::ComposefsOci => {
                command = Command::new(&self.driver);
                command.arg("import").arg(target.join("repo")).arg(&layout);
            }
            Peer::Tar => command = tar(&Layout::open(&layout)?, target)?,
            Peer::Ostree => {
                let script = r#"n=0; for l in $L; do n=$((n+1));
                    ostree --repo="$T/repo" commit -b layer$n --tree=tar="$l" --tar-autocreate-parents; done"#;
                command = self.tool(target, script, &layout);
                command.env("L", self.layers_inside(image)?);
            }
            Peer::Umoci => {
                command = self.tool(target, r#"umoci unpack --image "$I:latest" "$T/out""#, &layout);
            }
            Peer::Podman => {
                let script = r#"podman --root "$T/root" --runroot "$T/run" --storage-driver overlay \
                    pull -q "oci:$I:latest""#;
                command = self.tool(target, script, &layout);
            }
            Peer::Skopeo => command = self.tool(target, &skopeo_copy("oci:$I:latest"), &layout),
            Peer::Erofs => {
                let script = r#"n=0; for l in $L; do n=$((n+1));
                    mkfs.erofs --quiet --tar=f --ungzip --aufs "$T/$n.erofs" "$l"; done"#;
                command = self.tool(target, script, &layout);
                command.env("L", self.layers_inside(image)?);
            }
        }
        Ok(command)
    }

    /// The command that brings `image` into `target` from a registry, where it is `reference`. All peers that can.
    pub fn pull(&self, peer: Peer, reference: &str, image: &str, target: &Path) -> Result<Command> {
        let mut command;
        match peer {
            Peer::Sealstone => {
                command = self.store(target);
                command.args(["import", "--tls-verify=false", reference]);
            }
            Peer::ComposefsOci => {
                let script = format!(r#"/srv/composefs-oci-driver pull "$T/repo" {reference}"#);
                command = self.tool(target, &script, Path::new("/"));
            }
            Peer::Podman => {
                let script = format!(
                    r#"podman --root "$T/root" --runroot "$T/run" --storage-driver overlay \
                        pull -q --tls-verify=false {reference}"#
                );
                command = self.tool(target, &script, Path::new("/"));
            }
            Peer::Skopeo => {
                command = self.tool(target, &skopeo_copy(reference), Path::new("/"));
            }
            _ => return self.import(peer, image, target),
        }
        Ok(command)
    }

    /// The command that pushes `image` to a registry as `reference`, its blobs as they are.
    pub fn push(&self, image: &str, reference: &str) -> Command {
        let script = format!(
            r#"skopeo --insecure-policy copy -q --preserve-digests --dest-tls-verify=false "oci:$I:latest" {reference}"#
        );
        self.tool(&self.corpus.scratch(), &script, &self.corpus.image(image))
    }

    /// The command that makes the image of an imported `image` in `target`.
    pub fn make_image(&self, peer: Peer, image: &str, target: &Path) -> Result<Command> {
        let repository = target.join("repo");
        if peer == Peer::ComposefsOci {
            let (config, verity) = config(&repository)?;
            let mut command = Command::new(&self.driver);
            command.arg("seal").arg(repository).args([config, verity]);
            return Ok(command);
        }
        let mut command = Command::new(&self.own);
        command.arg("image").arg(repository).arg(self.corpus.image(image));
        Ok(command)
    }

    /// Our command on the repository in `target`.
    pub fn store(&self, target: &Path) -> Command {
        let mut command = Command::new(&self.store);
        command.arg("--repo").arg(target.join("repo"));
        command
    }

    /// A shell line in the tree of tools, in a mount namespace whose root is that tree: `$T` is the target, `$I` the
    /// image; our own programs are in `/srv`.
    fn tool(&self, target: &Path, script: &str, image: &Path) -> Command {
        const ENTER: &str = r#"set -e
            mount --bind "$ROOT" "$ROOT"; mkdir -p "$ROOT/target" "$ROOT/images"
            mount --bind "$TARGET" "$ROOT/target"; mount --bind "$IMAGES" "$ROOT/images"
            mount --bind "$PROGRAMS" "$ROOT/srv"
            mount -t proc proc "$ROOT/proc"; mount --rbind /dev "$ROOT/dev"; mount --rbind /sys "$ROOT/sys"
            mount -t tmpfs tmpfs "$ROOT/tmp"; mount -t tmpfs tmpfs "$ROOT/run"
            cd "$ROOT"; pivot_root . mnt; exec sh -e -c "$SCRIPT""#;
        let name = image.file_name().unwrap_or_default();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/tmp");
        command.env("ROOT", self.corpus.tools()).env("TARGET", target).env("IMAGES", self.corpus.image(""));
        command.env("PROGRAMS", self.driver.parent().unwrap_or(Path::new("/")));
        command.env("SCRIPT", script).env("T", "/target").env("I", Path::new("/images").join(name));
        command
    }

    /// The layers of an image as the tree of tools sees them, separated by spaces.
    fn layers_inside(&self, image: &str) -> Result<String> {
        let layout = Layout::open(&self.corpus.image(image))?;
        let mut paths = Vec::new();
        for layer in &layout.layers {
            paths.push(format!("/images/{image}/blobs/sha256/{}", layer.digest()?));
        }
        Ok(paths.join(" "))
    }
}

fn skopeo_copy(from: &str) -> String {
    format!(
        r#"skopeo --insecure-policy copy -q --src-tls-verify=false "{from}" \
            "containers-storage:[overlay@$T/root+$T/run]localhost/peers:latest""#
    )
}

fn tar(layout: &Layout, target: &Path) -> Result<Command> {
    let mut lines = vec!["set -e; mkdir out".to_owned()];
    for layer in &layout.layers {
        let unpack = if layer.compression == Compression::Zstd { "zstd" } else { "gzip" };
        let path = layer.path.to_str().context("a path that is not UTF-8")?;
        lines.push(format!("{unpack} -dc '{path}' | tar -x -C out"));
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(lines.join("; ")).current_dir(target);
    Ok(command)
}
