//! Which endpoints a repository has: its mirrors in their order, and itself.
//!
//! The longest prefix wins, and ends where a component of the name ends. Unlike in containers/image, `example.com` does
//! not cover `example.com:5000` (there it does by accident, as its source says); except that what blocks the one blocks
//! the other too, so that nobody's ban is lost.

use super::{Location, MirrorUse, RegistriesConf, Registry};
use crate::{
    error::{ImportError, Result},
    registry::config::Secret,
};

/// A place to pull a repository from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST[:PORT]`.
    pub host: String,
    /// The repository there.
    pub repository: String,
    /// Whether plain HTTP and certificates that nobody vouches for are allowed.
    pub insecure: bool,
    /// A proxy for this endpoint alone: a URL, perhaps with a password.
    pub proxy: Option<Secret>,
    /// Whether it is a mirror: to be tried, and left for the next if it fails.
    pub is_mirror: bool,
}

impl RegistriesConf {
    /// The endpoints of `repository` at `host` (`HOST[:PORT]`), to be tried in this order; never empty, the last is no
    /// mirror. `by_digest`: whether the image is named by digest, with or without a tag.
    ///
    /// # Errors
    /// [`ImportError::Denied`] when it is blocked; [`ImportError::Config`] when a location leaves no name.
    pub fn resolve(&self, host: &str, repository: &str, by_digest: bool) -> Result<Vec<Endpoint>> {
        let name = format!("{host}/{repository}");
        let Some((prefix, registry, covered)) = self.find(host, &name) else {
            let (host, repository) = (host.to_owned(), repository.to_owned());
            return Ok(vec![Endpoint { host, repository, insecure: false, proxy: None, is_mirror: false }]);
        };
        if registry.blocked {
            let reason = format!("{} blocks {prefix:?}", registry.file);
            return Err(ImportError::Denied { what: name, reason });
        }
        let rest = name.get(covered..).unwrap_or_default();
        let mirrors = registry.mirrors.iter().filter(|(_, used)| used.serves(by_digest));
        let mirrors = mirrors.map(|(location, _)| location.endpoint(registry, &name, rest, true));
        mirrors.chain([registry.primary.endpoint(registry, &name, rest, false)]).collect()
    }

    /// The registry with the longest prefix that covers a name, and how much of the name that is.
    fn find(&self, host: &str, name: &str) -> Option<(&str, &Registry, usize)> {
        let portless = without_port(host);
        let portless = format!("{portless}{}", name.get(host.len()..).unwrap_or_default());
        let matching = self.registries.iter().filter_map(|(prefix, registry)| {
            let length =
                covered(prefix, name).or_else(|| covered(prefix, &portless).filter(|_| registry.blocked))?;
            Some((prefix.as_str(), registry, length))
        });
        matching.max_by_key(|(prefix, ..)| prefix.len())
    }
}

impl MirrorUse {
    const fn serves(self, by_digest: bool) -> bool {
        match self {
            Self::All => true,
            Self::DigestOnly => by_digest,
            Self::TagOnly => !by_digest,
        }
    }
}

impl Location {
    /// This location with what follows the prefix.
    fn endpoint(&self, registry: &Registry, name: &str, rest: &str, is_mirror: bool) -> Result<Endpoint> {
        let placed =
            self.name.as_ref().map_or_else(|| name.to_owned(), |location| format!("{location}{rest}"));
        match placed.split_once('/') {
            Some((host, repository)) if !host.is_empty() && !repository.is_empty() => Ok(Endpoint {
                host: host.to_owned(),
                repository: repository.to_owned(),
                insecure: self.insecure,
                proxy: self.proxy.clone(),
                is_mirror,
            }),
            _ => Err(ImportError::config(
                &registry.file,
                format!("it puts {name:?} at {placed:?}, which is no repository"),
            )),
        }
    }
}

/// How many bytes of a name a prefix covers, if it does.
fn covered(prefix: &str, name: &str) -> Option<usize> {
    let Some(domain) = prefix.strip_prefix('*') else {
        let rest = name.strip_prefix(prefix)?;
        return (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len());
    };
    // `*.example.com` covers hosts below the domain, with any port, and never the domain itself.
    let host = name.split('/').next().map(without_port)?;
    (host.len() > domain.len() && host.ends_with(domain)).then_some(host.len())
}

/// A host without its port; a colon within the brackets of an IPv6 address begins none.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}
