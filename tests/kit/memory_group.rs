//! A control group with a limit of memory, version 1 or 2, for one command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A group; removed with the value.
pub struct MemoryGroup {
    folder: PathBuf,
    peak: &'static str,
}

impl MemoryGroup {
    /// A group whose processes may use `bytes` together, page cache included; or why there is none to be had.
    pub fn of(bytes: u64) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let first = own.lines().find_map(|line| line.split_once(":memory:")).map(|(_, path)| path);
        let second = own.lines().find_map(|line| line.strip_prefix("0::"));
        let places = [
            (first, "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
            (second, "/sys/fs/cgroup", "memory.max", "memory.peak"),
        ];
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sealstone-test-{}-{number}", std::process::id());
        let mut why = "no control group has the memory controller".to_owned();
        for (path, mount, limit, peak) in places {
            let Some(path) = path else { continue };
            // In a container the group's own path may lie outside of what is mounted.
            let parents = [Path::new(mount).join(path.trim_start_matches('/')), PathBuf::from(mount)];
            for parent in parents.iter().filter(|parent| parent.is_dir()) {
                let folder = parent.join(&name);
                if let Err(error) = fs::create_dir(&folder) {
                    why = format!("{}: {error}", folder.display());
                    continue;
                }
                let group = Self { folder, peak };
                match fs::write(group.folder.join(limit), bytes.to_string()) {
                    Ok(()) => return Ok(group),
                    Err(error) => why = format!("{limit}: {error}"),
                }
            }
        }
        Err(why)
    }

    /// `command`, to be run in the group.
    pub fn run(&self, command: &Command) -> Command {
        let mut within = Command::new("/bin/sh");
        within.args(["-c", r#"echo $$ >"$0/cgroup.procs" && exec "$@""#]).arg(&self.folder);
        within.arg(command.get_program()).args(command.get_args()).env_clear();
        within.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        within.stdin(std::process::Stdio::null());
        command.get_current_dir().map(|folder| within.current_dir(folder));
        within
    }

    /// The most bytes that were in use at a time.
    pub fn peak(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join(self.peak)).expect("a peak");
        text.trim().parse().expect("a number")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
