//! Keeping the index right: what gc drops, what fsck compares, what a repair makes anew.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Mutex, PoisonError},
};

use rayon::prelude::*;

use super::{Collector, ContentIndex, IndexedContent, Sealed, collect::written, folder, make};
use crate::{
    Control, Damage, Error, ObjectId, Repository, Result,
    control::{Unit, Work},
    layout,
    objects::Found,
    seen::Seen,
};

/// Entries that are checked together.
const BATCH: usize = 256;

/// Drops the entries of objects that are gone. For gc alone, which has the repository for itself and has removed them.
pub(crate) fn prune(repository: &Repository, live: &Seen) -> Result<()> {
    let index = repository.content_index()?;
    let is_live = |entry: &IndexedContent| live.contains(&entry.object);
    let count = index.entries().filter(is_live).count() as u64;
    if count == index.len() && index.segments.len() < 2 {
        return Ok(());
    }
    let superseded = index.names();
    if count == 0 {
        return replace(repository, Sealed { segments: Vec::new(), superseded });
    }
    let (name, temporary) = written(repository, count, index.entries().filter(is_live))?;
    let superseded = superseded.into_iter().filter(|old| *old != name).collect();
    replace(repository, Sealed { segments: vec![(name, temporary)], superseded })
}

/// Puts segments in place, outside a transaction.
fn replace(repository: &Repository, sealed: Sealed) -> Result<()> {
    for (_, temporary) in &sealed.segments {
        // D3: the content before the name.
        temporary.file.sync()?;
    }
    publish(repository, sealed)
}

/// Names segments, whose content is durable, and then removes those that they take the place of.
pub(crate) fn publish(repository: &Repository, sealed: Sealed) -> Result<()> {
    if sealed.is_empty() {
        return Ok(());
    }
    let own = repository.dir().open_dir(layout::OWN)?;
    let staging = repository.staging()?;
    let folder = staging.ensure_folder(&own, layout::CONTENTS)?;
    for (name, temporary) in sealed.segments {
        temporary.replace(&folder, Path::new(&name))?;
    }
    // D3: both ends of the renames, and the folder's own name.
    folder.sync()?;
    staging.dir.sync()?;
    own.sync()?;
    // D1: what is in the old ones is in the new one, durably. Should one come back, it says nothing wrong.
    for old in sealed.superseded {
        match folder.remove_file(&old) {
            Err(error) if error.is_missing() => {}
            other => other?,
        }
    }
    Ok(())
}

/// Compares every entry with its object; `everything` also with the object's bytes. An entry without an object is no
/// damage: other programs collect garbage too. Objects in `damaged` are damaged anyway.
pub(crate) fn check(
    repository: &Repository,
    everything: bool,
    damaged: &HashSet<String>,
    pool: &rayon::ThreadPool,
    control: &Control,
) -> Result<(u64, Vec<Damage>)> {
    let index = repository.content_index()?;
    let mut damage: Vec<Damage> = index
        .damaged()
        .iter()
        .map(|one| Damage::IndexMalformed { path: one.path.clone(), reason: one.reason.clone() })
        .collect();
    let task = Mutex::new(control.start(Work::Check, "contents", Some(index.len()), Unit::Items));
    let mut entries = index.entries();
    let mut count = 0;
    loop {
        let batch: Vec<IndexedContent> = entries.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        count += batch.len() as u64;
        let check = |entry: &IndexedContent| check_entry(repository, entry, everything, damaged, control);
        let found = pool.install(|| batch.par_iter().map(check).collect::<Result<Vec<_>>>())?;
        damage.extend(found.into_iter().flatten());
        task.lock().unwrap_or_else(PoisonError::into_inner).advance(batch.len() as u64);
    }
    task.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    Ok((count, damage))
}

fn check_entry(
    repository: &Repository,
    entry: &IndexedContent,
    everything: bool,
    damaged: &HashSet<String>,
    control: &Control,
) -> Result<Option<Damage>> {
    control.check()?;
    let wrong = |reason: String| {
        Some(Damage::IndexWrong { id: entry.object.to_hex(), content: entry.content.to_string(), reason })
    };
    if damaged.contains(&entry.object.to_hex()) {
        return Ok(None);
    }
    match repository.objects().find(&entry.object, entry.size)? {
        Found::Missing => Ok(None),
        Found::Damaged => Ok(wrong(format!("the object does not have {} bytes", entry.size))),
        Found::Good if !everything => Ok(None),
        Found::Good => match make::hash(repository, &entry.object, control) {
            Ok((content, _)) if content == entry.content => Ok(None),
            Ok((content, _)) => Ok(wrong(format!("the object's content has the digest {content}"))),
            Err(Error::Missing { .. }) => Ok(None),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => Ok(wrong(error.to_string())),
        },
    }
}

/// Makes the index anew from all objects. For a repair alone, which has the repository for itself.
pub(crate) fn rebuild(repository: &Repository, control: &Control) -> Result<()> {
    let collector = Mutex::new(Collector::default());
    let sink = |entry| collector.lock().unwrap_or_else(PoisonError::into_inner).push(repository, entry);
    let known: HashSet<ObjectId> = HashSet::new();
    make::Making { repository, known, dry_run: false, sink: &sink, control }.run()?;
    let collector = collector.into_inner().unwrap_or_else(PoisonError::into_inner);
    let nothing = ContentIndex { repository: repository.clone(), segments: Vec::new(), damaged: Vec::new() };
    let mut sealed = collector.into_one(repository, nothing)?;
    let Some(folder) = folder(repository)? else { return replace(repository, sealed) };
    let new: Vec<_> = sealed.segments.iter().map(|(name, _)| name.clone()).collect();
    let old = folder.read_dir()?.into_iter().map(|entry| entry.name.to_string_lossy().into_owned());
    sealed.superseded = old.filter(|old| !new.contains(old)).collect();
    replace(repository, sealed)
}
