//! The same layers given to umoci and skopeo, and what each makes of them, next to what we do.
//!
//! What we do is what the tables of attacks say, which other tests hold. umoci unpacks into a folder; skopeo copies into
//! containers/storage with its driver `vfs`, which unpacks each layer over a copy of the one below.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Attack, Expect, Layout, Make};
use crate::kit::Sandbox;

/// Attacks that a peer would fill the disk with, or that are about more than it can be asked.
const NOT_FOR_PEERS: &[&str] = &[
    "holes of 15 TiB in 2 KiB, which every check would read",
    "many holes that are too much together",
    "a real size of more than a file can have",
    "a size of 8 GiB and no such body",
    "a tree that symlinks make too deep",
    "a path of 1,025 components",
    // What a file system takes of attributes is its own.
    "attributes of more than 64 KiB together",
    "3,000 attributes that two files share",
];

/// What a program makes of an image: a tree, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    Refused,
    Tree(Vec<String>),
}

impl Made {
    /// What we make of an attack, if it is one that peers can be asked about.
    pub fn by_us(attack: &Attack) -> Option<Self> {
        let is_layer = matches!(attack.make, Make::Layer(_) | Make::Layers(_));
        if !is_layer || NOT_FOR_PEERS.contains(&attack.name) {
            return None;
        }
        match &attack.expect {
            Expect::Refused(_) => Some(Self::Refused),
            Expect::Tree(lines) => Some(Self::Tree(from_dump(lines))),
            Expect::Lines(..) => None,
        }
    }

    /// Next to what we make: `same`, `refused`, `taken` or `other tree`.
    pub fn word(&self, ours: &Self) -> &'static str {
        match (self, ours) {
            _ if self == ours => "same",
            (Self::Refused, _) => "refused",
            (Self::Tree(_), Self::Refused) => "taken",
            (Self::Tree(_), Self::Tree(_)) => "other tree",
        }
    }
}

/// Lines of `store dump` as those of [`list`].
fn from_dump(lines: &[&str]) -> Vec<String> {
    let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let what = |fields: &[String]| match fields[2].as_bytes() {
        [.., b'4', _, _, _, _] => "dir".to_owned(),
        [b'1', b'0', ..] => format!("file {}", fields[1]),
        [b'1', b'2', ..] => format!("-> {}", fields[8]),
        [b'2', ..] => "char".to_owned(),
        other => panic!("mode {}", other.escape_ascii()),
    };
    let mut listed: Vec<String> = Vec::new();
    for line in lines {
        let fields = fields(line);
        let of = if fields[2].starts_with('@') {
            let target = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
            let target = target.into_iter().find(|target| target[0] == fields[8]).expect("a target");
            target.into_iter().map(str::to_owned).collect()
        } else {
            fields.clone()
        };
        listed.push(format!("{} {}", fields[0].trim_start_matches('/'), what(&of)));
    }
    listed.sort();
    listed
}

/// Everything below a folder.
fn list(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("metadata");
            let kind = metadata.file_type();
            let what = if kind.is_dir() {
                folders.push(path.clone());
                "dir".to_owned()
            } else if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).expect("a link").display())
            } else if kind.is_char_device() {
                "char".to_owned()
            } else if kind.is_file() {
                format!("file {}", metadata.len())
            } else {
                "other".to_owned()
            };
            let relative = path.strip_prefix(top).expect("inside").as_os_str().as_bytes();
            found.push(format!("{} {what}", relative.escape_ascii()));
        }
    }
    found.sort();
    found
}

/// A folder for one attack after the other.
pub struct Peers {
    sandbox: Sandbox,
}

impl Peers {
    pub fn new() -> Self {
        Self { sandbox: Sandbox::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    /// Runs a program for at most 30 seconds, with files of at most 64 MiB; says whether it succeeds.
    fn run(&self, program: &str, args: &[&str]) -> bool {
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -f 65536; exec timeout 30 \"$@\"", "bash", program]).args(args);
        command.current_dir(self.path(".")).env("HOME", self.path("."));
        command.output().expect("bash").status.success()
    }

    /// What umoci and skopeo make of an attack.
    pub fn ask(&self, attack: &Attack) -> [Made; 2] {
        let tars = match &attack.make {
            Make::Layer(tar) => vec![tar()],
            Make::Layers(tars) => tars(),
            Make::Blob(_) | Make::Layout(_) | Make::Archive(_) => panic!("not for peers"),
        };
        let layout = Layout::new(&self.path("layout"));
        let mut manifest = layout.image(&tars);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "t" });
        layout.index(&[manifest]);
        let made = [self.umoci(), self.skopeo()];
        for folder in ["layout", "bundle", "root", "run"] {
            let _ = fs::remove_dir_all(self.path(folder));
        }
        made
    }

    fn umoci(&self) -> Made {
        if self.run("umoci", &["unpack", "--image", "layout:t", "bundle"]) {
            Made::Tree(list(&self.path("bundle/rootfs")))
        } else {
            Made::Refused
        }
    }

    fn skopeo(&self) -> Made {
        let root = self.path("root");
        let to = format!("containers-storage:[vfs@{}+{}]t:1", root.display(), self.path("run").display());
        if !self.run("skopeo", &["--insecure-policy", "copy", "-q", "oci:layout:t", &to]) {
            return Made::Refused;
        }
        let layers = fs::read(root.join("vfs-layers/layers.json")).expect("layers");
        let layers: Value = serde_json::from_slice(&layers).expect("JSON");
        let top = layers.as_array().and_then(|layers| layers.last()).expect("a layer");
        Made::Tree(list(&root.join("vfs/dir").join(top["id"].as_str().expect("an id"))))
    }
}
