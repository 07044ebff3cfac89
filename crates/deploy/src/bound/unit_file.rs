//! The files of units: sections, keys, values, as systemd and quadlet read them.
//!
//! What lives here: the syntax (systemd.syntax(7)). What does not: what a key means. Rules: `#` and `;` begin comments; a
//! backslash at a line's end goes on in the next, with a space in its place, and comments between are passed over; of a
//! key that comes several times the last value counts; sections that come several times are one. A line that is none
//! of these is an error, as it is to quadlet.
//! Invariants: memory is that of the text; any bytes give a value or an error that names the line.

use std::collections::BTreeMap;

/// A unit file: the last value of each key of each section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFile {
    values: BTreeMap<(String, String), String>,
}

impl UnitFile {
    /// The most bytes of a unit file: what systemd takes as a line.
    pub const BYTES_MAX: u64 = 1 << 20;

    /// Reads a unit file.
    ///
    /// # Errors
    /// The line and what is wrong with it, as text: the caller knows the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > Self::BYTES_MAX {
            return Err(format!("it has more than {} bytes", Self::BYTES_MAX));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            format!("line {line} is not UTF-8")
        })?;
        let mut file = Self::default();
        let mut section = None;
        for (number, line) in logical_lines(text) {
            file.take(&line, &mut section).map_err(|reason| format!("line {number} {reason}"))?;
        }
        Ok(file)
    }

    /// The last value of a key; an empty one is none.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let value = self.values.get(&(section.to_owned(), key.to_owned()))?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether the key is there, also with an empty value.
    #[must_use]
    pub fn has(&self, section: &str, key: &str) -> bool {
        self.values.contains_key(&(section.to_owned(), key.to_owned()))
    }

    /// Takes one logical line, trimmed and no comment.
    fn take(&mut self, line: &str, section: &mut Option<String>) -> Result<(), &'static str> {
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.strip_suffix(']').ok_or("begins a section and does not end it")?;
            if name.is_empty() || name.contains(['[', ']']) || name.contains(char::is_control) {
                return Err("names no section");
            }
            *section = Some(name.to_owned());
            return Ok(());
        }
        let (key, value) = line.split_once('=').ok_or("is neither a section nor KEY=VALUE")?;
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("has no key before its =");
        }
        let section = section.clone().ok_or("comes before any section")?;
        self.values.insert((section, key.to_owned()), value.trim().to_owned());
        Ok(())
    }
}

/// The lines with their numbers, continued ones put together, without comments and empty ones.
fn logical_lines(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        loop {
            let (number, first) = lines.next()?;
            let first = first.trim();
            if first.is_empty() || is_comment(first) {
                continue;
            }
            let mut whole = String::new();
            let mut part = first;
            while let Some(begun) = part.strip_suffix('\\') {
                whole.push_str(begun);
                whole.push(' ');
                // A backslash before the end of the file goes on with nothing.
                let mut more = lines.by_ref().map(|(_, line)| line.trim());
                part = more.find(|line| !is_comment(line)).unwrap_or_default();
            }
            whole.push_str(part);
            return Some((number + 1, whole));
        }
    })
}

fn is_comment(trimmed: &str) -> bool {
    trimmed.starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(text: &str) -> Option<String> {
        UnitFile::parse(text.as_bytes()).unwrap().get("Image", "Image").map(str::to_owned)
    }

    #[test]
    fn the_last_value_counts_and_an_empty_one_takes_it_back() {
        assert_eq!(image("[Image]\nImage=a\nImage = b \n").as_deref(), Some("b"));
        assert_eq!(image("[Image]\nImage=a\n[Other]\nImage=c\n[Image]\nImage=b").as_deref(), Some("b"));
        assert_eq!(image("[Image]\nImage=a\nImage=\n"), None);
        assert_eq!(image("[image]\nImage=a\n"), None, "names are told apart by case");
        assert_eq!(image("[Image]\nimage=a\n"), None);
        assert_eq!(image("\u{20}[Image]\r\n\tImage=a=b\r\n").as_deref(), Some("a=b"));
    }

    #[test]
    fn comments_are_passed_over_and_lines_go_on_after_a_backslash() {
        assert_eq!(image("; no\n# no\n\n[Image]\n  # no\nImage=a # stays\n").as_deref(), Some("a # stays"));
        assert_eq!(image("[Image]\nImage=\\\n# between\n  ; and\n  a\n").as_deref(), Some("a"));
        assert_eq!(image("[Image]\nImage=a\\\nb\n").as_deref(), Some("a b"));
        assert_eq!(image("[Image]\nImage=a\\").as_deref(), Some("a"));
        assert_eq!(image("[Image]\n# Image=b\\\nImage=a\n").as_deref(), Some("a"), "comments do not go on");
    }

    #[test]
    fn what_is_no_unit_file_is_refused_by_line() {
        for (text, reason) in [
            (&b"Image=a"[..], "line 1 comes before any section"),
            (b"[Image]\nImage\n", "line 2 is neither a section nor KEY=VALUE"),
            (b"[Image]\n=a\n", "line 2 has no key before its ="),
            (b"[Image\n", "line 1 begins a section and does not end it"),
            (b"\n[]\n", "line 2 names no section"),
            (b"[Image]\n\nImage=\xff\n", "line 3 is not UTF-8"),
            (b"[Image]\nIm age=a\n", "line 2 has no key before its ="),
        ] {
            assert_eq!(UnitFile::parse(text).unwrap_err(), reason);
        }
        let long = vec![b'#'; 1 + (1 << 20)];
        assert!(UnitFile::parse(&long).unwrap_err().contains("more than"));
    }

    proptest! {
        /// What is written by the rules is read back, whatever comments and folds lie between.
        #[test]
        fn a_value_reads_back_however_it_is_folded(
            words in prop::collection::vec("[a-z0-9:/.%@-]{1,12}", 1..6),
            noise in prop::collection::vec("[#;][ -~]{0,12}", 0..4),
        ) {
            let comments = noise.iter().fold(String::new(), |text, line| text + line + "\n");
            let folded = words.join(&format!("\\\n{comments}"));
            let text = format!("{comments}[Image]\n{comments}Image=old\nImage={folded}\n{comments}");
            prop_assert_eq!(image(&text), Some(words.join(" ")));
        }

        #[test]
        fn any_bytes_give_a_file_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Err(reason) = UnitFile::parse(&bytes) {
                prop_assert!(reason.starts_with("line "), "{}", reason);
            }
        }
    }
}
