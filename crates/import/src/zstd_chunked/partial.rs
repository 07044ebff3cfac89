//! [`PartialPull`]: the steps of having a layer in part, for the pipeline and for a dry run.

use std::num::NonZeroUsize;

use sealstone_store::{ContentIndex, Repository, Transaction};

use super::{
    Annotations, Stop,
    fetch::{Fetched, Fetcher},
    plan::PullPlan,
    reassemble::Reassembled,
    sheet::Sheet,
};
use crate::{ImportOptions, Limits, decompress::WindowGate, error::Result, oci::Descriptor, source::Source};

/// Requests for one layer that run side by side.
const REQUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// A layer of which only a part has to be fetched.
pub(crate) struct PartialPull<'a> {
    source: &'a dyn Source,
    descriptor: &'a Descriptor,
    limits: &'a Limits,
    sheet: Sheet,
    plan: PullPlan,
    fetched: Vec<Fetched>,
}

impl<'a> PartialPull<'a> {
    /// Finds out what has to be fetched. `count` is told the bytes that this fetches itself.
    pub(crate) fn plan(
        source: &'a dyn Source,
        descriptor: &'a Descriptor,
        index: &ContentIndex,
        options: &'a ImportOptions,
        count: &dyn Fn(u64),
    ) -> Result<Self, Stop> {
        let annotations = match Annotations::of(descriptor) {
            Ok(Some(annotations)) => annotations,
            Ok(None) => return Err(Stop::unfit("it is not zstd:chunked")),
            Err(reason) => return Err(Stop::unfit(reason)),
        };
        if options.verify_existing {
            return Err(Stop::unfit("everything was to be read"));
        }
        if index.is_empty() {
            return Err(Stop::unfit("nothing here is indexed"));
        }
        let limits = &options.limits;
        let sheet = Sheet::fetch(source, descriptor, &annotations, limits, count)?;
        let spent = annotations.range();
        let plan = PullPlan::new(&sheet, index, descriptor.size(), spent.end - spent.start, limits)?;
        Ok(Self { source, descriptor, limits, sheet, plan, fetched: Vec::new() })
    }

    /// Bytes of the blob that are still to be fetched.
    pub(crate) fn fetch_bytes(&self) -> u64 {
        self.plan.fetch_bytes()
    }

    /// Bytes of files that are here.
    pub(crate) const fn reused_bytes(&self) -> u64 {
        self.plan.reused_bytes
    }

    /// Bytes of the tar.
    pub(crate) const fn tar_bytes(&self) -> u64 {
        self.plan.tar_bytes
    }

    /// Fetches what is missing, and stores it. Gives the objects that were new, and the bytes in them.
    pub(crate) fn fetch(
        &mut self,
        transaction: &Transaction,
        gate: &WindowGate,
        check: &(dyn Fn() -> Result<()> + Sync),
        count: &(dyn Fn(u64) + Sync),
    ) -> Result<(u64, u64), Stop> {
        let fetcher = Fetcher {
            source: self.source,
            descriptor: self.descriptor,
            toc: &self.sheet.toc,
            transaction,
            limits: self.limits,
            gate,
            check,
            count,
        };
        self.fetched = fetcher.run(&self.plan, REQUESTS)?;
        let new = self.fetched.iter().filter_map(|fetched| match fetched {
            Fetched::Object { stored, size } if stored.is_new => Some(*size),
            _ => None,
        });
        Ok(new.fold((0, 0), |(objects, bytes), size| (objects + 1, bytes + size)))
    }

    /// The tar, once everything was fetched.
    pub(crate) fn tar<'s>(&'s self, repository: &'s Repository) -> Reassembled<'s> {
        Reassembled::new(repository, self.sheet.tar_split(self.limits), &self.plan, &self.fetched)
    }
}

/// What an import would fetch of a layer that is not here.
pub(crate) struct Estimate {
    /// Bytes of the blob.
    pub(crate) bytes: u64,
    /// Why that is all of it, and perhaps the table of contents before.
    pub(crate) whole_because: Option<String>,
}

/// Finds that out. Fetches the table of contents.
///
/// # Errors
/// When the source or the store fails.
pub(crate) fn estimate(
    source: &dyn Source,
    descriptor: &Descriptor,
    index: &ContentIndex,
    options: &ImportOptions,
) -> Result<Estimate> {
    let spent = std::cell::Cell::new(0);
    let count = |bytes: u64| spent.set(spent.get() + bytes);
    let whole = |reason| Estimate { bytes: spent.get() + descriptor.size(), whole_because: Some(reason) };
    match PartialPull::plan(source, descriptor, index, options, &count) {
        Ok(pull) => Ok(Estimate { bytes: spent.get() + pull.fetch_bytes(), whole_because: None }),
        Err(Stop::Unfit(reason)) => Ok(whole(reason)),
        Err(Stop::Wrong(error)) => Ok(whole(error.to_string())),
        Err(Stop::Failed(error)) => Err(error),
    }
}
