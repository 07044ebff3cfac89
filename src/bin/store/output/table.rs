//! Tables without borders: a dim heading, columns two spaces apart, one column that gives way on a narrow terminal.
//!
//! Written to a pipe, a table keeps its full width and has no colours, so that `grep` and `awk` see whole names.

use std::io::{self, Write};

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::Terminal;

const GAP: &str = "  ";

/// No column is cut below this.
const NARROWEST: usize = 12;

/// One column: its heading, and where its cells stand.
struct Column {
    heading: &'static str,
    alignment: Alignment,
}

/// Rows under headings. Build it with [`Table::left`] and [`Table::right`], fill it with [`Table::row`].
#[derive(Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    elastic: usize,
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of text.
    pub fn left(self, heading: &'static str) -> Self {
        self.column(heading, Alignment::Left)
    }

    /// Adds a column of numbers.
    pub fn right(self, heading: &'static str) -> Self {
        self.column(heading, Alignment::Right)
    }

    fn column(mut self, heading: &'static str, alignment: Alignment) -> Self {
        self.columns.push(Column { heading, alignment });
        self
    }

    /// Makes the column added last the one that is cut when the terminal is too narrow; the first one otherwise.
    pub fn elastic(mut self) -> Self {
        self.elastic = self.columns.len().saturating_sub(1);
        self
    }

    /// Adds a row, a cell a column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes heading and rows; nothing at all for a table without rows.
    pub fn write(&self, out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let widths = self.widths(terminal);
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        let heading = self.line(&headings, &widths);
        writeln!(out, "{}", terminal.dim(heading.trim_end()))?;
        for row in &self.rows {
            writeln!(out, "{}", self.line(row, &widths).trim_end())?;
        }
        Ok(())
    }

    fn widths(&self, terminal: Terminal) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.heading.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        let mut excess = terminal.width().map_or(0, |limit| total.saturating_sub(limit));
        // The elastic column first, then the widest ones.
        let mut next = Some(self.elastic);
        while let Some(column) = next.filter(|_| excess > 0) {
            if let Some(width) = widths.get_mut(column) {
                let cut = excess.min(width.saturating_sub(NARROWEST));
                *width -= cut;
                excess -= cut;
            }
            let widest = (0..widths.len()).max_by_key(|column| widths.get(*column));
            next = widest.filter(|column| widths.get(*column).is_some_and(|width| *width > NARROWEST));
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let padded = self.columns.iter().zip(cells).zip(widths).map(|((column, cell), &width)| {
            let cell = truncate_str(cell, width, "…");
            pad_str(&cell, width, column.alignment, None).into_owned()
        });
        padded.collect::<Vec<_>>().join(GAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new().left("IMAGE").elastic().right("SIZE");
        table.row(["quay.io/example/system:stable".to_owned(), "1.69 GB".to_owned()]);
        table.row(["short".to_owned(), "64 B".to_owned()]);
        table
    }

    fn written(table: &Table, terminal: Terminal) -> String {
        let mut out = Vec::new();
        table.write(&mut out, terminal).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_whole_names() {
        let expected = "IMAGE                             SIZE\n\
                        quay.io/example/system:stable  1.69 GB\n\
                        short                             64 B\n";
        assert_eq!(written(&sample(), Terminal::plain()), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_the_elastic_column_alone() {
        let text = written(&sample(), Terminal::with_width(30));
        assert!(text.lines().all(|line| measure_text_width(line) <= 30), "{text}");
        assert!(text.contains("quay.io/example/syst…  1.69 GB"), "{text}");
    }

    #[test]
    fn an_empty_table_writes_nothing() {
        assert_eq!(written(&Table::new().left("NAME"), Terminal::plain()), "");
    }
}
