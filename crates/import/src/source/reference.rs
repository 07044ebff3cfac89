//! Image references: `oci:DIR[:TAG|@N]`, `oci-archive:FILE[:TAG|@N]`, `docker://HOST/REPOSITORY[:TAG][@DIGEST]`.
//!
//! The path ends at the first colon, as in containers/image, so that `oci:dir:quay.io/x:1` has the tag `quay.io/x:1`.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{error::ImportError, registry::RegistryReference};

/// Which of a layout's images is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The only one there is.
    Only,
    /// The one with this tag (annotation `org.opencontainers.image.ref.name`).
    Tag(String),
    /// The one at this place in the index, counted from 0.
    Index(usize),
}

/// Where an image is, as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reference {
    /// `oci:DIR[:TAG|@N]`: an OCI layout in a directory.
    Layout {
        /// The directory.
        path: PathBuf,
        /// Which image of it.
        choice: Choice,
    },
    /// `oci-archive:FILE[:TAG|@N]`: a tar of an OCI layout.
    Archive {
        /// The tar.
        path: PathBuf,
        /// Which image of it.
        choice: Choice,
    },
    /// `docker://…` or `oci://…`: an image in a registry.
    Registry(RegistryReference),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, choice) = match self {
            Self::Layout { path, choice } => ("oci", path, choice),
            Self::Archive { path, choice } => ("oci-archive", path, choice),
            Self::Registry(registry) => return registry.fmt(f),
        };
        write!(f, "{transport}:{}", path.display())?;
        match choice {
            Choice::Only => Ok(()),
            Choice::Tag(tag) => write!(f, ":{tag}"),
            Choice::Index(index) => write!(f, ":@{index}"),
        }
    }
}

impl FromStr for Reference {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse =
            |reason: &str| ImportError::Reference { text: text.to_owned(), reason: reason.to_owned() };
        if text.starts_with("docker://") || text.starts_with("oci://") {
            return text.parse().map(Self::Registry);
        }
        let (transport, rest) = text.split_once(':').ok_or_else(|| refuse(&no_transport(text)))?;
        let (path, choice) = match rest.split_once(':') {
            None => (rest, Choice::Only),
            Some((path, choice)) => (path, parse_choice(choice).map_err(refuse)?),
        };
        if path.is_empty() {
            return Err(refuse("the path is empty"));
        }
        let path = PathBuf::from(path);
        match transport {
            "oci" => Ok(Self::Layout { path, choice }),
            "oci-archive" => Ok(Self::Archive { path, choice }),
            "docker" => Err(refuse("a registry is written with two slashes, docker://HOST/REPOSITORY")),
            _ => Err(refuse(&no_transport(text))),
        }
    }
}

/// What to write instead of a bare name, which might mean anything: a name of Docker Hub, of another registry, a folder.
fn no_transport(text: &str) -> String {
    let is_host =
        text.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost");
    let guess =
        if is_host { format!("docker://{text}") } else { format!("docker://docker.io/library/{text}") };
    match guess.parse::<RegistryReference>() {
        Ok(_) => {
            format!("it does not say where the image is; for a registry write {guess}, for a folder oci:DIR")
        }
        Err(_) => "it begins with none of docker://, oci://, oci:, oci-archive:".to_owned(),
    }
}

fn parse_choice(text: &str) -> Result<Choice, &'static str> {
    if let Some(index) = text.strip_prefix('@') {
        return index.parse().map(Choice::Index).map_err(|_| "what follows @ has to be a number");
    }
    // image-spec, annotations.md: alphanumerics with separators -._:@/+ between them.
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:@/+".contains(c);
    if text.is_empty() {
        Err("the tag is empty")
    } else if text.len() > 4096 || !text.chars().all(allowed) {
        Err("a tag has letters, digits and the signs -._:@/+ only")
    } else {
        Ok(Choice::Tag(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(path: &str, choice: Choice) -> Reference {
        Reference::Layout { path: path.into(), choice }
    }

    #[test]
    fn the_path_ends_at_the_first_colon() {
        assert_eq!("oci:dir".parse::<Reference>().unwrap(), layout("dir", Choice::Only));
        assert_eq!(
            "oci:/a b/dir:quay.io/x:1".parse::<Reference>().unwrap(),
            layout("/a b/dir", Choice::Tag("quay.io/x:1".to_owned()))
        );
        assert_eq!("oci:dir:@3".parse::<Reference>().unwrap(), layout("dir", Choice::Index(3)));
        let archive = "oci-archive:x.tar:v1".parse::<Reference>().unwrap();
        assert_eq!(
            archive,
            Reference::Archive { path: "x.tar".into(), choice: Choice::Tag("v1".to_owned()) }
        );
    }

    #[test]
    fn a_reference_prints_as_it_was_written() {
        for text in ["oci:dir", "oci:dir:v1", "oci-archive:a.tar:@0"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bare_name_is_refused_with_what_to_write() {
        for (bare, hint) in [
            ("debian", "docker://docker.io/library/debian"),
            ("debian:12", "docker://docker.io/library/debian:12"),
            ("quay.io/a/b:1", "docker://quay.io/a/b:1"),
            ("localhost:5000/a", "docker://localhost:5000/a"),
        ] {
            let refusal = bare.parse::<Reference>().unwrap_err().to_string();
            assert!(refusal.contains(hint), "{refusal}");
        }
        assert!("docker:debian".parse::<Reference>().unwrap_err().to_string().contains("two slashes"));
    }

    #[test]
    fn two_slashes_name_a_registry_and_none_a_folder() {
        assert!(matches!("oci://quay.io/a".parse(), Ok(Reference::Registry(_))));
        assert!(matches!("docker://quay.io/a".parse(), Ok(Reference::Registry(_))));
        assert!(matches!("oci:/quay.io/a".parse(), Ok(Reference::Layout { .. })));
    }

    #[test]
    fn what_is_no_reference_is_refused_with_a_reason() {
        for bad in
            ["", "debian", "docker:debian", "oci:", "oci::tag", "oci:dir:", "oci:dir:@x", "oci:dir:a b"]
        {
            assert!(matches!(bad.parse::<Reference>(), Err(ImportError::Reference { .. })), "{bad}");
        }
    }
}
