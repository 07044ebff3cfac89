//! [`RegistryHost`]: the name and port of a registry, as references, auth files and `certs.d` spell it.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// `HOST[:PORT]`, checked: nothing in it can end a URL's authority early.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryHost(String);

impl RegistryHost {
    /// The text, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the registry answers: Docker Hub does under another name.
    #[must_use]
    pub fn address(&self) -> &str {
        if self.0 == "docker.io" { "registry-1.docker.io" } else { &self.0 }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegistryHost {
    /// The reason.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("{text:?} is no host name with or without a port");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(refuse)?;
                address.parse::<Ipv6Addr>().map_err(|_| refuse())?;
                (None, port.strip_prefix(':').or_else(|| (!port.is_empty()).then_some(port)))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Some(host), Some(port)),
                None => (Some(text), None),
            },
        };
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_port = |port: &str| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
        };
        let is_fine = host.is_none_or(|host| host.split('.').all(is_label)) && port.is_none_or(is_port);
        if is_fine { Ok(Self(text.to_owned())) } else { Err(refuse()) }
    }
}
