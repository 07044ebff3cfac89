//! The second serial line of a guest: commands of the test go in, what they print and how they end comes back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How a command in the guest ended.
#[derive(Debug)]
pub struct Answer {
    pub command: String,
    pub code: i32,
    pub text: String,
    pub took: Duration,
}

impl Answer {
    /// What a command printed that must have ended with 0.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.command, self.text);
        self.text
    }

    /// What a command printed that must not have ended with 0.
    #[track_caller]
    pub fn fails(self) -> String {
        assert_ne!(self.code, 0, "{}\n{}", self.command, self.text);
        self.text
    }
}

/// The line to `tests/vm/guest/agent`.
pub struct Agent {
    stream: UnixStream,
    read: Vec<u8>,
}

impl Agent {
    /// Connects to the socket that QEMU makes.
    pub fn connect(socket: &Path) -> Self {
        let end = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < end, "{}: {error}", socket.display()),
            }
            thread::sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
        Self { stream, read: Vec::new() }
    }

    /// Waits for the greeting of a system; the version that it says. An error when there is none in time.
    pub fn greeting(&mut self, limit: Duration, is_alive: impl FnMut() -> bool) -> Result<String, String> {
        self.line_after("@@READY ", limit, is_alive).map(|(_, version)| version)
    }

    /// Sends a command and waits for its end.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<Answer, String> {
        let start = Instant::now();
        self.send(command);
        let (text, code) = self.line_after("@@ENDED ", limit, || true)?;
        let code = code.parse().map_err(|_| format!("{command}: ended with {code:?}"))?;
        let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        Ok(Answer { command: command.to_owned(), code, text, took: start.elapsed() })
    }

    /// Sends a command and does not wait.
    pub fn send(&mut self, command: &str) {
        assert!(!command.contains('\n'), "a command is one line");
        self.read.clear();
        self.stream.write_all(format!("{command}\n").as_bytes()).expect("the guest listens");
    }

    /// What came before a marker, and the rest of the marker's line.
    fn line_after(
        &mut self,
        marker: &str,
        limit: Duration,
        mut is_alive: impl FnMut() -> bool,
    ) -> Result<(String, String), String> {
        let end = Instant::now() + limit;
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((before, rest)) = text.split_once(marker)
                && let Some((line, after)) = rest.split_once('\n')
            {
                let found = (before.to_owned(), line.trim().to_owned());
                self.read = after.as_bytes().to_vec();
                return Ok(found);
            }
            if Instant::now() >= end {
                return Err(format!("no {marker:?} in {limit:?}; so far:\n{text}"));
            }
            if !is_alive() {
                return Err(format!("QEMU ended before {marker:?}; so far:\n{text}"));
            }
            self.more();
        }
    }

    fn more(&mut self) {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            // QEMU ended.
            Ok(0) => thread::sleep(Duration::from_millis(50)),
            Ok(count) => self.read.extend_from_slice(&buffer[..count]),
            Err(_) => {} // nothing in time
        }
    }
}
