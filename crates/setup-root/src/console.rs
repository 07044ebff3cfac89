//! Where messages go: the kernel's log, which the console shows, and the standard error stream, which systemd keeps.
//!
//! What lives here: writing a line to both. A message that cannot be written is not worth failing for.

use std::{
    io::{self, Write},
    sync::Arc,
};

use sealstone_store::disk::{Access, Dir, Disk, File, Resolve};

const NAME: &str = "store-setup-root";

/// How much a message matters, in syslog's numbers.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// The console of a machine that boots.
pub struct Console {
    kernel_log: Option<File>,
}

impl Console {
    pub fn new(disk: &Arc<dyn Disk>) -> Self {
        let dev = Dir::open(disk, "/dev");
        let log = dev.and_then(|dev| dev.open_file_with("kmsg", Access::ReadWrite, Resolve::NoSymlinks));
        Self { kernel_log: log.ok() }
    }

    /// Says one line.
    pub fn say(&self, level: Level, text: &str) {
        let _ = writeln!(io::stderr(), "{NAME}: {text}");
        if let Some(log) = &self.kernel_log {
            let _ = log.write_all_at(0, format!("<{}>{NAME}: {text}", level as u8).as_bytes());
        }
    }

    /// Prints what was asked for on the command line.
    pub fn print(text: &str) {
        let _ = io::stdout().write_all(text.as_bytes());
    }
}
