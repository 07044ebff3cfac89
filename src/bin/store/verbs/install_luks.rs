//! The flags by which `store install to-disk` puts the root into a LUKS2 volume.

use anyhow::Context as _;
use clap::ValueEnum;
use sealstone::deploy::install::{LuksKey, LuksRequest, LuksUnlock};
use sealstone::store::disk::{File, RealDisk};

use crate::failure::WrongUsage;
use crate::secret;

/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";

/// `--luks` and what belongs to it.
#[derive(clap::Args)]
#[command(next_help_heading = "Encryption")]
pub struct LuksArgs {
    /// Put the root of a device into a LUKS2 volume, by cryptsetup and systemd-cryptenroll; this opens it at boot
    #[arg(long, value_enum, value_name = "WITH")]
    luks: Option<Unlock>,
    /// Where the key is read from, byte for byte and into memory alone: fd:N, a file, or - for standard input
    #[arg(long, value_name = "FROM", requires = "luks")]
    luks_key_file: Option<String>,
    /// What the TPM has to have measured the same, as in 7+11 [default: what systemd-cryptenroll takes]
    #[arg(long, value_name = "PCRS", requires = "luks")]
    tpm2_pcrs: Option<String>,
}

/// `--luks`, by the names of repart.d's `Encrypt=`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unlock {
    /// This machine's TPM alone: the key is random and taken away, as with bootc's tpm2-luks
    Tpm2,
    /// The key of --luks-key-file, which is asked for at boot
    KeyFile,
    /// This machine's TPM, and the key where that does not
    #[value(name = "key-file+tpm2")]
    KeyFileAndTpm2,
}

impl LuksArgs {
    /// Who opens the volume, if there shall be one.
    pub fn unlock(&self) -> Option<LuksUnlock> {
        self.luks.map(|unlock| match unlock {
            Unlock::Tpm2 => LuksUnlock::Tpm2,
            Unlock::KeyFile => LuksUnlock::KeyFile,
            Unlock::KeyFileAndTpm2 => LuksUnlock::KeyFileAndTpm2,
        })
    }

    /// The volume that is asked for.
    pub fn request(&self) -> anyhow::Result<Option<LuksRequest>> {
        let Some(unlock) = self.unlock() else { return Ok(None) };
        let key = match (&self.luks_key_file, unlock) {
            (None, LuksUnlock::Tpm2) => LuksKey::random(&File::open(&RealDisk::shared(), RANDOM)?)?,
            (Some(_), LuksUnlock::Tpm2) => {
                let hint = "leave --luks-key-file out, or take key-file+tpm2";
                return Err(WrongUsage { what: "with --luks tpm2 the key is random", hint }.into());
            }
            (None, _) => {
                let hint = "--luks-key-file says where the key is";
                return Err(WrongUsage { what: "--luks with a key-file needs one", hint }.into());
            }
            (Some(place), _) => {
                let key = secret::read(place).with_context(|| format!("read the key from {place}"))?;
                if key.is_empty() {
                    return Err(
                        WrongUsage { what: "the key is empty", hint: "a key has a byte at least" }.into()
                    );
                }
                LuksKey::of(&key)?
            }
        };
        if self.tpm2_pcrs.is_some() && unlock == LuksUnlock::KeyFile {
            let hint = "leave --tpm2-pcrs out, or take key-file+tpm2";
            return Err(WrongUsage { what: "a key-file asks no TPM", hint }.into());
        }
        Ok(Some(LuksRequest::new(unlock, key, self.tpm2_pcrs.clone())?))
    }
}
