//! Which objects are not there, of many that should be.
//!
//! What lives here: the look for names and sizes alone. What does not: whether what is there is whole, which
//! [`Repository::fsck`] reads.
//! A folder of which many objects are wanted is listed once, which costs a third of asking for each.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::{
    Control, ObjectId, Repository, Result,
    disk::FileType,
    error::Optional,
    mark,
    objects::{ObjectName, first_byte},
};

/// Of how many objects in one folder it is cheaper to list it than to ask for each.
const WORTH_LISTING: usize = 16;

impl Repository {
    /// Those of these objects that are not there, in the order of their ids, each once.
    ///
    /// # Errors
    /// When a folder cannot be listed, and [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn lost_objects(
        &self,
        wanted: impl IntoIterator<Item = ObjectId>,
        control: &Control,
    ) -> Result<Vec<ObjectId>> {
        let mut folders: Vec<Vec<ObjectId>> = vec![Vec::new(); 256];
        for id in wanted {
            if let Some(folder) = folders.get_mut(usize::from(first_byte(&id))) {
                folder.push(id);
            }
        }
        let look = |(first, wanted): (u8, Vec<ObjectId>)| {
            control.check()?;
            self.lost_in_folder(first, wanted)
        };
        let folders: Vec<(u8, Vec<ObjectId>)> = (0..=u8::MAX).zip(folders).collect();
        let lost =
            mark::pool(control)?.install(|| folders.into_par_iter().map(look).collect::<Result<Vec<_>>>())?;
        Ok(lost.into_iter().flatten().collect())
    }

    /// The size of an object's file in bytes, if it is there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn object_size(&self, id: &ObjectId) -> Result<Option<u64>> {
        let Some(folder) = self.objects().folder(first_byte(id))? else { return Ok(None) };
        Ok(folder.metadata(ObjectName::of(id).as_path()).optional()?.map(|there| there.size))
    }

    fn lost_in_folder(&self, first: u8, mut wanted: Vec<ObjectId>) -> Result<Vec<ObjectId>> {
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() < WORTH_LISTING {
            let mut lost = Vec::new();
            for id in wanted {
                if !self.has_object(&id)? {
                    lost.push(id);
                }
            }
            return Ok(lost);
        }
        let Some(folder) = self.objects().folder(first)? else { return Ok(wanted) };
        let files = folder.read_dir()?.into_iter().filter(|entry| entry.kind == FileType::File);
        let there: HashSet<_> = files.map(|entry| entry.name).collect();
        wanted.retain(|id| !there.contains(ObjectName::of(id).as_path().as_os_str()));
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn what_is_gone_is_found_whether_few_or_many_are_asked_for() {
        let fixture = Fixture::new();
        let repository = fixture.open();
        let transaction = repository.transaction().unwrap();
        let put = |number: u32| transaction.put(format!("object {number}").as_bytes()).unwrap().id;
        let ids: Vec<ObjectId> = (0..6000).map(put).collect();
        let _ = transaction.commit(()).unwrap();
        let control = Control::new();
        assert_eq!(repository.lost_objects(ids.clone(), &control).unwrap(), []);
        let mut gone: Vec<ObjectId> = ids.iter().step_by(700).copied().collect();
        for id in &gone {
            std::fs::remove_file(fixture.object(id)).unwrap();
        }
        gone.sort_unstable();
        assert_eq!(repository.lost_objects(ids.iter().chain(&ids).copied(), &control).unwrap(), gone);
        assert_eq!(repository.lost_objects(gone.iter().copied(), &control).unwrap(), gone);
    }
}
