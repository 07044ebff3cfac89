//! What a plan says of `/etc` and `/var`, for people.

use std::io::{self, Write};

use sealstone::deploy::{Changed, EtcStrategy, MountKind, Plan};

use crate::output::{Terminal, escape, plural};

/// The most changes that are listed: of more, their number is told.
const LISTED: usize = 20;

/// Writes conflicts, local changes and what is out of the ordinary; nothing when there is none.
pub fn show(plan: &Plan, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    for (folder, mount) in [("/etc", plan.etc.mount), ("/var", plan.var.mount)] {
        let kept = match mount {
            MountKind::Transient => "is transient: what is written there is gone with the next boot",
            MountKind::None => "is the image's own: nothing of this machine's is there",
            MountKind::Overlay => "is an overlay mount: what was written there is not carried over",
            MountKind::Bind => continue,
        };
        writeln!(out, "{folder} {kept}")?;
    }
    for (folder, unused) in [("/etc", &plan.etc.unused_overlays), ("/var", &plan.var.unused_overlays)] {
        for name in unused {
            writeln!(
                out,
                "overlay {}: its files in {folder} are not used",
                escape(name.as_str().as_bytes())
            )?;
        }
    }
    conflicts(plan, out, terminal)?;
    let conflicts = &plan.etc.merge.conflicts;
    // Where the image wins, nothing of the change is left.
    let is_overruled = |path: &str| {
        conflicts.iter().filter(|conflict| conflict.resolved == EtcStrategy::TakeImage).any(|conflict| {
            path.strip_prefix(conflict.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let changes: Vec<_> =
        plan.etc.merge.changes.iter().filter(|change| !is_overruled(&change.path)).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let fate = if plan.etc.from.is_some() { "carried over" } else { "left behind" };
    writeln!(out, "{} of /etc on this machine, {fate}:", plural(changes.len() as u64, "change"))?;
    for change in changes.iter().take(LISTED) {
        let sign = match change.change {
            Changed::Added => '+',
            Changed::Removed => '-',
            Changed::Modified => '~',
        };
        let what =
            if change.what.is_empty() { String::new() } else { format!(" ({})", change.what.join(", ")) };
        writeln!(out, "  {sign} {}{what}", escape(change.path.as_bytes()))?;
    }
    if changes.len() > LISTED {
        writeln!(out, "  and {} more", changes.len() - LISTED)?;
    }
    Ok(())
}

/// Writes the conflicts, and who wins each.
pub fn conflicts(plan: &Plan, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    for conflict in &plan.etc.merge.conflicts {
        let resolved = conflict.resolved.name();
        let resolved = match conflict.resolved {
            EtcStrategy::Fail => terminal.bad(resolved),
            _ => resolved.to_owned(),
        };
        writeln!(out, "conflict {}: {}: {resolved}", escape(conflict.path.as_bytes()), conflict.reason)?;
    }
    Ok(())
}
