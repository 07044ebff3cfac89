//! [`ImageName`] and the rules by which the name in a signature fits it (`signedIdentity`).
//!
//! Invariant: names are compared in their full form: `debian` is `docker.io/library/debian`, and Docker's other host
//! names are `docker.io`.

use std::{fmt, str::FromStr};

use crate::Digest;

/// A name of an image as Docker writes them, in full: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageName {
    /// `HOST[:PORT]/REPOSITORY`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Neither tag nor digest: a repository, not one image.
    pub(super) const fn is_bare(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }
}

impl FromStr for ImageName {
    /// The reason.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| format!("{:?} is no name of an image: {reason}", shorten(text));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| refuse("its digest is malformed"))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse("its tag is malformed"));
        }
        let name = expand(name);
        let (host, path) = name.split_once('/').unwrap_or_default();
        if name.len() > 512 || !is_host(host) || !path.split('/').all(is_component) {
            return Err(refuse("it is not HOST/REPOSITORY"));
        }
        Ok(Self { tag: tag.map(str::to_owned), digest, name })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(160).collect()
}

/// A name with its host, and Docker's `library` where it is left out.
fn expand(name: &str) -> String {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", name),
    };
    let host = if host == "index.docker.io" { "docker.io" } else { host };
    let library = if host == "docker.io" && !path.contains('/') { "library/" } else { "" };
    format!("{host}/{library}{path}")
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c))
}

fn is_component(component: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    component.starts_with(|c: char| c.is_ascii_alphanumeric()) && component.chars().all(allowed)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || "-.".contains(c))
}

/// `signedIdentity`: which names in a signature are good for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdentityRule {
    /// `matchExact`: the same name with the same tag or digest.
    Exact,
    /// `matchRepoDigestOrExact`, the default: exact for a tag; the repository for a digest, which names the content.
    RepoDigestOrExact,
    /// `matchRepository`.
    Repository,
    /// `exactReference`: this name, whatever the image is called.
    ThisReference(ImageName),
    /// `exactRepository`.
    ThisRepository(ImageName),
    /// `remapIdentity`: as the default, with a prefix of the image's name replaced.
    Remap { prefix: String, signed_prefix: String },
}

impl IdentityRule {
    pub(super) fn accepts(&self, image: &ImageName, signed: &ImageName) -> bool {
        match self {
            Self::Exact => !image.is_bare() && image == signed,
            Self::RepoDigestOrExact => fits(image, signed),
            Self::Repository => image.name == signed.name,
            Self::ThisReference(name) => name == signed,
            Self::ThisRepository(name) => name.name == signed.name,
            Self::Remap { prefix, signed_prefix } => {
                let name = match image.name.strip_prefix(prefix.as_str()) {
                    Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                        format!("{signed_prefix}{rest}")
                    }
                    _ => image.name.clone(),
                };
                fits(&ImageName { name, ..image.clone() }, signed)
            }
        }
    }
}

/// An image that is fetched by its digest is what its manifest says, whatever tag stands beside it.
fn fits(image: &ImageName, signed: &ImageName) -> bool {
    match (&image.digest, &image.tag) {
        (Some(_), _) => image.name == signed.name,
        (None, Some(_)) => image == signed,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().unwrap()
    }

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_name_is_expanded_as_docker_does() {
        for (text, full) in [
            ("debian", "docker.io/library/debian"),
            ("debian:12", "docker.io/library/debian:12"),
            ("user/image", "docker.io/user/image"),
            ("index.docker.io/library/debian", "docker.io/library/debian"),
            ("localhost/x", "localhost/x"),
            ("a.io:5000/x/y:tag", "a.io:5000/x/y:tag"),
            ("[::1]:5000/x", "[::1]:5000/x"),
        ] {
            assert_eq!(name(text).to_string(), full);
        }
        assert_eq!(name(&format!("a.io/x:t@{DIGEST}")).to_string(), format!("a.io/x:t@{DIGEST}"));
        for bad in [
            "",
            "a.io/",
            "a.io/X",
            "a.io//x",
            "a.io/../x",
            "a.io/x:",
            "a.io/x@sha256:ab",
            "a b/x",
            "a.io/x:a/b:",
        ] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn identities_fit_as_the_man_page_says() {
        let by_digest = format!("a.io/x@{DIGEST}");
        let remap = IdentityRule::Remap { prefix: "m.io/v".into(), signed_prefix: "vendor.io".into() };
        for (rule, image, signed, accepted) in [
            (&IdentityRule::Exact, "a.io/x:1", "a.io/x:1", true),
            (&IdentityRule::Exact, "a.io/x:1", "a.io/x:2", false),
            (&IdentityRule::Exact, "a.io/x", "a.io/x", false),
            (&IdentityRule::Exact, &by_digest, "a.io/x:1", false),
            (&IdentityRule::RepoDigestOrExact, "a.io/x:1", "a.io/x:1", true),
            (&IdentityRule::RepoDigestOrExact, "a.io/x:1", "a.io/x", false),
            (&IdentityRule::RepoDigestOrExact, "a.io/x:1", "a.io/y:1", false),
            (&IdentityRule::RepoDigestOrExact, &by_digest, "a.io/x:1", true),
            (&IdentityRule::RepoDigestOrExact, &by_digest, "a.io/y:1", false),
            (&IdentityRule::Repository, "a.io/x:1", "a.io/x", true),
            (&IdentityRule::Repository, "a.io/x:1", "b.io/x", false),
            (&IdentityRule::ThisReference(name("v.io/x:1")), "a.io/y:7", "v.io/x:1", true),
            (&IdentityRule::ThisReference(name("v.io/x:1")), "v.io/x:1", "v.io/x:2", false),
            (&IdentityRule::ThisRepository(name("v.io/x")), "a.io/y:7", "v.io/x:2", true),
            (&IdentityRule::ThisRepository(name("v.io/x")), "a.io/y:7", "v.io/xx:2", false),
            (&remap, "m.io/v/p/x:1", "vendor.io/p/x:1", true),
            (&remap, "m.io/v/p/x:1", "m.io/v/p/x:1", false),
            (&remap, "m.io/vv/x:1", "m.io/vv/x:1", true),
        ] {
            assert_eq!(rule.accepts(&name(image), &name(signed)), accepted, "{rule:?} {image} {signed}");
        }
    }
}
