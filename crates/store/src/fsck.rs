//! The check of a whole repository: every object's bytes, every name, every reference. Changes nothing.
//!
//! It goes on after each finding, so that one run tells everything; only a repository that cannot be listed at all ends
//! it with an error. Objects are checked in parallel, folder by folder, and small ones are hashed together.

use rayon::prelude::*;
use rustix::io::Errno;
use serde::Serialize;

use crate::{
    Control, Damage, Error, ObjectId, Place, Repository, Result, Verity, contents,
    control::{Unit, Work},
    disk::{Dir, FileType},
    layout, mark,
    meta::META_LIMIT,
    seen::Seen,
    splitstream::{Piece, SplitStreamReader},
    verity::{self, Hasher},
};

/// Up to which size an object is read whole and hashed with others, in bytes.
const SMALL: u64 = 64 << 10;

/// How many bytes of small objects are hashed together.
const BATCH: u64 = 1 << 20;

/// How much of a bigger object is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// How deep a check goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsckDepth {
    /// All bytes of all objects.
    #[default]
    Everything,
    /// Names, images and streams; of the other objects only that they are there.
    Structure,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FsckReport {
    /// Objects that are there.
    pub objects: u64,
    /// The bytes of those that were read.
    pub bytes_checked: u64,
    /// Images with a name.
    pub images: u64,
    /// Streams with a name.
    pub streams: u64,
    /// Refs.
    pub refs: u64,
    /// Entries of the index of contents.
    pub index_entries: u64,
    /// What is wrong, sorted; empty in a healthy repository.
    pub damage: Vec<Damage>,
}

impl Repository {
    /// Checks the repository.
    ///
    /// # Errors
    /// When its folders cannot be listed; [`Error::Cancelled`]. Damage is no error but in the report.
    pub fn fsck(&self, depth: FsckDepth, control: &Control) -> Result<FsckReport> {
        let _keeps_gc_out = self.shared();
        let pool = mark::pool(control)?;
        let present = Seen::new();
        let mut report = FsckReport::default();
        report.damage.extend(self.check_meta());
        self.check_objects(depth, &present, &pool, control, &mut report)?;
        for place in [Place::Images, Place::Streams] {
            self.check_entries(place, &present, &pool, control, &mut report)?;
            self.check_refs(place, &mut report)?;
        }
        self.check_contents(depth, &pool, control, &mut report)?;
        report.damage.sort_unstable();
        report.damage.dedup();
        Ok(report)
    }

    fn check_contents(
        &self,
        depth: FsckDepth,
        pool: &rayon::ThreadPool,
        control: &Control,
        report: &mut FsckReport,
    ) -> Result<()> {
        let bad = |damage: &Damage| match damage {
            Damage::ObjectContent { id, .. }
            | Damage::ObjectUnreadable { id, .. }
            | Damage::ObjectUnsealed { id } => Some(id.clone()),
            _ => None,
        };
        let bad = report.damage.iter().filter_map(bad).collect();
        let everything = depth == FsckDepth::Everything;
        let (entries, damage) = contents::check(self, everything, &bad, pool, control)?;
        report.index_entries = entries;
        report.damage.extend(damage);
        Ok(())
    }

    fn check_meta(&self) -> Option<Damage> {
        let read = || {
            let file = self.dir().open_file(layout::META)?;
            let content = file.read_all(META_LIMIT)?;
            Ok::<_, Error>((content, file.measure_verity()?.is_some()))
        };
        let reason = match read() {
            Ok((content, _)) if crate::meta::Meta::from_json(&content).as_ref() != Ok(self.meta()) => {
                "it was changed since the repository was opened".to_owned()
            }
            Ok((_, sealed)) if sealed != (self.verity() == Verity::Required) => "its seal is gone".to_owned(),
            Ok(_) => return None,
            Err(error) => error.to_string(),
        };
        Some(Damage::Meta { reason })
    }

    fn check_objects(
        &self,
        depth: FsckDepth,
        present: &Seen,
        pool: &rayon::ThreadPool,
        control: &Control,
        report: &mut FsckReport,
    ) -> Result<()> {
        for entry in self.objects().root()?.map_or_else(|| Ok(Vec::new()), Dir::read_dir)? {
            let name = entry.name.to_string_lossy();
            let fan_out = (0..=u8::MAX).any(|first| layout::fan_out(first) == name);
            if !fan_out || entry.kind != FileType::Directory {
                report.damage.push(Damage::ForeignFile { path: format!("{}/{name}", layout::OBJECTS) });
            }
        }
        let task = control.start(Work::Check, "objects", None, Unit::Items);
        let check = |first: u8| match self.objects().folder(first) {
            Ok(Some(folder)) => FolderCheck { repository: self, folder, present, depth, control }.run(first),
            Ok(None) => Ok(FsckReport::default()),
            // It was found to be no folder above.
            Err(error) if matches!(error.errno(), Some(Errno::NOTDIR | Errno::LOOP)) => {
                Ok(FsckReport::default())
            }
            Err(error) => Err(error),
        };
        let parts = pool.install(|| (0..=u8::MAX).into_par_iter().map(check).collect::<Result<Vec<_>>>())?;
        task.finish();
        for part in parts {
            report.objects += part.objects;
            report.bytes_checked += part.bytes_checked;
            report.damage.extend(part.damage);
        }
        Ok(())
    }

    fn check_entries(
        &self,
        place: Place,
        present: &Seen,
        pool: &rayon::ThreadPool,
        control: &Control,
        report: &mut FsckReport,
    ) -> Result<()> {
        let entries = self.entry_items(place)?;
        match place {
            Place::Images => report.images = entries.len() as u64,
            Place::Streams => report.streams = entries.len() as u64,
        }
        let check = |(name, entry): &(String, Result<ObjectId>)| {
            control.check()?;
            let path = format!("{}/{name}", place.folder());
            Ok(match entry {
                Err(error) => vec![Damage::NameMalformed { path, reason: error.to_string() }],
                Ok(id) if !present.contains(id) => vec![Damage::NameDangling { path, id: id.to_hex() }],
                Ok(id) if place == Place::Images => self.check_image(name, id, present),
                Ok(id) => self.check_stream(name, id, present),
            })
        };
        let found = pool.install(|| entries.par_iter().map(check).collect::<Result<Vec<_>>>())?;
        report.damage.extend(found.into_iter().flatten());
        Ok(())
    }

    fn check_image(&self, name: &str, id: &ObjectId, present: &Seen) -> Vec<Damage> {
        if name.parse() != Ok(*id) {
            let reason = format!("it names the object {id}");
            return vec![Damage::NameMalformed { path: format!("{}/{name}", layout::IMAGES), reason }];
        }
        let mut damage = Vec::new();
        let needed_by = format!("image {id}");
        let read =
            mark::image_objects(self, id, |object| damage.extend(missing(present, &object, &needed_by)));
        if let Err(error) = read {
            damage.push(Damage::ImageMalformed { id: id.to_hex(), reason: error.to_string() });
        }
        damage
    }

    fn check_stream(&self, name: &str, id: &ObjectId, present: &Seen) -> Vec<Damage> {
        let needed_by = format!("stream {name}");
        let check = || {
            let bytes = self.map_object(id)?;
            let mut reader = SplitStreamReader::new(&bytes, self.algorithm())?;
            let references: Vec<_> = reader.named_refs().iter().map(|(_, id)| *id).collect();
            let needed = reader.object_refs().chain(references);
            let damage: Vec<_> = needed.filter_map(|object| missing(present, &object, &needed_by)).collect();
            while let Some(Piece::Inline(_) | Piece::External(_)) = reader.next_piece()? {}
            Ok::<_, Error>(damage)
        };
        check().unwrap_or_else(|error| {
            vec![Damage::StreamMalformed { name: name.to_owned(), reason: error.to_string() }]
        })
    }

    fn check_refs(&self, place: Place, report: &mut FsckReport) -> Result<()> {
        for (name, target) in self.ref_items(place)? {
            report.refs += 1;
            let path = format!("{}/{}/{name}", place.folder(), layout::REFS);
            match target {
                Err(error) => report.damage.push(Damage::NameMalformed { path, reason: error.to_string() }),
                Ok(target) if !self.dir().open_dir(place.folder())?.exists(target.entry())? => {
                    report.damage.push(Damage::RefDangling { path, target: target.to_string() });
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

fn missing(present: &Seen, id: &ObjectId, needed_by: &str) -> Option<Damage> {
    let gone = !present.contains(id);
    gone.then(|| Damage::ObjectMissing { id: id.to_hex(), needed_by: needed_by.to_owned() })
}

/// The check of one folder of objects.
struct FolderCheck<'a> {
    repository: &'a Repository,
    folder: &'a Dir,
    present: &'a Seen,
    depth: FsckDepth,
    control: &'a Control,
}

impl FolderCheck<'_> {
    fn run(&self, first: u8) -> Result<FsckReport> {
        let mut report = FsckReport::default();
        let prefix = layout::fan_out(first);
        let mut batch = Vec::new();
        let mut batched = 0;
        for entry in self.folder.read_dir()? {
            self.control.check()?;
            let id = entry.name.to_str().and_then(|name| layout::object_of_parts(&prefix, name));
            let ours =
                id.filter(|id| entry.kind == FileType::File && id.algorithm() == self.repository.algorithm());
            let Some(id) = ours else {
                let path = format!("{}/{prefix}/{}", layout::OBJECTS, entry.name.to_string_lossy());
                report.damage.push(Damage::ForeignFile { path });
                continue;
            };
            self.present.insert(&id);
            report.objects += 1;
            if self.depth == FsckDepth::Structure {
                continue;
            }
            match self.read(&id, &mut report) {
                Ok(Some(content)) => {
                    batched += content.len() as u64;
                    batch.push((id, content));
                }
                Ok(None) => {}
                Err(Error::Verity { .. }) => report.damage.push(Damage::ObjectUnsealed { id: id.to_hex() }),
                Err(error) => {
                    let reason = error.to_string();
                    report.damage.push(Damage::ObjectUnreadable { id: id.to_hex(), reason });
                }
            }
            if batched >= BATCH {
                self.hash(&mut batch, &mut report);
                batched = 0;
            }
        }
        self.hash(&mut batch, &mut report);
        Ok(report)
    }

    /// Reads an object: a small one is given back, to be hashed with others; a big one is checked here.
    fn read(&self, id: &ObjectId, report: &mut FsckReport) -> Result<Option<Vec<u8>>> {
        let file = match self.repository.open_object(id) {
            // Our own digest of the bytes says more than the kernel's word.
            Err(Error::Corrupt { .. }) => {
                self.folder.open_file(crate::objects::ObjectName::of(id).as_path())?
            }
            other => other?,
        };
        if file.metadata()?.size <= SMALL {
            return file.read_all(SMALL).map(Some);
        }
        let mut hasher = Hasher::new(id.algorithm());
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            self.control.check()?;
            let count = file.read_at(offset, &mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(buffer.get(..count).unwrap_or_default());
            offset += count as u64;
        }
        report.bytes_checked += offset;
        report.damage.extend(wrong(id, hasher.finish()));
        Ok(None)
    }

    /// Checks the small objects that were read.
    fn hash(&self, batch: &mut Vec<(ObjectId, Vec<u8>)>, report: &mut FsckReport) {
        let bodies: Vec<&[u8]> = batch.iter().map(|(_, content)| content.as_slice()).collect();
        let mut found = Vec::with_capacity(bodies.len());
        verity::digest_many(self.repository.algorithm(), &bodies, &mut found);
        for ((id, content), found) in batch.drain(..).zip(found) {
            report.bytes_checked += content.len() as u64;
            report.damage.extend(wrong(&id, found));
        }
    }
}

fn wrong(id: &ObjectId, found: ObjectId) -> Option<Damage> {
    (*id != found).then(|| Damage::ObjectContent { id: id.to_hex(), found: found.to_hex() })
}

#[cfg(test)]
mod tests;
