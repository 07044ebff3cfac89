//! [`Proxies`]: which proxy a URL is reached through, if any.
//!
//! What lives here: explicit settings. What does not: the environment; the command reads `HTTPS_PROXY` and its like. Who
//! needs no proxy is [`NoProxy`]'s to say.

use std::fmt;

use ureq::{Proxy, http::Uri};

use super::{NoProxy, origin::is_https};
use crate::error::{ImportError, Result};

/// The proxies, and who is reached without one.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: NoProxy,
}

impl Proxies {
    /// Proxies for `http://` and for `https://` URLs, each `[http://|https://|socks5://][USER:PASSWORD@]HOST[:PORT]`, and
    /// the hosts that are reached without.
    ///
    /// # Errors
    /// When a proxy is no such URL. It is not repeated in the error: it may have a password.
    pub fn new(http: Option<&str>, https: Option<&str>, exceptions: NoProxy) -> Result<Self> {
        let parse = |kind: &str, text: Option<&str>| {
            text.filter(|text| !text.is_empty())
                .map(Proxy::new)
                .transpose()
                .map_err(|_| ImportError::config(format!("the proxy for {kind}"), "it is no URL of a proxy"))
        };
        Ok(Self { http: parse("http", http)?, https: parse("https", https)?, exceptions })
    }

    /// The proxy for a URL.
    pub(super) fn of(&self, url: &Uri) -> Option<&Proxy> {
        let https = is_https(url);
        let proxy = if https { &self.https } else { &self.http }.as_ref()?;
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        (!self.exceptions.covers(url.host()?, port)).then_some(proxy)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.as_ref().map(Proxy::host))
            .field("https", &self.https.as_ref().map(Proxy::host))
            .field("exceptions", &self.exceptions)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(exceptions: &str, url: &str) -> Option<String> {
        let proxies = Proxies::new(
            Some("http://plain.example:3128"),
            Some("secure.example"),
            NoProxy::parse(exceptions),
        )
        .unwrap();
        proxies.of(&url.parse().unwrap()).map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_has_none() {
        assert_eq!(through("", "http://a.example/").as_deref(), Some("plain.example"));
        assert_eq!(through("", "https://a.example/").as_deref(), Some("secure.example"));
        for here in ["http://localhost:5000/", "https://127.8.8.8/", "http://[::1]:5000/"] {
            assert_eq!(through("", here), None, "{here}");
        }
    }

    #[test]
    fn exceptions_are_reached_directly_by_name_address_and_port() {
        for (exceptions, url, is_direct) in [
            (".example", "https://a.example/", true),
            (".example", "https://a.other/", false),
            ("a.example:443", "https://a.example/", true),
            ("a.example:80", "https://a.example/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("fd00::/16", "https://[fd00::1]/", true),
        ] {
            assert_eq!(through(exceptions, url).is_none(), is_direct, "{exceptions} {url}");
        }
    }

    #[test]
    fn a_proxys_password_is_shown_nowhere() {
        let proxies = Proxies::new(Some("http://u:hunter2@p.example"), None, NoProxy::default()).unwrap();
        assert!(!format!("{proxies:?}").contains("hunter2"));
        let error = Proxies::new(Some("ftp://u:hunter2@p example"), None, NoProxy::default()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
