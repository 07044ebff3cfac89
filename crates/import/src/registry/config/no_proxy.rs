//! [`NoProxy`]: the hosts that are reached without a proxy, as curl, Go and with them podman read `NO_PROXY`.
//!
//! Rules (Go's `httpproxy`): entries separated by commas; `example.com` covers the domain and those below, `.example.com`
//! and `*.example.com` those below alone; an address, or a block of them (`10.0.0.0/8`), covers addresses; each may end in
//! a port and then covers that alone; `*` covers all. The machine itself never has a proxy. What cannot be read is left
//! out, since the variable is shared by many programs.

use std::net::IpAddr;

/// What `NO_PROXY` says. The default says nothing, so that only the machine itself has no proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<(Hosts, Option<u16>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Address(IpAddr),
    /// The network, and how many of its bits count.
    Block(IpAddr, u8),
    /// In lower case, without a dot in front; whether the domain itself is covered too.
    Domain(String, bool),
}

impl NoProxy {
    /// Reads the variable's value.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { entries: text.split(',').filter_map(|entry| parse_entry(entry.trim())).collect() }
    }

    /// Whether a host (a name or an address, with or without brackets) at a port is reached without a proxy.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let host = unbracket(host).to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let address = host.parse().ok().map(|address: IpAddr| address.to_canonical());
        host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
            || self
                .entries
                .iter()
                .any(|(hosts, only)| only.is_none_or(|only| only == port) && hosts.cover(host, address))
    }
}

impl Hosts {
    fn cover(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Address(own) => address == Some(*own),
            Self::Block(network, bits) => address.is_some_and(|address| is_within(address, *network, *bits)),
            Self::Domain(domain, itself) => match host.strip_suffix(domain.as_str()) {
                Some("") => *itself,
                Some(below) => below.ends_with('.'),
                None => false,
            },
        }
    }
}

fn parse_entry(entry: &str) -> Option<(Hosts, Option<u16>)> {
    let entry = entry.to_ascii_lowercase();
    if entry == "*" {
        return Some((Hosts::All, None));
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let (network, bits) = (network.parse::<IpAddr>().ok()?, bits.parse().ok()?);
        let most = if network.is_ipv4() { 32 } else { 128 };
        return (bits <= most).then_some((Hosts::Block(network, bits), None));
    }
    if let Ok(address) = unbracket(&entry).parse::<IpAddr>() {
        return Some((Hosts::Address(address.to_canonical()), None));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry.as_str(), None),
    };
    if let Ok(address) = unbracket(name).parse::<IpAddr>() {
        return Some((Hosts::Address(address.to_canonical()), port));
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    let domain = name.strip_prefix('.');
    let itself = domain.is_none();
    let domain = domain.unwrap_or(name);
    (!domain.is_empty()).then(|| (Hosts::Domain(domain.to_owned(), itself), port))
}

fn unbracket(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether the first `bits` of an address are those of the network.
fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differing = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits() ^ network.to_bits()).leading_zeros(),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits() ^ network.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_cover_what_go_says() {
        for (entries, host, port, covered) in [
            ("foo.com", "foo.com", 443, true),
            ("foo.com", "bar.foo.com", 443, true),
            ("foo.com", "barfoo.com", 443, false),
            (".y.com", "x.y.com", 443, true),
            (".y.com", "y.com", 443, false),
            ("*.y.com", "x.y.com", 443, true),
            ("*.y.com", "y.com", 443, false),
            ("a.io, FOO.com ,b.io", "Foo.COM", 443, true),
            ("foo.com:80", "foo.com", 443, false),
            ("foo.com:80", "x.foo.com", 80, true),
            ("1.2.3.4", "1.2.3.4", 443, true),
            ("1.2.3.4:80", "1.2.3.4", 443, false),
            ("10.0.0.0/8", "10.9.8.7", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("10.0.0.0/8", "host10.io", 443, false),
            ("10.20.0.0/15", "10.21.3.4", 443, true),
            ("fd00::/8", "[fd12::1]", 443, true),
            ("[fd12::1]:5000", "[fd12::1]", 5000, true),
            ("[fd12::1]:5000", "[fd12::1]", 443, false),
            ("fd12::1", "fd12::1", 443, true),
            ("1.2.3.4", "::ffff:1.2.3.4", 443, true),
            ("*", "anything.io", 443, true),
            ("", "foo.com", 443, false),
            (",, 10.0.0.0/99, a:b:c, :80, .", "foo.com", 80, false),
        ] {
            assert_eq!(NoProxy::parse(entries).covers(host, port), covered, "{entries} {host}:{port}");
        }
    }

    #[test]
    fn the_machine_itself_never_has_a_proxy() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(NoProxy::default().covers(host, 443), "{host}");
        }
        assert!(!NoProxy::default().covers("localhost.evil.io", 443));
    }

    proptest! {
        #[test]
        fn a_block_covers_the_addresses_with_its_first_bits(network: u32, address: u32, bits in 0u8..=32) {
            let text = format!("{}/{bits}", IpAddr::from(network.to_be_bytes()));
            let expected = (0..bits).all(|bit| (network ^ address) >> (31 - bit) & 1 == 0);
            let address = IpAddr::from(address.to_be_bytes());
            prop_assume!(!address.is_loopback());
            prop_assert_eq!(NoProxy::parse(&text).covers(&address.to_string(), 443), expected);
        }

        #[test]
        fn any_text_is_read(text in "[a-z0-9.:/*,\\[\\] é]{0,40}", host in "[a-z0-9.:\\[\\]é]{0,20}") {
            let _ = NoProxy::parse(&text).covers(&host, 443);
        }
    }
}
