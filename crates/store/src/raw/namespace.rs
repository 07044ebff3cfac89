//! A mount namespace of the calling thread's own, by unshare(2).
//!
//! What lives here: the one call. What does not: what is mounted in it (`mount/own_view.rs`).

use rustix::{
    io::Result,
    thread::{UnshareFlags, unshare_unsafe},
};

/// Gives the calling thread a copy of all mounts, that only it sees, and the threads that it starts from here on.
pub(crate) fn unshare_mounts() -> Result<()> {
    // SAFETY: the call is unsafe for what it does to tables of descriptors with `FILES`, which is not asked for. Mounts are
    // reached through paths and open descriptors; both stay valid for every thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> std::path::PathBuf {
        std::fs::read_link("/proc/thread-self/ns/mnt").unwrap()
    }

    #[test]
    fn a_thread_with_mounts_of_its_own_leaves_the_others_where_they_were() {
        let before = namespace();
        let (done, own) = std::thread::spawn(|| (unshare_mounts(), namespace())).join().unwrap();
        assert_eq!(done.is_ok(), own != before, "{done:?}");
        assert_eq!(namespace(), before);
        assert_eq!(done.is_ok(), rustix::process::geteuid().is_root(), "{done:?}");
    }
}
