//! `images.json`: the images of a containers-storage, and which of them a text means.
//!
//! Source of the format: containers/storage, `images.go`; of the lookup: containers/image, `storage/storage_transport.go`.

use serde::Deserialize;

use super::{StorageReference, is_id};
use crate::{
    error::{ImportError, Result, few},
    registry::config::ImageName,
};

/// The fewest digits of an id that are taken for one.
const SHORTEST_ID: usize = 3;

/// What `images.json` says.
#[derive(Clone, Debug)]
pub struct StorageImages(Vec<StorageImage>);

/// One image of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StorageImage {
    pub(super) id: String,
    /// In full: `localhost/os:1`.
    #[serde(default)]
    names: Option<Vec<String>>,
    /// The topmost layer.
    #[serde(default)]
    pub(super) layer: Option<String>,
}

/// What a text found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The image.
    pub image: &'a StorageImage,
    /// It was asked for by its id, so that it has to have that id.
    pub is_by_id: bool,
    /// The name that it was asked for by, in full.
    pub name: Option<String>,
}

impl StorageImages {
    /// Reads an `images.json`.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let images: Vec<StorageImage> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match images.iter().find(|image| !is_id(&image.id)) {
            Some(image) => Err(format!("{:?} is no id", image.id.chars().take(80).collect::<String>())),
            None => Ok(Self(images)),
        }
    }

    /// The image that a reference means: by its id or the beginning of it, or by its name, completed as podman does it.
    ///
    /// # Errors
    /// [`ImportError::Missing`] or [`ImportError::Ambiguous`], with what there is.
    pub fn find(&self, reference: &StorageReference) -> Result<Found<'_>> {
        let text = reference.image();
        let (name, id) = match text.rsplit_once('@') {
            // A digest has a colon, and belongs to the name.
            Some((name, id)) if !id.contains(':') => (name, id),
            _ => ("", text),
        };
        let by_id = self.with_id(id);
        let (mut full, mut found) = (None, by_id.clone());
        if !name.is_empty() {
            (full, found) = self.with_name(name);
            found.retain(|image| by_id.contains(image));
        } else if by_id.is_empty() {
            (full, found) = self.with_name(text);
        }
        match found.as_slice() {
            [image] => Ok(Found { image, is_by_id: !by_id.is_empty(), name: full }),
            [] => Err(self.missing(reference)),
            several => {
                let choices = few(several.iter().map(|image| image.id.clone()));
                Err(ImportError::Ambiguous { place: reference.to_string(), choices })
            }
        }
    }

    fn with_id(&self, beginning: &str) -> Vec<&StorageImage> {
        let fits = |image: &&StorageImage| is_beginning(beginning) && image.id.starts_with(beginning);
        self.0.iter().filter(fits).collect()
    }

    /// Those with the first of the names that a short one may stand for, and that name.
    fn with_name(&self, name: &str) -> (Option<String>, Vec<&StorageImage>) {
        for full in full_names(name) {
            let has = |image: &&StorageImage| image.names.iter().flatten().any(|own| *own == full);
            let found: Vec<_> = self.0.iter().filter(has).collect();
            if !found.is_empty() {
                return (Some(full), found);
            }
        }
        (None, Vec::new())
    }

    fn missing(&self, reference: &StorageReference) -> ImportError {
        let names = self.0.iter().flat_map(|image| image.names.iter().flatten().cloned());
        let what = format!("image {:?} (it has: {})", reference.image(), few(names).join(", "));
        ImportError::Missing { what, place: reference.to_string() }
    }
}

fn is_beginning(text: &str) -> bool {
    text.len() >= SHORTEST_ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A name in full: on Docker Hub, as containers/image completes it, or made here, as podman calls what it builds.
fn full_names(name: &str) -> Vec<String> {
    let completed = [name.to_owned(), format!("localhost/{name}")];
    let full = |name: &String| {
        let parsed: ImageName = name.parse().ok()?;
        let full = parsed.to_string();
        Some(if full == parsed.name() { format!("{full}:latest") } else { full })
    };
    completed.iter().filter_map(full).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[
        {"id":"aaaa1111","names":["docker.io/library/debian:12","localhost/os:latest"],"layer":"l1"},
        {"id":"aaaa2222","names":["localhost/debian:12","quay.io/x/y@sha256:00"],"metadata":"{}"},
        {"id":"bbbb3333","names":null},
        {"id":"cafe4444","names":["localhost/cafe5:latest"]},
        {"id":"dddd5555","names":["localhost/twice:1"]},
        {"id":"dddd6666","names":["localhost/twice:1"]}
    ]"#;

    fn find(text: &str) -> Result<(String, bool)> {
        let images = StorageImages::parse(TEXT.as_bytes()).unwrap();
        let found = images.find(&text.parse().unwrap())?;
        Ok((found.image.id.clone(), found.is_by_id))
    }

    #[test]
    fn an_image_is_found_by_its_id_the_beginning_of_it_and_its_names() {
        for (text, id, is_by_id) in [
            ("aaaa1111", "aaaa1111", true),
            ("bbb", "bbbb3333", true),
            ("@bbbb", "bbbb3333", true),
            ("debian:12@aaaa1", "aaaa1111", true),
            ("debian:12", "aaaa1111", false),
            ("library/debian:12", "aaaa1111", false),
            ("localhost/debian:12", "aaaa2222", false),
            ("os", "aaaa1111", false),
            ("localhost/os", "aaaa1111", false),
            ("cafe5", "cafe4444", false),
        ] {
            assert_eq!(find(text).unwrap(), (id.to_owned(), is_by_id), "{text}");
        }
    }

    #[test]
    fn what_fits_nothing_or_several_is_refused_with_what_there_is() {
        for text in ["nothing", "aa", "eee", "debian", "localhost/os:2", "os@bbbb3333", "library/os", "@"] {
            let error = find(text).unwrap_err();
            assert!(matches!(error, ImportError::Missing { .. }), "{text}: {error}");
            assert!(error.to_string().contains("localhost/os:latest"), "{error}");
        }
        for text in ["aaaa", "ddd", "twice:1"] {
            assert!(matches!(find(text), Err(ImportError::Ambiguous { .. })), "{text}");
        }
    }

    #[test]
    fn ids_that_could_be_paths_are_refused() {
        for id in ["", "..", "../x", "a/b", "a.b", &"a".repeat(129)] {
            let text = format!(r#"[{{"id":{id:?}}}]"#);
            assert!(StorageImages::parse(text.as_bytes()).unwrap_err().contains("no id"), "{id}");
        }
        for bad in ["{}", "[{}]", "[[", "[{\"id\":1}]"] {
            assert!(StorageImages::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
