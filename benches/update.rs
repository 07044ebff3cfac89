//! How long `store deploy` and `store update` take when there is nothing to fetch, and when there is nothing to do at all.
//!
//! A program, not a timed test: it prints a table, with the goals beside it. Each run starts from the same state: the folder of the
//! deployments and the boot partition are put aside, one image is deployed, and the other one's deployment is measured; the
//! process's start is part of it, as of any call of the command. What was put aside is removed in the end: ext4 gives no inode
//! that was freed seconds ago, and looks for others so long that it doubles the times. The copy of kernel and initramfs, which
//! each deployment needs, is measured by itself, in the same folder. Run it on a quiet machine:
//!
//! ```sh
//! cargo bench --bench update -- [--runs N] [--folder DIR] [LAYOUT LAYOUT]
//! ```
//!
//! Without two OCI layouts with a kernel each, two made-up systems of 20,000 files are taken.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for measuring, with ordinary files"
)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kit::layer::noise;
use kit::machine::Machine;
use kit::web_registry::WebRegistry;
use kit::{Image, Layer};

/// What a deployment may take beside the copy of its kernel.
const DEPLOY_GOAL: Duration = Duration::from_millis(150);

/// What an update without anything new may take.
const NOTHING_NEW_GOAL: Duration = Duration::from_millis(20);

/// Files of a made-up system.
const FILES: u64 = 20_000;

fn main() {
    let mut runs = 15;
    let mut layouts: Vec<PathBuf> = Vec::new();
    let mut folder = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => runs = arguments.next().and_then(|text| text.parse().ok()).expect("--runs N"),
            "--folder" => folder = Some(PathBuf::from(arguments.next().expect("--folder DIR"))),
            // Of cargo.
            "--bench" => {}
            _ => layouts.push(argument.into()),
        }
    }
    let machine = folder.map_or_else(Machine::new, |folder| Machine::within(&folder));
    if layouts.is_empty() {
        layouts = [1, 2].map(|version| made_up(&machine, version)).into();
    }
    let [old, new] = layouts.as_slice() else { panic!("two layouts, or none") };
    measure(&machine, (old, new), runs);
}

/// A system of many small files, the upper layer of which is the version's own.
fn made_up(machine: &Machine, version: u64) -> PathBuf {
    let mut lower = Layer::system("6.1.0");
    for number in 0..FILES {
        let folder = format!("usr/share/part-{}", number / 500);
        if number % 500 == 0 {
            lower = lower.dir(&folder);
        }
        let size = usize::try_from(number % 97 * 50).expect("small");
        lower = lower.file(&format!("{folder}/file-{number}"), &noise(size, number));
    }
    for number in 0..200 {
        lower = lower.file(&format!("etc/part-{number}.conf"), &noise(800, number));
    }
    let upper = Layer::new()
        .file("usr/lib/modules/6.1.0/vmlinuz", &noise(12 << 20, version))
        .file("usr/lib/modules/6.1.0/initramfs.img", &noise(40 << 20, 100 + version));
    let folder = machine.sandbox.path(&format!("made-up-{version}"));
    Image::new().layer(lower).layer(upper).write(&folder);
    folder
}

fn measure(machine: &Machine, (old, new): (&Path, &Path), runs: usize) {
    let registry = WebRegistry::start();
    let names = [registry.reference("old"), registry.reference("new"), registry.reference("stable")];
    registry.push(old, "old");
    registry.push(new, "new");
    for name in &names[..2] {
        machine.import(name, name).succeeds();
    }
    let (mut copies, mut deploys, mut updates, mut nothings) = (vec![], vec![], vec![], vec![]);
    for run in 0..runs {
        fresh(machine, &names[0], 2 * run);
        deploys.push(timed(|| drop(machine.store(["deploy", &names[1]]).succeeds())));
        copies.push(copy_of_kernel(machine));

        // The tag leads to the old image, is followed, and then leads to the new one.
        fresh(machine, &names[0], 2 * run + 1);
        registry.push(old, "stable");
        machine.store(["switch", &names[2]]).succeeds();
        registry.push(new, "stable");
        updates.push(timed(|| drop(machine.store(["update"]).succeeds())));
        nothings.push(timed(|| drop(machine.store(["update"]).succeeds())));
    }
    let copy = median(&mut copies);
    println!(
        "| what | median of {runs} | shortest | longest | processor time | without the kernel's copy | goal |"
    );
    println!("|---|---|---|---|---|---|---|");
    row("copy of kernel and initramfs, synced", &mut copies, None, None);
    row("`store deploy`, image present", &mut deploys, Some(copy), Some(DEPLOY_GOAL));
    row("`store update`, image present", &mut updates, Some(copy), Some(DEPLOY_GOAL));
    row("`store update`, nothing new", &mut nothings, None, Some(NOTHING_NEW_GOAL));
}

/// One deployment and nothing else: refs of earlier ones stay, as they would until the next gc.
fn fresh(machine: &Machine, name: &str, number: usize) {
    for folder in ["sysroot/state", "esp"] {
        let aside = format!("aside-{number}-{}", folder.replace('/', "-"));
        let _ = fs::rename(machine.sandbox.path(folder), machine.sandbox.path(&aside));
    }
    fs::create_dir(machine.sandbox.path("esp")).expect("a folder");
    machine.store(["deploy", name]).succeeds();
}

/// Writes what the newest kernel folder has once more, with the syncs that a file on a boot partition needs.
fn copy_of_kernel(machine: &Machine) -> Taken {
    let esp = machine.sandbox.path("esp");
    let folders =
        fs::read_dir(esp.join("EFI/Linux")).expect("kernels").map(|entry| entry.expect("a folder").path());
    let newest = folders.max_by_key(|folder| folder.metadata().and_then(|m| m.modified()).expect("a time"));
    let files = fs::read_dir(newest.expect("a kernel")).expect("a kernel");
    let bodies: Vec<Vec<u8>> =
        files.map(|file| fs::read(file.expect("a file").path()).expect("a file")).collect();
    let copy = esp.join("copy");
    let time = timed(|| {
        for body in &bodies {
            let mut file = fs::File::create(&copy).expect("a file");
            file.write_all(body).and_then(|()| file.sync_all()).expect("a copy");
            fs::File::open(&esp).and_then(|folder| folder.sync_all()).expect("a sync");
        }
    });
    fs::remove_file(copy).expect("it goes");
    time
}

/// What something took: on the clock, and of the processors, the latter of child processes alone.
#[derive(Clone, Copy)]
struct Taken {
    wall: Duration,
    processor: Duration,
}

fn timed(run: impl FnOnce()) -> Taken {
    let (start, before) = (Instant::now(), processor_time());
    run();
    Taken { wall: start.elapsed(), processor: processor_time().saturating_sub(before) }
}

/// The time in user and kernel space of all child processes that ended. Source: `proc_pid_stat(5)`, in ticks of a hundredth.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

fn median(times: &mut [Taken]) -> Duration {
    times.sort_by_key(|taken| taken.wall);
    times[times.len() / 2].wall
}

fn row(what: &str, times: &mut [Taken], copy: Option<Duration>, goal: Option<Duration>) {
    let middle = median(times);
    let text = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let rest = copy.map_or_else(String::new, |copy| text(middle.saturating_sub(copy)));
    let goal = goal.map_or_else(String::new, |goal| format!("≤ {}", text(goal)));
    let (shortest, longest) = (text(times[0].wall), text(times[times.len() - 1].wall));
    let all: Duration = times.iter().map(|taken| taken.processor).sum();
    let processor = text(all / u32::try_from(times.len()).expect("few"));
    println!("| {what} | {} | {shortest} | {longest} | {processor} | {rest} | {goal} |", text(middle));
}
