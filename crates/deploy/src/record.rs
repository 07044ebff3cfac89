//! The record of a deployment: the one truth about it, from which boot entries and status are derived.
//!
//! What lives here: the record's JSON, version 1, field by field. What does not: reading and writing it ([`Sysroot`]).
//! Invariants: a record says all that its boot entry says; fields that this version does not know survive a rewrite;
//! a record of a newer version is not read, and reported.
//!
//! [`Sysroot`]: crate::Sysroot

use sealstone_boot::{BootError, Esp, Karg, KernelSizes};
use sealstone_import::{ConfigDigest, ManifestDigest};
use sealstone_store::ObjectId;
use serde::{Deserialize, Serialize};

use crate::{BoundImage, DeploymentId, EtcPolicy, ImageId, Overlay, Profile, kargs::Bootloader};

/// The version of the records that this engine writes, and the highest that it reads.
pub const RECORD_VERSION: u32 = 1;

/// The most bytes of a record.
pub(crate) const RECORD_MAX: u64 = 1 << 20;

/// One deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format: [`RECORD_VERSION`].
    pub version: u32,
    /// The deployment's id, which is also the record's file name, before `.json`.
    pub id: DeploymentId,
    /// How far it has come.
    pub state: State,
    /// Whether no retention may take it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Whether a staged one waits until it is asked for: it was only downloaded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// Why it cannot boot, once that is known: it is out of the menu while another one is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Counts up over all deployments of a sysroot: in the order in which they were made.
    pub serial: u64,
    /// The place in the menu: the highest boots by default. At first the serial number.
    pub order: u64,
    /// When it was made, in seconds since 1970 UTC.
    pub time: i64,
    /// What is deployed.
    pub image: DeployedImage,
    /// What the image says of itself.
    pub os: Os,
    /// The kernel that boots it.
    pub kernel: DeployedKernel,
    /// The kernel arguments, in order, without those that name the image.
    pub kargs: Vec<RecordedKarg>,
    /// The arguments of the image that the caller does not want, as `key=value` or `key`: an update leaves them out too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub karg_deletes: Vec<String>,
    /// Why a staged one could not be finalised, when that was last tried: what boots stayed what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinalised: Option<String>,
    /// The images that this system runs, bound to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<BoundImage>,
    /// What becomes of conflicts in `/etc` when a staged one is finalised.
    #[serde(default, skip_serializing_if = "EtcPolicy::is_default")]
    pub etc: EtcPolicy,
    /// What was put over the image's `/etc` and `/var`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
    /// How often the boot loader tries it in the beginning; nothing once it has booted well, or where nothing is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// The boot loader that was asked for on this machine, for updates to keep to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_loader: Option<Bootloader>,
    /// What this version does not know.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

impl Record {
    /// The deployment whose state folder it has. What boots by a unified kernel image finds that of its image's first one and no
    /// other, since nothing can be added to the command line: so several with the same image share it.
    #[must_use]
    pub const fn state_id(&self) -> DeploymentId {
        if self.kernel.is_uki() { DeploymentId::new(self.image.id, 0) } else { self.id }
    }
}

/// How far a deployment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// It is being made or removed: nothing boots it, and it goes on or away with the next run.
    Making,
    /// It is whole, without a boot entry: it waits to be finalised when the running system shuts down.
    Staged,
    /// It is whole, and has a boot entry (or gets it back with the next run).
    Deployed,
}

/// The image of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedImage {
    /// The reference as it was asked for: with its transport, or the name under which it was imported.
    pub reference: String,
    /// The digest of the document that the reference named then, an index or a manifest: what a registry's HEAD tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// Its manifest.
    #[serde(with = "text")]
    pub manifest: ManifestDigest,
    /// Its configuration.
    #[serde(with = "text")]
    pub config: ConfigDigest,
    /// The EROFS image.
    pub id: ImageId,
    /// How the image was made canonical.
    pub profile: Profile,
    /// Whether the kernel must check each file (fs-verity), or may do without: the repository has none.
    pub verity: VerityNeed,
}

/// Whether the initramfs insists on fs-verity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerityNeed {
    /// The system does not boot without.
    Required,
    /// The system boots either way (`?` in the kernel argument).
    Optional,
}

/// What the image's os-release says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// `ID`.
    pub id: String,
    /// The entry's title.
    pub title: String,
    /// The system's version, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The kernel of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedKernel {
    /// The kernel's version.
    pub version: String,
    /// The digest of kernel and initramfs, and their sizes in bytes.
    #[serde(flatten)]
    pub sizes: KernelSizes,
    /// Where bootc put it, while it is there; else it is in a folder that its digest names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_bootc: Option<BootcKernel>,
    /// The unified kernel image that boots it instead, if the image has one; its size is the kernel's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uki: Option<DeployedUki>,
}

/// A unified kernel image of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedUki {
    /// Its path on each boot partition, as its entry names it.
    pub file: String,
    /// The object that holds it.
    #[serde(with = "text")]
    pub object: ObjectId,
    /// The addons beside it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<DeployedAddon>,
}

/// An addon to a unified kernel image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedAddon {
    /// Its name: that of its file before `.addon.efi`.
    pub name: String,
    /// The object that holds it.
    #[serde(with = "text")]
    pub object: ObjectId,
    /// Its size in bytes.
    pub size: u64,
}

/// A kernel on the boot partitions that bootc put there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootcKernel {
    /// A kernel and its initramfs.
    Files {
        /// The kernel's path, as its entry names it.
        linux: String,
        /// The initramfs' path, as its entry names it.
        initrd: String,
    },
    /// A unified kernel image; the kernel's size in the record is its size.
    Uki {
        /// Its path, as its entry names it.
        file: String,
        /// The key by which its entry names it: `uki` or `efi`, which older boot loaders know.
        key: String,
    },
}

impl DeployedKernel {
    /// Whether it is a unified kernel image.
    #[must_use]
    pub const fn is_uki(&self) -> bool {
        self.uki.is_some() || matches!(self.of_bootc, Some(BootcKernel::Uki { .. }))
    }

    /// Whether both boot by a unified kernel image and addons of the same bytes, wherever they are, or neither does.
    pub(crate) fn has_uki_of(&self, other: &Self) -> bool {
        let parts = |uki: &DeployedUki| (uki.object, uki.addons.clone());
        self.uki.as_ref().map(parts) == other.uki.as_ref().map(parts)
    }

    /// The files that shall be on each boot partition, by the paths of entries, with their sizes.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let KernelSizes { digest, vmlinuz, initramfs } = &self.sizes;
        if let Some(DeployedUki { file, addons, .. }) = &self.uki {
            let addon = |addon: &DeployedAddon| (Esp::addon_path(file, &addon.name), addon.size);
            return std::iter::once((file.clone(), *vmlinuz)).chain(addons.iter().map(addon)).collect();
        }
        match &self.of_bootc {
            Some(BootcKernel::Uki { file, .. }) => vec![(file.clone(), *vmlinuz)],
            Some(BootcKernel::Files { linux, initrd }) => {
                vec![(linux.clone(), *vmlinuz), (initrd.clone(), *initramfs)]
            }
            None => {
                let (linux, initrd) = Esp::kernel_paths(digest);
                vec![(linux, *vmlinuz), (initrd, *initramfs)]
            }
        }
    }

    /// The path of the file by which a boot loader starts it.
    pub(crate) fn loaded_file(&self) -> Option<String> {
        self.files().into_iter().next().map(|(path, _)| path)
    }

    /// Whether all of its files are on a boot partition, by their sizes.
    pub(crate) fn is_on(&self, esp: &Esp) -> Result<bool, BootError> {
        for (path, size) in self.files() {
            if esp.file_size(&path)? != Some(size) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A kernel argument, and who wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedKarg {
    /// The argument.
    pub karg: Karg,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: KargOrigin,
}

/// Where a kernel argument came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KargOrigin {
    /// The caller gave it at install, deploy or later.
    Caller,
    /// The image wants it on each system: it goes when a newer image does not want it.
    Image {
        /// The file's path in the image.
        file: String,
    },
    /// The image's configuration of installers wanted it when this system was installed.
    Install {
        /// The file's path in the image.
        file: String,
    },
    /// A program of this machine set it, and alone may change it.
    Source {
        /// The program's name.
        name: String,
    },
}

impl KargOrigin {
    /// Whether it stays on this machine whatever a newer image wants.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        !matches!(self, Self::Image { .. })
    }
}

/// Ids in JSON, as the text that they are parsed from.
pub(crate) mod text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(id: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

/// Lists of ids in JSON.
pub(crate) mod texts {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(ids: &[impl Display], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_with_the_fields_that_it_does_not_know() {
        let hex = "ab".repeat(64);
        let digest = format!("sha256:{}", "cd".repeat(32));
        let text = serde_json::json!({
            "version": 1, "id": hex, "state": "deployed", "serial": 3, "order": 3, "time": 1_700_000_000,
            "image": {"reference": "debian", "manifest": digest, "config": digest, "id": hex,
                      "profile": "bootable", "verity": "optional"},
            "os": {"id": "debian", "title": "Debian 13", "version": "13"},
            "kernel": {"version": "6.12", "digest": "ef".repeat(32), "vmlinuz": 10, "initramfs": 20},
            "kargs": [{"karg": "quiet", "origin": "caller"},
                      {"karg": "rw", "origin": "image", "file": "10-rw.toml"},
                      {"karg": "isolcpus=1", "origin": "source", "name": "tuned"}],
            "later": ["what a later version knows"],
        });
        let record: Record = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(record.kernel.sizes.initramfs, 20);
        assert_eq!(serde_json::to_value(&record).unwrap(), text);
    }
}
