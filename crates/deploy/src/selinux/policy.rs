//! A policy's file contexts: the text formats of `selabel_file(5)`, and the lookup of one path.
//!
//! What lives here: `file_contexts` with `.local` and `.homedirs` (pattern, optional file type, context), `.subs` and
//! `.subs_dist` (aliases). What does not: matching ([`Matcher`]), the tree.
//! Invariants: the last line that matches wins; `<<none>>` means no label; an alias replaces a whole path, once.

use std::collections::HashMap;

use sealstone_store::tree::FileType;

use super::matcher::Matcher;
use crate::DeployError;

/// The texts of a policy, as found in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles {
    /// `file_contexts`, which every policy has.
    pub contexts: String,
    /// `file_contexts.local`.
    pub local: Option<String>,
    /// `file_contexts.homedirs`.
    pub homedirs: Option<String>,
    /// `file_contexts.subs`.
    pub subs: Option<String>,
    /// `file_contexts.subs_dist`.
    pub subs_dist: Option<String>,
}

/// File contexts, ready for lookups.
#[derive(Debug)]
pub struct Policy {
    matcher: Matcher,
    /// The context of each pattern, the last line of the files first; `None` for `<<none>>`.
    contexts: Vec<Option<Box<str>>>,
    aliases: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl Policy {
    /// Reads the files and compiles the patterns.
    ///
    /// # Errors
    /// [`DeployError::Policy`] with file and line when one does not parse.
    pub fn new(files: &PolicyFiles) -> Result<Self, DeployError> {
        let mut patterns = Vec::new();
        let mut contexts = Vec::new();
        for (file, text) in [
            ("file_contexts", Some(&files.contexts)),
            ("file_contexts.local", files.local.as_ref()),
            ("file_contexts.homedirs", files.homedirs.as_ref()),
        ] {
            for (number, line) in text.iter().flat_map(|text| text.lines()).enumerate() {
                let parsed = parse_context(line).map_err(|reason| policy_error(file, number, reason))?;
                if let Some((pattern, context)) = parsed {
                    patterns.push(pattern);
                    contexts.push((context != "<<none>>").then(|| context.into()));
                }
            }
        }
        // The last line that matches wins: with the order turned round it is the first, which a search can stop at.
        patterns.reverse();
        contexts.reverse();
        let mut aliases = HashMap::new();
        for (file, text) in
            [("file_contexts.subs", &files.subs), ("file_contexts.subs_dist", &files.subs_dist)]
        {
            for (number, line) in text.iter().flat_map(|text| text.lines()).enumerate() {
                let parsed = parse_alias(line).map_err(|reason| policy_error(file, number, reason))?;
                if let Some((alias, original)) = parsed {
                    aliases.insert(alias.as_bytes().into(), original.as_bytes().into());
                }
            }
        }
        Ok(Self { matcher: Matcher::new(&patterns)?, contexts, aliases })
    }

    /// The path that stands for this one, if an alias says so.
    #[must_use]
    pub fn alias(&self, path: &[u8]) -> Option<&[u8]> {
        self.aliases.get(path).map(AsRef::as_ref)
    }

    /// The number of the pattern that decides on this path, if one matches. `&mut`: the matcher learns as it goes.
    ///
    /// # Errors
    /// [`DeployError::Policy`] when the search gives up (a pattern that backtracks without end).
    pub(super) fn decide(&mut self, path: &[u8], kind: FileType) -> Result<Option<usize>, DeployError> {
        self.matcher.first_match(path, type_letter(kind))
    }

    /// The context of a pattern, `None` for `<<none>>`.
    pub(super) fn context(&self, pattern: usize) -> Option<&str> {
        self.contexts.get(pattern)?.as_deref()
    }

    /// The label of a path, if it has one.
    ///
    /// # Errors
    /// As a search that gives up: [`DeployError::Policy`].
    pub fn lookup(&mut self, path: &[u8], kind: FileType) -> Result<Option<&str>, DeployError> {
        let decided = self.decide(path, kind)?;
        Ok(decided.and_then(|pattern| self.context(pattern)))
    }
}

/// The letters of `selabel_file(5)` for file types.
const fn type_letter(kind: FileType) -> u8 {
    match kind {
        FileType::Regular => b'-',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::CharDevice => b'c',
        FileType::BlockDevice => b'b',
        FileType::Fifo => b'p',
        FileType::Socket => b's',
    }
}

/// The words of a line that is neither blank nor a comment.
fn words(line: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    (!first.starts_with('#')).then_some((first, words))
}

/// One line of `file_contexts`: a pattern over path and type letter, and a context.
fn parse_context(line: &str) -> Result<Option<(String, &str)>, &'static str> {
    let Some((pattern, mut rest)) = words(line) else { return Ok(None) };
    let second = rest.next().ok_or("a pattern without a context")?;
    let (letter, context) = match second.strip_prefix('-') {
        Some(letter @ ("b" | "c" | "d" | "p" | "l" | "s" | "-")) => {
            (letter, rest.next().ok_or("a file type without a context")?)
        }
        Some(_) => return Err("an unknown file type"),
        None => (".", second),
    };
    if rest.next().is_some() {
        return Err("more words than pattern, type and context");
    }
    Ok(Some((format!("^({pattern}){letter}$"), context)))
}

/// One line of `file_contexts.subs`: an alias and what it stands for.
fn parse_alias(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let Some((alias, mut rest)) = words(line) else { return Ok(None) };
    let original = rest.next().ok_or("an alias without a path")?;
    if rest.next().is_some() {
        return Err("more words than alias and path");
    }
    Ok(Some((alias, original)))
}

fn policy_error(file: &str, line: usize, reason: &str) -> DeployError {
    DeployError::Policy { place: format!("{file} line {}", line + 1), reason: reason.to_owned() }
}
