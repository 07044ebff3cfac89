//! What a machine has for one boot beside its own disk: a second disk, a TPM, a keyboard at its console.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tpm::{RunningTpm, Tpm};

/// What shall be plugged in.
#[derive(Clone, Debug, Default)]
pub struct Plugged {
    disk: Option<PathBuf>,
    tpm: Option<Tpm>,
    has_keyboard: bool,
}

/// What is plugged in, as long as it lives.
pub struct PluggedIn {
    _tpm: Option<RunningTpm>,
}

impl Plugged {
    /// A second disk, which Linux calls `vdb`.
    pub fn disk(mut self, disk: &Path) -> Self {
        self.disk = Some(disk.to_owned());
        self
    }

    /// A TPM.
    pub fn tpm(mut self, tpm: &Tpm) -> Self {
        self.tpm = Some(tpm.clone());
        self
    }

    /// A keyboard at the console.
    pub const fn keyboard(mut self) -> Self {
        self.has_keyboard = true;
        self
    }

    /// The console as QEMU is to have it: a log, and what is typed if somebody can.
    pub fn console(&self, log: &Path, keyboard: &Path) -> String {
        if self.has_keyboard {
            let keyboard = keyboard.display();
            format!("socket,id=console,path={keyboard},server=on,wait=off,logfile={}", log.display())
        } else {
            format!("file,id=console,path={}", log.display())
        }
    }

    /// Adds the devices to a machine. Sockets are in `folder`.
    pub fn plug_in(&self, machine: &mut Command, folder: &Path) -> PluggedIn {
        if let Some(disk) = &self.disk {
            let drive = format!("if=none,id=second,format=raw,cache=unsafe,file={}", disk.display());
            machine.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=second,request-merging=off"]);
        }
        let tpm = self.tpm.as_ref().map(|tpm| tpm.start(&folder.join("tpm")));
        if let Some(tpm) = &tpm {
            machine.args(["-chardev", &format!("socket,id=tpm,path={}", tpm.socket().display())]);
            machine.args(["-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"]);
        }
        PluggedIn { _tpm: tpm }
    }
}
