//! Progress bars: one a running task, aligned, gone when the work is done.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sealstone::store::control::{Event, TaskId, Unit, Work};

use crate::output::printable;

/// Ten frames a second are calm, and cost nothing.
const FRAMES_A_SECOND: u8 = 10;

/// The bars on standard error.
pub struct Bars {
    screen: MultiProgress,
    running: Mutex<HashMap<TaskId, ProgressBar>>,
}

impl Bars {
    /// No bars yet.
    pub fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(FRAMES_A_SECOND));
        Self { screen, running: Mutex::new(HashMap::new()) }
    }

    /// Shows one event. Called from worker threads: short, and never waiting for the terminal for long.
    pub fn show(&self, event: &Event) {
        match event {
            Event::Started { task, work, name, total, unit } => {
                let bar = self.screen.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
                describe(&bar, *work, name, total.is_some(), *unit);
                self.running().insert(*task, bar);
            }
            Event::Advanced { task, done } => {
                if let Some(bar) = self.running().get(task) {
                    bar.set_position(*done);
                }
            }
            Event::Finished { task } => {
                if let Some(bar) = self.running().remove(task) {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
            }
            Event::Warning(text) => {
                let _ = self.screen.println(warning(text));
            }
            _ => {}
        }
    }

    /// Takes all bars off the screen, before an answer or an error is written.
    pub fn clear(&self) {
        for (_, bar) in self.running().drain() {
            bar.finish_and_clear();
        }
        let _ = self.screen.clear();
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TaskId, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dresses a bar that is on the screen already: one that ticks before would draw itself beside it.
fn describe(bar: &ProgressBar, work: Work, name: &str, bounded: bool, unit: Unit) {
    bar.set_style(style(bounded, unit));
    bar.set_prefix(verb(work));
    bar.set_message(short(name));
    bar.enable_steady_tick(Duration::from_millis(200));
}

fn style(bounded: bool, unit: Unit) -> ProgressStyle {
    let template = match (bounded, unit) {
        (true, Unit::Bytes) => {
            "{prefix:>10.dim} {msg:12} {bar:24.cyan/dim} {percent:>3}%  {decimal_bytes:>9} of {decimal_total_bytes}"
        }
        (true, _) => {
            "{prefix:>10.dim} {msg:12} {bar:24.cyan/dim} {percent:>3}%  {human_pos:>9} of {human_len}"
        }
        (false, Unit::Bytes) => "{prefix:>10.dim} {msg:12} {spinner:.cyan} {decimal_bytes:>9}",
        (false, _) => "{prefix:>10.dim} {msg:12} {spinner:.cyan} {human_pos:>9}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─").tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠴", "⠦", "⠇", " "])
}

fn verb(work: Work) -> &'static str {
    match work {
        Work::CopyArchive | Work::CopyObjects => "copy",
        Work::ImportLayer => "import",
        Work::FetchArtifact => "fetch",
        Work::RebuildLayer => "rebuild",
        Work::ExportLayer => "export",
        Work::PushBlob => "push",
        Work::MergeImage => "merge",
        Work::Sync => "sync",
        Work::Mark => "mark",
        Work::Sweep => "sweep",
        Work::Check => "check",
        Work::Repair => "repair",
        Work::Index => "index",
        _ => "work",
    }
}

/// A digest's first twelve digits; another name cut to the same column.
fn short(name: &str) -> String {
    let digits = name.split_once(':').map_or(name, |(_, digits)| digits);
    digits.chars().take(12).collect()
}

/// The line of a warning, which may quote an image's documents.
fn warning(text: &str) -> String {
    format!("warning: {}", printable(text))
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn warnings_cannot_drive_the_terminal() {
        assert_eq!(warning("for \u{1b}[2J/amd64"), "warning: for \\x1b[2J/amd64");
    }
}
