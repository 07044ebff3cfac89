//! Garbage collection: removes what no ref reaches. Names first, for good, and only then their objects (rule D1).
//!
//! A power cut or a kill in between leaves objects without a name, never a name without its objects. The exclusive lock
//! is held for marking and sweeping together (D12), so nothing can come to need what is being removed. Files that are no
//! object's stay where they are and are counted.

use std::{collections::HashSet, time::Duration};

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Control, ObjectId, Place, RefTarget, Repository, Result, contents,
    control::{Unit, Work},
    disk::{Dir, FileType},
    error::Optional,
    layout,
    mark::{self, Live},
    unsynced,
};

/// How long gc waits for the lock by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// The names of unpublished objects that composefs leaves in `objects/` when it is killed.
const COMPOSEFS_TEMPORARY: &str = ".tmp-object-";

/// What gc shall do.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// Only tell what would be removed. Does not keep anybody waiting.
    pub dry_run: bool,
    /// Images and streams to keep beside those with refs.
    pub extra_roots: Vec<RefTarget>,
    /// How long to wait for other users of the repository to end.
    pub patience: Duration,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self { dry_run: false, extra_roots: Vec::new(), patience: PATIENCE }
    }
}

/// What gc did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GcReport {
    /// Whether nothing was removed in fact.
    pub dry_run: bool,
    /// Refs and extra roots that were started from.
    pub roots: usize,
    /// Objects that they reach.
    pub live_objects: usize,
    /// Images whose names were removed, as ids.
    pub removed_images: Vec<String>,
    /// Streams whose names were removed.
    pub removed_streams: Vec<String>,
    /// Objects that were removed.
    pub removed_objects: u64,
    /// The content of those, in bytes.
    pub removed_bytes: u64,
    /// Layer records, and temporary files of killed processes, that were removed.
    pub removed_temporaries: u64,
    /// Files among the objects that are none; they were left alone.
    pub foreign_files: u64,
}

#[derive(Default)]
struct Swept {
    objects: u64,
    bytes: u64,
    foreign: u64,
}

impl Repository {
    /// Removes all names that no ref reaches, then all objects that nothing reaches, and what killed processes left.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) when others still use the repository, with their name;
    /// [`Error::Corrupt`](crate::Error::Corrupt) when something that the refs reach cannot be read: nothing was removed
    /// then. [`Error::Cancelled`](crate::Error::Cancelled), with some things removed and all others whole.
    pub fn gc(&self, options: &GcOptions, control: &Control) -> Result<GcReport> {
        self.require_writable()?;
        // D12: for mark and sweep. A dry run changes nothing, so it only keeps other gcs out.
        let exclusive = if options.dry_run { None } else { Some(self.exclusive(options.patience)?) };
        let shared = if options.dry_run { Some(self.shared()) } else { None };
        let pool = mark::pool(control)?;
        let live = mark::mark(self, &options.extra_roots, &pool, control)?;
        let mut report = GcReport {
            dry_run: options.dry_run,
            roots: live.roots,
            live_objects: live.objects.len(),
            ..GcReport::default()
        };
        control.check()?;
        self.sweep_names(&live, &mut report)?;
        self.sweep_own(&live, &mut report)?;
        self.sweep_objects(&live, &pool, control, &mut report)?;
        if !options.dry_run {
            contents::prune(self, &live.objects)?;
            unsynced::clear_all(self)?;
        }
        drop((exclusive, shared));
        Ok(report)
    }

    /// D1: removes names, and makes that durable before any object goes.
    fn sweep_names(&self, live: &Live, report: &mut GcReport) -> Result<()> {
        for place in [Place::Images, Place::Streams] {
            let is_dead = |name: &str, id: &ObjectId| match place {
                Place::Images => !live.images.contains(id),
                Place::Streams => !live.streams.contains(name),
            };
            let mut dead: Vec<_> = self
                .entries(place)?
                .into_iter()
                .filter(|(name, id)| is_dead(name, id))
                .map(|(name, _)| name)
                .collect();
            dead.sort_unstable();
            if !report.dry_run && !dead.is_empty() {
                let folder = self.dir().open_dir(place.folder())?;
                for name in &dead {
                    folder.remove_file(name)?;
                }
                folder.sync()?;
            }
            match place {
                Place::Images => report.removed_images = dead,
                Place::Streams => report.removed_streams = dead,
            }
        }
        Ok(())
    }

    /// Removes records of layers and kernels that are gone, and temporary files: whoever made them has no lock, so is no more.
    fn sweep_own(&self, live: &Live, report: &mut GcReport) -> Result<()> {
        let Some(own) = self.dir().open_dir(layout::OWN).optional()? else { return Ok(()) };
        let mut remove = |folder: &str, is_dead: &dyn Fn(&str) -> bool| {
            let Some(folder) = own.open_dir(folder).optional()? else { return Ok(()) };
            for entry in folder.read_dir()? {
                if entry.name.to_str().is_none_or(is_dead) && entry.kind != FileType::Directory {
                    report.removed_temporaries += 1;
                    if !report.dry_run {
                        folder.remove_file(&entry.name)?;
                    }
                }
            }
            Ok(())
        };
        remove(layout::LAYERS, &|name| !live.streams.contains(&format!("{}{name}", layout::LAYER_STREAM)))?;
        remove(layout::KERNELS, &|name| !name.parse().is_ok_and(|id: ObjectId| live.images.contains(&id)))?;
        let refs = self.refs(Place::Streams)?;
        let named: HashSet<&str> = refs.iter().filter_map(|(name, _)| layout::origin_file(name)).collect();
        remove(layout::ORIGINS, &|name| !named.contains(name))?;
        remove(layout::TEMPORARY, &|_| true)
    }

    fn sweep_objects(
        &self,
        live: &Live,
        pool: &rayon::ThreadPool,
        control: &Control,
        report: &mut GcReport,
    ) -> Result<()> {
        let Some(root) = self.objects().root()? else { return Ok(()) };
        for entry in root.read_dir()? {
            if entry.name.to_str().is_some_and(|name| name.starts_with(COMPOSEFS_TEMPORARY)) {
                report.removed_temporaries += 1;
                if !report.dry_run {
                    root.remove_file(&entry.name)?;
                }
            }
        }
        let task = control.start(Work::Sweep, "", None, Unit::Items);
        let sweep = |first: u8| {
            control.check()?;
            match self.objects().folder(first)? {
                Some(folder) => sweep_folder(folder, first, live, report.dry_run),
                None => Ok(Swept::default()),
            }
        };
        let swept = pool.install(|| (0..=u8::MAX).into_par_iter().map(sweep).collect::<Result<Vec<_>>>())?;
        task.finish();
        report.removed_objects = swept.iter().map(|swept| swept.objects).sum();
        report.removed_bytes = swept.iter().map(|swept| swept.bytes).sum();
        report.foreign_files = swept.iter().map(|swept| swept.foreign).sum();
        Ok(())
    }
}

/// Removes the dead objects of one folder.
fn sweep_folder(folder: &Dir, first: u8, live: &Live, dry_run: bool) -> Result<Swept> {
    let mut swept = Swept::default();
    let prefix = layout::fan_out(first);
    for entry in folder.read_dir()? {
        let id = entry.name.to_str().and_then(|name| layout::object_of_parts(&prefix, name));
        let Some(id) = id.filter(|_| entry.kind == FileType::File) else {
            swept.foreign += 1;
            continue;
        };
        if !live.objects.contains(&id) {
            swept.objects += 1;
            swept.bytes += folder.metadata(&entry.name)?.size;
            if !dry_run {
                folder.remove_file(&entry.name)?;
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests;
