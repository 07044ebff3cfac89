//! The parts of a unified kernel image, from the image that it shall boot.
//!
//! What lives here: where an image has its stub, kernel, initramfs and os-release, and the command line that seals its id.
//! What does not: the image's layout (the boot crate), signing. Source of the command line: `bootc container ukify` merges the
//! image's `kargs.d` at build, since nothing can add to what is sealed.
//! Invariant: kernel and initramfs are files of the repository, checked against their ids, and never held whole.

use sealstone_boot::{
    Blob, BootError, COMMAND_LINE_MAX, ComposefsArg, Karg, Kargs, Kernel,
    uki::{ReadAt, UkiParts},
};
use sealstone_import::ManifestDigest;
use sealstone_store::{
    Repository,
    disk::File,
    tree::{Content, FileType, Tree},
};

use crate::{
    DeployError, ImageId,
    adopt::architecture,
    image_tree::{image_tree, read_text},
    kargs::{ConfigWarning, ImageKargs},
};

/// Where an image has the stub, for each architecture of UEFI.
const STUBS: &str = "/usr/lib/systemd/boot/efi";

/// The architectures by UEFI's names: an image has the stub of its own.
const ARCHITECTURES: [&str; 6] = ["x64", "aa64", "ia32", "arm", "riscv64", "loongarch64"];

/// The most bytes of an os-release file.
const OS_RELEASE_MAX: u64 = 64 << 10;

/// What the caller wants in the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealOptions {
    /// Arguments beside the image's own, in order.
    pub kargs: Vec<Karg>,
    /// Whether it shall boot where the file system has no fs-verity.
    pub allow_missing_verity: bool,
}

/// The parts of a unified kernel image, ready to be read.
pub struct SealParts {
    stub: Part,
    linux: Part,
    initrd: Part,
    os_release: String,
    uname: String,
    cmdline: Kargs,
    /// What of the image's files was passed over.
    pub warnings: Vec<ConfigWarning>,
}

/// A file of an image.
enum Part {
    Bytes(Vec<u8>),
    File(File),
}

impl Part {
    fn as_dyn(&self) -> &dyn ReadAt {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(file) => file,
        }
    }
}

impl SealParts {
    /// The parts for the image of the profile `bootable` that a manifest was made into.
    ///
    /// # Errors
    /// [`BootError::Missing`] when the image lacks a part, and what reading it brings.
    pub fn of(
        repository: &Repository,
        image: &ImageId,
        manifest: &ManifestDigest,
        options: &SealOptions,
    ) -> Result<Self, DeployError> {
        let tree = image_tree(repository, image)?;
        let kernel = Kernel::find(&tree)?;
        let missing = |what: &str| BootError::Missing { what: format!("{what} in the image") };
        let kernel = kernel.ok_or_else(|| missing("kernel in /usr/lib/modules"))?;
        let folder = format!("/usr/lib/modules/{}", kernel.version());
        let architecture = architecture(repository, manifest);
        let wanted = ImageKargs::read(repository, &tree, architecture.as_ref())?;
        let mut cmdline: Kargs = wanted.kargs.into_iter().map(|recorded| recorded.karg).collect();
        for karg in &options.kargs {
            cmdline.push(karg.clone());
        }
        cmdline.push(ComposefsArg::for_image(*image.object(), options.allow_missing_verity).to_karg()?);
        let size = cmdline.to_string().len() as u64;
        if size > COMMAND_LINE_MAX as u64 {
            let limit = COMMAND_LINE_MAX as u64;
            return Err(BootError::TooBig { what: "kernel command line".into(), size, limit }.into());
        }
        let mut stubs = ARCHITECTURES.iter().map(|name| format!("{STUBS}/linux{name}.efi.stub"));
        let stub = stubs.find(|path| tree.resolve(path.as_bytes()).is_ok());
        let stub = stub.ok_or_else(|| missing(&format!("stub ({STUBS}/linux*.efi.stub)")))?;
        let os_release = ["/usr/lib/os-release", "/etc/os-release"]
            .iter()
            .find_map(|path| read_text(repository, &tree, path, OS_RELEASE_MAX).transpose())
            .transpose()?;
        Ok(Self {
            stub: part(repository, &tree, &stub)?,
            linux: part(repository, &tree, &format!("{folder}/vmlinuz"))?,
            initrd: part(repository, &tree, &format!("{folder}/initramfs.img"))?,
            os_release: os_release.ok_or_else(|| missing("os-release"))?,
            uname: kernel.version().to_owned(),
            cmdline,
            warnings: wanted.warnings,
        })
    }

    /// The image's stub.
    #[must_use]
    pub fn stub(&self) -> &dyn ReadAt {
        self.stub.as_dyn()
    }

    /// The command line.
    #[must_use]
    pub const fn cmdline(&self) -> &Kargs {
        &self.cmdline
    }

    /// Hands the parts to `build`, which makes an image of them.
    ///
    /// # Errors
    /// What `build` returns.
    pub fn with<T>(
        &self,
        build: impl FnOnce(&dyn ReadAt, &UkiParts<'_>) -> Result<T, BootError>,
    ) -> Result<T, BootError> {
        let cmdline = self.cmdline.to_string();
        let parts = UkiParts {
            os_release: Some(&self.os_release),
            cmdline: Some(&cmdline),
            uname: Some(&self.uname),
            linux: Some(self.linux.as_dyn()),
            initrds: &[self.initrd.as_dyn()],
            ..UkiParts::default()
        };
        build(self.stub.as_dyn(), &parts)
    }
}

/// A file of an image, its bytes checked against their id.
fn part(repository: &Repository, tree: &Tree, path: &str) -> Result<Part, DeployError> {
    let missing = || BootError::Missing { what: format!("{path} in the image") };
    let inode = tree.resolve(path.as_bytes()).map_err(|_| missing())?;
    if tree.file_type(inode) != FileType::Regular {
        return Err(missing().into());
    }
    match tree.content(inode) {
        Content::External { object, size } => {
            Blob::Object(repository.clone(), object, size).read(|_, _| Ok(()))?;
            Ok(Part::File(repository.open_object(&object)?))
        }
        Content::Inline(bytes) => Ok(Part::Bytes(bytes.to_vec())),
        _ => Err(missing().into()),
    }
}
