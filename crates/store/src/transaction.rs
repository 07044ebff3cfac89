//! [`Transaction`]: the only way to write into a repository.
//!
//! Objects go to their places at once, where nothing names them; names are collected. The commit makes one barrier for
//! all objects, new and reused (rules D2 and D6), then publishes the names (D3, in `publish.rs`), and only then hands out
//! a [`Durable`]. A failed write poisons the transaction (D5). A dropped transaction leaves nothing that can be seen:
//! at most objects that no name reaches, which gc removes.

use std::{
    fmt,
    sync::{
        Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{
    ContentDigest, ContentIndex, Durable, Error, IndexedContent, ObjectId, ObjectWriter, RefName, RefTarget,
    Repository, Result, StreamName,
    contents::{Collector, Sealed},
    disk::Dir,
    layout,
    lock::SharedGuard,
    objects::{Found, first_byte},
    placing::{FreshFolders, Placing},
    publish::Names,
    seen::Seen,
    temporary::{Published, Temporary},
    unsynced::Unsynced,
    verity,
};

/// An object that is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: ObjectId,
    /// Whether this call wrote it.
    pub is_new: bool,
}

/// What a transaction has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionStats {
    /// Objects written.
    pub new_objects: u64,
    /// The content of those, in bytes.
    pub new_bytes: u64,
    /// Objects that were there already; each counts once.
    pub reused_objects: u64,
    /// The content of those, in bytes.
    pub reused_bytes: u64,
    /// Damaged objects that were written anew; also counted as new.
    pub healed_objects: u64,
}

/// A set of writes that becomes visible and durable as one. Its methods may be called from many threads.
#[must_use = "nothing is published before the commit"]
pub struct Transaction {
    repository: Repository,
    _lock: SharedGuard,
    /// The repository's folder, opened for this transaction alone: the kernel tells each open file once of a lost write,
    /// and one transaction must not take the news from another.
    root: Dir,
    seen: Seen,
    /// The folders of objects that this transaction made.
    fresh: FreshFolders,
    /// Held, shared, while an object is put in its place: who holds it alone knows that all that was seen is there.
    placing: RwLock<()>,
    names: Mutex<Names>,
    verify_existing: bool,
    poisoned: AtomicBool,
    touched: AtomicBool,
    unsynced: Unsynced,
    contents: Mutex<Collector>,
    /// The index of contents, opened when it is asked for.
    index: OnceLock<ContentIndex>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    new_objects: AtomicU64,
    new_bytes: AtomicU64,
    reused_objects: AtomicU64,
    reused_bytes: AtomicU64,
    healed_objects: AtomicU64,
}

impl Transaction {
    /// `verify_existing`: whether objects that are there may have suffered from a power cut.
    pub(crate) fn new(repository: Repository, lock: SharedGuard, verify_existing: bool) -> Result<Self> {
        // D2: before the first write.
        let root = repository.dir().open_dir(".")?;
        Ok(Self {
            repository,
            _lock: lock,
            root,
            seen: Seen::new(),
            fresh: FreshFolders::default(),
            placing: RwLock::default(),
            names: Mutex::default(),
            verify_existing,
            poisoned: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            unsynced: Unsynced::default(),
            contents: Mutex::default(),
            index: OnceLock::new(),
            counts: Counts::default(),
        })
    }

    /// Reads each existing object before it counts as there, and replaces it when its content is damaged. Done in any
    /// case after a transaction that wrote objects was cut off before its barrier (killed, or by the power), until the
    /// next gc.
    pub fn verify_existing(mut self, yes: bool) -> Self {
        self.verify_existing |= yes;
        self
    }

    /// The repository that this writes to.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What has been done so far.
    #[must_use]
    pub fn stats(&self) -> TransactionStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TransactionStats {
            new_objects: read(&self.counts.new_objects),
            new_bytes: read(&self.counts.new_bytes),
            reused_objects: read(&self.counts.reused_objects),
            reused_bytes: read(&self.counts.reused_bytes),
            healed_objects: read(&self.counts.healed_objects),
        }
    }

    /// Stores a content: hashed first, written only if it is new.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::ReadOnly`], [`Error::Verity`], or when the disk fails; the transaction is of no use
    /// then.
    pub fn put(&self, content: &[u8]) -> Result<Stored> {
        self.put_known(verity::digest(self.repository.algorithm(), content), content)
    }

    /// Stores a content whose digest **the caller computed from these very bytes**: one system call if it is there,
    /// none if this transaction had it before.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn put_known(&self, id: ObjectId, content: &[u8]) -> Result<Stored> {
        self.put_known_parts(id, &[content])
    }

    /// The same for a content that lies in several places: `parts` in order are the bytes.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn put_known_parts(&self, id: ObjectId, parts: &[&[u8]]) -> Result<Stored> {
        let size = parts.iter().map(|part| part.len() as u64).sum();
        self.ensure(id, size, |placing| self.repository.objects().write(&id, parts, placing))
    }

    /// Makes an object be there, once a transaction: looked up first, and written only if it is not there.
    fn ensure(
        &self,
        id: ObjectId,
        size: u64,
        write: impl FnOnce(Placing<'_>) -> Result<Published>,
    ) -> Result<Stored> {
        // Before it is seen: whoever sees it may say that it is there, and another thread is still at it.
        let _placing = self.placing.read().unwrap_or_else(PoisonError::into_inner);
        if !self.seen.insert(&id) {
            return Ok(Stored { id, is_new: false });
        }
        self.poisoning(|| {
            // What this transaction put there it has seen; what others did meanwhile stops the publication.
            let is_fresh = !self.verify_existing && self.fresh.contains(first_byte(&id));
            let found = if is_fresh { Found::Missing } else { self.find(&id, size)? };
            let published = if found == Found::Good {
                Published::Exists
            } else {
                self.unsynced.mark(&self.repository)?;
                write(Placing { found, staging: self.repository.staging()?, fresh: &self.fresh })?
            };
            Ok(self.count(id, size, published, found))
        })
    }

    /// Begins an object that is too big to be held; `expected_size` in bytes is a hint.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn object_writer(&self, expected_size: u64) -> Result<ObjectWriter<'_>> {
        let file = self.poisoning(|| {
            let staging = self.repository.staging()?;
            staging.create(&staging.dir, layout::OBJECT_MODE)
        })?;
        Ok(ObjectWriter::new(self, file, expected_size))
    }

    /// Publishes what an [`ObjectWriter`] wrote.
    pub(crate) fn finish_object(&self, id: ObjectId, size: u64, file: Temporary) -> Result<Stored> {
        self.ensure(id, size, |placing| self.repository.objects().place(file, &id, size, placing))
    }

    /// Looks an object up; with `verify_existing` also into it.
    pub(crate) fn find(&self, id: &ObjectId, size: u64) -> Result<Found> {
        let found = self.repository.objects().find(id, size)?;
        if found == Found::Good && self.verify_existing {
            return match self.repository.copy_object(id, |_| Ok(())) {
                Ok(_) => Ok(Found::Good),
                Err(Error::Corrupt { .. } | Error::Verity { .. } | Error::Io { .. }) => Ok(Found::Damaged),
                Err(error) => Err(error),
            };
        }
        Ok(found)
    }

    fn count(&self, id: ObjectId, size: u64, published: Published, found: Found) -> Stored {
        let is_new = published == Published::New;
        let (objects, bytes) = if is_new {
            (&self.counts.new_objects, &self.counts.new_bytes)
        } else {
            (&self.counts.reused_objects, &self.counts.reused_bytes)
        };
        objects.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(size, Ordering::Relaxed);
        if is_new {
            self.touched.store(true, Ordering::Relaxed);
            self.counts.healed_objects.fetch_add(u64::from(found == Found::Damaged), Ordering::Relaxed);
        }
        Stored { id, is_new }
    }

    /// D5: what failed once is not tried again, and nothing of it is published.
    pub(crate) fn poisoning<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = write();
        if result.is_err() {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        result
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Will name a stream: `streams/<name>`, in place of what has the name now.
    pub fn name_stream(&self, name: StreamName, stream: ObjectId) {
        self.names().streams.insert(name, stream);
    }

    /// Will name an image, so that it may be mounted: `images/<id>`.
    pub fn name_image(&self, image: ObjectId) {
        self.names().images.insert(image);
    }

    /// Will keep an image or a stream: a ref below `images/refs` or `streams/refs`, in place of what has the name now.
    /// What it names must be there, or be named by this transaction.
    pub fn set_ref(&self, name: RefName, target: RefTarget) {
        self.names().refs.insert((target.place(), name), target);
    }

    /// Will put a record into the cache of decoded layers under this file name, in place of what has the name now.
    /// It is written at once, and durable with the names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no plain file name; otherwise as [`Transaction::put`].
    pub fn cache_layer(&self, name: &str, record: &[u8]) -> Result<()> {
        if let Some(reason) = crate::stream_name::component_fault(name) {
            return Err(Error::Invalid { what: "layer record name", value: name.to_owned(), reason });
        }
        self.poisoning(|| {
            let temporary = self.own_file(record)?;
            self.names().records.insert(name.to_owned(), temporary);
            Ok(())
        })
    }

    /// Will put what is known of the kernel of an image that boots into the cache, in place of what is known now. It is written
    /// at once, and durable with the names; gc removes it with the image.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn note_kernel(&self, image: &ObjectId, note: &[u8]) -> Result<()> {
        self.poisoning(|| {
            let temporary = self.own_file(note)?;
            self.names().kernels.insert(image.to_hex(), temporary);
            Ok(())
        })
    }

    /// Will remember where the image of an OCI name came from, in place of what is remembered now. It is written at once, and
    /// durable with the names; gc forgets it with the name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name; otherwise as [`Transaction::put`].
    pub fn note_origin(&self, name: &RefName, origin: &[u8]) -> Result<()> {
        let Some(file) = layout::origin_file(name) else {
            let reason = "only an OCI name has an origin";
            return Err(Error::Invalid { what: "ref name", value: name.to_string(), reason });
        };
        self.poisoning(|| {
            let temporary = self.own_file(origin)?;
            self.names().origins.insert(file.to_owned(), temporary);
            Ok(())
        })
    }

    fn own_file(&self, bytes: &[u8]) -> Result<Temporary> {
        let staging = self.repository.staging()?;
        let temporary = staging.create(&staging.dir, layout::OBJECT_MODE)?;
        temporary.file.write_all_at(0, bytes)?;
        Ok(temporary)
    }

    /// The index of contents, as it was when this transaction first asked for it.
    ///
    /// # Errors
    /// As [`Repository::content_index`].
    pub fn content_index(&self) -> Result<&ContentIndex> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = self.repository.content_index()?;
        Ok(self.index.get_or_init(|| index))
    }

    /// Will put an entry into the index of contents: the object has this many bytes, and this is **the SHA-256 that the
    /// caller computed from these very bytes**.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn index_content(&self, content: ContentDigest, object: ObjectId, size: u64) -> Result<()> {
        let entry = IndexedContent { content, object, size };
        if self.content_index()?.has(&entry) { Ok(()) } else { self.push_content(entry) }
    }

    /// The same for an entry that the index is known not to have.
    pub(crate) fn push_content(&self, entry: IndexedContent) -> Result<()> {
        self.poisoning(|| {
            let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
            contents.push(&self.repository, entry)
        })
    }

    /// The segments of what was indexed so far, to be named after a barrier.
    fn seal_contents(&self) -> Result<Sealed> {
        let contents = std::mem::take(&mut *self.contents.lock().unwrap_or_else(PoisonError::into_inner));
        self.poisoning(|| contents.seal(&self.repository))
    }

    /// Has what was stored so far written to the disk, and waits for it: no barrier, but the commit's finds less left to
    /// do. For a thread that has nothing else to do, while others go on storing.
    ///
    /// # Errors
    /// When the disk fails; the transaction is of no use then, since the kernel tells of a lost write only once.
    pub fn write_back(&self) -> Result<()> {
        self.poisoning(|| self.root.sync_file_system())
    }

    /// Makes durable and publishes what is named so far, and goes on: for a part that is whole by itself and was dear, so
    /// that it is not lost with the rest. What it names has to be stored: its `put`s have returned.
    ///
    /// No ref is needed for it, and without one the next gc takes it away.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a failed write; otherwise when the disk fails, and the transaction is of no use then.
    pub fn checkpoint(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error::Poisoned);
        }
        let mut names = std::mem::take(&mut *self.names());
        if names.is_empty() {
            return Ok(());
        }
        names.contents = self.seal_contents()?;
        // An object of ours may be the same as one that another thread is just putting in its place.
        drop(self.placing.write().unwrap_or_else(PoisonError::into_inner));
        self.poisoning(|| {
            // D2, D6: as in the commit; D3: the names only then. The mark stays, for what comes after this.
            self.root.sync_file_system()?;
            names.publish(&self.repository)
        })
    }

    /// Makes everything durable and publishes the names. `value` is what the caller wants to have durable: it is given
    /// back as proof.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a failed write; otherwise when the disk fails. Some of the names may be visible then,
    /// each of them whole.
    pub fn commit<T>(self, value: T) -> Result<Durable<T>> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error::Poisoned);
        }
        let mut names = std::mem::take(&mut *self.names());
        names.contents = self.seal_contents()?;
        if self.touched.load(Ordering::Relaxed) || !names.is_empty() {
            // D2: the one barrier. It covers reused objects too, whoever wrote them (D6). The folder was opened before
            // the first write, so the kernel tells us of writes that failed meanwhile.
            self.poisoning(|| self.root.sync_file_system())?;
            self.unsynced.clear()?;
        }
        names.publish(&self.repository)?;
        Ok(Durable::after_sync(value))
    }
}

/// Given up without a fault of the disk: what was stored is made durable, so that the next transaction can have it
/// without reading it. Nothing names it; where this fails, the mark stays.
impl Drop for Transaction {
    fn drop(&mut self) {
        let is_sound = !self.poisoned.load(Ordering::Relaxed);
        if is_sound && self.unsynced.is_made() && self.root.sync_file_system().is_ok() {
            drop(self.unsynced.clear());
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("repository", &self.repository)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod calls_tests;
#[cfg(test)]
mod checkpoint_tests;
#[cfg(test)]
mod tests;
