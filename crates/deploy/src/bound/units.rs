//! Which images an operating system image binds: the links in its `bound-images.d`, and the units that they lead to.
//!
//! What lives here: bootc's rules, point by point, and quadlet's `Image=NAME.image`, which leads to another unit. What does
//! not: the syntax of units, and what a reference means. Invariant: everything is read in the image's own tree, links
//! resolved inside it, so nothing of the machine is seen.

use sealstone_store::{
    ObjectId, Repository,
    tree::{Content, FileType, InodeId, Tree},
};

use super::{BoundReference, UnitFile};
use crate::DeployError;

/// Where the links are.
const FOLDER: &str = "/usr/lib/bootc/bound-images.d";

/// Where quadlet finds a unit that another names, the first first (podman-systemd.unit(5)).
const QUADLETS: [&str; 2] = ["/etc/containers/systemd", "/usr/share/containers/systemd"];

/// The most symlinks on the way to a unit, as in Linux.
const LINKS_MAX: usize = 40;

/// The most links in the folder: each is an image to fetch.
const UNITS_MAX: usize = 1024;

/// An image that a unit names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundRef {
    /// The link's name: `app.container`.
    pub unit: String,
    /// What the unit names, as it is written there, with `%%` as `%`.
    pub reference: String,
    /// The unit where it is written, if the link's one only names that: `Image=app.image`.
    pub through: Option<String>,
}

impl BoundRef {
    /// The reference, read.
    ///
    /// # Errors
    /// [`DeployError::BoundUnit`] when it names no image that any machine could fetch.
    pub fn parse(&self) -> Result<BoundReference, DeployError> {
        self.reference.parse().map_err(|reason| DeployError::BoundUnit {
            unit: self.unit.clone(),
            reason: format!("Image={}: {reason}", self.reference),
        })
    }
}

/// A link that binds no image, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnitFault {
    /// The link's name; what is no UTF-8 in it is replaced.
    pub unit: String,
    /// What is wrong.
    pub reason: String,
}

impl From<UnitFault> for DeployError {
    fn from(UnitFault { unit, reason }: UnitFault) -> Self {
        Self::BoundUnit { unit, reason }
    }
}

/// Where the contents of an image's files are.
pub(super) trait Contents {
    /// A content of at most `limit` bytes, checked.
    fn read(&self, id: &ObjectId, limit: u64) -> Result<Vec<u8>, DeployError>;
}

impl Contents for Repository {
    fn read(&self, id: &ObjectId, limit: u64) -> Result<Vec<u8>, DeployError> {
        Ok(self.read_object(id, limit)?)
    }
}

/// The images that an image binds, sorted by unit.
///
/// # Errors
/// [`DeployError::BoundUnit`] for the first unit that is wrong, and the store's.
pub fn bound_refs(repository: &Repository, tree: &Tree) -> Result<Vec<BoundRef>, DeployError> {
    bound_units(repository, tree)?.into_iter().map(|unit| unit.map_err(DeployError::from)).collect()
}

/// The same, each unit for itself: for reports.
///
/// # Errors
/// The store's; [`DeployError::TooBig`] for more units than there may be.
pub fn bound_units(
    repository: &Repository,
    tree: &Tree,
) -> Result<Vec<Result<BoundRef, UnitFault>>, DeployError> {
    units_in(repository, tree)
}

/// The same of a tree whose contents are elsewhere.
pub(super) fn units_in(
    contents: &dyn Contents,
    tree: &Tree,
) -> Result<Vec<Result<BoundRef, UnitFault>>, DeployError> {
    let Ok(folder) = tree.resolve(FOLDER.as_bytes()) else { return Ok(Vec::new()) };
    if tree.file_type(folder) != FileType::Directory {
        let fault = UnitFault { unit: FOLDER.to_owned(), reason: "it is no folder".to_owned() };
        return Ok(vec![Err(fault)]);
    }
    let entries = tree.entries(folder);
    if entries.len() > UNITS_MAX {
        let (what, size) = (format!("number of units in {FOLDER}"), entries.len() as u64);
        return Err(DeployError::TooBig { what, size, limit: UNITS_MAX as u64 });
    }
    let reader = Reader { contents, tree };
    entries
        .map(|(name, inode)| {
            let unit = String::from_utf8_lossy(name).into_owned();
            match reader.link(name, inode)? {
                Ok((reference, through)) => Ok(Ok(BoundRef { unit, reference, through })),
                Err(reason) => Ok(Err(UnitFault { unit, reason })),
            }
        })
        .collect()
}

/// What a unit's name says of its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Container,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')? {
            ("", _) => None,
            (_, "image") => Some(Self::Image),
            (_, "container") => Some(Self::Container),
            _ => None,
        }
    }

    const fn section(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Container => "Container",
        }
    }
}

struct Reader<'a> {
    contents: &'a dyn Contents,
    tree: &'a Tree,
}

/// A reason is the unit's fault, an error the store's.
type Outcome<T> = Result<Result<T, String>, DeployError>;

impl Reader<'_> {
    /// The reference that a link of the folder leads to, and through which other unit.
    fn link(&self, name: &[u8], inode: InodeId) -> Outcome<(String, Option<String>)> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(Err("its name is not UTF-8".to_owned())) };
        if self.tree.file_type(inode) != FileType::Symlink {
            return Ok(Err("it is not a symlink".to_owned()));
        }
        // The link's name decides what the file is, not the file's.
        let Some(kind) = Kind::of(name) else {
            return Ok(Err("its name ends with neither .image nor .container".to_owned()));
        };
        let path = match self.follow(format!("{FOLDER}/{name}").into_bytes()) {
            Ok(path) => path,
            Err(reason) => return Ok(Err(reason)),
        };
        let value = match self.value(&path, kind)? {
            Ok(value) => value,
            Err(reason) => return Ok(Err(reason)),
        };
        if kind == Kind::Container && Kind::of(&value) == Some(Kind::Image) && !value.contains('/') {
            let reference = self.indirect(&value, &path)?;
            return Ok(reference.map(|reference| (reference, Some(value))));
        }
        Ok(Ok((value, None)))
    }

    /// The path of the file that a path leads to, the last link followed by hand so that its folder is known.
    fn follow(&self, mut path: Vec<u8>) -> Result<Vec<u8>, String> {
        for _ in 0..LINKS_MAX {
            let shown = || String::from_utf8_lossy(&path).into_owned();
            let inode = self
                .tree
                .resolve_no_follow(&path)
                .map_err(|_| format!("it leads to {}, which is not there", shown()))?;
            match self.tree.content(inode) {
                Content::Symlink(target) if target.starts_with(b"/") => path = target.to_vec(),
                Content::Symlink(target) => path = [parent(&path), b"/", target].concat(),
                Content::Inline(_) | Content::External { .. } => return Ok(path),
                _ => return Err(format!("it leads to {}, which is no file", shown())),
            }
        }
        Err("its links lead in a circle".to_owned())
    }

    /// `Image=` of a unit file.
    fn value(&self, path: &[u8], kind: Kind) -> Outcome<String> {
        let bytes = match self.read(path)? {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(Err(reason)),
        };
        Ok(UnitFile::parse(&bytes).and_then(|file| {
            if kind == Kind::Image && file.has("Image", "AuthFile") {
                return Err("AuthFile= is not for bound images: credentials are the machine's".to_owned());
            }
            let section = kind.section();
            let value =
                file.get(section, "Image").ok_or_else(|| format!("it has no Image= in [{section}]"))?;
            without_specifiers(value)
        }))
    }

    fn read(&self, path: &[u8]) -> Outcome<Vec<u8>> {
        let Ok(inode) = self.tree.resolve(path) else { return Ok(Err("its file is not there".to_owned())) };
        match self.tree.content(inode) {
            Content::Inline(bytes) => Ok(Ok(bytes.to_vec())),
            Content::External { size, .. } if size > UnitFile::BYTES_MAX => {
                Ok(Err(format!("its file has more than {} bytes", UnitFile::BYTES_MAX)))
            }
            Content::External { object, .. } => Ok(Ok(self.contents.read(&object, UnitFile::BYTES_MAX)?)),
            _ => Ok(Err("it leads to no file".to_owned())),
        }
    }

    /// `Image=NAME.image` of a container: the unit of that name, where quadlet looks for it, else beside the container's.
    fn indirect(&self, name: &str, container: &[u8]) -> Outcome<String> {
        let places = QUADLETS.iter().map(|place| place.as_bytes()).chain([parent(container)]);
        for place in places {
            let path = [place, b"/", name.as_bytes()].concat();
            let Ok(path) = self.follow(path) else { continue };
            let value = match self.value(&path, Kind::Image)? {
                Ok(value) => value,
                Err(reason) => return Ok(Err(format!("Image={name}: {reason}"))),
            };
            if Kind::of(&value) == Some(Kind::Image) && !value.contains('/') {
                return Ok(Err(format!("Image={name}: it names a unit again, {value}")));
            }
            return Ok(Ok(value));
        }
        Ok(Err(format!("Image={name}: there is no unit of that name")))
    }
}

/// The folder of a path.
fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    path.get(..slash).unwrap_or_default()
}

/// `%%` is a percent sign; any other specifier would mean something else on each machine.
fn without_specifiers(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            match letters.next() {
                Some('%') => {}
                Some(other) => {
                    return Err(format!("Image={value}: the specifier %{other} is not for bound images"));
                }
                None => return Err(format!("Image={value}: it ends with a lone %")),
            }
        }
        plain.push(letter);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests;
