//! What `store status` says below its table: what boots next, what is wrong, what is foreign, how full the boot partitions are.

use sealstone::deploy::bound::BoundCondition;
use sealstone::deploy::{EspStatus, Fallback, Health, NextBootHow, Status};

use super::boot_next;
use crate::image::short_id;
use crate::output::{Bytes, Terminal, escape};

/// The lines, in the order in which somebody needs them.
pub fn remarks(status: &Status, terminal: Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(next(status, terminal));
    if let Some(once) = &status.once {
        let text = format!("{} boots at the next boot, and at no other", boot_next::name(once));
        lines.push(format!("{} {text}", terminal.warning("once:")));
    }
    if let Some(fallback) = &status.fallback {
        let text =
            format!("{}: {}", short_id(&fallback.deployment, false), escape(fallback.reason.as_bytes()));
        lines.push(format!("{} {text}", terminal.bad("fell back from")));
    }
    if status.deployments.iter().any(|deployment| deployment.record.unfinalised.is_some()) {
        let what = "the next shutdown tries that again; `store finalize` does now, and says what would help";
        lines.push(terminal.dim(&format!("  {what}")));
    }
    for deployment in &status.deployments {
        let id = short_id(&deployment.record.id, false);
        if let Health::Broken(reasons) = &deployment.health {
            let is_told = |reason: &&String| {
                let is_it =
                    |told: &Fallback| told.deployment == deployment.record.id && told.reason == **reason;
                status.fallback.as_ref().is_some_and(is_it)
            };
            let untold = reasons.iter().filter(|reason| !is_told(reason));
            lines
                .extend(untold.map(|reason| {
                    format!("{} {id}: {}", terminal.bad("broken:"), escape(reason.as_bytes()))
                }));
        }
        if let Some(BoundCondition::Missing(reasons)) = &deployment.bound {
            let line = |reason: &String| {
                format!("{} {id}: {}", terminal.warning("bound images:"), escape(reason.as_bytes()))
            };
            lines.extend(reasons.iter().map(line));
        }
    }
    for broken in &status.broken_records {
        let text = format!("record {}: {}", escape(broken.file.as_bytes()), escape(broken.reason.as_bytes()));
        lines.push(format!("{} {text}", terminal.warning("unreadable:")));
    }
    for unadopted in &status.unadopted {
        let text = format!("{}: {}", short_id(&unadopted.id, false), escape(unadopted.reason.as_bytes()));
        lines.push(format!("{} {text}", terminal.warning("left to bootc:")));
    }
    if let Some(staged) = &status.staged_by_bootc {
        let wait = if staged.locked { ", and waits" } else { "" };
        lines.push(terminal.dim(&format!("bootc has staged {}{wait}", short_id(&staged.id, false))));
    }
    for state in &status.foreign_states {
        lines.push(terminal.dim(&format!("foreign state: {}", escape(state.as_bytes()))));
    }
    for esp in &status.esps {
        lines.extend(esp_remarks(esp, terminal));
    }
    lines
}

/// What is queued for the next boot, unless it is what runs.
fn next(status: &Status, terminal: Terminal) -> Option<String> {
    let next = status.next.as_ref()?;
    let how = match next.how {
        NextBootHow::Menu => return None,
        NextBootHow::Queued => "queued in the menu",
        NextBootHow::Staged => "staged: /etc is merged and the menu changed at shutdown",
    };
    let id = short_id(&next.deployment, false);
    Some(format!("{} {id}, {how}", terminal.accent("next boot:")))
}

fn esp_remarks(esp: &EspStatus, terminal: Terminal) -> Vec<String> {
    let place = escape(esp.place.as_bytes());
    if let Some(reason) = &esp.failed {
        return vec![format!(
            "{} {place}: {}",
            terminal.bad("boot partition failed:"),
            escape(reason.as_bytes())
        )];
    }
    let version = esp.loaders.iter().find_map(|found| found.version.as_deref());
    let loader = match (version, esp.loaders.is_empty()) {
        (Some(version), _) => format!(", systemd-boot {}", escape(version.as_bytes())),
        (None, false) => ", another boot loader".to_owned(),
        (None, true) => String::new(),
    };
    let (role, size) = (esp.role.name(), Bytes(esp.size));
    let mut lines =
        vec![terminal.dim(&format!("{place} ({role}): {} of {size} free{loader}", Bytes(esp.free)))];
    for drift in &esp.drift {
        lines.push(format!("{} {place}: {}", terminal.warning("out of step:"), escape(drift.as_bytes())));
    }
    let counted = esp.entries.iter().filter_map(|entry| Some((entry, entry.tries?)));
    lines.extend(counted.map(|(entry, tries)| {
        let name = escape(entry.name.as_bytes());
        terminal.dim(&format!("entry {name}: tried {} times, {} left", tries.done, tries.left))
    }));
    for entry in &esp.entries {
        if let Some(wrong) = entry.wrong {
            lines.push(format!("{} {}: {wrong}", terminal.warning("entry:"), escape(entry.name.as_bytes())));
        }
    }
    for (file, title) in &esp.foreign {
        lines.push(terminal.dim(&format!(
            "foreign entry: {} ({})",
            escape(file.as_bytes()),
            escape(title.as_bytes())
        )));
    }
    lines
}
