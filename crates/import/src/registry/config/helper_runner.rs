//! [`HelperRunner`]: puts a question to a credential helper.
//!
//! Rules: no shell; the program is looked for in the absolute folders of the search path that the caller gives; its
//! answer is bounded in size and time, and itself and what it started are killed when it takes too long. Its standard
//! error goes nowhere, since it may tell secrets. It inherits the environment: helpers need a home and a session bus.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use sealstone_store::Control;

use super::{Credentials, HelperRequest};
use crate::{Limits, error::Result};

/// How long a helper may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a cancel is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Runs credential helpers.
#[derive(Clone, Debug)]
pub struct HelperRunner {
    search_path: OsString,
    patience: Duration,
    most_bytes: u64,
}

impl HelperRunner {
    /// A runner that looks for helpers in `search_path` (folders with colons between them, as `PATH` has), and gives
    /// each 30 seconds and [`Limits::config_bytes`].
    #[must_use]
    pub fn new(search_path: impl Into<OsString>, limits: &Limits) -> Self {
        Self { search_path: search_path.into(), patience: PATIENCE, most_bytes: limits.config_bytes }
    }

    /// The same with another time, counted from the start of each helper.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Asks a helper. `None` when it has nothing for this server.
    ///
    /// # Errors
    /// [`ImportError::Config`](crate::ImportError::Config) when it is not there, fails, takes too long, or answers too
    /// much or in another form; [`ImportError::Cancelled`](crate::ImportError::Cancelled).
    pub fn ask(&self, request: &HelperRequest, control: &Control) -> Result<Option<Credentials>> {
        let mut child = self.start(request)?;
        let start = Instant::now();
        let reply = self
            .converse(&mut child, request, start, control)
            .and_then(|output| Ok((self.wait(&mut child, request, start, control)?, output)));
        if reply.is_err() {
            kill(&mut child);
        }
        let (status, output) = reply?;
        request.read_reply(status.success(), &output)
    }

    fn start(&self, request: &HelperRequest) -> Result<Child> {
        let mut reason = "it is in no folder of the search path".to_owned();
        for folder in env::split_paths(&self.search_path).filter(|folder| folder.is_absolute()) {
            let mut command = Command::new(folder.join(request.program()));
            command.arg(OsStr::new("get")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            // A group of its own, so that whatever it starts ends with it.
            match command.process_group(0).spawn() {
                Ok(child) => return Ok(child),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => reason = format!("it cannot be started: {error}"),
            }
        }
        Err(request.fail(reason))
    }

    /// Writes the question, and reads the answer until its end.
    fn converse(
        &self,
        child: &mut Child,
        request: &HelperRequest,
        start: Instant,
        control: &Control,
    ) -> Result<Vec<u8>> {
        let (mut input, output) = (child.stdin.take(), child.stdout.take());
        let (server, most_bytes) = (request.server().to_owned(), self.most_bytes);
        let (sender, answer) = mpsc::channel();
        // Not joined: it ends with the pipes, and those with the helper's group.
        thread::spawn(move || {
            // A helper that reads no question may still answer.
            let _ = input.as_mut().map(|input| input.write_all(server.as_bytes()));
            drop(input);
            let mut bytes = Vec::new();
            let most = most_bytes.saturating_add(1);
            let read = output.map_or(Ok(0), |output| output.take(most).read_to_end(&mut bytes));
            // Nobody listens any more after a time-out.
            let _ = sender.send(read.map(|_| bytes));
        });
        loop {
            control.check()?;
            match answer.recv_timeout(TICK) {
                Ok(Ok(bytes)) if bytes.len() as u64 > most_bytes => {
                    return Err(request.fail(format!("it answered more than {most_bytes} bytes")));
                }
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(error)) => return Err(request.fail(format!("its answer cannot be read: {error}"))),
                Err(RecvTimeoutError::Disconnected) => return Err(request.fail("its answer was lost")),
                Err(RecvTimeoutError::Timeout) => self.check_patience(request, start)?,
            }
        }
    }

    /// Waits for its end, which follows the answer's.
    fn wait(
        &self,
        child: &mut Child,
        request: &HelperRequest,
        start: Instant,
        control: &Control,
    ) -> Result<ExitStatus> {
        loop {
            control.check()?;
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => self.check_patience(request, start)?,
                Err(error) => return Err(request.fail(format!("it cannot be waited for: {error}"))),
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn check_patience(&self, request: &HelperRequest, start: Instant) -> Result<()> {
        if start.elapsed() < self.patience {
            return Ok(());
        }
        Err(request.fail(format!("it did not end within {} seconds", self.patience.as_secs())))
    }
}

/// Kills a helper's group. That it ended meanwhile is as well.
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}
