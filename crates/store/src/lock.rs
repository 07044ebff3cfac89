//! The repository's lock: shared while anything is imported or read, exclusive for gc and repair (rule D12).
//!
//! The lock is flock(2) on the repository's folder, held from open to close as composefs holds it, so foreign programs
//! and ours exclude each other. A file lock cannot tell users of one open folder apart, so a count inside the process
//! does: exclusive waits until no transaction of this process is left, and none begins while it is held.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{
    Error, Result,
    disk::{Dir, Lock, Wait},
};

/// How long it is waited between two tries for a lock that another process has.
const POLL: Duration = Duration::from_millis(20);

/// The largest `/proc/locks` that is searched for a holder, in bytes.
const LOCKS_LIMIT: u64 = 4 << 20;

/// The lock of one open repository.
pub(crate) struct RepositoryLock {
    dir: Dir,
    users: Mutex<Users>,
    changed: Condvar,
}

#[derive(Default)]
struct Users {
    shared: usize,
    exclusive: bool,
}

/// Keeps gc out; held by each transaction from its first lookup until its names are durable.
pub(crate) struct SharedGuard(Arc<RepositoryLock>);

/// Keeps everybody else out.
pub(crate) struct ExclusiveGuard(Arc<RepositoryLock>);

impl RepositoryLock {
    /// Takes the shared lock of the folder, for as long as the folder is open.
    pub(crate) fn open(dir: Dir, patience: Duration) -> Result<Arc<Self>> {
        take(&dir, Lock::Shared, Instant::now() + patience)?;
        Ok(Arc::new(Self { dir, users: Mutex::default(), changed: Condvar::new() }))
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a use that gc may not cut into.
    pub(crate) fn shared(self: &Arc<Self>) -> SharedGuard {
        let mut users = self.users();
        while users.exclusive {
            users = self.changed.wait(users).unwrap_or_else(PoisonError::into_inner);
        }
        users.shared += 1;
        drop(users);
        SharedGuard(Arc::clone(self))
    }

    /// Waits until nobody else uses the repository, in this process or another, but not longer than `patience`.
    pub(crate) fn exclusive(self: &Arc<Self>, patience: Duration) -> Result<ExclusiveGuard> {
        let deadline = Instant::now() + patience;
        let mut users = self.users();
        while users.exclusive || users.shared > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let holder = Some(format!("this process (id {})", std::process::id()));
                return Err(Error::Busy { path: self.dir.label().to_owned(), holder });
            }
            users = self.changed.wait_timeout(users, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        users.exclusive = true;
        drop(users);
        // From here on the guard undoes it.
        let guard = ExclusiveGuard(Arc::clone(self));
        // The kernel lets go of the shared lock before it takes the other: nothing of ours relies on it meanwhile.
        take(&self.dir, Lock::Exclusive, deadline)?;
        Ok(guard)
    }
}

/// Takes a lock of a folder, and waits for it no longer than `patience`: for a lock that is held for moments only, and a little
/// longer when a program was started meanwhile, which shares open files until it runs.
///
/// # Errors
/// [`Error::Busy`], which names the holder if it can be found, and the disk's.
pub fn lock_within(dir: &Dir, lock: Lock, patience: Duration) -> Result<()> {
    take(dir, lock, Instant::now() + patience)
}

/// Tries for a lock until the deadline; the last word names the holder.
fn take(dir: &Dir, lock: Lock, deadline: Instant) -> Result<()> {
    loop {
        match dir.lock(lock, Wait::Try) {
            Err(error) if error.errno() == Some(Errno::WOULDBLOCK) => {}
            other => return other,
        }
        if Instant::now() >= deadline {
            return Err(Error::Busy { path: dir.label().to_owned(), holder: holder(dir) });
        }
        thread::sleep(POLL);
    }
}

/// Who holds a lock on this folder, by `/proc/locks` (`proc_locks(5)`): the process id and its name.
fn holder(dir: &Dir) -> Option<String> {
    let inode = dir.own_metadata().ok()?.inode.to_string();
    let proc = Dir::open(dir.disk(), "/proc").ok()?;
    let locks = proc.open_file("locks").ok()?.read_all(LOCKS_LIMIT).ok()?;
    let own = std::process::id().to_string();
    let pid = String::from_utf8_lossy(&locks).lines().find_map(|line| {
        // "1: FLOCK  ADVISORY  READ 4711 fd:01:131 0 EOF". The device is not compared: btrfs shows another one here.
        let mut fields = line.split_whitespace().skip(1);
        let (kind, pid, file) = (fields.next()?, fields.nth(2)?, fields.next()?);
        (kind == "FLOCK" && pid != own && file.rsplit(':').next() == Some(&inode)).then(|| pid.to_owned())
    })?;
    let name = proc.open_file(format!("{pid}/comm")).and_then(|file| file.read_all(64)).ok();
    let name = name.map(|name| String::from_utf8_lossy(&name).trim().to_owned());
    Some(name.map_or_else(|| format!("process {pid}"), |name| format!("process {pid} ({name})")))
}

impl Drop for SharedGuard {
    fn drop(&mut self) {
        self.0.users().shared -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for ExclusiveGuard {
    fn drop(&mut self) {
        // Back to what an open repository holds. Should this fail, the repository is merely unprotected against gc
        // until it is opened again, and a transaction that begins then re-checks by its own lookups.
        drop(self.0.dir.lock(Lock::Shared, Wait::Block));
        self.0.users().exclusive = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn locks() -> (tempfile::TempDir, Arc<RepositoryLock>, Arc<RepositoryLock>) {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
            RepositoryLock::open(dir, Duration::ZERO).unwrap()
        };
        let (first, second) = (open(), open());
        (folder, first, second)
    }

    #[test]
    fn exclusive_waits_for_transactions_of_its_own_process() {
        let (_folder, lock, other) = locks();
        drop(other);
        let first = lock.shared();
        let second = lock.shared();
        assert!(matches!(lock.exclusive(Duration::ZERO), Err(Error::Busy { holder: Some(_), .. })));
        drop((first, second));
        let exclusive = lock.exclusive(Duration::ZERO).unwrap();
        assert!(matches!(lock.exclusive(Duration::ZERO), Err(Error::Busy { .. })));
        let waiting = thread::spawn({
            let lock = Arc::clone(&lock);
            move || drop(lock.shared())
        });
        drop(exclusive);
        waiting.join().unwrap();
    }

    #[test]
    fn exclusive_excludes_every_other_open_repository_and_the_other_way_round() {
        let (folder, lock, other) = locks();
        assert!(matches!(lock.exclusive(Duration::ZERO), Err(Error::Busy { .. })), "another has it open");
        drop(other);
        let exclusive = lock.exclusive(Duration::ZERO).unwrap();
        let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
        assert!(matches!(RepositoryLock::open(dir.clone(), Duration::ZERO), Err(Error::Busy { .. })));
        drop(exclusive);
        RepositoryLock::open(dir, Duration::ZERO).unwrap();
    }

    #[test]
    fn the_holder_of_the_lock_is_named() {
        let (folder, lock, other) = locks();
        drop(other);
        let locked = folder.path().display().to_string();
        let mut child = std::process::Command::new("flock")
            .args(["--shared", &locked, "sh", "-c", "echo held; read line"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut held).unwrap();
        match lock.exclusive(Duration::ZERO) {
            Err(Error::Busy { holder: Some(holder), .. }) => {
                assert!(holder.starts_with("process ") && !holder.contains(&std::process::id().to_string()));
            }
            _ => panic!("the lock was not held, or by nobody"),
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        lock.exclusive(Duration::ZERO).unwrap();
    }
}
