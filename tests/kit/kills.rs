//! The command killed at its system calls, by `strace`.

use std::path::Path;
use std::process::Command;

use super::{has, world};

/// The calls that change something. `strace` counts each kind for itself, so a kill at the Nth call of several kinds would
/// never come to those that are rare: each kind has its turn.
const CHANGES: [&str; 15] = [
    "openat",
    "mkdirat",
    "write",
    "pwrite64",
    "pwritev",
    "linkat",
    "symlinkat",
    "renameat2",
    "unlinkat",
    "ftruncate",
    "fsync",
    "syncfs",
    "fchmod",
    "fchmodat",
    "utimensat",
];

/// Runs the command on copies of a folder, killed at ever later calls of each kind until it comes through, and lets `check`
/// look at each copy, with a text that says where it was killed. The Nth call grows by half of itself; with
/// `SEALSTONE_SOAK` it is every single one. `run` completes a program that is ready for the command's arguments, and says
/// whether it succeeded.
pub fn kill_at_each_call(
    test: &str,
    template: &Path,
    run: impl Fn(&mut Command, &Path) -> bool,
    mut check: impl FnMut(&Path, &str),
) {
    if !has("strace", test) {
        return;
    }
    let every = std::env::var_os("SEALSTONE_SOAK").is_some();
    let mut kills = 0;
    for call in CHANGES {
        let mut point = 1;
        loop {
            let folder = world::copy_of(template);
            let inject = format!("inject={call}:signal=KILL:when={point}");
            let mut program = Command::new("strace");
            program.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            if run(program.arg(env!("CARGO_BIN_EXE_store")), folder.path()) {
                break;
            }
            check(folder.path(), &format!("{test} killed at {call} {point}"));
            kills += 1;
            point += if every { 1 } else { 1 + point / 2 };
        }
    }
    println!("{test}: {kills} kills");
    assert!(kills > 10, "it was only killed {kills} times");
}
