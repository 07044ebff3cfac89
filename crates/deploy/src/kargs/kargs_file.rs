//! One file of `/usr/lib/bootc/kargs.d/`.
//!
//! What lives here: its keys, `kargs` (required) and `match-architectures`. What does not: where such files are. bootc
//! refuses a file with another key; here it is warned about, so that an image for a newer bootc still installs.

use sealstone_boot::Karg;

use super::{
    Architecture, ConfigWarning,
    document::{Document, matches},
};
use crate::DeployError;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KargsFile {
    /// The arguments, in order.
    pub kargs: Vec<Karg>,
    /// Rust's names of the architectures that it is for; `None` is all.
    pub architectures: Option<Vec<String>>,
}

impl KargsFile {
    /// Reads a file; `file` names it.
    ///
    /// # Errors
    /// [`DeployError::ImageFile`], with the line, when it is no TOML, has no `kargs`, or a value is wrong.
    pub fn parse(file: &str, bytes: &[u8], warnings: &mut Vec<ConfigWarning>) -> Result<Self, DeployError> {
        let (mut document, table) = Document::parse(file, bytes, warnings)?;
        let architectures = document.architectures(&table)?;
        let mut kargs = None;
        for (key, value) in &table {
            match key.get_ref().as_ref() {
                "kargs" => kargs = Some(document.kargs("kargs", value)?),
                "match-architectures" | "match_architectures" => {}
                other => document.unknown(&key.span(), other),
            }
        }
        let Some(kargs) = kargs else {
            return Err(document.refuse(&(0..0), "it has no kargs".into()));
        };
        Ok(Self { kargs, architectures })
    }

    /// Whether it is for an image of this architecture; one that is not known is none.
    #[must_use]
    pub fn is_for(&self, image: Option<&Architecture>) -> bool {
        matches(self.architectures.as_deref(), image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Result<KargsFile, DeployError>, Vec<String>) {
        let mut warnings = Vec::new();
        let parsed = KargsFile::parse("a.toml", text.as_bytes(), &mut warnings);
        (parsed, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_string_may_hold_several_arguments_and_quoted_ones() {
        let (file, warnings) = parse("kargs = ['console=ttyS0 quiet', 'dyndbg=\"file a.c +p\"']\n");
        let kargs: Vec<String> = file.unwrap().kargs.iter().map(ToString::to_string).collect();
        assert_eq!(kargs, ["console=ttyS0", "quiet", "dyndbg=\"file a.c +p\""]);
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_are_warned_about_with_their_line_and_never_fail() {
        let (file, warnings) = parse("kargs = []\n\nwhen = 'later'\n[table]\na = 1\n");
        assert_eq!(file.unwrap().kargs, []);
        assert_eq!(
            warnings,
            [
                "a.toml: line 4: the key \"table\" is unknown, and ignored",
                "a.toml: line 3: the key \"when\" is unknown, and ignored",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        for (text, line, part) in [
            ("kargs = [\n'quiet'\n", 2, ""),
            ("\nkargs = 'quiet'\n", 2, "kargs is string, and should be a list of strings"),
            ("kargs = [\n'ro',\n1]\n", 3, "integer"),
            ("kargs = ['ro',\n 'a=\"b']\n", 2, "quote"),
            ("match-architectures = ['x86_64']\n", 1, "no kargs"),
            ("kargs = []\nkargs = []\n", 2, "duplicate"),
        ] {
            let (Err(DeployError::ImageFile { file, line: found, reason }), _) = parse(text) else {
                panic!("{text:?} is taken")
            };
            assert_eq!((file.as_str(), found), ("a.toml", line), "{text:?}: {reason}");
            assert!(reason.contains(part), "{text:?}: {reason}");
        }
        let mut warnings = Vec::new();
        let not_text = KargsFile::parse("a.toml", b"kargs = []\n# \xff\n", &mut warnings);
        assert!(matches!(not_text, Err(DeployError::ImageFile { line: 2, .. })));
    }

    #[test]
    fn files_for_other_architectures_are_not_for_this_one() {
        let amd64 = Architecture::of(&"linux/amd64".parse().unwrap());
        let is_for = |text: &str| parse(text).0.unwrap().is_for(Some(&amd64));
        assert!(is_for("kargs = []"));
        assert!(is_for("kargs = []\nmatch-architectures = ['aarch64', 'x86_64']"));
        assert!(!is_for("kargs = []\nmatch-architectures = ['aarch64']"));
        assert!(!is_for("kargs = []\nmatch-architectures = []"));
        let unknown = parse("kargs = []\nmatch-architectures = ['x86_64']").0.unwrap();
        assert!(!unknown.is_for(None));
    }

    #[test]
    fn the_other_spelling_and_gos_names_of_architectures_are_warned_about() {
        let (file, warnings) = parse("match_architectures = ['x86_64', 'arm64']\nkargs = []");
        assert_eq!(file.unwrap().architectures.unwrap(), ["x86_64", "arm64"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("read as match-architectures"));
        assert!(warnings[1].contains("\"aarch64\""));
    }

    #[test]
    fn an_image_cannot_set_the_arguments_that_name_it() {
        let (file, warnings) = parse("kargs = ['composefs=ab ro', 'composefs.state=x']");
        assert_eq!(file.unwrap().kargs.len(), 1);
        assert_eq!(warnings.len(), 2);
    }
}
