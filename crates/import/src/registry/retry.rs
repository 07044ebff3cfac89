//! [`Attempts`]: how often something was tried, and the pauses in between: exponential, with jitter, and never shorter
//! than a server asks for.

use std::{
    hash::{BuildHasher, RandomState},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sealstone_store::control::CancelToken;

use super::{Retry, fault::Fault};
use crate::error::{ImportError, Result};

/// How long a pause goes on without asking whether the caller wants to stop.
const SLICE: Duration = Duration::from_millis(50);

/// The attempts at one thing.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    retry: &'a Retry,
    cancel: Option<&'a CancelToken>,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(super) const fn new(retry: &'a Retry, cancel: Option<&'a CancelToken>) -> Self {
        Self { retry, cancel, failed: 0 }
    }

    /// There was progress: earlier failures are forgotten.
    pub(super) const fn forget(&mut self) {
        self.failed = 0;
    }

    /// Says whether to go on.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(CancelToken::is_cancelled) { Err(ImportError::Cancelled) } else { Ok(()) }
    }

    /// Waits until it is time to try again.
    ///
    /// # Errors
    /// The fault itself, if it will not pass or came too often.
    pub(super) fn pause(&mut self, fault: Fault) -> Result<()> {
        self.check()?;
        let (error, wait) = match fault {
            Fault::Lasting(error) => return Err(error),
            Fault::Passing { error, wait } => (error, wait),
        };
        self.failed += 1;
        if self.failed >= self.retry.attempts {
            return Err(error);
        }
        let doubled = self.retry.pause.saturating_mul(1 << (self.failed - 1).min(16));
        let jitter = doubled / 2 * u32::from(chance()) / u32::from(u16::MAX);
        let pause = (doubled + jitter).max(wait.unwrap_or_default()).min(self.retry.longest_pause);
        tracing::debug!(%error, ?pause, "trying again");
        let end = Instant::now() + pause;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.check()?;
            thread::sleep(left.min(SLICE));
        }
        self.check()
    }
}

/// A number that differs from process to process and from call to call; for nothing that matters.
fn chance() -> u16 {
    u16::try_from(RandomState::new().hash_one(Instant::now()) & 0xffff).unwrap_or_default()
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(http_date(value)?.saturating_sub(now)))
}

/// The seconds since 1970 of a date as HTTP has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01, by H. Hinnant's civil calendar: years begin in March, so that leap days end them.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)? * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(attempts: u32) -> Retry {
        Retry { attempts, pause: Duration::from_millis(1), longest_pause: Duration::from_millis(5) }
    }

    #[test]
    fn what_may_pass_is_tried_as_often_as_allowed_and_what_lasts_is_not() {
        let retry = quick(3);
        let mut attempts = Attempts::new(&retry, None);
        assert!(attempts.pause(Fault::passing("a", "b")).is_ok());
        assert!(attempts.pause(Fault::passing("a", "b")).is_ok());
        assert!(attempts.pause(Fault::passing("a", "b")).is_err());
        attempts.forget();
        assert!(attempts.pause(Fault::passing("a", "b")).is_ok());
        let lasting = Fault::Lasting(ImportError::unreachable("a", "b"));
        assert!(Attempts::new(&retry, None).pause(lasting).is_err());
    }

    #[test]
    fn a_pause_is_never_longer_than_the_longest_and_ends_when_cancelled() {
        let retry = quick(9);
        let fault =
            Fault::Passing { error: ImportError::unreachable("a", "b"), wait: Some(Duration::from_hours(1)) };
        assert!(Attempts::new(&retry, None).pause(fault).is_ok());
        let cancel = CancelToken::default();
        cancel.cancel();
        let endless = Retry { pause: Duration::from_hours(1), ..Retry::default() };
        let result = Attempts::new(&endless, Some(&cancel)).pause(Fault::passing("a", "b"));
        assert!(matches!(result, Err(ImportError::Cancelled)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
        ] {
            assert_eq!(http_date(date), Some(seconds), "{date}");
        }
        assert_eq!(http_date("Xyz, 00 Foo 1994 08:49:37 GMT"), None);
    }
}
