//! [`Fault`]: what went wrong with one request, and whether it may pass.

use std::{io, time::Duration};

use ureq::http::Uri;

use super::origin::Shown;
use crate::error::ImportError;

/// Why a request has no answer that is of use.
#[derive(Debug)]
pub(super) enum Fault {
    /// It may pass: to be tried again, after `wait` if the server says so.
    Passing { error: ImportError, wait: Option<Duration> },
    /// It will not.
    Lasting(ImportError),
}

impl Fault {
    /// A failure to talk to `place` that may pass.
    pub(super) fn passing(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Passing { error: ImportError::unreachable(place, reason), wait: None }
    }

    /// What the HTTP client says, without anything of the request but its place.
    pub(super) fn of_exchange(url: &Uri, error: ureq::Error) -> Self {
        let place = Shown(url).to_string();
        match error {
            ureq::Error::Io(error) => Self::of_io(place, &error),
            ureq::Error::Timeout(which) => Self::passing(place, format!("no answer in time ({which})")),
            ureq::Error::HostNotFound => Self::passing(place, "there is no host of this name"),
            ureq::Error::ConnectionFailed | ureq::Error::BodyStalled => {
                Self::passing(place, "the connection failed")
            }
            ureq::Error::ConnectProxyFailed(_) => {
                Self::Lasting(ImportError::unreachable(place, "the proxy refuses to connect"))
            }
            ureq::Error::Rustls(error) => Self::of_tls(place, &error),
            ureq::Error::Tls(reason) => Self::Lasting(ImportError::insecure(place, reason)),
            other => {
                Self::Lasting(ImportError::malformed(format!("the answer of {place}"), other.to_string()))
            }
        }
    }

    pub(super) fn of_io(place: String, error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(place, tls);
        }
        Self::passing(place, error.to_string())
    }

    fn of_tls(place: String, error: &rustls::Error) -> Self {
        let reason = match error {
            rustls::Error::InvalidCertificate(why) => format!("its certificate is not trusted: {why:?}"),
            rustls::Error::AlertReceived(alert) => format!("it refuses our TLS: {alert:?}"),
            rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
            other => other.to_string(),
        };
        Self::Lasting(ImportError::insecure(place, reason))
    }
}
