//! The root of a device in a LUKS2 volume: what of a request becomes of it, and that it is closed however an installation ends.
//!
//! What lives here: who opens it at boot, the kernel arguments for that, the order of the steps while a system is installed.
//! What does not: the steps themselves (`luks.rs`), the device below. Invariants: the key is in memory alone; a volume that is
//! to open with the TPM alone has lost the key that made it before the disk has a partition table.
//! Source: `Encrypt=` of repart.d(5), bootc's `--block-setup tpm2-luks`, systemd-cryptsetup-generator(8).

use std::path::{Path, PathBuf};

use sealstone_boot::Karg;

use super::{LuksKey, LuksOptions, LuksVolume, TpmBinding, Uuid};
use crate::{
    DeployError,
    install::{Programs, Seed},
};

/// The least number of iterations: a random key needs no more.
const RANDOM_KEY_ITERATIONS: u32 = 1000;

/// Who opens a volume at boot. The names are those of repart.d's `Encrypt=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum LuksUnlock {
    /// This machine's TPM, and nothing else: the key is random, and taken away.
    #[serde(rename = "tpm2")]
    Tpm2,
    /// Whoever has the key: it is asked for at boot.
    #[serde(rename = "key-file")]
    KeyFile,
    /// This machine's TPM; and whoever has the key, where that does not.
    #[serde(rename = "key-file+tpm2")]
    KeyFileAndTpm2,
}

impl LuksUnlock {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tpm2 => "tpm2",
            Self::KeyFile => "key-file",
            Self::KeyFileAndTpm2 => "key-file+tpm2",
        }
    }

    /// What the initramfs is told to open a volume by. Without an argument it asks.
    const fn options(self) -> Option<&'static str> {
        match self {
            Self::Tpm2 => Some("tpm2-device=auto,headless=true"),
            Self::KeyFile => None,
            Self::KeyFileAndTpm2 => Some("tpm2-device=auto"),
        }
    }

    /// The kernel arguments by which the initramfs opens a volume.
    ///
    /// # Errors
    /// Never, with a UUID.
    pub fn kargs(self, uuid: Uuid) -> Result<Vec<Karg>, DeployError> {
        let mut kargs = vec![Karg::new("luks.uuid", Some(&uuid.to_string()))?];
        if let Some(options) = self.options() {
            kargs.push(Karg::new("luks.options", Some(options))?);
        }
        Ok(kargs)
    }
}

/// A root that shall be in a volume.
#[derive(Debug)]
pub struct LuksRequest {
    /// Who opens it at boot.
    pub unlock: LuksUnlock,
    /// The key that makes it: the caller's, or a random one where the TPM alone shall open it.
    pub key: LuksKey,
    /// What the TPM has to have measured, as `--tpm2-pcrs=` of systemd-cryptenroll has it; nothing leaves it to that program.
    pub pcrs: Option<String>,
    /// Where open volumes are.
    pub mapper: PathBuf,
}

impl LuksRequest {
    /// A volume that opens so, among the machine's.
    ///
    /// # Errors
    /// [`DeployError::Invalid`] when `pcrs` is not a list of registers.
    pub fn new(unlock: LuksUnlock, key: LuksKey, pcrs: Option<String>) -> Result<Self, DeployError> {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | ',' | ':' | '=' | '-');
        if let Some(text) = pcrs.as_ref().filter(|text| text.is_empty() || !text.chars().all(letter)) {
            return Err(DeployError::Invalid {
                what: "list of the TPM's registers",
                text: text.clone(),
                reason: "numbers or names with '+' between them, as in 7+11".into(),
            });
        }
        Ok(Self { unlock, key, pcrs, mapper: "/dev/mapper".into() })
    }

    /// The id of the volume on a disk of this seed.
    #[must_use]
    pub fn uuid(seed: &Seed) -> Uuid {
        seed.uuid("luks root")
    }
}

/// A root's volume while a system is installed into it.
#[derive(Debug)]
pub(in crate::install) struct LuksRoot<'a> {
    volume: LuksVolume<'a>,
    unlock: LuksUnlock,
    pcrs: Option<String>,
    uuid: Uuid,
    name: String,
    device: PathBuf,
    is_open: bool,
}

impl<'a> LuksRoot<'a> {
    /// Makes the volume of a partition's device, and opens it.
    pub(in crate::install) fn make(
        programs: &'a dyn Programs,
        partition: &Path,
        request: LuksRequest,
        seed: &Seed,
    ) -> Result<Self, DeployError> {
        let LuksRequest { unlock, key, pcrs, mapper } = request;
        let uuid = LuksRequest::uuid(seed);
        let iterations = (unlock == LuksUnlock::Tpm2).then_some(RANDOM_KEY_ITERATIONS);
        let options = LuksOptions { uuid: Some(uuid), iterations };
        let volume = LuksVolume::format(programs, &partition.to_string_lossy(), key, &options)?;
        let name = format!("install-{uuid}");
        volume.open(&name)?;
        let device = mapper.join(&name);
        Ok(Self { volume, unlock, pcrs, uuid, name, device, is_open: true })
    }

    /// The device that has what is in it.
    pub(in crate::install) fn device(&self) -> &Path {
        &self.device
    }

    /// Lets it close itself when nothing has it mounted any more: also when this process is killed.
    pub(in crate::install) fn close_with_its_mount(&mut self) -> Result<(), DeployError> {
        self.volume.close_when_unused(&self.name)?;
        self.is_open = false;
        Ok(())
    }

    /// Ends: binds it to the TPM, if that is asked for. What is in it is durable by now.
    pub(in crate::install) fn finish(self) -> Result<MadeLuks, DeployError> {
        let (unlock, uuid, pcrs) = (self.unlock, self.uuid, self.pcrs.clone());
        let keeps_key = match unlock {
            LuksUnlock::KeyFile => None,
            LuksUnlock::Tpm2 => Some(false),
            LuksUnlock::KeyFileAndTpm2 => Some(true),
        };
        if let Some(keeps_key) = keeps_key {
            self.volume.bind_to_tpm(&TpmBinding { keeps_key, pcrs })?;
        }
        Ok(MadeLuks { uuid: uuid.to_string(), unlock })
    }
}

impl Drop for LuksRoot<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // What went wrong before is told; nothing more can be done about this.
            let _ = self.volume.close(&self.name);
        }
    }
}

/// The volume of a root that was made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MadeLuks {
    /// Its id.
    pub uuid: String,
    /// Who opens it at boot.
    pub unlock: LuksUnlock,
}
