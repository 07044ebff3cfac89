//! Named facts, one a line, their names dim and aligned: what `inspect`, `doctor` and every report of a change print.

use std::fmt::Display;
use std::io::{self, Write};

use console::truncate_str;

use super::Terminal;

/// A list of `name  value` lines under an optional title.
#[derive(Default)]
pub struct Facts {
    lines: Vec<(&'static str, String)>,
}

impl Facts {
    /// No facts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one fact.
    pub fn add(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.lines.push((name, value.to_string()));
        self
    }

    /// Adds one fact if there is one.
    pub fn add_some(&mut self, name: &'static str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.add(name, value);
        }
        self
    }

    /// Writes the lines; a value of several lines is indented under its first. A terminal cuts what is too long for it:
    /// ids, whose beginning is enough to name a thing.
    pub fn write(&self, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
        let width = self.lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let room = terminal.width().map_or(usize::MAX, |columns| columns.saturating_sub(width + 4).max(20));
        for (name, value) in &self.lines {
            let mut lines = value.lines().map(|line| truncate_str(line, room, "…"));
            let padded = format!("{name:<width$}");
            writeln!(out, "  {}  {}", terminal.dim(&padded), lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(out, "  {:width$}  {line}", "")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned_and_continued_under_their_first_line() {
        let mut facts = Facts::new();
        facts.add("image", "abc").add("new", "12 objects\n3 MB").add_some("none", None::<&str>);
        let mut out = Vec::new();
        facts.write(&mut out, Terminal::plain()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "  image  abc\n  new    12 objects\n         3 MB\n");
    }
}
