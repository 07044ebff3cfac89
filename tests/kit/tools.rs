//! Programs of the host that say what is right, found where an administrator finds them.

use std::path::Path;
use std::process::Command;

/// A program, also of those that only administrators have in their path.
pub fn program(name: &str) -> Command {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(name);
    command.env("PATH", path);
    command
}

/// What a tool says, run in a folder; none where it is not installed. It has to succeed.
#[track_caller]
pub fn tool(folder: &Path, name: &str, args: &[&str]) -> Option<String> {
    let Ok(output) = program(name).args(args).current_dir(folder).output() else {
        super::skip("a check", &format!("{name} is not installed"));
        return None;
    };
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} {args:?}: {told}");
    Some(told)
}
