//! What a machine has for one boot beside its own disk: a second disk, a keyboard at its console.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What shall be plugged in.
#[derive(Clone, Debug, Default)]
pub struct Plugged {
    disk: Option<PathBuf>,
    has_keyboard: bool,
}

impl Plugged {
    /// A second disk, which Linux calls `vdb`.
    pub fn disk(mut self, disk: &Path) -> Self {
        self.disk = Some(disk.to_owned());
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

    /// Adds the devices to a machine.
    pub fn plug_in(&self, machine: &mut Command) {
        if let Some(disk) = &self.disk {
            let drive = format!("if=none,id=second,format=raw,cache=unsafe,file={}", disk.display());
            machine.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=second,request-merging=off"]);
        }
    }
}
