//! Emptying the journal of a file system, for readers that replay none.
//!
//! What lives here: ext4's own call for it; where there is none, freezing and thawing, and the watchdog that thaws when we
//! cannot. What does not: which file systems may be frozen, and what it means that one cannot be.
//! Sources: `Documentation/filesystems/ext4/journal.rst`, `fs/super.c` and `linux/fs.h` of Linux; the watchdog is ostree's.
//!
//! Whoever froze a file system and dies leaves it frozen: from then on everything that writes to it waits, for ever. So a
//! child is there before we freeze. It holds one end of a pipe, whose other end is closed by our exit: by no earlier moment,
//! whatever kills us, so a freeze that the kernel still works on has ended when the child sees it. The child thaws then, and
//! also when we take too long. Only if both are killed at once, in the moment between the two calls, does it stay frozen.

use std::{
    ffi::c_int,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
    thread::sleep,
    time::Duration,
};

use rustix::{
    io::{Errno, Result, read, retry_on_intr, write},
    ioctl::{self, NoArg, Opcode, Setter, opcode},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, WaitOptions, waitpid},
};

/// `EXT4_IOC_CHECKPOINT` (Linux 5.15)
const CHECKPOINT: Opcode = opcode::write::<u32>(b'f', 43);
/// `FIFREEZE`; the kernel does not look at its argument.
const FREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
/// `FITHAW`; the same.
const THAW: Opcode = opcode::read_write::<c_int>(b'X', 120);

/// How long a file system may be frozen before the watchdog thaws it: ostree's, in milliseconds. It takes some tens.
const LIMIT: c_int = 30_000;

/// How long the watchdog waits after a thaw that came too early, in milliseconds.
const AGAIN: c_int = 1_000;

/// How often we try to freeze what somebody else has frozen, and how long we wait before the next time.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// What the parent says when all is well.
const DONE: &[u8] = b"!";

/// One at a time: a child that was forked meanwhile would keep the other's pipe open.
static ONE: Mutex<()> = Mutex::new(());

/// Writes what a file system's journal holds to its place, so that the journal is empty. The descriptor is that of the file
/// system's root.
///
/// # Errors
/// EBUSY when somebody else has frozen it, for as long as we wait; EPERM without the privilege; EOPNOTSUPP and ENOTTY where
/// there is no such thing; EIO when the disk fails.
pub(crate) fn empty_journal(root: impl AsFd) -> Result<()> {
    let root = root.as_fd();
    match checkpoint(root) {
        // An ext4 without a journal.
        Err(Errno::NODEV) => Ok(()),
        // Another file system; an older kernel; a folder that is not the root of its file system.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => while_frozen(root, LIMIT, || ()),
        other => other,
    }
}

/// ext4's own: the journal is locked, emptied and unlocked within the call, so nothing can be left behind.
fn checkpoint(root: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the number is that of EXT4_IOC_CHECKPOINT, which reads one u32 of flags; other file systems know no ioctl of
    // this number and refuse it.
    unsafe { ioctl::ioctl(root, Setter::<CHECKPOINT, u32>::new(0)) }
}

fn freeze(root: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: FIFREEZE touches no memory of ours.
    unsafe { ioctl::ioctl(root, NoArg::<FREEZE>::new()) }
}

fn thaw(root: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: FITHAW touches no memory of ours.
    unsafe { ioctl::ioctl(root, NoArg::<THAW>::new()) }
}

/// Freezes and thaws; `work`, between the two, is for tests.
fn while_frozen(root: BorrowedFd<'_>, limit: c_int, work: impl FnOnce()) -> Result<()> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let watchdog = Watchdog::start(root, limit)?;
    if let Err(error) = freeze_in_turn(root) {
        // Before anything else: what is frozen now is not ours to thaw.
        watchdog.dismiss();
        return Err(error);
    }
    work();
    match retry_on_intr(|| thaw(root)) {
        // EINVAL: the watchdog was first.
        Ok(()) | Err(Errno::INVAL) => {
            watchdog.dismiss();
            Ok(())
        }
        // It is dropped without a word, and tries as well.
        Err(error) => Err(error),
    }
}

/// Freezes, after whoever else is about to.
fn freeze_in_turn(root: BorrowedFd<'_>) -> Result<()> {
    for _ in 1..TRIES {
        match retry_on_intr(|| freeze(root)) {
            Err(Errno::BUSY) => sleep(PAUSE),
            other => return other,
        }
    }
    freeze(root)
}

/// A child that thaws a file system if it is not told in time that this is not needed.
struct Watchdog {
    child: Pid,
    /// Closed by our exit, at the latest.
    line: Option<OwnedFd>,
    /// Held open, so that a word to a child that is gone is no SIGPIPE.
    _ear: OwnedFd,
}

impl Watchdog {
    fn start(root: BorrowedFd<'_>, limit: c_int) -> Result<Self> {
        let (ear, line) = pipe_with(PipeFlags::CLOEXEC)?;
        // Blocked across the fork, and in the child for good: a Ctrl-C, or the SIGTERM of a service that is stopped, goes to
        // all processes of a group, and the child is there for when its parent falls.
        let before = block_signals();
        // SAFETY: fork(2) itself is always allowed; what its child may do in a process with threads is little (the locks of
        // the others stay locked for ever, that of the allocator among them), see `watch`, which never returns.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            watch(ear.as_fd(), &line, root, limit);
        }
        let error = std::io::Error::last_os_error();
        restore_signals(&before);
        match Pid::from_raw(forked) {
            Some(child) if forked > 0 => Ok(Self { child, line: Some(line), _ear: ear }),
            _ => Err(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)),
        }
    }

    /// All is well.
    fn dismiss(self) {
        if let Some(line) = &self.line {
            let _ = retry_on_intr(|| write(line, DONE));
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // If nothing was said, it reads the end now.
        self.line = None;
        // It is there no more when somebody waits for all children of this process, which is no matter.
        let _ = retry_on_intr(|| waitpid(Some(self.child), WaitOptions::empty()));
    }
}

/// What the child does: it waits for a word, for the end of its parent, or for too long, and thaws in the last two cases.
///
/// Between fork and `_exit` are system calls alone: `poll` and `_exit` of the C library, which signal-safety(7) allows, and
/// rustix's, which are bare. Nothing is allocated, locked or dropped, nothing panics, and no signal handler runs.
fn watch(ear: BorrowedFd<'_>, line: &OwnedFd, root: BorrowedFd<'_>, limit: c_int) -> ! {
    close_others(line, [ear.as_raw_fd(), root.as_raw_fd()]);
    let mut wait = limit;
    loop {
        let mut asked = libc::pollfd { fd: ear.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, which lives here, and its number.
        let answers = unsafe { libc::poll(&raw mut asked, 1, wait) };
        if answers > 0 {
            let mut word = [0_u8; 1];
            if !matches!(read(ear, &mut word), Ok(1)) {
                let _ = thaw(root);
            }
            break;
        }
        // Too early while the kernel is still freezing (EINVAL): then again.
        if answers == 0 && thaw(root).is_ok() {
            break;
        }
        wait = AGAIN;
    }
    // SAFETY: ends the child without the destructors and exit handlers of its parent.
    unsafe { libc::_exit(0) }
}

/// Closes the child's copies of descriptors: that of the parent's end, which would keep the child from ever seeing it close;
/// and, where the kernel can (Linux 5.9), all but two, since a lock is held for as long as any copy is open.
fn close_others(line: &OwnedFd, keep: [c_int; 2]) {
    // SAFETY: nothing in the child uses or drops what is closed: it ends by `_exit`, which drops nothing. The system call takes
    // three numbers.
    unsafe {
        libc::close(line.as_raw_fd());
        let [low, high] = if keep[0] < keep[1] { keep } else { [keep[1], keep[0]] };
        for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, c_int::MAX)] {
            if first <= last {
                libc::syscall(libc::SYS_close_range, first, last, 0);
            }
        }
    }
}

/// Blocks every signal for this thread; gives what was blocked before.
fn block_signals() -> libc::sigset_t {
    // SAFETY: a sigset_t is plain bits, for which zeros are a value; both calls write to the two sets that live here.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: reads the set; the old one is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const *before, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests;
