//! Runs a program and tells what it cost.
//!
//! Wall time ends when the file system has been synced, whether the program did so or not. CPU and memory are the
//! kernel's account of the program and its children (`wait4`); memory is that of the largest single process.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What one run cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds from the start to the end of the final sync.
    pub wall: f64,
    /// Seconds of CPU in user mode.
    pub user: f64,
    /// Seconds of CPU in the kernel.
    pub sys: f64,
    /// Peak resident memory in MiB.
    pub rss: f64,
}

impl Cost {
    /// CPU seconds.
    pub fn cpu(&self) -> f64 {
        self.user + self.sys
    }
}

/// Runs `command`, then `sync`; gives the cost and what the command printed.
pub fn measure(command: &mut Command, sync: impl FnOnce() -> Result<()>) -> Result<(Cost, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || stderr.map(std::io::read_to_string));
    let printed = stdout.map(std::io::read_to_string).transpose().context("read a program's output")?;
    let (status, mut cost) = wait(child.id())?;
    sync()?;
    cost.wall = start.elapsed().as_secs_f64();
    if !status.success() {
        let text = errors.join().ok().flatten().transpose()?.unwrap_or_default();
        bail!("{command:?} ended with {status}: {}", text.trim());
    }
    Ok((cost, printed.unwrap_or_default()))
}

/// Waits for a child and reads its account.
fn wait(child: u32) -> Result<(ExitStatus, Cost)> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid value of a plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let child = libc::pid_t::try_from(child).context("a process id is too large")?;
    loop {
        // SAFETY: both pointers are to live locals, and the child is ours and not yet waited for.
        if unsafe { libc::wait4(child, &raw mut status, 0, &raw mut usage) } == child {
            break;
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("wait for a program");
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "seconds and KiB are far below 2^52")]
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    #[allow(clippy::cast_precision_loss, reason = "as above")]
    let rss = usage.ru_maxrss as f64 / 1024.0;
    let cost = Cost { wall: 0.0, user: seconds(usage.ru_utime), sys: seconds(usage.ru_stime), rss };
    Ok((ExitStatus::from_raw(status), cost))
}
