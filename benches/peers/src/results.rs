//! A file of runs, with the machine that made them.
//!
//! Invariant: runs of different rounds are never compared; ratios are made inside a round and then summarised.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::peer::Peer;
use crate::work::{Run, Work};

/// The machine of a file of runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name and how many cores there are.
    pub processor: String,
    /// Whether the processor has SHA-256 instructions.
    pub sha_ni: bool,
    /// Memory in GiB.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    pub fn this() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("read cpuinfo")?;
        let meminfo = fs::read_to_string("/proc/meminfo").context("read meminfo")?;
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let cores = std::thread::available_parallelism().context("count the cores")?;
        let kibibytes =
            field(&meminfo, "MemTotal").split_whitespace().next().and_then(|word| word.parse().ok());
        let kernel = Command::new("uname").arg("-r").output().context("run uname")?.stdout;
        let model = format!("model {}", field(&cpuinfo, "model\t"));
        Ok(Self {
            processor: format!("{} ({model}), {cores} cores", field(&cpuinfo, "model name")),
            sha_ni: field(&cpuinfo, "flags").contains("sha_ni"),
            memory: kibibytes.unwrap_or(0_u64).div_ceil(1 << 20),
            kernel: String::from_utf8_lossy(&kernel).trim().to_owned(),
        })
    }
}

/// Runs and their machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Where the runs were made.
    pub machine: Machine,
    /// All runs.
    pub runs: Vec<Run>,
}

/// The median of one peer's runs of one work.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// How many runs.
    pub count: usize,
    /// Seconds.
    pub wall: f64,
    /// CPU seconds.
    pub cpu: f64,
    /// MiB, the largest.
    pub rss: f64,
    /// Wall time over the reference peer's of the same round.
    pub ratio: Option<f64>,
    /// Bytes on disk and files.
    pub stored: (u64, u64),
}

impl Results {
    /// Reads a file, or starts an empty one.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self { machine: Machine::this()?, runs: Vec::new() });
        }
        let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))
    }

    /// Writes the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// The works that were done, in order.
    pub fn works(&self) -> Vec<Work> {
        let mut works: Vec<Work> = self.runs.iter().map(|run| run.work).collect();
        works.sort_unstable();
        works.dedup();
        works
    }

    /// One peer's runs of one work, compared with `reference`.
    pub fn summary(&self, work: Work, peer: Peer, reference: Peer) -> Option<Summary> {
        let of = |peer: Peer| self.runs.iter().filter(move |run| run.work == work && run.peer == peer);
        let last = of(peer).next_back()?;
        let ratios = of(peer).filter_map(|run| {
            let other = of(reference).find(|other| other.round == run.round)?;
            Some(run.cost.wall / other.cost.wall)
        });
        Some(Summary {
            count: of(peer).count(),
            wall: median(of(peer).map(|run| run.cost.wall))?,
            cpu: median(of(peer).map(|run| run.cost.cpu()))?,
            rss: of(peer).map(|run| run.cost.rss).fold(0.0, f64::max),
            ratio: median(ratios),
            stored: (last.bytes, last.files),
        })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values.get(middle).copied()
    } else {
        Some(f64::midpoint(*values.get(middle.checked_sub(1)?)?, *values.get(middle)?))
    }
}
