//! What standard output is: a terminal of some width with colours, or something that wants plain text.
//!
//! Colours follow the conventions `NO_COLOR` and `CLICOLOR_FORCE` (no-color.org, bixense.com/clicolors).

use console::{Style, Term};

/// How to write for people. Cheap to copy; made once.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    width: Option<usize>,
    colours: bool,
}

impl Terminal {
    /// What standard output is now.
    pub fn of_stdout() -> Self {
        let term = Term::stdout();
        let width = term.size_checked().map(|(_, columns)| usize::from(columns)).filter(|_| term.is_term());
        Self { width, colours: console::colors_enabled() }
    }

    /// A pipe or a file.
    #[cfg(test)]
    pub const fn plain() -> Self {
        Self { width: None, colours: false }
    }

    /// A terminal of `width` columns without colours.
    #[cfg(test)]
    pub const fn with_width(width: usize) -> Self {
        Self { width: Some(width), colours: false }
    }

    /// Columns, or nothing where lines may be as long as they like.
    pub const fn width(self) -> Option<usize> {
        self.width
    }

    /// Secondary text: headings, units, what is shared.
    pub fn dim(self, text: &str) -> String {
        self.styled(Style::new().dim(), text)
    }

    /// The one thing that a line is about.
    pub fn bold(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// Bars, and marks of what is well.
    pub fn accent(self, text: &str) -> String {
        self.styled(Style::new().cyan(), text)
    }

    /// What is well.
    pub fn good(self, text: &str) -> String {
        self.styled(Style::new().green(), text)
    }

    /// What needs attention.
    pub fn warning(self, text: &str) -> String {
        self.styled(Style::new().yellow(), text)
    }

    /// What is broken.
    pub fn bad(self, text: &str) -> String {
        self.styled(Style::new().red(), text)
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.colours && !text.is_empty() {
            style.force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}
