//! A TOML file of an image, read with the line of everything in it.
//!
//! What lives here: parsing, values by type, what to say about them and where. What does not: which keys there are.
//! Invariant: nothing passes unseen: a key that nobody reads is warned about, a value of the wrong type is an error.

use std::{fmt, ops::Range};

use sealstone_boot::{Karg, Kargs};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Architecture, is_reserved};
use crate::DeployError;

/// Something in a file of an image that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ConfigWarning {
    /// The file's path in the image.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What was passed over, and why.
    pub reason: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: line {}: {}", self.file, self.line, self.reason)
    }
}

/// A value with its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A file that is being read.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    warnings: &'a mut Vec<ConfigWarning>,
}

impl<'a> Document<'a> {
    /// The document and its table.
    pub(super) fn parse(
        file: &'a str,
        bytes: &'a [u8],
        warnings: &'a mut Vec<ConfigWarning>,
    ) -> Result<(Self, DeTable<'a>), DeployError> {
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let start = bytes.get(..error.valid_up_to()).unwrap_or_default();
                return Err(refusal(file, line_after(start), "it is not UTF-8".into()));
            }
        };
        let document = Self { file, text, warnings };
        match DeTable::parse(text) {
            Ok(table) => Ok((document, table.into_inner())),
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                let reason = error.message().lines().next().unwrap_or_default().to_owned();
                Err(refusal(file, document.line(start), reason))
            }
        }
    }

    fn line(&self, offset: usize) -> usize {
        line_after(self.text.as_bytes().get(..offset).unwrap_or_default())
    }

    /// An error about what stands here.
    pub(super) fn refuse(&self, place: &Range<usize>, reason: String) -> DeployError {
        refusal(self.file, self.line(place.start), reason)
    }

    /// A warning about what stands here.
    pub(super) fn warn(&mut self, place: &Range<usize>, reason: String) {
        let line = self.line(place.start);
        self.warnings.push(ConfigWarning { file: self.file.to_owned(), line, reason });
    }

    /// A warning about a key that means nothing; `path` is its full name.
    pub(super) fn unknown(&mut self, place: &Range<usize>, path: &str) {
        self.warn(place, format!("the key {path:?} is unknown, and ignored"));
    }

    fn expected<T>(&self, what: &str, key: &str, value: &Value<'_>) -> Result<T, DeployError> {
        let found = value.get_ref().type_str();
        Err(self.refuse(&value.span(), format!("{key} is {found}, and should be {what}")))
    }

    pub(super) fn string(&self, key: &str, value: &Value<'_>) -> Result<String, DeployError> {
        match value.get_ref().as_str() {
            Some(text) => Ok(text.to_owned()),
            None => self.expected("a string", key, value),
        }
    }

    pub(super) fn boolean(&self, key: &str, value: &Value<'_>) -> Result<bool, DeployError> {
        match value.get_ref().as_bool() {
            Some(yes) => Ok(yes),
            None => self.expected("true or false", key, value),
        }
    }

    pub(super) fn table<'v, 't>(
        &self,
        key: &str,
        value: &'v Value<'t>,
    ) -> Result<&'v DeTable<'t>, DeployError> {
        match value.get_ref().as_table() {
            Some(table) => Ok(table),
            None => self.expected("a table", key, value),
        }
    }

    /// A list of strings, each with its place.
    pub(super) fn strings(
        &self,
        key: &str,
        value: &Value<'_>,
    ) -> Result<Vec<(Range<usize>, String)>, DeployError> {
        let Some(list) = value.get_ref().as_array() else {
            return self.expected("a list of strings", key, value);
        };
        list.iter().map(|item| Ok((item.span(), self.string(key, item)?))).collect()
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        (place, text): (&Range<usize>, &str),
        choices: &[(&str, T)],
    ) -> Result<T, DeployError> {
        choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.refuse(place, format!("{key} is {text:?}, and should be one of {}", words.join(", ")))
        })
    }

    /// Kernel arguments: each string may hold several, as on a command line.
    pub(super) fn kargs(&mut self, key: &str, value: &Value<'_>) -> Result<Vec<Karg>, DeployError> {
        let mut kargs = Vec::new();
        for (place, text) in self.strings(key, value)? {
            let parsed: Kargs = text.parse().map_err(|error| self.refuse(&place, format!("{error}")))?;
            for karg in parsed {
                if is_reserved(&karg) {
                    self.warn(&place, format!("{karg} is the deployment's to set, and ignored"));
                } else {
                    kargs.push(karg);
                }
            }
        }
        Ok(kargs)
    }

    /// The value of `match-architectures`, in either spelling: bootc's documents have it with `_`, its code with `-`.
    pub(super) fn architectures(&mut self, table: &DeTable<'_>) -> Result<Option<Vec<String>>, DeployError> {
        let mut found = None;
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if name == "match_architectures" {
                self.warn(&key.span(), "match_architectures is read as match-architectures".into());
            } else if name != "match-architectures" {
                continue;
            }
            let mut names = Vec::new();
            for (place, name) in self.strings(name, value)? {
                if let Some(rust) = Architecture::of_go(&name) {
                    self.warn(&place, format!("no architecture is called {name:?} here: {rust:?} is"));
                }
                names.push(name);
            }
            found = Some(names);
        }
        Ok(found)
    }
}

/// Whether a file that names these architectures is for an image of this one.
pub(super) fn matches(wanted: Option<&[String]>, image: Option<&Architecture>) -> bool {
    let Some(wanted) = wanted else { return true };
    image.is_some_and(|image| wanted.iter().any(|name| name == image.as_str()))
}

fn line_after(start: &[u8]) -> usize {
    start.split(|byte| *byte == b'\n').count()
}

fn refusal(file: &str, line: usize, reason: String) -> DeployError {
    DeployError::ImageFile { file: file.to_owned(), line, reason }
}
