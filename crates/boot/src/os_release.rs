//! os-release(5) of the image: what a boot entry says about the system.
//!
//! What lives here: the file's quoting rules and the keys that an entry needs. What does not: the machine's own
//! os-release; the text comes from the image's tree.

/// What an image says about itself in `/usr/lib/os-release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`: lower-case name, `linux` if absent.
    pub id: String,
    /// `PRETTY_NAME`, else `NAME`, else `Linux`: the entry's title.
    pub title: String,
    /// `IMAGE_VERSION`, else `VERSION_ID`: what the entry's version comes from. Rolling systems have none.
    pub version: Option<String>,
}

impl Default for OsRelease {
    fn default() -> Self {
        Self { id: "linux".into(), title: "Linux".into(), version: None }
    }
}

impl OsRelease {
    /// Reads what it can: a line that is no assignment is skipped, as os-release(5) wants of readers.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let find = |key: &str| {
            let line =
                text.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
            Some(unquote(line)).filter(|value| !value.is_empty())
        };
        let default = Self::default();
        let plain = |value: String| Some(value).filter(|value| value.chars().all(is_plain));
        Self {
            id: find("ID").and_then(plain).unwrap_or(default.id),
            title: find("PRETTY_NAME").or_else(|| find("NAME")).unwrap_or(default.title),
            version: find("IMAGE_VERSION").or_else(|| find("VERSION_ID")).and_then(plain),
        }
    }
}

/// What os-release(5) allows in `ID` and `VERSION_ID`: these become part of file names.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~' | '^')
}

/// The shell's quoting, as far as os-release(5) has it. Control characters fall out.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    if let Some(literal) = quoted('\'') {
        return literal.chars().filter(|c| !c.is_control()).collect();
    }
    let mut chars = quoted('"').unwrap_or(value).chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().filter(|c| !c.is_control())),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_are_read_as_a_shell_would() {
        let text = "# x\nPRETTY_NAME=\"Debian \\\"13\\\"\"\nID=debian\nVERSION_ID='13'\n";
        let os = OsRelease::parse(text);
        assert_eq!((os.id.as_str(), os.title.as_str()), ("debian", "Debian \"13\""));
        assert_eq!(os.version.as_deref(), Some("13"));
    }

    #[test]
    fn nothing_in_it_can_leave_a_file_name_or_a_line() {
        let os = OsRelease::parse("ID=../../evil\nVERSION_ID=\"a/b\"\nPRETTY_NAME=\"a\tb\"\nnonsense");
        assert_eq!(os, OsRelease { id: "linux".into(), title: "ab".into(), version: None });
        assert_eq!(OsRelease::parse(""), OsRelease::default());
    }
}
