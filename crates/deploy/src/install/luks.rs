//! LUKS2 on a partition: made, opened and closed by `cryptsetup`, bound to a TPM by `systemd-cryptenroll`.
//!
//! What lives here: which steps there are, with which arguments, and the key, which is in memory alone. What does not: when
//! which is taken (`root.rs`), the partition, what is put on the volume, and cryptography. Source: bootc's `install baseline`, cryptsetup(8),
//! systemd-cryptenroll(1), `systemd-cryptsetup-generator(8)`.
//!
//! ```text
//! format → open → (file system, installation) → close → bind to the TPM, which takes the key away
//! ```

mod root;
#[cfg(test)]
mod tests;

use std::{os::fd::AsRawFd, path::PathBuf};

use rustix::fs::MemfdFlags;
use sealstone_store::{Error as StoreError, disk::File};

pub(super) use root::LuksRoot;
pub use root::{LuksRequest, LuksUnlock, MadeLuks};

use super::{Programs, Uuid};
use crate::DeployError;

/// Bytes of the key.
const KEY: usize = 64;

/// A key that is in this process's memory alone, and that programs that it runs read from there.
#[derive(Debug)]
pub struct LuksKey(std::os::fd::OwnedFd);

impl LuksKey {
    /// A new key out of a source of random bytes (`/dev/urandom`).
    ///
    /// # Errors
    /// When there is no memory, or the source ends.
    pub fn random(source: &File) -> Result<Self, DeployError> {
        let mut key = [0; KEY];
        source.read_exact_at(0, &mut key)?;
        let made = Self::of(&key);
        key.fill(0);
        std::hint::black_box(&key);
        made
    }

    /// A key that the caller has: a passphrase, or a recovery key.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn of(key: &[u8]) -> Result<Self, DeployError> {
        let failed = |op| {
            move |errno: rustix::io::Errno| StoreError::Io {
                op,
                path: "(memory)".into(),
                source: errno.into(),
            }
        };
        let memory =
            rustix::fs::memfd_create("key", MemfdFlags::CLOEXEC).map_err(failed("make a file in"))?;
        let mut rest = key;
        while !rest.is_empty() {
            let count = rustix::io::write(&memory, rest).map_err(failed("write to"))?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(Self(memory))
    }

    /// The name under which programs of the same user read it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", rustix::process::getpid().as_raw_nonzero(), self.0.as_raw_fd())
    }
}

/// How a volume is made. Start from [`LuksOptions::default`] and change what you must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LuksOptions {
    /// The id of the volume; random without one.
    pub uuid: Option<Uuid>,
    /// Iterations of PBKDF2 in place of what takes two seconds and a gigabyte with Argon2: for a random key, which needs
    /// neither.
    pub iterations: Option<u32>,
}

/// A LUKS2 volume on a device or in a file.
pub struct LuksVolume<'a> {
    programs: &'a dyn Programs,
    device: String,
    key: LuksKey,
}

impl std::fmt::Debug for LuksVolume<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LuksVolume").field("device", &self.device).finish_non_exhaustive()
    }
}

impl<'a> LuksVolume<'a> {
    /// Makes a volume of a device. **What was on it is lost.**
    ///
    /// # Errors
    /// [`DeployError::Program`] when `cryptsetup` is not there, or fails.
    pub fn format(
        programs: &'a dyn Programs,
        device: &str,
        key: LuksKey,
        options: &LuksOptions,
    ) -> Result<Self, DeployError> {
        let (uuid, iterations) =
            (options.uuid.map(|uuid| uuid.to_string()), options.iterations.map(|count| count.to_string()));
        let file = key.path();
        let mut arguments = vec!["luksFormat", "--type", "luks2", "--batch-mode", "--key-file", &file];
        if let Some(uuid) = &uuid {
            arguments.extend(["--uuid", uuid]);
        }
        if let Some(count) = &iterations {
            arguments.extend(["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", count]);
        }
        arguments.extend(["--", device]);
        programs.run("cryptsetup", &arguments)?;
        Ok(Self { programs, device: device.to_owned(), key })
    }

    /// Opens it; gives the device that has what is in it.
    ///
    /// # Errors
    /// As [`format`](Self::format).
    pub fn open(&self, name: &str) -> Result<PathBuf, DeployError> {
        let file = self.key.path();
        self.programs
            .run("cryptsetup", &["open", "--type", "luks2", "--key-file", &file, "--", &self.device, name])?;
        Ok(PathBuf::from("/dev/mapper").join(name))
    }

    /// Closes it.
    ///
    /// # Errors
    /// As [`format`](Self::format).
    pub fn close(&self, name: &str) -> Result<(), DeployError> {
        self.programs.run("cryptsetup", &["close", "--", name])
    }

    /// Closes it when nothing uses it any more: when what is in it is unmounted.
    ///
    /// # Errors
    /// As [`format`](Self::format).
    pub fn close_when_unused(&self, name: &str) -> Result<(), DeployError> {
        self.programs.run("cryptsetup", &["close", "--deferred", "--", name])
    }

    /// Lets this machine's TPM open it. As bootc does it, nothing else does then: the key that made it is taken away.
    ///
    /// # Errors
    /// [`DeployError::Program`] when `systemd-cryptenroll` or a TPM is not there.
    pub fn bind_to_tpm(&self, binding: &TpmBinding) -> Result<(), DeployError> {
        let unlock = format!("--unlock-key-file={}", self.key.path());
        let pcrs = binding.pcrs.as_ref().map(|pcrs| format!("--tpm2-pcrs={pcrs}"));
        let mut arguments = vec![unlock.as_str(), "--tpm2-device=auto"];
        arguments.extend((!binding.keeps_key).then_some("--wipe-slot=all"));
        arguments.extend(pcrs.as_deref());
        arguments.push(&self.device);
        self.programs.run("systemd-cryptenroll", &arguments)
    }
}

/// How a volume is bound to a TPM; by default as bootc does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TpmBinding {
    /// Whether the key that made it opens it still.
    pub keeps_key: bool,
    /// What the TPM has to have measured, as `--tpm2-pcrs=` of systemd-cryptenroll has it; nothing leaves it to that program.
    pub pcrs: Option<String>,
}
