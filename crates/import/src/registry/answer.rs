//! What a registry's refusal means: to be tried again, to be given credentials, or final.
//!
//! A registry says why in the body (distribution-spec, "Error Codes"). Its text is shortened, quoted, and left out when it
//! repeats a secret of ours.

use std::io::Read;

use serde::Deserialize;
use ureq::http::{StatusCode, header};

use super::{fault::Fault, origin::Shown, retry::retry_after, secrets::Secrets, wire::Answer};
use crate::{error::ImportError, limits::REFUSAL_BYTES};

/// The most characters shown of what a registry says.
const SHOWN: usize = 200;

/// What answered otherwise than asked for. `what` was wanted, `place` is where.
pub(super) fn refusal(mut answer: Answer, what: &str, place: &str, secrets: &Secrets) -> Fault {
    let wait = answer.header(header::RETRY_AFTER).and_then(retry_after);
    let (status, is_own) = (answer.status(), answer.is_own);
    let reason = reason(&mut answer, secrets);
    let url = Shown(&answer.url).to_string();
    match status {
        StatusCode::NOT_FOUND if is_own => {
            Fault::Lasting(ImportError::Missing { what: what.to_owned(), place: place.to_owned() })
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if is_own => {
            Fault::Lasting(ImportError::Unauthorized { place: place.to_owned(), reason })
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Fault::Passing { error: ImportError::unreachable(url, reason), wait }
        }
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
            Fault::Passing { error: ImportError::unreachable(url, reason), wait }
        }
        // Where a registry redirects to, a signature may have expired on the way: asked again, it redirects anew.
        status if !is_own && status.is_client_error() => {
            Fault::Passing { error: ImportError::unreachable(url, reason), wait }
        }
        _ => Fault::Lasting(ImportError::unreachable(url, reason)),
    }
}

/// `404 Not Found, MANIFEST_UNKNOWN: "manifest unknown"`.
fn reason(answer: &mut Answer, secrets: &Secrets) -> String {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let status = answer.status().to_string();
    let mut bytes = Vec::new();
    // A refusal whose body cannot be read is a refusal all the same.
    let _ = answer.response.body_mut().as_reader().take(REFUSAL_BYTES).read_to_end(&mut bytes);
    let Ok(wire) = serde_json::from_slice::<Wire>(&bytes) else { return status };
    let Some(One { code, message }) = wire.errors.into_iter().next() else { return status };
    if secrets.occur_in(&code) || secrets.occur_in(&message) {
        return status;
    }
    let short = |text: String| text.chars().take(SHOWN).collect::<String>();
    let code: String = short(code).chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if message.is_empty() {
        format!("{status}, {code}")
    } else {
        format!("{status}, {code}: {:?}", short(message))
    }
}
