//! All patterns of a policy in one search.
//!
//! What lives here: one lazy DFA over the patterns that have one, and a backtracking matcher for the few that look
//! around (`selabel_file(5)` promises PCRE2). What does not: contexts, aliases.
//! Invariant: the lowest number among the patterns that match is found, whatever engine a pattern needs.

use regex_automata::{Anchored, Input, hybrid::dfa, nfa::thompson, util::syntax};

use crate::DeployError;

/// The memory of the lazy DFA, in bytes: it forgets and starts again when that is full. 58,000 paths need some 4 MiB.
const DFA_MEMORY: usize = 16 << 20;

/// The patterns of a policy, by priority: a lower number wins.
#[derive(Debug)]
pub(super) struct Matcher {
    regular: Option<Regular>,
    /// Patterns that no DFA can search, with their numbers ascending.
    others: Vec<(usize, fancy_regex::Regex)>,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Regular {
    dfa: dfa::DFA,
    cache: dfa::Cache,
    /// The number of each pattern of the DFA.
    numbers: Vec<usize>,
}

impl Matcher {
    /// Compiles patterns over a path with a type letter after it.
    pub(super) fn new(patterns: &[String]) -> Result<Self, DeployError> {
        let syntax = syntax::Config::new().unicode(false).utf8(false).line_terminator(0);
        let mut regular = Vec::new();
        let mut others = Vec::new();
        for (number, pattern) in patterns.iter().enumerate() {
            match syntax::parse_with(pattern, &syntax) {
                Ok(parsed) => regular.push((number, parsed)),
                Err(_) => others.push((number, look_around(pattern)?)),
            }
        }
        let (numbers, parsed): (Vec<_>, Vec<_>) = regular.into_iter().unzip();
        let regular = if parsed.is_empty() {
            None
        } else {
            let nfa = thompson::Compiler::new()
                .configure(thompson::Config::new().utf8(false).shrink(false))
                .build_many_from_hir(&parsed)
                .map_err(|error| matcher_error("all patterns together", &error))?;
            Some(Regular::new(nfa, numbers)?)
        };
        Ok(Self { regular, others, key: Vec::new() })
    }

    /// The lowest number of a pattern that matches.
    pub(super) fn first_match(&mut self, path: &[u8], letter: u8) -> Result<Option<usize>, DeployError> {
        self.key.clear();
        self.key.extend_from_slice(path);
        self.key.push(letter);
        let regular = match &mut self.regular {
            Some(regular) => regular.first_match(&self.key)?,
            None => None,
        };
        let better = |number: usize| regular.is_none_or(|regular| number < regular);
        if self.others.first().is_none_or(|(number, _)| !better(*number)) {
            return Ok(regular);
        }
        let text = latin1(&self.key);
        for (number, pattern) in self.others.iter().take_while(|(number, _)| better(*number)) {
            let matches = pattern.is_match(&text).map_err(|error| matcher_error(pattern.as_str(), &error))?;
            if matches {
                return Ok(Some(*number));
            }
        }
        Ok(regular)
    }
}

impl Regular {
    fn new(nfa: thompson::NFA, numbers: Vec<usize>) -> Result<Self, DeployError> {
        let config = dfa::Config::new().cache_capacity(DFA_MEMORY).skip_cache_capacity_check(true);
        let dfa = dfa::Builder::new()
            .configure(config)
            .build_from_nfa(nfa)
            .map_err(|error| matcher_error("all patterns together", &error))?;
        let cache = dfa.create_cache();
        Ok(Self { dfa, cache, numbers })
    }

    fn first_match(&mut self, key: &[u8]) -> Result<Option<usize>, DeployError> {
        let input = Input::new(key).anchored(Anchored::Yes);
        let found = self
            .dfa
            .try_search_fwd(&mut self.cache, &input)
            .map_err(|error| matcher_error("all patterns together", &error))?;
        Ok(found.and_then(|found| self.numbers.get(found.pattern().as_usize()).copied()))
    }
}

/// Compiles a pattern that looks around. It sees each byte as one character, and so does the path that it searches.
fn look_around(pattern: &str) -> Result<fancy_regex::Regex, DeployError> {
    fancy_regex::Regex::new(&latin1(pattern.as_bytes())).map_err(|error| matcher_error(pattern, &error))
}

/// Each byte as the character of that number: paths are bytes, and this engine takes text.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn matcher_error(place: &str, error: &dyn std::fmt::Display) -> DeployError {
    DeployError::Policy { place: format!("pattern {place}"), reason: error.to_string() }
}
