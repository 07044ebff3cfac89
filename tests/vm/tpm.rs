//! TPMs of the machines: `swtpm`, one process a boot, with what such a chip keeps in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A TPM2 that is switched off.
#[derive(Clone, Debug)]
pub struct Tpm {
    folder: PathBuf,
}

/// A TPM2 that a machine has.
pub struct RunningTpm {
    child: Child,
    socket: PathBuf,
}

impl Tpm {
    /// Whether this machine can emulate one.
    pub fn is_to_be_had() -> bool {
        Command::new("swtpm").arg("--version").output().is_ok_and(|output| output.status.success())
    }

    /// A new one, with secrets of its own.
    pub fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        Self { folder }
    }

    /// Switches it on; QEMU is to connect to `socket`.
    pub fn start(&self, socket: &Path) -> RunningTpm {
        let child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate"])
            .arg(format!("dir={}", self.folder.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()))
            .arg("--log")
            .arg(format!("file={}", self.folder.join("log").display()))
            .stdin(Stdio::null())
            .spawn()
            .expect("swtpm starts");
        let end = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < end, "swtpm makes no socket");
            thread::sleep(Duration::from_millis(20));
        }
        RunningTpm { child, socket: socket.to_owned() }
    }
}

impl RunningTpm {
    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for RunningTpm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
