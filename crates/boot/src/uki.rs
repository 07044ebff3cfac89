//! Unified kernel images (UAPI.5): a PE image that holds kernel, initramfs, command line and what the system is.
//!
//! What lives here: reading one, and the check that its command line names an image. What does not: PE itself (`pe.rs`),
//! building (`build.rs`), signatures (`authenticode.rs`), where a boot partition has it (the ESP).
//! Invariants: kernel and initramfs are never held whole; texts have limits; a section of which there may be one is
//! there once in a profile, so that what is checked is what boots.

#[cfg(feature = "authenticode")]
mod authenticode;
mod build;
#[cfg(feature = "authenticode")]
mod certificate;
mod find;
mod pe;
mod read_at;
mod sbat;
mod sign;
#[cfg(feature = "authenticode")]
mod signature;
#[cfg(test)]
mod tests;

pub use build::{NewSection, SectionContent, UkiParts, build_uki};
#[cfg(feature = "authenticode")]
pub use certificate::Certificate;
pub use find::{FoundAddon, FoundUki, find_ukis};
pub(crate) use find::{GLOBAL_ADDONS, UKIS};
pub use pe::{Pe, Section};
pub use read_at::ReadAt;
pub use sign::{SignCommand, SignTool, Signer, ToolSigner};
#[cfg(feature = "authenticode")]
pub use signature::{Signed, unsigned_digest, verify_signature};

use sealstone_store::ObjectId;
use sha2::{Digest, Sha256};

use crate::{BootDigest, BootError, ComposefsArg, Kargs};
use read_at::read_range;

/// The most bytes of a text in an image: an os-release, a command line, an SBAT.
const TEXT_MAX: u64 = 64 << 10;

/// The sections of which the stub takes one; `.dtbauto`, `.efifw` and `.hwids` choose among several.
const SINGLE: [&str; 12] = [
    ".osrel", ".uname", ".cmdline", ".linux", ".initrd", ".sbat", ".splash", ".dtb", ".ucode", ".pcrpkey",
    ".pcrsig", ".profile",
];

/// A unified kernel image, or an addon to one, as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uki {
    pe: Pe,
    name: String,
    /// What all profiles share, then each profile.
    profiles: Vec<UkiProfile>,
    sbat: Option<String>,
}

/// What one way of booting an image has of its own. The first of an image is what all others fall back on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UkiProfile {
    /// What `.profile` says, as it stands there; nothing of the first.
    pub profile: Option<String>,
    /// The sections, in order.
    pub sections: Vec<Section>,
    /// What `.osrel` says.
    pub os_release: Option<String>,
    /// What `.uname` says: the kernel's version.
    pub uname: Option<String>,
    /// What `.cmdline` says, control characters as spaces, as the stub has it.
    pub cmdline: Option<String>,
}

impl UkiProfile {
    /// The section of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.is_called(name))
    }
}

impl Uki {
    /// Reads an image or an addon; `name` is for messages.
    ///
    /// # Errors
    /// [`BootError::Malformed`] when it is neither, [`BootError::TooBig`] when a text passes its limit, and the disk's
    /// errors.
    pub fn read(file: &dyn ReadAt, name: &str) -> Result<Self, BootError> {
        let pe = Pe::read(file, name)?;
        let mut profiles = vec![UkiProfile::default()];
        for section in pe.sections() {
            if section.is_called(".profile") {
                profiles.push(UkiProfile::default());
            }
            if let Some(last) = profiles.last_mut() {
                let is_single = SINGLE.iter().any(|single| section.is_called(single));
                if is_single && last.section(&section.name()).is_some() {
                    let reason = format!("it has two sections {}", section.name());
                    return Err(BootError::malformed(name, reason));
                }
                last.sections.push(section.clone());
            }
        }
        for profile in &mut profiles {
            let text = |section: &str| text(file, profile.section(section), name);
            let (description, os_release) = (text(".profile")?, text(".osrel")?);
            let (uname, cmdline) = (text(".uname")?, text(".cmdline")?);
            profile.profile = description;
            profile.os_release = os_release;
            profile.uname = uname.map(|uname| uname.trim().to_owned());
            profile.cmdline = cmdline.map(|line| plain(&line));
        }
        let sbat = text(file, profiles.first().and_then(|base| base.section(".sbat")), name)?;
        let uki = Self { pe, name: name.to_owned(), profiles, sbat };
        if uki.base().sections.iter().any(|section| section.is_called(".linux")) || uki.is_addon() {
            return Ok(uki);
        }
        Err(BootError::malformed(name, "it has neither a kernel nor what an addon has"))
    }

    /// The PE image that it is.
    #[must_use]
    pub const fn pe(&self) -> &Pe {
        &self.pe
    }

    /// Whether it is an addon: without a kernel, for other images to take in.
    #[must_use]
    pub fn is_addon(&self) -> bool {
        let of_addon = [".cmdline", ".dtb", ".dtbauto", ".ucode", ".initrd", ".hwids", ".efifw"];
        let base = self.base();
        base.section(".linux").is_none() && of_addon.iter().any(|name| base.section(name).is_some())
    }

    /// What all profiles share: all there is of an image without profiles.
    #[must_use]
    pub fn base(&self) -> &UkiProfile {
        const NONE: &UkiProfile =
            &UkiProfile { profile: None, sections: Vec::new(), os_release: None, uname: None, cmdline: None };
        self.profiles.first().unwrap_or(NONE)
    }

    /// The profiles, without what they share.
    #[must_use]
    pub fn profiles(&self) -> &[UkiProfile] {
        self.profiles.get(1..).unwrap_or_default()
    }

    /// What `.sbat` says: the components by which a signed image may be revoked.
    #[must_use]
    pub fn sbat(&self) -> Option<&str> {
        self.sbat.as_deref()
    }

    /// The command line of the image; what a profile says instead is its own.
    ///
    /// # Errors
    /// [`BootError::Invalid`] or [`BootError::TooBig`] when the kernel would not read it as arguments.
    pub fn kargs(&self) -> Result<Kargs, BootError> {
        self.base().cmdline.as_deref().unwrap_or_default().parse()
    }

    /// Checks that each command line of the image boots a root image of these ids, and nothing else: they are those of
    /// one root file system, by all versions and hashes in which it is there. Returns the argument that the initramfs
    /// will take.
    ///
    /// # Errors
    /// [`BootError::WrongImage`] when it names another image, or none.
    pub fn check_image(&self, images: &[ObjectId]) -> Result<ComposefsArg, BootError> {
        let lines = self.profiles.iter().enumerate();
        let lines = lines.filter(|(number, profile)| *number == 0 || profile.cmdline.is_some());
        let mut found = None;
        for (_, profile) in lines {
            let line: Kargs = profile.cmdline.as_deref().unwrap_or_default().parse()?;
            let args = ComposefsArg::find_all(&line)?;
            let Some(taken) = args.iter().find(|arg| images.contains(arg.image())) else {
                return Err(BootError::WrongImage {
                    uki: self.name.clone(),
                    named: args.iter().map(|arg| arg.image().to_hex()).collect(),
                    image: images.first().map(ObjectId::to_hex).unwrap_or_default(),
                    why: None,
                });
            };
            found.get_or_insert_with(|| taken.clone());
        }
        found.ok_or_else(|| BootError::malformed(&self.name, "it has no command line"))
    }

    /// The digest of kernel and initramfs, as bootc counts it. Reads both.
    ///
    /// # Errors
    /// [`BootError::Malformed`] for an addon, and the disk's errors.
    pub fn boot_digest(&self, file: &dyn ReadAt) -> Result<BootDigest, BootError> {
        let base = self.base();
        let linux = base.section(".linux");
        let linux = linux.ok_or_else(|| BootError::malformed(&self.name, "it has no kernel"))?;
        let mut hasher = Sha256::new();
        for section in [Some(linux), base.section(".initrd")].into_iter().flatten() {
            read_range(file, (section.offset(), section.offset() + section.size()), |piece| {
                hasher.update(piece);
                Ok(())
            })?;
        }
        Ok(BootDigest::of(hasher.finalize().into()))
    }
}

/// A section's text, without what pads it; control characters at the end are dropped.
fn text(file: &dyn ReadAt, section: Option<&Section>, name: &str) -> Result<Option<String>, BootError> {
    let Some(section) = section else { return Ok(None) };
    let bytes = section.read(file, TEXT_MAX)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = String::from_utf8(bytes.get(..end).unwrap_or_default().to_vec());
    let no_text = |_| BootError::malformed(name, format!("its section {} is no text", section.name()));
    text.map(Some).map_err(no_text)
}

/// A command line as systemd-stub makes it of the section: what is no printable character is a space, none are around it.
fn plain(line: &str) -> String {
    let spaced: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}
