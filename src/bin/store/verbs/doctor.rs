//! `store doctor [DIR]`: what this file system and kernel offer, tried, and what follows.

use std::path::PathBuf;

use sealstone::store::disk::{Dir, RealDisk};
use sealstone::store::{Ability, DoctorReport, Finding, Optional, Repository, doctor};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Bytes, Count, Facts, Terminal, write_document};

/// Show what this file system and kernel offer
///
/// Every answer comes from trying, and leaves no trace. Works in a repository and in any folder where one shall be.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store doctor                # where the repository is
  store doctor /mnt           # before there is one
  sudo store doctor           # mounts can be tried by root alone")]
pub struct Args {
    /// A folder [default: the repository's, or where it would be]
    dir: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

/// The answer, `sealstone.doctor/1`.
#[derive(Serialize)]
struct Document<'a> {
    folder: String,
    repository: Option<RepositoryDocument>,
    #[serde(flatten)]
    report: &'a DoctorReport,
}

#[derive(Serialize)]
struct RepositoryDocument {
    algorithm: &'static str,
    verity: &'static str,
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let disk = RealDisk::shared();
    let wanted = args.dir.as_ref().unwrap_or(&context.repository);
    // The nearest folder that there is: the repository may be still to come.
    let mut found = None;
    for folder in wanted.ancestors() {
        let folder = if folder.as_os_str().is_empty() { ".".as_ref() } else { folder };
        found = Dir::open(&disk, folder).optional()?;
        if found.is_some() {
            break;
        }
    }
    let dir = found.ok_or_else(|| anyhow::anyhow!("{} is nowhere", wanted.display()))?;
    let report = doctor(&dir)?;
    let repository = Repository::open(&disk, wanted).ok().map(|repository| RepositoryDocument {
        algorithm: repository.algorithm().name(),
        verity: repository.verity().name(),
    });
    let folder = dir.label().display().to_string();
    context.print(|out, terminal| {
        if args.reporting.json {
            return write_document(
                out,
                "sealstone.doctor/1",
                &Document { folder, repository, report: &report },
            );
        }
        facts(&folder, repository.as_ref(), &report).write(out, terminal)?;
        writeln!(out)?;
        let width = report.findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
        let before = std::iter::once(None).chain(report.findings.iter().map(Some));
        before.zip(&report.findings).try_for_each(|(before, finding)| {
            let is_same = before.is_some_and(|before| says_the_same(before, finding));
            let [consequence, reason] =
                if is_same { ["The same.", ""] } else { [finding.consequence, &finding.reason] };
            let mark = mark(finding.ability, terminal);
            let name = terminal.bold(&format!("{:<width$}", finding.what));
            show(&format!("{mark} {name}"), width, [consequence, reason], out, terminal)
        })
    })?;
    Ok(Exit::Done)
}

fn facts(folder: &str, repository: Option<&RepositoryDocument>, report: &DoctorReport) -> Facts {
    let mut facts = Facts::new();
    facts.add("folder", folder).add("file system", &report.file_system);
    facts.add("free", Bytes(report.available_bytes));
    facts.add_some("inodes", (report.free_inodes > 0).then(|| format!("{} free", Count(report.free_inodes))));
    facts.add_some("repository", repository.map(|it| format!("{}, verity {}", it.algorithm, it.verity)));
    facts
}

/// Whether two findings differ only in what they are about, as those of both fs-verity algorithms mostly do.
fn says_the_same(one: &Finding, other: &Finding) -> bool {
    (one.ability, one.consequence, &one.reason) == (other.ability, other.consequence, &other.reason)
}

fn mark(ability: Ability, terminal: Terminal) -> String {
    match ability {
        Ability::Yes => terminal.good("✓"),
        Ability::No => terminal.warning("✗"),
        Ability::Unknown => terminal.dim("?"),
    }
}

/// One answer: a mark and what it is about, `width` columns wide; what follows; and what the system said.
fn show(
    head: &str,
    width: usize,
    [consequence, reason]: [&str; 2],
    out: &mut dyn std::io::Write,
    terminal: Terminal,
) -> std::io::Result<()> {
    let room = terminal.width().unwrap_or(100).saturating_sub(width + 6).max(30);
    let mut lines = wrap(consequence, room).into_iter();
    writeln!(out, "  {head}  {}", lines.next().unwrap_or_default())?;
    for line in lines {
        writeln!(out, "    {:width$}  {line}", "")?;
    }
    for line in wrap(reason, room) {
        writeln!(out, "    {:width$}  {}", "", terminal.dim(&line))?;
    }
    Ok(())
}

/// Breaks a text into lines of at most `room` columns, at spaces.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
