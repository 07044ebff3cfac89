//! A kernel command line as a list of arguments: parse, print, add, remove.
//!
//! What lives here: the list and its edits. What does not: where an argument came from and which ones an image wants
//! (the deploy crate). Invariants: order is kept; `print` and `parse` are inverse up to the white space between.

use std::{fmt, str::FromStr};

use crate::{BootError, Karg, karg::is_space};

/// The longest command line that we take or write, in bytes: the largest `COMMAND_LINE_SIZE` among Linux' ports.
pub const COMMAND_LINE_MAX: usize = 4096;

/// Kernel arguments in order. A key may occur several times (`console=`).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Kargs {
    list: Vec<Karg>,
}

impl Kargs {
    /// No argument.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// What a kernel that runs was told: a line of any length, of which what is no argument is left out. What follows a
    /// `--` is init's.
    #[must_use]
    pub fn of_running_kernel(line: &str) -> Self {
        let list = words(line).map_while(|word| (word != "--").then(|| word.parse().ok()));
        Self { list: list.flatten().collect() }
    }

    /// The arguments in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Karg> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first argument with this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Karg> {
        self.list.iter().find(|karg| karg.has_key(key))
    }

    /// Adds one at the end, but before a `--`: what follows that belongs to init, not to the kernel.
    pub fn push(&mut self, karg: Karg) {
        let end = self.list.iter().position(|karg| karg.as_str() == "--").unwrap_or(self.list.len());
        self.list.insert(end, karg);
    }

    /// Adds each that is not there yet, and returns how many were added.
    pub fn push_missing(&mut self, kargs: impl IntoIterator<Item = Karg>) -> usize {
        let before = self.len();
        for karg in kargs {
            if !self.list.contains(&karg) {
                self.push(karg);
            }
        }
        self.len() - before
    }

    /// Removes each argument equal to `karg`, and returns how many there were.
    pub fn remove_exact(&mut self, karg: &Karg) -> usize {
        self.remove_if(|each| each == karg)
    }

    /// Removes each argument with this key, and returns how many there were.
    pub fn remove_key(&mut self, key: &str) -> usize {
        self.remove_if(|each| each.has_key(key))
    }

    /// Removes what a deletion names: `key=value` that argument, `key` all with the key. Returns how many there were.
    pub fn remove(&mut self, deletion: &Karg) -> usize {
        if deletion.value().is_some() { self.remove_exact(deletion) } else { self.remove_key(deletion.key()) }
    }

    fn remove_if(&mut self, mut gone: impl FnMut(&Karg) -> bool) -> usize {
        let before = self.len();
        self.list.retain(|karg| !gone(karg));
        before - self.len()
    }
}

impl FromStr for Kargs {
    type Err = BootError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        if line.len() > COMMAND_LINE_MAX {
            return Err(BootError::TooBig {
                what: "kernel command line".into(),
                size: line.len() as u64,
                limit: COMMAND_LINE_MAX as u64,
            });
        }
        words(line).map(str::parse).collect()
    }
}

/// The words of a line, as the kernel splits it.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let words = line.split(move |c: char| {
        if c == '"' {
            quoted = !quoted;
        }
        !quoted && is_space(c)
    });
    words.filter(|word| !word.is_empty())
}

impl fmt::Display for Kargs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, karg) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{karg}")?;
        }
        Ok(())
    }
}

impl FromIterator<Karg> for Kargs {
    fn from_iter<T: IntoIterator<Item = Karg>>(kargs: T) -> Self {
        Self { list: kargs.into_iter().collect() }
    }
}

impl IntoIterator for Kargs {
    type Item = Karg;
    type IntoIter = std::vec::IntoIter<Karg>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Kargs {
    type Item = &'a Karg;
    type IntoIter = std::slice::Iter<'a, Karg>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kargs(line: &str) -> Kargs {
        line.parse().unwrap()
    }

    #[test]
    fn quoted_space_does_not_separate() {
        let line = kargs("  quiet\tdyndbg=\"file a.c +p\"  \"b=c d\" ro ");
        assert_eq!(line.to_string(), "quiet dyndbg=\"file a.c +p\" \"b=c d\" ro");
        assert_eq!(line.len(), 4);
    }

    #[test]
    fn what_a_kernel_was_told_is_read_as_far_as_it_can_be() {
        let long = format!("a={} composefs=1 \0 b=\"open", "x".repeat(5000));
        assert!(long.parse::<Kargs>().is_err());
        assert_eq!(Kargs::of_running_kernel(&long).to_string(), "composefs=1");
        assert_eq!(Kargs::of_running_kernel("quiet -- composefs=1").to_string(), "quiet");
    }

    #[test]
    fn a_deletion_with_a_value_is_exact_and_one_without_takes_every_value() {
        let mut line = kargs("console=tty0 console=ttyS0 quiet");
        assert_eq!(line.remove(&"console=tty0".parse().unwrap()), 1);
        assert_eq!(line.to_string(), "console=ttyS0 quiet");
        let mut line = kargs("console=tty0 console=ttyS0 quiet");
        assert_eq!(line.remove(&"console".parse().unwrap()), 2);
        assert_eq!(line.to_string(), "quiet");
    }

    #[test]
    fn a_new_argument_goes_before_those_of_init() {
        let mut line = kargs("quiet -- single");
        line.push("ro".parse().unwrap());
        assert_eq!(line.to_string(), "quiet ro -- single");
    }

    proptest! {
        #[test]
        fn a_printed_line_reads_back(words in proptest::collection::vec("[a-z_-]{1,8}(=([a-z.=/-]{0,8}|\"[a-z ]{0,8}\"))?", 0..12)) {
            let list: Kargs = words.iter().map(|word| word.parse::<Karg>().unwrap()).collect();
            prop_assert_eq!(list.to_string().parse::<Kargs>().unwrap(), list);
        }

        #[test]
        fn no_text_panics_and_every_parsed_line_is_stable(line in "\\PC{0,64}") {
            if let Ok(list) = line.parse::<Kargs>() {
                prop_assert_eq!(list.to_string().parse::<Kargs>().unwrap(), list);
            }
        }
    }
}
