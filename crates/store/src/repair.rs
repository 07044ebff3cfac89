//! Repair: heals damaged and missing objects from local copies, and puts aside what cannot be healed.
//!
//! Nothing is believed: a copy counts when its digest is the object's id. A damaged object is kept in the quarantine
//! folder and never served again; its place is taken atomically by the good copy, or left free, so that an import can
//! fill it. Names are removed only if their object is gone and neither a ref nor a stream leads to them. Refs are the
//! user's and never removed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use rustix::io::Errno;
use serde::Serialize;

use crate::{
    Control, Damage, Durable, Error, FsckReport, ObjectId, Place, RefTarget, Repository, Result, contents,
    control::{Unit, Work},
    disk::{Dir, Rename},
    error::Optional,
    layout,
    objects::{Found, ObjectName},
    placing::{FreshFolders, Placing},
    splitstream::SplitStreamReader,
    temporary::{Staging, Temporary},
    verity::Hasher,
};

/// Somewhere good copies of objects may be: another repository, an image layout, a mounted image.
pub trait ObjectSource: Sync {
    /// Passes an object's content on, piece by piece, if it has it; gives whether it has. What comes is checked by the
    /// caller.
    ///
    /// # Errors
    /// When it cannot be read, and what `sink` returns.
    fn copy_to(&self, id: &ObjectId, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool>;
}

impl ObjectSource for Repository {
    fn copy_to(&self, id: &ObjectId, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        Ok(self.copy_object(id, sink).optional()?.is_some())
    }
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Objects that have their content again.
    pub healed: Vec<String>,
    /// Objects whose damaged files are in the quarantine folder now.
    pub quarantined: Vec<String>,
    /// Names that were removed since their objects are gone, from the repository on.
    pub unlinked: Vec<String>,
    /// Whether the index of contents was made anew.
    pub index_rebuilt: bool,
    /// What is still wrong.
    pub remaining: Vec<Damage>,
}

/// How a damaged object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its file has other bytes, or none that can be read.
    Bad,
    /// Its bytes may be good, but the kernel does not guard them.
    Unsealed,
    /// It has no file.
    Missing,
}

impl Repository {
    /// Mends what a check found. Waits up to `patience` until nobody else uses the repository.
    ///
    /// # Errors
    /// [`Error::Busy`]; [`Error::Cancelled`], with some things mended; when the disk fails.
    pub fn repair(
        &self,
        found: &FsckReport,
        sources: &[&dyn ObjectSource],
        patience: Duration,
        control: &Control,
    ) -> Result<Durable<RepairReport>> {
        self.require_writable()?;
        let _alone = self.exclusive(patience)?;
        let own = self.dir().ensure_dir(layout::OWN, layout::FOLDER_MODE)?;
        let quarantine = self.staging()?.ensure_folder(&own, layout::QUARANTINE)?;
        let repair = Repair { repository: self, sources, quarantine };
        let mut report = RepairReport::default();
        let mut lost = HashSet::new();
        let task = control.start(Work::Repair, "", None, Unit::Items);
        for (id, state) in damaged_objects(found) {
            control.check()?;
            if repair.object(&id, state, &mut report)? {
                report.healed.push(id.to_hex());
            } else {
                lost.insert(id);
            }
        }
        // D2: all that was written, before anything relies on it.
        self.dir().sync_file_system()?;
        report.unlinked = repair.unlink(&lost)?;
        let mut healed: BTreeSet<_> = report.healed.iter().cloned().collect();
        for (name, id) in self.entry_items(Place::Streams)? {
            healed.extend(id.ok().filter(|id| healed.contains(&id.to_hex())).map(|_| name));
        }
        if found.damage.iter().any(is_of_index) {
            contents::rebuild(self, control)?;
            report.index_rebuilt = true;
        }
        report.remaining =
            found.damage.iter().filter(|damage| !is_mended(damage, &healed, &report)).cloned().collect();
        task.finish();
        Ok(Durable::after_sync(report))
    }
}

/// The objects that a check found damaged, with the worst that was said about each.
fn damaged_objects(found: &FsckReport) -> BTreeMap<ObjectId, State> {
    let mut objects = BTreeMap::new();
    for damage in &found.damage {
        let (id, state) = match damage {
            Damage::ObjectContent { id, .. } | Damage::ObjectUnreadable { id, .. } => (id, State::Bad),
            Damage::ObjectUnsealed { id } => (id, State::Unsealed),
            Damage::ObjectMissing { id, .. } | Damage::NameDangling { id, .. } => (id, State::Missing),
            _ => continue,
        };
        if let Ok(id) = id.parse() {
            objects.insert(id, state);
        }
    }
    objects
}

/// Whether a damage is no more: `healed` has ids of objects and names of streams. What follows from a bad object (a
/// malformed image) goes when that is healed.
fn is_mended(damage: &Damage, healed: &BTreeSet<String>, report: &RepairReport) -> bool {
    match damage {
        Damage::ObjectContent { id, .. }
        | Damage::ObjectUnreadable { id, .. }
        | Damage::ObjectUnsealed { id }
        | Damage::ObjectMissing { id, .. }
        | Damage::ImageMalformed { id, .. } => healed.contains(id),
        Damage::NameDangling { id, path } => healed.contains(id) || report.unlinked.contains(path),
        Damage::StreamMalformed { name, .. } => {
            healed.contains(name) || report.unlinked.contains(&format!("{}/{name}", layout::STREAMS))
        }
        Damage::IndexMalformed { .. } | Damage::IndexWrong { .. } => report.index_rebuilt,
        _ => false,
    }
}

const fn is_of_index(damage: &Damage) -> bool {
    matches!(damage, Damage::IndexMalformed { .. } | Damage::IndexWrong { .. })
}

struct Repair<'a> {
    repository: &'a Repository,
    sources: &'a [&'a dyn ObjectSource],
    quarantine: Dir,
}

impl Repair<'_> {
    /// Heals one object, or puts its file aside; gives whether it is healed.
    fn object(&self, id: &ObjectId, state: State, report: &mut RepairReport) -> Result<bool> {
        let objects = self.repository.objects();
        let staging = self.repository.staging()?;
        let folder = objects.folder(id.as_bytes().first().copied().unwrap_or_default())?;
        let name = ObjectName::of(id);
        let good = match (state, folder) {
            (State::Unsealed, Some(folder)) => self.own_copy(id, folder, &name)?,
            _ => None,
        };
        let good = match good {
            Some(good) => Some(good),
            None => self.copy(id)?,
        };
        let is_unsealed_only = state == State::Unsealed && good.is_some();
        if let Some(folder) = folder.filter(|_| state != State::Missing && !is_unsealed_only) {
            self.put_aside(folder, id, &name, good.is_some())?;
            report.quarantined.push(id.to_hex());
        }
        let Some((file, size)) = good else { return Ok(false) };
        let placing = Placing { found: Found::Damaged, staging, fresh: &FreshFolders::default() };
        objects.place(file, id, size, placing)?;
        Ok(true)
    }

    /// A good copy from a source, in a temporary file, with its size.
    fn copy(&self, id: &ObjectId) -> Result<Option<(Temporary, u64)>> {
        for source in self.sources {
            let copy = self.checked(id, |sink| source.copy_to(id, sink));
            // A source that fails is as one that does not have it; our own disk is another matter.
            if let Some(copy) = copy? {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    /// The object's own bytes, if they are right.
    fn own_copy(&self, id: &ObjectId, folder: &Dir, name: &ObjectName) -> Result<Option<(Temporary, u64)>> {
        let file = folder.open_file(name.as_path())?;
        self.checked(id, |sink| {
            let mut buffer = vec![0; 256 << 10];
            let mut offset = 0;
            loop {
                let count = file.read_at(offset, &mut buffer)?;
                if count == 0 {
                    return Ok(true);
                }
                sink(buffer.get(..count).unwrap_or_default())?;
                offset += count as u64;
            }
        })
    }

    /// Writes what `read` gives to a temporary file; nothing if its digest is another.
    fn checked(
        &self,
        id: &ObjectId,
        read: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool>,
    ) -> Result<Option<(Temporary, u64)>> {
        let staging: &std::sync::Arc<Staging> = self.repository.staging()?;
        let file = staging.create(&staging.dir, layout::OBJECT_MODE)?;
        let mut hasher = Hasher::new(id.algorithm());
        let mut size = 0;
        let mut write_error = None;
        let read = read(&mut |piece| {
            hasher.update(piece);
            let written = file.file.write_all_at(size, piece);
            size += piece.len() as u64;
            written.map_err(|error| {
                write_error = Some(error);
                Error::Poisoned
            })
        });
        match (write_error, read) {
            (Some(error), _) => Err(error),
            (None, Ok(true)) if hasher.finish() == *id => Ok(Some((file, size))),
            _ => Ok(None),
        }
    }

    /// Gives the damaged file a name in the quarantine folder; its own name stays until the good copy takes it.
    fn put_aside(&self, folder: &Dir, id: &ObjectId, name: &ObjectName, keep_name: bool) -> Result<()> {
        for number in 0_u32.. {
            let aside = if number == 0 { id.to_hex() } else { format!("{id}.{number}") };
            let moved = if keep_name {
                folder.hard_link(name.as_path(), &self.quarantine, &aside)
            } else {
                folder.rename(name.as_path(), &self.quarantine, &aside, Rename::NoReplace)
            };
            match moved {
                Err(error) if error.errno() == Some(Errno::EXIST) => {}
                other => return other,
            }
        }
        Ok(())
    }

    /// Removes names whose objects are lost, unless something leads to them; gives their paths.
    fn unlink(&self, lost: &HashSet<ObjectId>) -> Result<Vec<String>> {
        let Some(kept) = self.kept() else { return Ok(Vec::new()) };
        let mut unlinked = Vec::new();
        for place in [Place::Images, Place::Streams] {
            let mut dead = Vec::new();
            for (name, id) in self.repository.entry_items(place)? {
                let Ok(id) = id else { continue };
                let has_hole = || place == Place::Streams && self.needs_any(&id, lost);
                let reached = kept.contains(&name) || kept.contains(&id.to_hex());
                if !reached && (lost.contains(&id) || has_hole()) {
                    dead.push(name);
                }
            }
            if !dead.is_empty() {
                let folder = self.repository.dir().open_dir(place.folder())?;
                for name in dead {
                    folder.remove_file(&name)?;
                    unlinked.push(format!("{}/{name}", place.folder()));
                }
                // D1
                folder.sync()?;
            }
        }
        Ok(unlinked)
    }

    /// The entries that refs name and the objects that streams refer to; nothing if any of that cannot be read.
    fn kept(&self) -> Option<HashSet<String>> {
        let mut kept = HashSet::new();
        for place in [Place::Images, Place::Streams] {
            for (_, target) in self.repository.refs(place).ok()? {
                kept.insert(match target {
                    RefTarget::Image(id) => id.to_hex(),
                    RefTarget::Stream(name) => name.to_string(),
                });
            }
        }
        for (_, id) in self.repository.entry_items(Place::Streams).ok()? {
            let Some(bytes) = self.repository.map_object(&id.ok()?).optional().ok()? else { continue };
            let reader = SplitStreamReader::new(&bytes, self.repository.algorithm()).ok()?;
            kept.extend(reader.named_refs().iter().map(|(_, id)| id.to_hex()));
        }
        Some(kept)
    }

    fn needs_any(&self, stream: &ObjectId, lost: &HashSet<ObjectId>) -> bool {
        let Ok(bytes) = self.repository.map_object(stream) else { return false };
        SplitStreamReader::new(&bytes, self.repository.algorithm())
            .is_ok_and(|reader| reader.object_refs().any(|id| lost.contains(&id)))
    }
}

#[cfg(test)]
mod tests;
