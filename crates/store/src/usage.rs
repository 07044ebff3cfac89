//! Who uses how much: for the refs of each image the bytes that they alone keep, and those that they share.
//!
//! What lives here: counting. What does not: deciding what goes ([`Repository::gc`]). Refs that keep the same thing count as
//! one: names of the same manifest, and a deployment's ref on an image that one manifest alone refers to. Invariant: the own
//! bytes of such a group are exactly what removing all of its refs and collecting garbage would free.

use rayon::prelude::*;

use crate::{
    Control, ObjectId, Place, RefName, RefTarget, Repository, Result,
    disk::FileType,
    layout,
    mark::{self, Entries, Live},
};

/// What the refs to one image or stream keep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupUsage {
    /// The refs: those on the target first, in the order of their names, then those on its images.
    pub refs: Vec<(Place, RefName)>,
    /// What the first of them names, and what all of them keep a part of at least.
    pub target: RefTarget,
    /// Objects that no other group's ref reaches.
    pub own_objects: u64,
    /// The content of those, in bytes.
    pub own_bytes: u64,
    /// Objects that other groups' refs reach as well.
    pub shared_objects: u64,
    /// The content of those, in bytes.
    pub shared_bytes: u64,
}

/// What all refs keep. Made by [`Repository::usage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Each group of refs: streams first, by the name of their first ref.
    pub groups: Vec<GroupUsage>,
    /// Objects that some ref reaches, each once.
    pub live_objects: u64,
    /// The content of those, in bytes.
    pub live_bytes: u64,
    /// Objects that no ref reaches: garbage, or work in progress of another process.
    pub garbage_objects: u64,
    /// The content of those, in bytes.
    pub garbage_bytes: u64,
}

/// Refs that keep the same, and what they reach.
struct Group {
    target: RefTarget,
    refs: Vec<(Place, RefName)>,
    reached: Live,
}

/// Counts of one folder of objects: for each group own and shared, then live and garbage.
struct Counts {
    groups: Vec<[u64; 4]>,
    live: [u64; 2],
    garbage: [u64; 2],
}

impl Repository {
    /// Counts what the refs keep: reads every image and stream, and asks for the size of every object.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when something that a ref reaches cannot be read, and when the disk fails.
    pub fn usage(&self, control: &Control) -> Result<Usage> {
        let _guard = self.shared();
        let pool = mark::pool(control)?;
        let groups = self.groups(&pool, control)?;
        let count = |first: u8| {
            control.check()?;
            self.count_folder(first, &groups)
        };
        let folders =
            pool.install(|| (0..=u8::MAX).into_par_iter().map(count).collect::<Result<Vec<_>>>())?;
        let mut usage = Usage::default();
        for (index, Group { target, refs, .. }) in groups.into_iter().enumerate() {
            let counts = folders.iter().filter_map(|folder| folder.groups.get(index));
            let [own_objects, own_bytes, shared_objects, shared_bytes] =
                counts.fold([0; 4], |sum, more| add(sum, *more));
            usage.groups.push(GroupUsage {
                refs,
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

    /// Reads the refs, puts those together that keep the same, and marks what each group reaches.
    fn groups(&self, pool: &rayon::ThreadPool, control: &Control) -> Result<Vec<Group>> {
        let entries = Entries::read(self)?;
        let mut groups: Vec<Group> = Vec::new();
        // Streams first: they lead to the images that they were made into.
        for place in [Place::Streams, Place::Images] {
            let streams = groups.len();
            for (name, target) in self.refs(place)? {
                let same = groups.iter().position(|group| group.target == target);
                let home = same.or_else(|| only_user(groups.get(..streams)?, &target));
                if let Some(group) = home.and_then(|home| groups.get_mut(home)) {
                    group.refs.push((place, name));
                    continue;
                }
                let reached = mark::mark_one(self, &entries, &target, pool, control)?;
                groups.push(Group { target, refs: vec![(place, name)], reached });
            }
        }
        Ok(groups)
    }

    fn count_folder(&self, first: u8, groups: &[Group]) -> Result<Counts> {
        let mut counts = Counts { groups: vec![[0; 4]; groups.len()], live: [0; 2], garbage: [0; 2] };
        let Some(folder) = self.objects().folder(first)? else { return Ok(counts) };
        let prefix = layout::fan_out(first);
        for entry in folder.read_dir()? {
            let id: Option<ObjectId> =
                entry.name.to_str().and_then(|name| layout::object_of_parts(&prefix, name));
            let Some(id) = id.filter(|_| entry.kind == FileType::File) else { continue };
            let size = folder.metadata(&entry.name)?.size;
            let users: Vec<bool> = groups.iter().map(|group| group.reached.objects.contains(&id)).collect();
            let total = users.iter().filter(|uses| **uses).count();
            let part = if total == 1 { [1, size, 0, 0] } else { [0, 0, 1, size] };
            for (sum, _) in counts.groups.iter_mut().zip(&users).filter(|(_, uses)| **uses) {
                *sum = add(*sum, part);
            }
            let sum = if total == 0 { &mut counts.garbage } else { &mut counts.live };
            *sum = add(*sum, [1, size]);
        }
        Ok(counts)
    }
}

/// The only one of these groups that reaches an image. With several, all of the image is shared anyway.
fn only_user(groups: &[Group], target: &RefTarget) -> Option<usize> {
    let RefTarget::Image(image) = target else { return None };
    let mut users = groups.iter().enumerate().filter(|(_, group)| group.reached.images.contains(image));
    users.next().filter(|_| users.next().is_none()).map(|(index, _)| index)
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
    fn own_bytes_are_what_removing_all_refs_of_an_image_and_gc_free() {
        let fixture = Fixture::new();
        let repository = fixture.open();
        imported(&repository, "kept");
        imported(&repository, "gone");
        let transaction = repository.transaction().unwrap();
        let again = RefTarget::Stream("oci-manifest-gone".parse().unwrap());
        transaction.set_ref(RefName::oci("gone-again").unwrap(), again);
        let _ = transaction.commit(()).unwrap();
        let control = Control::new().with_threads(2);
        let before = repository.usage(&control).unwrap();
        // A manifest with two names and a ref on its image is one user.
        assert_eq!(before.groups.len(), 2);
        let gone = &before.groups[0];
        let image: RefName = "images/gone".parse().unwrap();
        let names = [RefName::oci("gone").unwrap(), RefName::oci("gone-again").unwrap()];
        let expected = names.map(|name| (Place::Streams, name)).into_iter().chain([(Place::Images, image)]);
        assert_eq!(gone.refs, expected.collect::<Vec<_>>());
        assert!(gone.own_bytes > 0 && gone.shared_bytes > 0, "{gone:?}");
        for (place, name) in &gone.refs {
            assert!(repository.remove_ref(*place, name).unwrap().into_inner());
        }
        let report = repository.gc(&GcOptions::default(), &control).unwrap();
        assert_eq!(report.removed_bytes, gone.own_bytes + before.garbage_bytes);
        let after = repository.usage(&control).unwrap();
        assert_eq!(after.live_bytes, before.live_bytes - gone.own_bytes);
        assert_eq!((after.garbage_objects, after.groups[0].shared_bytes), (0, 0));
    }

    #[test]
    fn an_image_that_only_its_own_ref_keeps_is_a_user_of_its_own() {
        let fixture = Fixture::new();
        let repository = fixture.open();
        let made = imported(&repository, "one");
        let name = RefName::oci("one").unwrap();
        assert!(repository.remove_ref(Place::Streams, &name).unwrap().into_inner());
        let usage = repository.usage(&Control::new()).unwrap();
        let [group] = &usage.groups[..] else { panic!("{usage:?}") };
        assert_eq!((&group.target, group.shared_objects), (&RefTarget::Image(made.image), 0));
    }
}
