//! Grows a Debian tree stage by stage and turns the stages into layers, as a container build does.
//!
//! Lives here: the package sets, mmdebstrap and apt. Not here: the layouts' format. Invariants: the mirror is the
//! one that this machine's apt uses; mounts live in a private namespace and die with the command that made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Debian's release that the images are made of.
const RELEASE: &str = "trixie";
/// The release that has the peers' current versions.
const TOOLS_RELEASE: &str = "forky";
/// Stage 1, beyond Debian's minimal base.
const BASE: &str = "ca-certificates,perl";
/// Stages 2 and 3.
const STAGES: [&[&str]; 2] = [
    &[
        "systemd",
        "systemd-sysv",
        "dbus",
        "openssh-server",
        "python3",
        "git",
        "curl",
        "nftables",
        "vim",
        "less",
        "linux-image-cloud-amd64",
    ],
    &["build-essential", "clang", "libboost-dev", "python3-dev", "gimp", "inkscape"],
];
/// What the last stage thins out, and of how many files.
const THINNED: [&str; 3] = ["usr/share/doc", "usr/share/locale", "usr/share/man"];
const WHITEOUTS: usize = 4_100;

/// A tree that grows.
pub struct DebianTree {
    root: PathBuf,
}

impl DebianTree {
    /// Stage 1: the base system.
    pub fn base(root: &Path) -> Result<Self> {
        bootstrap(RELEASE, "minbase", BASE, root)?;
        let policy = root.join("usr/sbin/policy-rc.d");
        fs::write(&policy, "#!/bin/sh\nexit 101\n").context("write policy-rc.d")?;
        run(Command::new("chmod").arg("755").arg(&policy))?;
        fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).context("copy resolv.conf")?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where the tree is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Stage 2 or 3: installs the packages of that stage.
    pub fn install(&self, stage: usize) -> Result<()> {
        let packages = STAGES.get(stage.wrapping_sub(2)).context("no such stage")?;
        self.apt(&["-o", "Acquire::Check-Valid-Until=false", "update"])?;
        let mut arguments = vec!["--yes", "--no-install-recommends", "install"];
        arguments.extend_from_slice(packages);
        self.apt(&arguments)?;
        self.apt(&["clean"])
    }

    /// Stage 4: removes documentation and rewrites the package database, as a slimmed image does.
    pub fn thin(&self) -> Result<()> {
        let mut files = Vec::new();
        for folder in THINNED {
            files_below(&self.root.join(folder), &mut files)?;
        }
        files.sort();
        ensure!(files.len() > WHITEOUTS, "only {} files to thin out", files.len());
        for file in &files[..WHITEOUTS] {
            fs::remove_file(file).with_context(|| format!("remove {}", file.display()))?;
        }
        let status = self.root.join("var/lib/dpkg/status");
        let mut text = fs::read(&status).context("read dpkg's status")?;
        text.push(b'\n');
        fs::write(&status, text).context("write dpkg's status")
    }

    fn apt(&self, arguments: &[&str]) -> Result<()> {
        let script = r#"mount -t proc proc "$0/proc" && exec chroot "$0" apt-get -qq "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(&self.root).args(arguments);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(command.stdout(std::process::Stdio::null()))
    }
}

/// A tree with the peers' current versions; made once.
pub fn tools(root: &Path) -> Result<()> {
    if root.join("usr/bin/podman").exists() {
        return Ok(());
    }
    let tools = "composefs,umoci,ostree,podman,skopeo,erofs-utils";
    bootstrap(TOOLS_RELEASE, "essential", tools, root)
}

fn bootstrap(release: &str, variant: &str, include: &str, root: &Path) -> Result<()> {
    if root.exists() {
        run(Command::new("rm").args(["-rf", "--one-file-system"]).arg(root))?;
    }
    let source = format!(
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} {release} main",
        mirror()?
    );
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--quiet", "--aptopt=Acquire::Check-Valid-Until \"false\""]);
    command.arg(format!("--variant={variant}")).arg(format!("--include={include}"));
    run(command.arg(release).arg(root).arg(source))
}

/// The mirror in this machine's apt sources.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    for entry in fs::read_dir("/etc/apt/sources.list.d").context("read apt's sources")? {
        files.push(entry?.path());
    }
    for text in files.iter().filter_map(|file| fs::read_to_string(file).ok()) {
        for line in text.lines().filter(|line| line.starts_with("URIs:") || line.starts_with("deb ")) {
            let is_debian =
                |word: &&str| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian");
            if let Some(url) = line.split_whitespace().find(is_debian) {
                return Ok(url.to_owned());
            }
        }
    }
    bail!("apt's sources name no mirror")
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
