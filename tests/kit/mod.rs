//! The test kit: small OCI images made from code, a repository to put them in, and the command run on it.
//!
//! Images are written with the crate `tar` and hashed with `sha2`, independently of the code under test.
#![allow(dead_code, unused_imports, reason = "each test file is a program of its own and uses a part")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests, with ordinary files"
)]

pub mod artifact;
pub mod boots;
pub mod bound;
pub mod deployed;
pub mod disk;
pub mod http;
pub mod kills;
pub mod layer;
pub mod layout;
pub mod layout_check;
pub mod loop_disk;
pub mod machine;
pub mod memory_group;
pub mod power_cut;
pub mod proxy;
pub mod raw_tar;
pub mod registry;
pub mod running;
pub mod sandbox;
pub mod sealed;
pub mod signer;
pub mod stub;
pub mod system;
pub mod token_server;
pub mod tools;
pub mod web_registry;
pub mod world;

pub use layer::Layer;
pub use layout::{Compression, Image, gzip};
pub use raw_tar::{RawHeader, RawTar};
pub use sandbox::{Outcome, Sandbox};

/// Says that a test did not run, and why: visible with `--nocapture`, and in CI's log.
pub fn skip(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    std::process::Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// A skopeo of today, in the folder `SEALSTONE_SKOPEO` (`tests/tools/fetch-forky` fills one, `make test` names it): Debian
/// 12's neither signs nor knows the zstd:chunked that is written now.
pub fn current_skopeo() -> Option<std::path::PathBuf> {
    let program = std::path::PathBuf::from(std::env::var_os("SEALSTONE_SKOPEO")?).join("skopeo");
    program.is_file().then_some(program)
}

/// Whether the program is there; says so when not.
pub fn has(program: &str, test: &str) -> bool {
    let output = std::process::Command::new(program).arg("--version").output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        skip(test, &format!("{program} is not installed"));
    }
    is_there
}

/// Runs a program in the sandbox; it has to succeed.
#[track_caller]
pub fn run(sandbox: &Sandbox, program: &str, args: &[&str]) {
    let mut command = std::process::Command::new(program);
    command.args(args).current_dir(sandbox.path(".")).env("HOME", sandbox.path("."));
    let output = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}\n{stderr}");
}
