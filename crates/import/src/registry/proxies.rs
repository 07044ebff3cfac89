//! [`Proxies`]: which proxy a URL is reached through, if any.
//!
//! What lives here: explicit settings. What does not: the environment; the command reads `HTTPS_PROXY` and its like.
//! Hosts that need no proxy are written as in `NO_PROXY` of Go and curl: `*`, a name with all below it, `.name` for what
//! is below it alone, an address, a network in CIDR, each with or without a port. This machine itself needs none, ever.

use std::{fmt, net::IpAddr};

use ureq::{Proxy, http::Uri};

use super::origin::is_https;
use crate::error::{ImportError, Result};

/// The proxies, and who is reached without one.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Network { address: IpAddr, bits: u32, port: Option<u16> },
    Domain { name: String, itself: bool, port: Option<u16> },
}

impl Proxies {
    /// Proxies for `http://` and for `https://` URLs, each `[http://|https://|socks5://][USER:PASSWORD@]HOST[:PORT]`, and
    /// the hosts that are reached without, divided by commas.
    ///
    /// # Errors
    /// When a proxy is no such URL. It is not repeated in the error: it may have a password.
    pub fn new(http: Option<&str>, https: Option<&str>, exceptions: &str) -> Result<Self> {
        let parse = |kind: &str, text: Option<&str>| {
            text.filter(|text| !text.is_empty())
                .map(Proxy::new)
                .transpose()
                .map_err(|_| ImportError::config(format!("the proxy for {kind}"), "it is no URL of a proxy"))
        };
        Ok(Self {
            http: parse("http", http)?,
            https: parse("https", https)?,
            exceptions: exceptions.split(',').filter_map(|text| Exception::parse(text.trim())).collect(),
        })
    }

    /// The proxy for a URL.
    pub(super) fn of(&self, url: &Uri) -> Option<&Proxy> {
        let https = is_https(url);
        let proxy = if https { &self.https } else { &self.http }.as_ref()?;
        let host = url.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let is_excepted = self.exceptions.iter().any(|exception| exception.covers(&host, address, port));
        (!is_here && !is_excepted).then_some(proxy)
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

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits: u32 = bits.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network { address, bits, port: None });
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Self::Network {
                address,
                bits: if address.is_ipv4() { 32 } else { 128 },
                port: None,
            });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Self::Network { address, bits: if address.is_ipv4() { 32 } else { 128 }, port });
        }
        let name = name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase();
        let below = name.strip_prefix('.');
        let itself = below.is_none();
        let name = below.map_or_else(|| name.clone(), str::to_owned);
        (!name.is_empty()).then_some(Self::Domain { name, itself, port })
    }

    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Network { address: network, bits, port: wanted } => {
                wanted.is_none_or(|wanted| wanted == port)
                    && address.is_some_and(|address| shares(address, *network, *bits))
            }
            Self::Domain { name, itself, port: wanted } => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|front| front.ends_with('.'));
                wanted.is_none_or(|wanted| wanted == port) && (below || (*itself && host == name))
            }
        }
    }
}

/// Whether the first bits of two addresses are the same.
fn shares(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let differ = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => u128::from(one.to_bits() ^ other.to_bits()) << 96,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() ^ other.to_bits(),
        _ => return false,
    };
    differ.leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(exceptions: &str, url: &str) -> Option<String> {
        let proxies =
            Proxies::new(Some("http://plain.example:3128"), Some("secure.example"), exceptions).unwrap();
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
    fn exceptions_are_names_addresses_and_networks() {
        for (exceptions, url, is_direct) in [
            ("*", "https://a.example/", true),
            ("example", "https://a.example/", true),
            ("a.example", "https://a.example/", true),
            ("A.Example", "https://a.example/", true),
            (".example", "https://a.example/", true),
            (".a.example", "https://a.example/", false),
            ("*.example", "https://a.example/", true),
            ("ample", "https://a.example/", false),
            ("other, a.example", "https://a.example/", true),
            ("a.example:443", "https://a.example/", true),
            ("a.example:80", "https://a.example/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("192.168.1.7", "https://192.168.1.7:5000/", true),
            ("192.168.1.7:5001", "https://192.168.1.7:5000/", false),
            ("fd00::/16", "https://[fd00::1]/", true),
            ("fd00::/16", "https://[fd01::1]/", false),
            ("0.0.0.0/0", "https://10.1.2.3/", true),
            ("", "https://a.example/", false),
        ] {
            assert_eq!(through(exceptions, url).is_none(), is_direct, "{exceptions} {url}");
        }
    }

    #[test]
    fn a_proxys_password_is_shown_nowhere() {
        let proxies = Proxies::new(Some("http://u:hunter2@p.example"), None, "").unwrap();
        assert!(!format!("{proxies:?}").contains("hunter2"));
        let error = Proxies::new(Some("ftp://u:hunter2@p example"), None, "").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
