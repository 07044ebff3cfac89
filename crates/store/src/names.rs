//! Reading names: images, streams and refs, one by one and as lists; and removing refs.
//!
//! A name that is not what the layout says (another file type, another text) is an error that names it, never skipped:
//! gc and everything else that decides by names must not decide by some of them.

use std::{fmt, path::Path};

use crate::{
    Durable, Error, ObjectId, RefName, Repository, Result, StreamName,
    disk::{Dir, DirEntry, FileType},
    error::Optional,
    layout,
};

/// The two folders that have entries and refs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// `images/`
    Images,
    /// `streams/`
    Streams,
}

impl Place {
    /// The name of the folder.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Images => layout::IMAGES,
            Self::Streams => layout::STREAMS,
        }
    }
}

/// What a ref keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefTarget {
    /// The image with this id.
    Image(ObjectId),
    /// The stream with this name.
    Stream(StreamName),
}

impl RefTarget {
    /// The folder that the ref is in.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Image(_) => Place::Images,
            Self::Stream(_) => Place::Streams,
        }
    }

    /// The name of the entry that the ref names.
    pub(crate) fn entry(&self) -> String {
        match self {
            Self::Image(id) => id.to_hex(),
            Self::Stream(name) => name.to_string(),
        }
    }

    fn from_entry(place: Place, entry: &str) -> Option<Self> {
        match place {
            Place::Images => entry.parse().ok().map(Self::Image),
            Place::Streams => entry.parse().ok().map(Self::Stream),
        }
    }
}

impl fmt::Display for RefTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(id) => write!(f, "image {id}"),
            Self::Stream(name) => write!(f, "stream {name}"),
        }
    }
}

fn damaged(dir: &Dir, name: impl AsRef<Path>, reason: &str) -> Error {
    Error::corrupt(dir.label().join(name).display().to_string(), reason)
}

/// The object that an entry of `images/` or `streams/` names.
fn entry_object(folder: &Dir, name: &str) -> Result<ObjectId> {
    let text = folder.read_link(name)?;
    layout::linked_object(&text).ok_or_else(|| damaged(folder, name, "it does not name an object"))
}

impl Repository {
    fn place(&self, place: Place) -> Result<Option<Dir>> {
        self.dir().open_dir(place.folder()).optional()
    }

    /// The object that holds the stream of this name.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Corrupt`] when the name does not name an object.
    pub fn stream(&self, name: &StreamName) -> Result<ObjectId> {
        let missing = || Error::Missing { what: format!("stream {name}") };
        let folder = self.place(Place::Streams)?.ok_or_else(missing)?;
        entry_object(&folder, name.as_str()).optional()?.ok_or_else(missing)
    }

    /// Whether the image has a name: only such may be mounted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when its name names another object.
    pub fn has_image(&self, image: &ObjectId) -> Result<bool> {
        let Some(folder) = self.place(Place::Images)? else { return Ok(false) };
        match entry_object(&folder, &image.to_hex()).optional()? {
            None => Ok(false),
            Some(id) if id == *image => Ok(true),
            Some(_) => Err(damaged(&folder, image.to_hex(), "it names another object")),
        }
    }

    /// All images that have a name, in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a name that is no image's.
    pub fn images(&self) -> Result<Vec<ObjectId>> {
        let entries = self.entries(Place::Images)?;
        let ids = entries.into_iter().map(|(name, id)| {
            let same = name.parse() == Ok(id);
            same.then_some(id)
                .ok_or_else(|| Error::corrupt(format!("image {name}"), "it names another object"))
        });
        let mut ids = ids.collect::<Result<Vec<_>>>()?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// All streams with their objects, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a name that does not name an object.
    pub fn streams(&self) -> Result<Vec<(StreamName, ObjectId)>> {
        let entries = self.entries(Place::Streams)?;
        let mut streams =
            entries.into_iter().map(|(name, id)| Ok((name.parse()?, id))).collect::<Result<Vec<_>>>()?;
        streams.sort_unstable();
        Ok(streams)
    }

    /// The entries of a folder, as they are named.
    pub(crate) fn entries(&self, place: Place) -> Result<Vec<(String, ObjectId)>> {
        self.entry_items(place)?.into_iter().map(|(name, id)| Ok((name, id?))).collect()
    }

    /// The same, with what is wrong in place of those that are malformed.
    pub(crate) fn entry_items(&self, place: Place) -> Result<Vec<(String, Result<ObjectId>)>> {
        let Some(folder) = self.place(place)? else { return Ok(Vec::new()) };
        let entries = folder.read_dir()?.into_iter().filter(|entry| entry.name != layout::REFS);
        Ok(entries.map(|entry| (text(&entry), read_entry(&folder, &entry))).collect())
    }

    /// What a ref keeps.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Corrupt`] when it is no ref.
    pub fn read_ref(&self, place: Place, name: &RefName) -> Result<RefTarget> {
        let missing = || Error::Missing { what: format!("ref {name}") };
        let refs = self.refs_dir(place)?.ok_or_else(missing)?;
        let (folder, last) = match name.as_str().rsplit_once('/') {
            Some((folder, last)) => (refs.open_dir(folder).optional()?.ok_or_else(missing)?, last),
            None => (refs, name.as_str()),
        };
        ref_target(&folder, last, place).optional()?.ok_or_else(missing)
    }

    /// All refs of a folder, in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for anything among the refs that is neither a folder nor a symlink to an entry, or that has a
    /// name no ref can have.
    pub fn refs(&self, place: Place) -> Result<Vec<(RefName, RefTarget)>> {
        let items = self.ref_items(place)?;
        let mut refs = items
            .into_iter()
            .map(|(name, target)| target.and_then(|target| Ok((name.parse()?, target))))
            .collect::<Result<Vec<_>>>()?;
        refs.sort_unstable();
        Ok(refs)
    }

    /// The refs of a folder by their paths, with what is wrong in place of those that are malformed.
    pub(crate) fn ref_items(&self, place: Place) -> Result<Vec<(String, Result<RefTarget>)>> {
        let mut found = Vec::new();
        let mut open: Vec<(Dir, String)> = Vec::new();
        open.extend(self.refs_dir(place)?.map(|dir| (dir, String::new())));
        while let Some((folder, prefix)) = open.pop() {
            for entry in folder.read_dir()? {
                let name = text(&entry);
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                if entry.kind == FileType::Directory {
                    open.push((folder.open_dir(&entry.name)?, path));
                } else {
                    found.push((path, read_ref(&folder, &entry, place)));
                }
            }
        }
        Ok(found)
    }

    fn refs_dir(&self, place: Place) -> Result<Option<Dir>> {
        match self.place(place)? {
            Some(folder) => folder.open_dir(layout::REFS).optional(),
            None => Ok(None),
        }
    }

    /// Removes a ref; what it kept goes with the next gc. Gives whether it was there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_ref(&self, place: Place, name: &RefName) -> Result<Durable<bool>> {
        self.require_writable()?;
        let Some(refs) = self.refs_dir(place)? else { return Ok(Durable::after_sync(false)) };
        let (parent, last) = name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()));
        let folder = if parent.is_empty() { Some(refs.clone()) } else { refs.open_dir(parent).optional()? };
        let Some(folder) = folder else { return Ok(Durable::after_sync(false)) };
        let removed = folder.remove_file(last).optional()?.is_some();
        // D1: the name is gone for good before anybody thinks of the content.
        folder.sync()?;
        // Folders that became empty go as well; one that is used again meanwhile stays, and nothing depends on it.
        let mut parent = parent;
        while !parent.is_empty() && refs.remove_dir(parent).is_ok() {
            parent = parent.rsplit_once('/').map_or("", |(above, _)| above);
        }
        Ok(Durable::after_sync(removed))
    }
}

/// A name for messages; one that is not UTF-8 never passes for another, since reading it fails.
fn text(entry: &DirEntry) -> String {
    entry.name.to_string_lossy().into_owned()
}

/// Refuses what is no symlink or has no proper name.
fn require_symlink(folder: &Dir, entry: &DirEntry) -> Result<()> {
    if entry.kind != FileType::Symlink {
        return Err(damaged(folder, &entry.name, "it is not a symlink"));
    }
    if entry.name.to_str().is_none() {
        return Err(damaged(folder, &entry.name, "its name is not UTF-8"));
    }
    Ok(())
}

fn read_entry(folder: &Dir, entry: &DirEntry) -> Result<ObjectId> {
    require_symlink(folder, entry)?;
    entry_object(folder, &text(entry))
}

fn read_ref(folder: &Dir, entry: &DirEntry, place: Place) -> Result<RefTarget> {
    require_symlink(folder, entry)?;
    ref_target(folder, &text(entry), place)
}

fn ref_target(folder: &Dir, name: &str, place: Place) -> Result<RefTarget> {
    let link = folder.read_link(name)?;
    layout::linked_entry(&link)
        .and_then(|entry| RefTarget::from_entry(place, entry))
        .ok_or_else(|| damaged(folder, name, "it does not name an entry"))
}
