//! The bootable OCI images of the proofs: a Debian system, its kernel, our programs, and a version on top.
//!
//! Layers, bottom first: the system and the kernel of the base, our programs with the initramfs, what a machine has more, what
//! the versions differ in.
//! An update of the same kind fetches the last one alone.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::base::{Base, Kind};
use super::initramfs::{self, RootProgram};
use super::kit::layer::noise;
use super::kit::layout::Compression;
use super::kit::{Image, Layer};

/// The programs of the guests.
const GUEST: &str = "tests/vm/guest";

/// The units of a system with systemd: the test's, and those that the project has for such systems.
const UNITS: [(&str, &str); 3] = [
    (GUEST, "vm-agent.service"),
    ("contrib/systemd", "store-finalize.service"),
    ("contrib/systemd", "store-bless.service"),
];

/// A version of a system.
pub struct SystemImage {
    kind: Kind,
    version: String,
    is_broken: bool,
    payload: usize,
    files: Vec<(String, Vec<u8>)>,
    layers: Vec<Vec<u8>>,
    on_top: Option<Vec<u8>>,
}

impl SystemImage {
    /// A system that says this version when it is up. Versions differ in `/usr/lib/vm/version`, `/etc/version` and in a file
    /// of noise.
    pub fn new(kind: Kind, version: &str) -> Self {
        Self {
            kind,
            version: version.to_owned(),
            is_broken: false,
            payload: 300_000,
            files: Vec::new(),
            layers: Vec::new(),
            on_top: None,
        }
    }

    /// What it says when it is up.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The same, but it never comes up.
    pub fn broken(mut self) -> Self {
        self.is_broken = true;
        self
    }

    /// With so many bytes of noise, in files of up to 64 KiB.
    pub fn with_payload(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// With a file more.
    pub fn with_file(mut self, path: &str, bytes: Vec<u8>) -> Self {
        self.files.push((path.to_owned(), bytes));
        self
    }

    /// With another initramfs.
    pub fn with_initramfs(self, base: &Base, initramfs: Vec<u8>) -> Self {
        self.with_file(&initramfs_of(base), initramfs)
    }

    /// With tars more, which all versions have alike.
    pub fn with_layers(mut self, tars: &[Vec<u8>]) -> Self {
        self.layers.extend_from_slice(tars);
        self
    }

    /// With a layer more.
    pub fn on_top(mut self, layer: Layer) -> Self {
        self.on_top = Some(layer.finish());
        self
    }

    /// What the noise of a version comes from; each of its files is the next 64 KiB.
    pub fn seed(version: &str) -> u64 {
        version.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    }

    /// Writes the image as an OCI layout.
    pub fn write(&self, base: &Base, folder: &Path) {
        let mut image = Image::new()
            .tar(base.system(self.kind), Compression::None)
            .tar(base.kernel(), Compression::None)
            .tar(self.programs(base), Compression::None);
        for tar in &self.layers {
            image = image.tar(tar.clone(), Compression::None);
        }
        image = image.layer(self.difference());
        if let Some(tar) = &self.on_top {
            image = image.tar(tar.clone(), Compression::Gzip);
        }
        image.write(folder);
    }

    /// Made once a run, so that all versions have the same.
    fn programs(&self, base: &Base) -> Vec<u8> {
        static TINY: OnceLock<Vec<u8>> = OnceLock::new();
        static SYSTEMD: OnceLock<Vec<u8>> = OnceLock::new();
        let made = if self.kind == Kind::Tiny { &TINY } else { &SYSTEMD };
        made.get_or_init(|| self.make_programs(base).finish()).clone()
    }

    fn make_programs(&self, base: &Base) -> Layer {
        let mut layer = Layer::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let guest = root.join(GUEST);
        for name in ["agent", "prepare", "init"] {
            let script = fs::read(guest.join(name)).expect("a script of the guest");
            layer = layer.file_with_mode(&format!("usr/lib/vm/{name}"), 0o755, &script);
        }
        if self.kind == Kind::Systemd {
            for (folder, unit) in UNITS {
                let text = fs::read(root.join(folder).join(unit)).expect("a unit");
                let place = format!("usr/lib/systemd/system/{unit}");
                let wanted = format!("etc/systemd/system/multi-user.target.wants/{unit}");
                layer = layer.file(&place, &text).symlink(&wanted, &format!("/{place}"));
            }
        }
        layer
            .file_with_mode("usr/bin/store", 0o755, &stripped(env!("CARGO_BIN_EXE_store")))
            .file(&initramfs_of(base), &initramfs::make(&base.modules(), RootProgram::Ours, None))
    }

    fn difference(&self) -> Layer {
        let version = format!("{}\n", self.version);
        let mut layer = Layer::new()
            .dir("usr/lib/vm")
            .file("usr/lib/vm/version", version.as_bytes())
            .file("etc/version", version.as_bytes())
            .dir("usr/share/payload");
        if self.is_broken {
            layer = layer.file("usr/lib/vm/broken", b"");
        }
        for (path, bytes) in &self.files {
            layer = layer.file(path, bytes);
        }
        for (number, piece) in noise(self.payload, Self::seed(&self.version)).chunks(65_536).enumerate() {
            layer = layer.file(&format!("usr/share/payload/{number}"), piece);
        }
        layer
    }
}

/// Where an image has its initramfs.
pub fn initramfs_of(base: &Base) -> String {
    format!("usr/lib/modules/{}/initramfs.img", base.release())
}

/// A program without its debug information.
pub fn stripped(program: impl AsRef<Path>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("program");
    let status = Command::new("strip").arg("-o").arg(&out).arg(program.as_ref()).status();
    let is_stripped = status.is_ok_and(|status| status.success());
    fs::read(if is_stripped { &out } else { program.as_ref() }).expect("the program")
}
