//! [`RegistryReference`]: an image in a registry, `docker://HOST/REPOSITORY[:TAG][@DIGEST]`.
//!
//! The grammar is that of distribution/reference. `docker://` completes names as Docker does (`debian` is
//! `docker.io/library/debian`); `oci://`, the spelling of Ironic (`OpenStack`), names its host always, and may have an empty tag
//! before a digest. With a tag and a digest the digest decides, and the tag is a label. Anything else is refused with
//! what to write instead: an image's name is never guessed.

use std::{fmt, str::FromStr};

use super::RegistryHost;
use crate::{Digest, error::ImportError};

/// The most bytes of a host and repository together (distribution/reference).
const NAME_BYTES: usize = 255;

/// The most bytes of a tag.
const TAG_BYTES: usize = 128;

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryReference {
    host: RegistryHost,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl RegistryReference {
    /// The registry.
    #[must_use]
    pub const fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// The repository within it: `library/debian`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; a label only, if there is a digest. `latest` if neither was written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest or index.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Reads what follows `docker://`.
    pub(crate) fn parse_docker(text: &str) -> Result<Self, String> {
        let (name, tag, digest) = split(text)?;
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if is_host(host) => (host, rest.to_owned()),
            None if is_host(name) => {
                return Err(format!(
                    "{name:?} looks like a registry without a repository; \
                     if it is a name on Docker Hub, write docker://docker.io/library/{text}"
                ));
            }
            _ => ("docker.io", name.to_owned()),
        };
        Self::new(host, repository, tag, digest)
    }

    /// Reads what follows `oci://`.
    pub(crate) fn parse_oci(text: &str) -> Result<Self, String> {
        // Ironic writes `oci://host/name:@sha256:…` for a digest without a tag.
        let text = text.replacen(":@", "@", 1);
        let (name, tag, digest) = split(&text)?;
        match name.split_once('/') {
            Some((host, repository)) if is_host(host) => Self::new(host, repository.to_owned(), tag, digest),
            _ => {
                Err("oci:// names a registry, HOST/REPOSITORY; a folder in OCI layout is oci:DIR".to_owned())
            }
        }
    }

    fn new(
        host: &str,
        repository: String,
        tag: Option<&str>,
        digest: Option<Digest>,
    ) -> Result<Self, String> {
        // Docker Hub has two names, and official images that are written without a folder.
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let is_official = host == "docker.io" && !repository.contains('/');
        let repository = if is_official { format!("library/{repository}") } else { repository };
        let host: RegistryHost = host.parse()?;
        if host.as_str().len() + 1 + repository.len() > NAME_BYTES {
            return Err(format!("its name is longer than {NAME_BYTES} bytes"));
        }
        check_repository(&repository)?;
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(check_tag(tag)?),
            (None, Some(_)) => None,
            (None, None) => Some("latest".to_owned()),
        };
        Ok(Self { host, repository, tag, digest })
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker://{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for RegistryReference {
    type Err = ImportError;

    /// Reads a reference with its transport, `docker://…` or `oci://…`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = if let Some(rest) = text.strip_prefix("docker://") {
            Self::parse_docker(rest)
        } else if let Some(rest) = text.strip_prefix("oci://") {
            Self::parse_oci(rest)
        } else {
            Err("expected docker://HOST/REPOSITORY[:TAG][@DIGEST]".to_owned())
        };
        parsed.map_err(|reason| ImportError::Reference { text: text.to_owned(), reason })
    }
}

/// Name, tag and digest, the first two as they stand there.
fn split(text: &str) -> Result<(&str, Option<&str>, Option<Digest>), String> {
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|error| error.to_string())?)),
    };
    // A colon before the last slash is that of the host's port.
    let path = rest.rfind('/').map_or(0, |slash| slash + 1);
    let colon = rest.get(path..).and_then(|last| last.find(':')).map(|colon| path + colon);
    let (name, tag) = match colon.and_then(|colon| rest.split_at_checked(colon)) {
        Some((name, tag)) => (name, Some(tag.strip_prefix(':').unwrap_or(tag))),
        None => (rest, None),
    };
    if name.is_empty() { Err("it names no repository".to_owned()) } else { Ok((name, tag, digest)) }
}

/// Whether the first part of a name is a host: it has a dot or a port, or is `localhost`.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':', '[']) || part == "localhost"
}

fn check_repository(repository: &str) -> Result<(), String> {
    let is_fine = |component: &str| {
        let bytes = component.as_bytes();
        let is_alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let separators = component.split(|letter: char| letter.is_ascii_alphanumeric());
        component.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
            && is_alphanumeric(bytes.first())
            && is_alphanumeric(bytes.last())
            && separators
                .into_iter()
                .all(|one| matches!(one, "" | "." | "_" | "__") || one.bytes().all(|byte| byte == b'-'))
    };
    match repository.split('/').find(|component| !is_fine(component)) {
        None => Ok(()),
        Some(_) if repository.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Err("a repository's name is in lower case".to_owned())
        }
        Some(component) => Err(format!(
            "{component:?} is no part of a repository's name: lower-case letters and digits, with . _ __ or - between"
        )),
    }
}

fn check_tag(tag: &str) -> Result<String, String> {
    let mut bytes = tag.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest && tag.len() <= TAG_BYTES {
        Ok(tag.to_owned())
    } else {
        Err(format!(
            "a tag has up to {TAG_BYTES} letters, digits and the signs _ . -, and begins with none of the last two"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn shown(text: &str) -> String {
        text.parse::<RegistryReference>().unwrap_or_else(|error| panic!("{error}")).to_string()
    }

    fn refusal(text: &str) -> String {
        text.parse::<RegistryReference>().unwrap_err().to_string()
    }

    #[test]
    fn names_are_completed_as_docker_does_and_default_to_latest() {
        for (written, whole) in [
            ("docker://debian", "docker://docker.io/library/debian:latest"),
            ("docker://debian:12", "docker://docker.io/library/debian:12"),
            ("docker://me/tool", "docker://docker.io/me/tool:latest"),
            ("docker://index.docker.io/debian", "docker://docker.io/library/debian:latest"),
            ("docker://localhost/a", "docker://localhost/a:latest"),
            ("docker://quay.io/a/b__c/d-e--f:v1.2_x", "docker://quay.io/a/b__c/d-e--f:v1.2_x"),
            ("docker://[::1]:5000/a/b:1", "docker://[::1]:5000/a/b:1"),
            ("docker://127.0.0.1:5000/a", "docker://127.0.0.1:5000/a:latest"),
        ] {
            assert_eq!(shown(written), whole);
        }
    }

    #[test]
    fn a_digest_decides_and_a_tag_beside_it_is_a_label() {
        let reference: RegistryReference = format!("docker://quay.io/a:v1@{DIGEST}").parse().unwrap();
        assert_eq!(reference.tag(), Some("v1"));
        assert_eq!(reference.digest(), Some(&DIGEST.parse().unwrap()));
        assert_eq!(reference.to_string(), format!("docker://quay.io/a:v1@{DIGEST}"));
        let alone: RegistryReference = format!("docker://quay.io/a@{DIGEST}").parse().unwrap();
        assert_eq!(alone.tag(), None);
    }

    #[test]
    fn ironics_spelling_names_its_host_and_may_have_an_empty_tag() {
        assert_eq!(shown(&format!("oci://quay.io/a/b:@{DIGEST}")), format!("docker://quay.io/a/b@{DIGEST}"));
        assert_eq!(shown("oci://localhost:5000/b:v1"), "docker://localhost:5000/b:v1");
        assert_eq!(shown("oci://index.docker.io/debian:12"), "docker://docker.io/library/debian:12");
        assert!(refusal("oci://debian").contains("names a registry"));
        assert!(refusal("oci://user/container").contains("names a registry"));
    }

    #[test]
    fn what_could_be_a_host_or_a_name_is_refused_with_what_to_write() {
        let hint = refusal("docker://test.com:5000");
        assert!(hint.contains("docker://docker.io/library/test.com:5000"), "{hint}");
        assert!(refusal("docker://localhost:5000").contains("without a repository"));
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        let long = format!("docker://quay.io/{}", "a".repeat(250));
        let tag = format!("docker://quay.io/a:{}", "a".repeat(129));
        for bad in [
            "docker://",
            "docker://quay.io/",
            "docker://quay.io//a",
            "docker://quay.io/a/",
            "docker://quay.io/A",
            "docker://quay.io/a..b",
            "docker://quay.io/a___b",
            "docker://quay.io/-a",
            "docker://quay.io/a-",
            "docker://quay.io/a:",
            "docker://quay.io/a:.b",
            "docker://quay.io/a:b c",
            "docker://quay.io/a/../b",
            "docker://quay.io/a@sha256:12",
            "docker://quay.io/a@md5:d41d8cd98f00b204e9800998ecf8427e",
            "docker://quay.io/a?b",
            "docker://quay.io:99999/a",
            "docker://quay.io:/a",
            "docker://u:p@quay.io/a",
            "docker://[::1/a",
            "docker://[nonsense]/a",
            "docker://-a.b/c",
            "docker://a..b/c",
            "docker:debian",
            "docker://quay.io/a\r\nHost: x",
            &long,
            &tag,
        ] {
            assert!(matches!(bad.parse::<RegistryReference>(), Err(ImportError::Reference { .. })), "{bad}");
        }
    }
}
