//! [`StorageReference`]: `containers-storage:[DRIVER@ROOT+RUN]IMAGE`, in the grammar of containers/image.
//!
//! Only what reading needs is kept: `RUN`, where podman keeps what a reboot may take, is checked and left out. Options
//! (`[…:OPTIONS]`) are refused, since they could name other folders to look in.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The most bytes of an image's name: its host, repository, tag and digest.
const IMAGE_BYTES: usize = 512;

/// How a containers-storage keeps the files of its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StorageDriver {
    /// `overlay`: each layer's own files in `overlay/ID/diff`.
    Overlay,
    /// `vfs`: each layer with all below it in `vfs/dir/ID`.
    Vfs,
}

impl StorageDriver {
    /// All of them, those first that are looked for first.
    pub(super) const ALL: [Self; 2] = [Self::Overlay, Self::Vfs];

    /// Its name: `overlay`, `vfs`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }

    /// Where a layer's files are, below the storage's folder.
    pub(super) fn files(self, layer: &str) -> String {
        match self {
            Self::Overlay => format!("overlay/{layer}/diff"),
            Self::Vfs => format!("vfs/dir/{layer}"),
        }
    }
}

/// An image in a containers-storage, that of podman, buildah, CRI-O.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StorageReference {
    pub(super) driver: Option<StorageDriver>,
    pub(super) root: Option<PathBuf>,
    pub(super) image: String,
}

impl StorageReference {
    /// The driver, if it was written: else the first that the folder has.
    #[must_use]
    pub const fn driver(&self) -> Option<StorageDriver> {
        self.driver
    }

    /// The storage's folder, if it was written.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// An id, the beginning of one, or a name.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }
}

impl FromStr for StorageReference {
    /// The reason.
    type Err = String;

    /// Reads what follows `containers-storage:`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (driver, root, image) = match text.strip_prefix('[') {
            None => (None, None, text),
            Some(rest) => {
                let (place, image) = rest.split_once(']').ok_or("its [ has no ]")?;
                let (driver, root) = parse_place(place)?;
                (driver, Some(root), image)
            }
        };
        if image.is_empty() || image.len() > IMAGE_BYTES || !image.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(format!("an image's id or name has 1 to {IMAGE_BYTES} letters, digits or signs"));
        }
        Ok(Self { driver, root, image: image.to_owned() })
    }
}

/// Reads `[DRIVER@]ROOT[+RUN]`.
fn parse_place(text: &str) -> Result<(Option<StorageDriver>, PathBuf), String> {
    let (driver, folders) = match text.split_once('@') {
        None => (None, text),
        Some((name, folders)) => {
            let known = StorageDriver::ALL.into_iter().find(|driver| driver.name() == name);
            (
                Some(known.ok_or_else(|| format!("of the drivers overlay and vfs are read, not {name:?}"))?),
                folders,
            )
        }
    };
    if folders.contains(':') {
        return Err("options behind the folders are not read: leave them out".to_owned());
    }
    let (root, run) = folders.split_once('+').unwrap_or((folders, "/"));
    if Path::new(root).is_absolute() && Path::new(run).is_absolute() {
        Ok((driver, PathBuf::from(root)))
    } else {
        Err("the folders in [DRIVER@ROOT+RUN] have to begin with /".to_owned())
    }
}

impl fmt::Display for StorageReference {
    /// With its transport.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("containers-storage:")?;
        if let Some(root) = &self.root {
            let at = self.driver.map(|driver| format!("{}@", driver.name())).unwrap_or_default();
            write!(f, "[{at}{}]", root.display())?;
        }
        f.write_str(&self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_containers_image_are_read() {
        let read = |text: &str| text.parse::<StorageReference>().unwrap();
        let whole = read("[overlay@/var/storage+/run/storage]localhost/a:1");
        assert_eq!(whole.driver(), Some(StorageDriver::Overlay));
        assert_eq!(whole.root(), Some(Path::new("/var/storage")));
        assert_eq!(whole.image(), "localhost/a:1");
        assert_eq!(whole.to_string(), "containers-storage:[overlay@/var/storage]localhost/a:1");
        assert_eq!(read("[/var/storage]@0123abc").driver(), None);
        assert_eq!(read("[vfs@/s]a").driver(), Some(StorageDriver::Vfs));
        assert_eq!(read("debian:12").root(), None);
        for text in ["[overlay@/s]a", "[/s]a", "a@sha256:00"] {
            assert_eq!(read(text).to_string(), format!("containers-storage:{text}"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_reason() {
        for (bad, reason) in [
            ("", "1 to 512"),
            ("[overlay@/s]", "1 to 512"),
            ("a b", "1 to 512"),
            ("[overlay@/s", "no ]"),
            ("[btrfs@/s]a", "btrfs"),
            ("[@/s]a", "overlay and vfs"),
            ("[overlay@s]a", "begin with /"),
            ("[overlay@/s+run]a", "begin with /"),
            ("[overlay@/s+/r:overlay.imagestore=/evil]a", "options"),
        ] {
            let refusal = bad.parse::<StorageReference>().unwrap_err();
            assert!(refusal.contains(reason), "{bad}: {refusal}");
        }
    }
}
