//! The first serial line of a guest: firmware, boot loader, kernel and init write there, QEMU into a file.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// What a guest has said so far.
pub struct Console {
    log: PathBuf,
}

impl Console {
    pub const fn new(log: PathBuf) -> Self {
        Self { log }
    }

    /// All of it, without the sequences that move a cursor.
    pub fn text(&self) -> String {
        plain(&fs::read(&self.log).unwrap_or_default())
    }

    /// Waits until one of the texts is there, at most so long; which one.
    #[track_caller]
    pub fn wait_for_any(&self, wanted: &[&str], limit: Duration) -> usize {
        let end = Instant::now() + limit;
        loop {
            let text = self.text();
            if let Some(found) = wanted.iter().position(|one| text.contains(one)) {
                return found;
            }
            assert!(Instant::now() < end, "none of {wanted:?} in {limit:?}:\n{}", self.tail());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a text is there so many times.
    #[track_caller]
    pub fn wait_for_times(&self, wanted: &str, times: usize, limit: Duration) {
        let end = Instant::now() + limit;
        while self.text().matches(wanted).count() < times {
            assert!(Instant::now() < end, "not {times} times {wanted:?} in {limit:?}:\n{}", self.tail());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Its last lines, for the message of a failure.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        format!("{}\n({})", lines[lines.len().saturating_sub(40)..].join("\n"), self.log.display())
    }
}

/// Text without escape sequences and carriage returns.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => {
                if letters.next_if_eq(&'[').is_some() {
                    while letters.next_if(|next| !next.is_ascii_alphabetic()).is_some() {}
                }
                letters.next();
            }
            '\r' => {}
            other => out.push(other),
        }
    }
    out
}

#[test]
fn escape_sequences_of_firmware_are_taken_out() {
    assert_eq!(plain(b"\x1b[2J\x1b[01;01Hone\r\n\x1b[0mtwo"), "one\ntwo");
}
