//! Images that boot by a unified kernel image, sealed with the id of the image that they boot.

use sealstone_boot::uki::{UkiParts, build_uki};
use sealstone_import::ImportOptions;
use sealstone_store::Control;

use super::{Entry, Machine, Published, System};
use crate::{DeployRequest, import_image};

#[path = "../../../../tests/kit/stub.rs"]
mod stub;

/// A system that is sealed.
pub(crate) struct Sealed<'a> {
    pub system: System<'a>,
    /// What the command line has before the argument that names the image.
    pub kargs: &'a str,
    /// Addons by the folder below `/boot` and their names.
    pub addons: &'a [(&'a str, &'a str)],
    /// The arguments that name images, if not one for the right image in format V1.
    pub names: Option<String>,
}

impl<'a> Sealed<'a> {
    pub(crate) fn new(version: &'a str) -> Self {
        Self { system: System::new(version), kargs: "quiet", addons: &[], names: None }
    }
}

/// A unified kernel image with this command line.
fn uki_of(version: &str, cmdline: &str) -> Vec<u8> {
    let (linux, initrd) =
        (format!("kernel {version}").repeat(500), format!("initramfs {version}").repeat(700));
    let (linux, initrd) = (linux.into_bytes(), initrd.into_bytes());
    build(&UkiParts {
        os_release: Some("ID=debian\n"),
        cmdline: Some(cmdline),
        uname: Some("6.12"),
        linux: Some(&linux),
        initrds: &[&initrd],
        ..UkiParts::default()
    })
}

fn build(parts: &UkiParts<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let take = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    build_uki(&stub::stub(), parts, take).unwrap();
    bytes
}

impl Machine {
    /// Imports a sealed image, and gives the request to deploy it, and the bytes of its unified kernel image. The repository
    /// has no fs-verity, so the command line does not insist on it.
    pub(crate) fn import_sealed(&self, sealed: &Sealed<'_>) -> (DeployRequest, Vec<u8>) {
        self.import_sealed_with(sealed, &ImportOptions::default())
    }

    /// The same with these options.
    pub(crate) fn import_sealed_with(
        &self,
        sealed: &Sealed<'_>,
        options: &ImportOptions,
    ) -> (DeployRequest, Vec<u8>) {
        let image = self.import(&sealed.system).image;
        let names = sealed.names.clone().unwrap_or_else(|| format!("composefs=?{image}"));
        let uki = uki_of(sealed.system.version, &format!("{} {names}", sealed.kargs));
        let folder = "boot/EFI/Linux/os.efi";
        let mut more = sealed.system.more.clone();
        more.push(Entry::Bytes(folder.to_owned(), uki.clone()));
        for (place, name) in sealed.addons {
            let cmdline = format!("addon.{name}");
            let addon = build(&UkiParts { cmdline: Some(&cmdline), ..UkiParts::default() });
            more.push(Entry::Bytes(format!("boot/{place}/{name}.addon.efi"), addon));
        }
        let system = System { more, ..System::new(sealed.system.version) };
        (self.import_published(&system, options), uki)
    }

    /// Imports an image with all of its documents.
    pub(crate) fn import_published(&self, system: &System<'_>, options: &ImportOptions) -> DeployRequest {
        let (repository, control) = (self.target().repository, Control::new());
        let source = Published::of(system);
        let name = format!("os:{}", system.version);
        let done = import_image(&repository, &source, &name, options, &control);
        let done = done.unwrap().into_inner();
        let image = done.images.bootable.unwrap();
        DeployRequest::new(name, done.manifest, done.config, image, 1_700_000_000)
    }
}
