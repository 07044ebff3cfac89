//! QEMU's monitor: the machine's reset button, and a look at where its processor is.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::console::Console;

/// The last that a kernel says before it resets the machine.
const LAST_WORDS: &str = "reboot: Restarting system";

/// Firmware says something within seconds.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Monitor {
    socket: PathBuf,
}

impl Monitor {
    /// At a socket that QEMU makes.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Where the processor is; empty when QEMU does not answer.
    pub fn registers(&self) -> String {
        let answer = self.ask("info registers").unwrap_or_default();
        answer
            .lines()
            .filter(|line| line.contains("IP=") || line.contains("CR0"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn reset(&self) {
        let _ = self.ask("system_reset");
    }

    /// Sends a command; what comes within a second.
    fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..count]);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Presses the reset button of a machine whose firmware does not come back after a reset: QEMU with OVMF was seen to hang there,
/// once in some hundred reboots. No boot loader has run by then.
pub struct ResetWatch<'a> {
    console: &'a Console,
    monitor: &'a Monitor,
    silent_since: Option<Instant>,
}

impl<'a> ResetWatch<'a> {
    pub const fn new(console: &'a Console, monitor: &'a Monitor) -> Self {
        Self { console, monitor, silent_since: None }
    }

    /// To be called now and then.
    pub fn look(&mut self) {
        if !self.console.text().trim_end().ends_with(LAST_WORDS) {
            self.silent_since = None;
        } else if self.silent_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            println!(
                "the firmware does not come back after a reset, it is reset again:\n{}",
                self.monitor.registers()
            );
            self.monitor.reset();
            self.silent_since = None;
        }
    }
}
