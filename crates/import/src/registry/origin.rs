//! [`Origin`]: scheme, host and port of a URL, which decide what may be sent there; and where a redirect leads.
//!
//! Invariants: credentials go to the origin that they are for and to no other; a way that began with TLS never leaves it.

use std::fmt;

use ureq::http::{Uri, uri::Scheme};

/// Who answers a URL (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URL; `None` of any other.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let https = is_https(url);
        if !https && url.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        Some(Self { https, host: url.host()?.to_ascii_lowercase(), port })
    }
}

/// Whether the URL is reached through TLS.
pub(super) fn is_https(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTPS)
}

/// A URL without what may be secret in it: a signed redirect has its signature in the query.
pub(super) struct Shown<'a>(pub(super) &'a Uri);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme_str().unwrap_or_default())?;
        self.0.port_u16().iter().try_for_each(|port| write!(f, ":{port}"))?;
        f.write_str(self.0.path())
    }
}

/// Where a `Location` header leads, seen from `base` (RFC 3986, section 5).
///
/// # Errors
/// The reason to go nowhere: it is no URL, names a user, or leaves TLS.
pub(super) fn follow(base: &Uri, location: &str) -> Result<Uri, String> {
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map(ToString::to_string).unwrap_or_default();
    let location = location.split('#').next().unwrap_or_default();
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let text = if location.contains("://") && !location.starts_with(['/', '?']) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let url: Uri = text.parse().map_err(|_| format!("{} redirects to what is no URL", Shown(base)))?;
    if Origin::of(&url).is_none() {
        return Err(format!("{} redirects to what is neither http nor https", Shown(base)));
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(format!("{} redirects to a URL with a user in it", Shown(base)));
    }
    if is_https(base) && !is_https(&url) {
        return Err(format!("{} redirects to {}, away from TLS", Shown(base), Shown(&url)));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_however_they_are_written() {
        assert_eq!(Origin::of(&url("https://A.example/x")), Origin::of(&url("https://a.EXAMPLE:443/y?z")));
        for other in ["http://a.example/x", "https://a.example:444/x", "https://b.example/x"] {
            assert_ne!(Origin::of(&url("https://a.example/x")), Origin::of(&url(other)), "{other}");
        }
        assert_eq!(Origin::of(&url("ftp://a.example/")), None);
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        let base = url("https://a.example:5000/v2/x/blobs/1?q=2");
        for (location, target) in [
            ("https://cdn.example/z?sig=1", "https://cdn.example/z?sig=1"),
            ("//cdn.example/z", "https://cdn.example/z"),
            ("/z?to=http://other", "https://a.example:5000/z?to=http://other"),
            ("2", "https://a.example:5000/v2/x/blobs/2"),
            ("?s=1", "https://a.example:5000/v2/x/blobs/1?s=1"),
            ("/z#part", "https://a.example:5000/z"),
        ] {
            assert_eq!(follow(&base, location).unwrap().to_string(), target);
        }
    }

    #[test]
    fn a_redirect_that_leaves_tls_or_names_a_user_goes_nowhere() {
        let base = url("https://a.example/v2/");
        for location in
            ["http://a.example/v2/", "ftp://a.example/", "https://u:p@a.example/", "file:///etc/passwd"]
        {
            assert!(follow(&base, location).is_err(), "{location}");
        }
        assert!(follow(&url("http://a.example/"), "https://a.example/").is_ok());
    }

    #[test]
    fn a_shown_url_has_no_query() {
        assert_eq!(Shown(&url("https://a.example:1/z?sig=secret")).to_string(), "https://a.example:1/z");
    }
}
