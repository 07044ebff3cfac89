//! A system that does not run: a sysroot and a boot partition in a sandbox, deployed by the command or, as bootc would
//! have left it, by hand.
//!
//! What bootc leaves is written from its documented layout: state folders with origins, kernels or unified kernel images
//! named by the deployment, boot entries, and a tag for each manifest.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use sealstone::boot::Esp;
use sealstone::deploy::{DeployError, Plan, Sysroot, Target, apply};
use sealstone::store::disk::{Dir, RealDisk};
use sealstone::store::{Control, Repository};
use serde_json::Value;

use super::layout::digest;
use super::{Image, Layer, Outcome, Sandbox};

/// A sysroot (`mnt`) with an empty repository, and a boot partition (`esp`).
pub struct System {
    pub sandbox: Sandbox,
}

/// How bootc boots a deployment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BootcBoots {
    Kernel,
    Uki,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        for folder in ["mnt", "esp"] {
            fs::create_dir(sandbox.path(folder)).expect("a folder");
        }
        let system = Self { sandbox };
        system.repository(["init", "--algorithm", "sha512"]).succeeds();
        system
    }

    /// An image whose system has this version, with files in its upper layer.
    pub fn image(version: &str, files: &[(&str, &str)]) -> Image {
        let os = format!("ID=example\nVERSION_ID={version}\nPRETTY_NAME=\"Example {version}\"\n");
        let mut layer = Layer::new().file("usr/lib/os-release", os.as_bytes());
        for (path, text) in files {
            layer = layer.file(path, text.as_bytes());
        }
        Image::new().layer(Layer::system("6.1.0")).layer(layer)
    }

    /// An image that boots by a unified kernel image alone.
    pub fn uki_image(version: &str) -> Image {
        let os = format!("ID=example\nVERSION_ID={version}\n");
        let top = Layer::new()
            .whiteout("usr/lib/modules/6.1.0/vmlinuz")
            .dir("boot/EFI")
            .dir("boot/EFI/Linux")
            .file("boot/EFI/Linux/6.1.0.efi", b"a unified kernel image")
            .file("usr/lib/os-release", os.as_bytes());
        Image::new().layer(Layer::system("6.1.0")).layer(top)
    }

    /// Imports an image under a name; returns its manifest's digest.
    #[track_caller]
    pub fn import(&self, name: &str, image: &Image) -> String {
        let folder = self.sandbox.path(&format!("layout-{}", name.replace(['/', ':'], "_")));
        let manifest = image.write(&folder);
        self.repository(["import", "--name", name, &format!("oci:{}", folder.display())]).succeeds();
        manifest
    }

    /// A verb about the sysroot.
    pub fn store<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Outcome {
        let mut args: Vec<&str> = args.into_iter().collect();
        args.extend(["--sysroot", "mnt", "--esp", "esp"]);
        Outcome::of(self.sandbox.command(args).env_remove("SEALSTONE_REPO"))
    }

    /// A verb about its repository.
    pub fn repository<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Outcome {
        let mut args: Vec<&str> = args.into_iter().collect();
        args.extend(["--repo", "mnt/composefs"]);
        Outcome::of(self.sandbox.command(args).env_remove("SEALSTONE_REPO"))
    }

    /// The same for calls of the library, which may say what runs.
    pub fn target(&self) -> Target {
        let disk = RealDisk::shared();
        Target {
            sysroot: Sysroot::open(&disk, self.path("mnt")).expect("a sysroot"),
            repository: Repository::open(&disk, self.path("mnt/composefs")).expect("a repository"),
            esps: vec![Esp::new(Dir::open(&disk, self.path("esp")).expect("a folder"))],
        }
    }

    /// Runs a plan of the library's.
    #[track_caller]
    pub fn apply(&self, plan: Result<Plan, DeployError>) {
        apply(&self.target(), &plan.expect("a plan"), &Control::new()).expect("it is applied");
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.sandbox.path(relative)
    }

    #[track_caller]
    pub fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    #[track_caller]
    pub fn write(&self, relative: &str, text: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    /// The names in a folder, sorted; none where there is no such folder.
    pub fn names(&self, relative: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(relative)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The entry files with their texts, in systemd-boot's order: by sort key.
    pub fn menu(&self) -> Vec<(String, String)> {
        let mut menu: Vec<(String, String)> = self
            .names("esp/loader/entries")
            .into_iter()
            .map(|name| (name.clone(), self.read(&format!("esp/loader/entries/{name}"))))
            .collect();
        menu.sort_by_key(|(_, text)| field(text, "sort-key"));
        menu
    }

    /// The kernel's command line in the entry that boots by default, without the image's id.
    #[track_caller]
    pub fn default_options(&self) -> String {
        let menu = self.menu();
        let options = field(&menu.first().expect("an entry").1, "options");
        let words = options.split(' ').filter(|word| !word.starts_with("composefs"));
        words.collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        let outcome = self.store(["status", "--json"]);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stderr))
    }

    /// The image that boots, of an imported one.
    #[track_caller]
    pub fn bootable_id(&self, name: &str) -> String {
        let document = self.repository(["inspect", "--json", name]).json();
        document["bootable"].as_str().unwrap_or_else(|| panic!("{document:#}")).to_owned()
    }

    /// Deploys an image as bootc does: with all that its composefs backend leaves. Returns the deployment's id.
    pub fn deploy_as_bootc(&self, image: &Image, boots: BootcBoots, is_primary: bool, kargs: &str) -> String {
        let folder = self.sandbox.path("layout-bootc");
        let manifest = image.write(&folder);
        fs::remove_dir_all(&folder).expect("a folder");
        self.import(&format!("localhost/bootc-{manifest}"), image);
        let hex = self.bootable_id(&format!("localhost/bootc-{manifest}"));
        let state = format!("mnt/state/deploy/{hex}");
        self.write(&format!("{state}/etc/hostname"), "of bootc\n");
        symlink("../../os/default/var", self.path(&format!("{state}/var"))).expect("a link");
        fs::create_dir_all(self.path("mnt/state/os/default/var")).expect("a folder");
        let (kind, boot_digest) = match boots {
            BootcBoots::Kernel => ("bls", self.write_kernel(&hex)),
            BootcBoots::Uki => ("uki", self.write_uki(&hex)),
        };
        let origin = format!(
            "[boot]\nboot_type={kind}\ndigest={boot_digest}\n\n[image]\nmanifest_digest={manifest}\n\n\
             [origin]\ncontainer-image-reference=ostree-unverified-image:docker://quay.io/example/os:latest\n"
        );
        self.write(&format!("{state}/{hex}.origin"), origin);
        self.write_bootc_entry(&hex, boots, is_primary, kargs);
        hex
    }

    /// The image's kernel where bootc puts it; returns the digest of the pair.
    fn write_kernel(&self, hex: &str) -> String {
        let of_image = |name: &str| {
            let path = format!("/usr/lib/modules/6.1.0/{name}");
            let args = ["cat", hex, &path, "--repo", "mnt/composefs"];
            self.sandbox.command(args).output().expect("it starts").stdout
        };
        let (vmlinuz, initrd) = (of_image("vmlinuz"), of_image("initramfs.img"));
        self.write(&format!("esp/EFI/Linux/bootc_composefs-{hex}/vmlinuz"), &vmlinuz);
        self.write(&format!("esp/EFI/Linux/bootc_composefs-{hex}/initrd"), &initrd);
        digest(&[vmlinuz, initrd].concat()).replace("sha256:", "")
    }

    fn write_uki(&self, hex: &str) -> String {
        self.write(&format!("esp/EFI/Linux/bootc/bootc_composefs-{hex}.efi"), super::layer::noise(30_000, 7));
        digest(b"the kernel and initramfs in it").replace("sha256:", "")
    }

    /// The entry of a deployment in bootc's words.
    pub fn write_bootc_entry(&self, hex: &str, boots: BootcBoots, is_primary: bool, kargs: &str) {
        let (place, key) = if is_primary { (1, 0) } else { (0, 1) };
        let boots = match boots {
            BootcBoots::Kernel => format!(
                "linux /EFI/Linux/bootc_composefs-{hex}/vmlinuz\ninitrd /EFI/Linux/bootc_composefs-{hex}/initrd\n\
                 options {kargs} composefs=?{hex}\n"
            ),
            BootcBoots::Uki => format!("uki /EFI/Linux/bootc/bootc_composefs-{hex}.efi\n"),
        };
        let text = format!("title Example of bootc\nversion {place}\n{boots}sort-key bootc-example-{key}\n");
        self.write(&format!("esp/loader/entries/bootc_example-{place}-{place}.conf"), text);
    }
}

/// The value of a key of a boot entry.
pub fn field(text: &str, key: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.unwrap_or_default().to_owned()
}
