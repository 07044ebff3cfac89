//! Sealed images: a UKI built by `store uki build`, which names its image, and signed by `store uki sign` where a key is given.
//!
//! The key is Debian's snakeoil key of the package ovmf: everybody has it, and only firmware of tests trusts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::base::Base;
use super::kit::{Layer, Sandbox};
use super::system_image::SystemImage;

const SECRET: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
const LOADER: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const STUB: &str = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// What the kernel of a sealed system is told; it cannot know the UUID of a root.
const ARGUMENTS: [&str; 5] = ["root=/dev/vda2", "rw", "console=ttyS0", "quiet", "panic=-1"];

/// What the parts of sealed systems are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Nothing,
    /// The boot loader, and not the UKI.
    LoaderAlone,
    All,
}

/// The workshop that seals images.
pub struct Sealing {
    sandbox: Sandbox,
    signed: Signed,
}

impl Sealing {
    /// A workshop that signs so much.
    pub fn new(signed: Signed) -> Self {
        let sandbox = Sandbox::new();
        sandbox.store(["init", "--algorithm", "sha512"]).succeeds();
        let sealing = Self { sandbox, signed };
        if signed != Signed::Nothing {
            let key = sealing.sandbox.path("key");
            let made = Command::new("openssl")
                .args(["rsa", "-passin", "pass:snakeoil", "-in", SECRET, "-out"])
                .arg(&key)
                .output();
            assert!(made.expect("openssl").status.success(), "{SECRET} cannot be read (package ovmf)");
        }
        sealing
    }

    /// Writes an image with its UKI, which is a layer of its own on top, as an OCI layout. Returns the id of what it boots.
    pub fn write(&self, base: &Base, image: SystemImage, layout: &Path) -> String {
        let image = match self.signed {
            Signed::Nothing => image,
            _ => image.with_file(&format!("{LOADER}.signed"), self.loader(base)),
        };
        image.write(base, &self.sandbox.path("layout"));
        let name = image.version();
        let reference = format!("oci:{}", self.sandbox.path("layout").display());
        self.sandbox.store(["import", "--name", name, &reference]).succeeds();
        fs::remove_dir_all(self.sandbox.path("layout")).expect("a layout");
        let inspected = self.sandbox.store(["inspect", "--json", name]).json();
        let id = inspected["bootable"].as_str().expect("a bootable image").to_owned();

        let mut args = vec!["uki", "build", name, "--output", "uki.efi"];
        for argument in ARGUMENTS {
            args.extend(["--karg", argument]);
        }
        self.sandbox.store(args).succeeds();
        let built = self.sandbox.path("uki.efi");
        let uki = if self.signed == Signed::All { self.sign(&built) } else { built };
        let folders = ["boot/EFI", "boot/EFI/Linux"].iter().fold(Layer::new(), |layer, path| layer.dir(path));
        let on_top = folders.file("boot/EFI/Linux/os.efi", &fs::read(uki).expect("a UKI"));
        image.on_top(on_top).write(base, layout);
        id
    }

    /// A UKI of the system's kernel and initramfs whose command line names another image, signed alike.
    pub fn with_another_image(&self, base: &Base, version: &str, other: &str) -> Vec<u8> {
        let kernel = |name: &str| format!("/usr/lib/modules/{}/{name}", base.release());
        let parts = [
            ("stub", format!("/{STUB}")),
            ("linux", kernel("vmlinuz")),
            ("initrd", kernel("initramfs.img")),
            ("os-release", "/usr/lib/os-release".to_owned()),
        ];
        let line = format!("{} composefs={other}", ARGUMENTS.join(" "));
        let mut args =
            ["uki", "build", "--output", "uki.efi", "--cmdline", &line].map(str::to_owned).to_vec();
        for (name, path) in parts {
            let output = self.sandbox.command(["cat", version, &path]).output().expect("it starts");
            assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
            fs::write(self.sandbox.path(name), output.stdout).expect("a part");
            args.extend([format!("--{name}"), name.to_owned()]);
        }
        self.sandbox.store(args).succeeds();
        fs::read(self.sign(&self.sandbox.path("uki.efi"))).expect("a UKI")
    }

    /// The boot loader of the base, signed once.
    fn loader(&self, base: &Base) -> Vec<u8> {
        let loader = self.sandbox.path("loader.efi");
        let signed = loader.with_extension("signed");
        if !signed.exists() {
            fs::write(&loader, base.file(LOADER)).expect("a file");
            self.sign(&loader);
        }
        fs::read(signed).expect("a boot loader")
    }

    /// Signs a program; the file that came of it.
    fn sign(&self, file: &Path) -> PathBuf {
        let out = file.with_extension("signed");
        let _ = fs::remove_file(&out);
        let text = |path: &Path| path.display().to_string();
        let (from, to, key) = (text(file), text(&out), text(&self.sandbox.path("key")));
        let args = ["uki", "sign", &from, "--output", &to, "--key", &key, "--cert", CERTIFICATE];
        self.sandbox.store(args).succeeds();
        out
    }
}
