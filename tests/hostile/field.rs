//! Where attacks are run: one repository for all of a kind, and beside it things that nothing may touch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Attack, Expect, Layout, Make, attack::OUTSIDE, layout::TAR};
use crate::kit::layout::digest;
use crate::kit::sandbox::listing;
use crate::kit::{Image, Outcome, Sandbox};

/// The most memory that an import may ever have taken, in KiB.
const PEAK: u64 = 96 << 10;

/// The most that may be said about one image, in bytes.
const SAID: usize = 256 << 10;

/// A repository, a canary, and what came of each attack.
pub struct Field {
    sandbox: Sandbox,
    peak: u64,
}

impl Field {
    pub fn new() -> Self {
        let sandbox = Sandbox::with_repository();
        let canary = sandbox.path("canary");
        fs::create_dir(&canary).expect("a canary");
        fs::write(canary.join("sings"), "alive").expect("a canary");
        Self { sandbox, peak: PEAK }
    }

    /// Allows so many KiB more.
    pub fn more_memory(self, more: u64) -> Self {
        Self { peak: self.peak + more, ..self }
    }

    /// Runs all attacks, then imports an honest image into what they left behind.
    #[track_caller]
    pub fn withstands(&self, attacks: &[Attack]) {
        let mut faults = Vec::new();
        for attack in attacks {
            if let Err(fault) = self.run(attack) {
                faults.push(format!("{}: {fault}\n", attack.name));
            }
        }
        let good = Image::bootable("6.1.0");
        self.sandbox.import("good", &good, "good").succeeds();
        self.sandbox.store(["fsck"]).succeeds();
        let fresh = Sandbox::with_repository();
        fresh.import("good", &good, "good").succeeds();
        let dump = |sandbox: &Sandbox| sandbox.store(["dump", "good"]).succeeds();
        assert!(dump(&self.sandbox) == dump(&fresh), "attacks changed what an honest image becomes");
        assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), attacks.len(), faults.concat());
    }

    fn run(&self, attack: &Attack) -> Result<(), String> {
        let folder = self.sandbox.path("layout");
        let reference = write(attack, &folder);
        let before = self.outside();
        let (outcome, peak) = self.import(&reference);
        let mut faults = Vec::new();
        if self.outside() != before {
            faults.push("it wrote outside of the repository".to_owned());
        }
        if Path::new(OUTSIDE).symlink_metadata().is_ok() {
            faults.push(format!("{OUTSIDE} exists"));
        }
        if peak > self.peak {
            faults.push(format!("it took {peak} KiB"));
        }
        if [&outcome.stdout, &outcome.stderr].iter().any(|text| text.len() > SAID) {
            faults.push("it makes us talk too much".to_owned());
        }
        if [&outcome.stdout, &outcome.stderr].iter().any(|text| text.contains(['\x1b', '\x07'])) {
            faults.push("it drives the terminal".to_owned());
        }
        faults.extend(self.judge(&outcome, &attack.expect).err());
        let fsck = self.sandbox.store(["fsck"]);
        if fsck.code != 0 {
            faults.push(format!("the store is damaged: {}{}", fsck.stdout, fsck.stderr));
        }
        self.sandbox.store(["gc"]).succeeds();
        fs::remove_dir_all(&folder).expect("the layout goes");
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    /// Compares what became of an attack with what has to; takes away what was imported.
    fn judge(&self, outcome: &Outcome, expect: &Expect) -> Result<(), String> {
        let document: Value =
            serde_json::from_str(&outcome.stdout).map_err(|_| format!("no document: {outcome:?}"))?;
        let error = document["error"].as_str().map(|error| {
            document["rule"].as_str().map_or_else(|| error.to_owned(), |rule| format!("{error}/{rule}"))
        });
        match (expect, error) {
            (Expect::Refused(wanted), Some(error)) => {
                self.is_empty()?;
                if error != *wanted {
                    return Err(format!("refused as {error}: {}", outcome.stderr));
                }
                // Every refusal says that the image is at fault, or what of it is missing or not supported.
                if ![2, 3, 5, 7].contains(&outcome.code) {
                    return Err(format!("exit code {}: {}", outcome.code, outcome.stderr));
                }
                Ok(())
            }
            (Expect::Refused(_), None) => {
                let dump = self.dump();
                Err(format!("taken:\n{}", dump.join("\n")))
            }
            (_, Some(error)) => Err(format!("refused as {error}: {}", outcome.stderr)),
            (Expect::Tree(wanted), None) => {
                let dump = self.dump();
                if dump == *wanted { Ok(()) } else { Err(format!("another tree:\n{}", dump.join("\n"))) }
            }
            (Expect::Lines(count, start), None) => {
                let dump = self.dump();
                if dump.len() != *count || !dump.iter().any(|line| line.starts_with(start)) {
                    let first = dump.first().map(String::as_str).unwrap_or_default();
                    return Err(format!("another tree: {} lines, the first is {first}", dump.len()));
                }
                Ok(())
            }
        }
    }

    /// The lines of the image that was imported, which then goes.
    fn dump(&self) -> Vec<String> {
        let dump = self.sandbox.store(["dump", "attack"]).succeeds();
        self.sandbox.store(["rm", "attack"]).succeeds();
        dump.lines().skip(1).map(str::to_owned).collect()
    }

    fn is_empty(&self) -> Result<(), String> {
        let images = self.sandbox.store(["images", "--json"]).json();
        if images["images"] != serde_json::json!([]) {
            return Err(format!("images were published: {images}"));
        }
        let published = |name: &&String| {
            let is_name = name.starts_with("streams/") || name.starts_with("images/");
            is_name && !name.ends_with('/')
        };
        match listing(&self.sandbox.repository()).iter().find(published) {
            None => Ok(()),
            Some(name) => Err(format!("{name} was published")),
        }
    }

    /// Everything in the sandbox but the repository.
    fn outside(&self) -> Vec<String> {
        let all = listing(&self.sandbox.path("."));
        let canary = fs::read_to_string(self.sandbox.path("canary/sings")).unwrap_or_default();
        let kept = all.into_iter().filter(|path| !path.starts_with("repo/") && !path.starts_with("out"));
        kept.chain([canary]).collect()
    }

    /// Imports, and watches how much memory that takes.
    fn import(&self, reference: &str) -> (Outcome, u64) {
        let args = ["import", "--json", "--explain", "--progress=none", "--name", "attack", reference];
        let mut command = self.sandbox.command(args);
        let file = |name: &str| fs::File::create(self.sandbox.path(name)).expect("a file");
        let mut child =
            command.stdout(file("out")).stderr(file("out2")).stdin(Stdio::null()).spawn().expect("it starts");
        let (code, peak) = watch(&mut child);
        let read = |name: &str| fs::read(self.sandbox.path(name)).expect("its output");
        let text = |name: &str| String::from_utf8_lossy(&read(name)).into_owned();
        (Outcome { code, stdout: text("out"), stderr: text("out2") }, peak)
    }
}

/// Waits for the end; gives the exit code and the most memory seen, in KiB.
fn watch(child: &mut Child) -> (i32, u64) {
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let seen = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(seen.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return (status.code().unwrap_or(-1), peak);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Writes the attack; gives the reference to import.
pub fn write(attack: &Attack, folder: &Path) -> String {
    let layout = Layout::new(folder);
    match &attack.make {
        Make::Layer(tar) => layout.index(&[layout.image(&[tar()])]),
        Make::Layers(tars) => layout.index(&[layout.image(&tars())]),
        Make::Blob(make) => {
            let (blob, tar) = make();
            let layer = layout.blob(TAR, &blob);
            layout.index(&[layout.manifest(&layout.config(&[digest(&tar)]), &[layer])]);
        }
        Make::Layout(write) => write(&layout),
        Make::Archive(pack) => {
            layout.index(&[layout.image(&[super::layout::good_tar()])]);
            let bytes = pack(&layout);
            fs::write(folder.join("archive.tar"), bytes).expect("an archive");
            return format!("oci-archive:{}/archive.tar", folder.display());
        }
    }
    format!("oci:{}", folder.display())
}
