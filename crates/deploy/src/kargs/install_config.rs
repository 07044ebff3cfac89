//! What an image wants of its installation: `/usr/lib/bootc/install/*.toml`.
//!
//! What lives here: every key of the `[install]` table as a typed field, and how files are laid over each other. What
//! does not: where the files are, and what an installer does with them. Source: bootc's install configuration; lists of
//! arguments append, any other value of a later file stands in the place of an earlier one's.

use sealstone_boot::Karg;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::{
    Architecture, ConfigWarning,
    document::{Document, Value, matches},
};
use crate::{
    DeployError,
    record::{KargOrigin, RecordedKarg},
};

/// The file system of the root (`filesystem.root.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootFileSystem {
    /// `xfs`.
    Xfs,
    /// `ext4`.
    Ext4,
    /// `btrfs`.
    Btrfs,
}

const FILE_SYSTEMS: [(&str, RootFileSystem); 3] =
    [("xfs", RootFileSystem::Xfs), ("ext4", RootFileSystem::Ext4), ("btrfs", RootFileSystem::Btrfs)];

/// What is between the disk and the file system (`block`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockSetup {
    /// Nothing.
    Direct,
    /// LUKS with a key in the TPM.
    Tpm2Luks,
}

const BLOCK_SETUPS: [(&str, BlockSetup); 2] =
    [("direct", BlockSetup::Direct), ("tpm2-luks", BlockSetup::Tpm2Luks)];

/// The boot loader (`bootloader`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bootloader {
    /// GRUB.
    Grub,
    /// GRUB with the entries of the Boot Loader Specification on the ESP.
    GrubCc,
    /// systemd-boot.
    Systemd,
    /// None that an installer shall write.
    None,
}

impl Bootloader {
    /// Its name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grub => "GRUB",
            Self::GrubCc => "grub-cc",
            Self::Systemd => "systemd-boot",
            Self::None => "boot loader",
        }
    }
}

const BOOTLOADERS: [(&str, Bootloader); 4] = [
    ("grub", Bootloader::Grub),
    ("grub-cc", Bootloader::GrubCc),
    ("systemd", Bootloader::Systemd),
    ("none", Bootloader::None),
];

/// All files together. What no file says is `None`, or an empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InstallConfig {
    /// The file system of the root. `filesystem.root.type` wins over the older `root-fs-type`, whichever comes last.
    pub root_file_system: Option<RootFileSystem>,
    /// The setups that are allowed; the first is the default. Empty: all.
    pub block: Vec<BlockSetup>,
    /// Kernel arguments, in order, each with its file.
    pub kargs: Vec<RecordedKarg>,
    /// Arguments to leave out: `key=value` that one, `key` all of the key.
    pub karg_deletes: Vec<Karg>,
    /// The name of bootc's state root.
    pub stateroot: Option<String>,
    /// The root's mount specification; an empty one leaves the argument out.
    pub root_mount_spec: Option<String>,
    /// The same of `/boot`.
    pub boot_mount_spec: Option<String>,
    /// `ostree.bls-append-except-default`.
    pub bls_append_except_default: Option<String>,
    /// `bootupd.skip-boot-uuid`.
    pub skip_boot_uuid: Option<bool>,
    /// The boot loader.
    pub bootloader: Option<Bootloader>,
    /// Whether the initramfs finds the partitions itself, so that `root=` is left out.
    pub discoverable_partitions: Option<bool>,
    /// Whether the image must be signed by the machine's policy.
    pub enforce_container_sigpolicy: Option<bool>,
    /// `root-fs-type`, the older key.
    #[serde(skip)]
    pub(in crate::kargs) legacy_file_system: Option<RootFileSystem>,
}

impl InstallConfig {
    /// Lays a file over what earlier ones say; `file` names it. One that is for other architectures says nothing.
    ///
    /// # Errors
    /// [`DeployError::ImageFile`], with the line, when it is no TOML or a value is wrong.
    pub fn overlay(
        &mut self,
        file: &str,
        bytes: &[u8],
        image: Option<&Architecture>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<(), DeployError> {
        let (mut document, table) = Document::parse(file, bytes, warnings)?;
        for (key, value) in &table {
            if key.get_ref() != "install" {
                document.unknown(&key.span(), key.get_ref());
                continue;
            }
            let install = document.table("install", value)?;
            let wanted = document.architectures(install)?;
            if !matches(wanted.as_deref(), image) {
                return Ok(());
            }
            for (key, value) in install {
                let known = self.field(&mut document, file, key.get_ref(), value)?;
                if !known {
                    document.unknown(&key.span(), &format!("install.{}", key.get_ref()));
                }
            }
        }
        Ok(())
    }

    /// The file system that the newer key names, else the older.
    #[must_use]
    pub fn file_system(&self) -> Option<RootFileSystem> {
        self.root_file_system.or(self.legacy_file_system)
    }

    /// Takes one key of the table, and says whether it is one.
    fn field(
        &mut self,
        document: &mut Document<'_>,
        file: &str,
        key: &str,
        value: &Value<'_>,
    ) -> Result<bool, DeployError> {
        match key {
            "match-architectures" | "match_architectures" => {}
            "kargs" => {
                let origin = KargOrigin::Install { file: file.to_owned() };
                let kargs = document.kargs(key, value)?;
                self.kargs
                    .extend(kargs.into_iter().map(|karg| RecordedKarg { karg, origin: origin.clone() }));
            }
            "karg-deletes" => self.karg_deletes.extend(document.kargs(key, value)?),
            "stateroot" => self.stateroot = Some(document.string(key, value)?),
            "root-mount-spec" => self.root_mount_spec = Some(document.string(key, value)?),
            "boot-mount-spec" => self.boot_mount_spec = Some(document.string(key, value)?),
            "discoverable-partitions" => self.discoverable_partitions = Some(document.boolean(key, value)?),
            "enforce-container-sigpolicy" => {
                self.enforce_container_sigpolicy = Some(document.boolean(key, value)?);
            }
            "root-fs-type" => self.legacy_file_system = Some(file_system(document, key, value)?),
            "bootloader" => {
                let word = document.string(key, value)?;
                self.bootloader = Some(document.choice(key, (&value.span(), &word), &BOOTLOADERS)?);
            }
            "block" => {
                let words = document.strings(key, value)?;
                let setups =
                    words.iter().map(|(place, word)| document.choice(key, (place, word), &BLOCK_SETUPS));
                self.block = setups.collect::<Result<_, _>>()?;
            }
            "filesystem" | "ostree" | "bootupd" => self.group(document, key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes one of the tables in the table.
    fn group(
        &mut self,
        document: &mut Document<'_>,
        group: &str,
        value: &Value<'_>,
    ) -> Result<(), DeployError> {
        for (key, value) in document.table(group, value)? {
            let path = format!("{group}.{}", key.get_ref());
            match path.as_str() {
                "filesystem.root" => self.root(document, document.table(&path, value)?)?,
                "ostree.bls-append-except-default" => {
                    self.bls_append_except_default = Some(document.string(&path, value)?);
                }
                "bootupd.skip-boot-uuid" => self.skip_boot_uuid = Some(document.boolean(&path, value)?),
                _ => document.unknown(&key.span(), &format!("install.{path}")),
            }
        }
        Ok(())
    }

    fn root(&mut self, document: &mut Document<'_>, root: &DeTable<'_>) -> Result<(), DeployError> {
        for (key, value) in root {
            let path = format!("filesystem.root.{}", key.get_ref());
            if path == "filesystem.root.type" {
                self.root_file_system = Some(file_system(document, &path, value)?);
            } else {
                document.unknown(&key.span(), &format!("install.{path}"));
            }
        }
        Ok(())
    }
}

fn file_system(document: &Document<'_>, key: &str, value: &Value<'_>) -> Result<RootFileSystem, DeployError> {
    let word = document.string(key, value)?;
    document.choice(key, (&value.span(), &word), &FILE_SYSTEMS)
}

#[cfg(test)]
mod tests;
