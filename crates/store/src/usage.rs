//! Who uses how much: for each ref the bytes that it alone keeps, and those that it shares.
//!
//! What lives here: counting. What does not: deciding what goes ([`Repository::gc`]). Invariant: the own bytes of a ref are
//! exactly what removing it and collecting garbage would free.

use rayon::prelude::*;

use crate::{
    Control, ObjectId, Place, RefName, RefTarget, Repository, Result,
    disk::FileType,
    layout,
    mark::{self, Entries, Live},
};

/// What one ref keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefUsage {
    /// Where the ref is.
    pub place: Place,
    /// Its name.
    pub name: RefName,
    /// What it names.
    pub target: RefTarget,
    /// Objects that no other ref reaches.
    pub own_objects: u64,
    /// The content of those, in bytes.
    pub own_bytes: u64,
    /// Objects that other refs reach as well.
    pub shared_objects: u64,
    /// The content of those, in bytes.
    pub shared_bytes: u64,
}

/// What all refs keep. Made by [`Repository::usage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Each ref, sorted by place and name.
    pub refs: Vec<RefUsage>,
    /// Objects that some ref reaches, each once.
    pub live_objects: u64,
    /// The content of those, in bytes.
    pub live_bytes: u64,
    /// Objects that no ref reaches: garbage, or work in progress of another process.
    pub garbage_objects: u64,
    /// The content of those, in bytes.
    pub garbage_bytes: u64,
}

/// Counts of one folder of objects: for each ref own and shared, then live and garbage.
struct Counts {
    refs: Vec<[u64; 4]>,
    live: [u64; 2],
    garbage: [u64; 2],
}

impl Repository {
    /// Counts what each ref keeps: reads every image and stream, and asks for the size of every object.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when something that a ref reaches cannot be read, and when the disk fails.
    pub fn usage(&self, control: &Control) -> Result<Usage> {
        let _guard = self.shared();
        let pool = mark::pool(control)?;
        let entries = Entries::read(self)?;
        let mut refs = Vec::new();
        for place in [Place::Images, Place::Streams] {
            refs.extend(self.refs(place)?.into_iter().map(|(name, target)| (place, name, target)));
        }
        let marked = refs.iter().map(|(_, _, target)| mark::mark_one(self, &entries, target, &pool, control));
        let reached = marked.collect::<Result<Vec<Live>>>()?;
        let count = |first: u8| {
            control.check()?;
            self.count_folder(first, &reached)
        };
        let folders =
            pool.install(|| (0..=u8::MAX).into_par_iter().map(count).collect::<Result<Vec<_>>>())?;
        let mut usage = Usage::default();
        for (index, (place, name, target)) in refs.into_iter().enumerate() {
            let counts = folders.iter().filter_map(|folder| folder.refs.get(index));
            let [own_objects, own_bytes, shared_objects, shared_bytes] =
                counts.fold([0; 4], |sum, more| add(sum, *more));
            usage.refs.push(RefUsage {
                place,
                name,
                target,
                own_objects,
                own_bytes,
                shared_objects,
                shared_bytes,
            });
        }
        let total = |of: fn(&Counts) -> [u64; 2]| folders.iter().map(of).fold([0; 2], add);
        [usage.live_objects, usage.live_bytes] = total(|counts| counts.live);
        [usage.garbage_objects, usage.garbage_bytes] = total(|counts| counts.garbage);
        Ok(usage)
    }

    fn count_folder(&self, first: u8, reached: &[Live]) -> Result<Counts> {
        let mut counts = Counts { refs: vec![[0; 4]; reached.len()], live: [0; 2], garbage: [0; 2] };
        let Some(folder) = self.objects().folder(first)? else { return Ok(counts) };
        let prefix = layout::fan_out(first);
        for entry in folder.read_dir()? {
            let id: Option<ObjectId> =
                entry.name.to_str().and_then(|name| layout::object_of_parts(&prefix, name));
            let Some(id) = id.filter(|_| entry.kind == FileType::File) else { continue };
            let size = folder.metadata(&entry.name)?.size;
            let users: Vec<bool> = reached.iter().map(|live| live.objects.contains(&id)).collect();
            let total = users.iter().filter(|uses| **uses).count();
            let part = if total == 1 { [1, size, 0, 0] } else { [0, 0, 1, size] };
            for (sum, _) in counts.refs.iter_mut().zip(&users).filter(|(_, uses)| **uses) {
                *sum = add(*sum, part);
            }
            let sum = if total == 0 { &mut counts.garbage } else { &mut counts.live };
            *sum = add(*sum, [1, size]);
        }
        Ok(counts)
    }
}

fn add<const N: usize>(mut sum: [u64; N], more: [u64; N]) -> [u64; N] {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(more);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        GcOptions,
        fixture::{Fixture, imported},
    };

    #[test]
    fn own_bytes_are_what_removing_the_ref_and_gc_free() {
        let fixture = Fixture::new();
        let repository = fixture.open();
        imported(&repository, "kept");
        imported(&repository, "gone");
        let control = Control::new().with_threads(2);
        for name in ["kept", "gone"] {
            let image: RefName = format!("images/{name}").parse().unwrap();
            assert!(repository.remove_ref(Place::Images, &image).unwrap().into_inner());
        }
        let before = repository.usage(&control).unwrap();
        assert_eq!(before.refs.len(), 2);
        let gone = before.refs.iter().find(|usage| usage.name == RefName::oci("gone").unwrap()).unwrap();
        assert!(gone.own_bytes > 0 && gone.shared_bytes > 0, "{gone:?}");
        assert!(repository.remove_ref(Place::Streams, &gone.name).unwrap().into_inner());
        let report = repository.gc(&GcOptions::default(), &control).unwrap();
        assert_eq!(report.removed_bytes, gone.own_bytes + before.garbage_bytes);
        let after = repository.usage(&control).unwrap();
        assert_eq!(after.live_bytes, before.live_bytes - gone.own_bytes);
        assert_eq!((after.garbage_objects, after.refs[0].shared_bytes), (0, 0));
    }
}
