//! Images that boot by a unified kernel image which the command itself built and sealed.

use super::{Image, Layer, Outcome, deployed::Deployed, stub};

/// Where images have the stub.
pub const STUB: &str = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// The lower layers of a system that is sealed later: all but the unified kernel image.
pub fn unsealed(version: &str) -> Layer {
    let os = format!("ID=example\nVERSION_ID={version}\nPRETTY_NAME=\"Example {version}\"\n");
    let system = Layer::system("6.1.0")
        .dir("usr/lib/systemd")
        .dir("usr/lib/systemd/boot")
        .dir("usr/lib/systemd/boot/efi");
    let system = system.dir("usr/lib/bootc").dir("usr/lib/bootc/kargs.d");
    system
        .file(STUB, &stub::stub())
        .file("usr/lib/bootc/kargs.d/10-example.toml", b"kargs = ['quiet', 'ro']")
        .file("etc/version", version.as_bytes())
        .file("usr/lib/version", os.as_bytes())
}

impl Deployed {
    /// Imports a system without its unified kernel image under `base-NAME`.
    pub fn import_unsealed(&self, version: &str) -> String {
        let name = format!("base-{version}");
        Image::new().layer(unsealed(version)).write(&self.sandbox.path(&name));
        let reference = format!("oci:{}", self.sandbox.path(&name).display());
        self.store(&["import", "--name", &name, &reference]).succeeds();
        name
    }

    /// Builds the unified kernel image of an imported system.
    pub fn build_uki(&self, image: &str, output: &str, more: &[&str]) -> Outcome {
        self.store(&[&["uki", "build", image, "--output", output, "--allow-missing-verity"], more].concat())
    }

    /// Imports a system with this unified kernel image in a layer of its own under its version.
    pub fn import_with_uki(&self, version: &str, uki: &[u8]) {
        let top = Layer::new().dir("boot/EFI").dir("boot/EFI/Linux").file("boot/EFI/Linux/os.efi", uki);
        let layout = format!("sealed-{version}");
        Image::new().layer(unsealed(version)).layer(top).write(&self.sandbox.path(&layout));
        let reference = format!("oci:{}", self.sandbox.path(&layout).display());
        self.store(&["import", "--name", version, &reference]).succeeds();
    }

    /// Makes and imports a sealed system. Returns its unified kernel image.
    pub fn import_sealed(&self, version: &str) -> Vec<u8> {
        let base = self.import_unsealed(version);
        let file = format!("{version}.efi");
        self.build_uki(&base, &file, &[]).succeeds();
        let uki = std::fs::read(self.sandbox.path(&file)).expect("the image");
        self.import_with_uki(version, &uki);
        uki
    }
}
