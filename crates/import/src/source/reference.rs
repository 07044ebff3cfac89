//! Image references: a transport, a colon, and what the transport makes of the rest.
//!
//! | reference | place |
//! |---|---|
//! | `docker://HOST/REPOSITORY[:TAG][@DIGEST]` | a registry |
//! | `oci:DIR[:TAG\|@N]` | an OCI layout in a directory |
//! | `oci-archive:FILE[:TAG\|@N]` | a tar of one |
//! | `docker-archive:FILE[:NAME\|@N]` | what `docker save` writes |
//! | `dir:DIR` | what `skopeo copy … dir:DIR` writes |
//! | `containers-storage:[DRIVER@ROOT+RUN]IMAGE` | the storage of podman, by id or name |
//! | `tar:FILE` | one layer's tar, as an image of its own |
//!
//! A file's path ends at the first colon, as in containers/image, so that `oci:dir:quay.io/x:1` has the tag `quay.io/x:1`.
//! `-` in the place of a file is the standard input; a file of that name is `./-`.

use std::{fmt, path::PathBuf, str::FromStr};

use super::containers_storage::StorageReference;
use crate::{error::ImportError, registry::RegistryReference};

/// Which of a place's images is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The only one there is.
    Only,
    /// The one with this tag or name.
    Tag(String),
    /// The one at this place in the index, counted from 0.
    Index(usize),
}

/// Where an image is.
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
        /// The tar, or [`STANDARD_INPUT`].
        path: PathBuf,
        /// Which image of it.
        choice: Choice,
    },
    /// `docker-archive:FILE[:NAME|@N]`: a tar with `manifest.json`, as `docker save` writes it.
    DockerArchive {
        /// The tar, or [`STANDARD_INPUT`].
        path: PathBuf,
        /// Which image of it.
        choice: Choice,
    },
    /// `dir:DIR`: a manifest and its blobs in one directory, as skopeo and podman write it.
    Dir {
        /// The directory.
        path: PathBuf,
    },
    /// `tar:FILE`: the tar of one layer.
    Tar {
        /// The tar, or [`STANDARD_INPUT`].
        path: PathBuf,
    },
    /// `containers-storage:[DRIVER@ROOT+RUN]IMAGE`: an image in the storage of podman.
    ContainersStorage(StorageReference),
    /// `docker://…` or `oci://…`: an image in a registry.
    Registry(RegistryReference),
}

/// The path that stands for the standard input.
pub const STANDARD_INPUT: &str = "-";

/// The transports, for whoever wrote none of them.
const TRANSPORTS: &str = "docker://, oci:, oci-archive:, docker-archive:, dir:, containers-storage:, tar:";

impl Reference {
    /// Whether the image comes from the standard input.
    #[must_use]
    pub fn is_standard_input(&self) -> bool {
        match self {
            Self::Archive { path, .. } | Self::DockerArchive { path, .. } | Self::Tar { path } => {
                path.as_os_str() == STANDARD_INPUT
            }
            Self::Layout { .. } | Self::Dir { .. } | Self::ContainersStorage(_) | Self::Registry(_) => false,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, choice) = match self {
            Self::Layout { path, choice } => ("oci", path, choice),
            Self::Archive { path, choice } => ("oci-archive", path, choice),
            Self::DockerArchive { path, choice } => ("docker-archive", path, choice),
            Self::Dir { path } => ("dir", path, &Choice::Only),
            Self::Tar { path } => ("tar", path, &Choice::Only),
            Self::ContainersStorage(storage) => return storage.fmt(f),
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
        if text.starts_with("docker://") || text.starts_with("oci://") {
            return text.parse().map(Self::Registry);
        }
        let (transport, rest) = text.split_once(':').unwrap_or(("", text));
        parse(transport, rest, text)
            .map_err(|reason| ImportError::Reference { text: text.to_owned(), reason })
    }
}

fn parse(transport: &str, rest: &str, text: &str) -> Result<Reference, String> {
    Ok(match transport {
        "oci" => {
            let (path, choice) = path_and_choice(rest)?;
            Reference::Layout { path, choice }
        }
        "oci-archive" => {
            let (path, choice) = path_and_choice(rest)?;
            Reference::Archive { path, choice }
        }
        "docker-archive" => {
            let (path, choice) = path_and_choice(rest)?;
            Reference::DockerArchive { path, choice }
        }
        "dir" => Reference::Dir { path: whole_path(rest)? },
        "containers-storage" => Reference::ContainersStorage(rest.parse()?),
        "tar" => Reference::Tar { path: whole_path(rest)? },
        "docker" => return Err("a registry is written with two slashes, docker://HOST/REPOSITORY".to_owned()),
        _ => return Err(no_transport(text)),
    })
}

/// What to write instead of a bare name, which might mean anything: a name of Docker Hub, of another registry, a folder.
fn no_transport(text: &str) -> String {
    let is_host =
        text.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost");
    let guess =
        if is_host { format!("docker://{text}") } else { format!("docker://docker.io/library/{text}") };
    let is_name = guess.parse::<RegistryReference>().is_ok();
    let hint = if is_name { format!("; for a registry write {guess}") } else { String::new() };
    format!("it does not say where the image is: begin with one of {TRANSPORTS}{hint}")
}

fn path_and_choice(rest: &str) -> Result<(PathBuf, Choice), String> {
    let (path, choice) = match rest.split_once(':') {
        None => (rest, Choice::Only),
        Some((path, choice)) => (path, parse_choice(choice)?),
    };
    Ok((whole_path(path)?, choice))
}

fn whole_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
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
        let archive = Reference::Archive { path: "x.tar".into(), choice: Choice::Tag("v1".to_owned()) };
        assert_eq!("oci-archive:x.tar:v1".parse::<Reference>().unwrap(), archive);
        let archive = Reference::DockerArchive { path: "x".into(), choice: Choice::Tag("a/b:1".to_owned()) };
        assert_eq!("docker-archive:x:a/b:1".parse::<Reference>().unwrap(), archive);
    }

    #[test]
    fn a_place_without_a_choice_is_a_path_to_its_end() {
        assert_eq!("dir:/a:b".parse::<Reference>().unwrap(), Reference::Dir { path: "/a:b".into() });
        assert_eq!("tar:a:b".parse::<Reference>().unwrap(), Reference::Tar { path: "a:b".into() });
    }

    #[test]
    fn a_dash_is_the_standard_input_of_what_is_a_file() {
        for (text, expected) in [
            ("oci-archive:-", true),
            ("docker-archive:-:debian:12", true),
            ("tar:-", true),
            ("tar:./-", false),
            ("oci:-", false),
            ("dir:-", false),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().is_standard_input(), expected, "{text}");
        }
    }

    #[test]
    fn a_reference_prints_as_it_was_written() {
        for text in [
            "oci:dir",
            "oci:dir:v1",
            "oci-archive:a.tar:@0",
            "docker-archive:-:a/b:1",
            "dir:a",
            "tar:-",
            "containers-storage:[vfs@/s]a:1",
        ] {
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
            assert!(refusal.contains(hint) && refusal.contains(TRANSPORTS), "{refusal}");
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
                .into_iter()
                .chain(["dir:", "tar:", "docker-archive::x", "containers-storage:"])
        {
            assert!(matches!(bad.parse::<Reference>(), Err(ImportError::Reference { .. })), "{bad}");
        }
    }
}
