//! `manifest.json` of a docker-archive: the images in it, and which of them a choice means.
//!
//! Source of the format: moby's `image/spec/v1.2.md`, "Combined Image JSON + Filesystem Changeset Format".

use serde::Deserialize;

use super::Choice;
use crate::{
    error::{ImportError, Result, few},
    oci::{Keys, LEAF},
};

/// What `manifest.json` says.
#[derive(Clone, Debug)]
pub struct DockerManifest(Vec<DockerImage>);

/// One image of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DockerImage {
    /// The path of the configuration, in the archive.
    pub config: String,
    /// Its names, as Docker shortens them.
    pub repo_tags: Option<Vec<String>>,
    /// The paths of the layers, lowest first.
    pub layers: Vec<String>,
}

/// The keys that mean something.
const IMAGE: Keys = Keys(&[("Config", LEAF), ("RepoTags", LEAF), ("Layers", LEAF)]);

impl DockerManifest {
    /// Reads a `manifest.json`.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let images = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        IMAGE.check(bytes)?;
        Ok(Self(images))
    }

    /// The image that is meant. `place` names the archive in errors.
    ///
    /// # Errors
    /// [`ImportError::Missing`] or [`ImportError::Ambiguous`], with what there is.
    pub fn find(&self, choice: &Choice, place: &str) -> Result<&DockerImage> {
        let found = match choice {
            Choice::Only if self.0.len() > 1 => {
                return Err(ImportError::Ambiguous { place: place.to_owned(), choices: self.choices() });
            }
            Choice::Only => self.0.first(),
            Choice::Index(at) => self.0.get(*at),
            Choice::Tag(wanted) => {
                let wanted = full_name(wanted);
                self.0
                    .iter()
                    .find(|image| image.repo_tags.iter().flatten().any(|tag| full_name(tag) == wanted))
            }
        };
        let missing = || {
            let what = match choice {
                Choice::Only => "image".to_owned(),
                Choice::Index(at) => format!("image at @{at} (it has {})", self.0.len()),
                Choice::Tag(wanted) => format!("image {wanted:?} (it has: {})", self.choices().join(", ")),
            };
            ImportError::Missing { what, place: place.to_owned() }
        };
        found.ok_or_else(missing)
    }

    fn choices(&self) -> Vec<String> {
        let names = |(at, image): (usize, &DockerImage)| match image.repo_tags.as_deref() {
            None | Some([]) => vec![format!("@{at}")],
            Some(tags) => tags.to_vec(),
        };
        few(self.0.iter().enumerate().flat_map(names))
    }
}

/// A name without what Docker leaves out of it, registry and `library/`, and with the tag `latest` if it has none.
fn full_name(name: &str) -> String {
    let name =
        name.strip_prefix("index.docker.io/").or_else(|| name.strip_prefix("docker.io/")).unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if has_tag { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_as_docker_has_them() {
        for (short, long) in [
            ("debian", "docker.io/library/debian:latest"),
            ("a/b", "index.docker.io/a/b:latest"),
            ("library/debian:12", "debian:12"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
        ] {
            assert_eq!(full_name(short), full_name(long));
        }
        assert_ne!(full_name("debian:12"), full_name("debian"));
    }

    #[test]
    fn keys_that_go_takes_for_others_are_refused() {
        let text = br#"[{"Config":"a","Layers":["1"],"layers":["2"]}]"#;
        assert!(DockerManifest::parse(text).unwrap_err().contains("layers"));
    }

    #[test]
    fn of_several_images_one_has_to_be_chosen() {
        let text = br#"[{"Config":"a","RepoTags":["x:1","y:1"],"Layers":[]},{"Config":"b","RepoTags":null,"Layers":[]}]"#;
        let manifest = DockerManifest::parse(text).unwrap();
        let find = |choice| manifest.find(&choice, "docker-archive:a").map(|image| image.config.clone());
        assert_eq!(find(Choice::Tag("docker.io/library/y:1".to_owned())).unwrap(), "a");
        assert_eq!(find(Choice::Index(1)).unwrap(), "b");
        let error = find(Choice::Only).unwrap_err();
        assert!(error.to_string().ends_with("choose one of: x:1, y:1, @1"), "{error}");
        assert!(matches!(find(Choice::Index(2)), Err(ImportError::Missing { .. })));
        assert!(matches!(find(Choice::Tag("z".to_owned())), Err(ImportError::Missing { .. })));
    }
}
