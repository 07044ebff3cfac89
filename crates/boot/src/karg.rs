//! One kernel argument: a key with or without a value, in the text that the boot entry carries.
//!
//! What lives here: the kernel's splitting rules (`next_arg` in `lib/cmdline.c`): white space separates, a double quote
//! toggles quoting, there is no escape; a key's `-` and `_` are the same. What does not: lists of arguments ([`Kargs`]).
//! Invariant: the text is one argument for the kernel, so joining arguments with a space and splitting gives them back.
//!
//! [`Kargs`]: crate::Kargs

use std::{fmt, str::FromStr};

use crate::BootError;

/// The longest single argument that we take, in bytes: x86's whole command line (`COMMAND_LINE_SIZE`) is no longer.
const KARG_MAX: usize = 2048;

/// One kernel argument, such as `quiet`, `root=UUID=…` or `dyndbg="file a.c +p"`.
///
/// Two arguments are equal when the kernel reads the same key and the same value from them: quotes and the difference
/// of `-` and `_` in the key do not count.
#[derive(Clone)]
pub struct Karg {
    text: String,
}

impl Karg {
    /// The argument with this key and value, quoted where the value needs it.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when the kernel cannot be told this value (a double quote or a control character in it).
    pub fn new(key: &str, value: Option<&str>) -> Result<Self, BootError> {
        match value {
            None => key.parse(),
            Some(value) if value.contains(is_space) => format!("{key}=\"{value}\"").parse(),
            Some(value) => format!("{key}={value}").parse(),
        }
    }

    /// The argument as it stands on a command line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key: all up to the first `=`, without an opening quote.
    #[must_use]
    pub fn key(&self) -> &str {
        let (key, _, _) = self.split();
        key
    }

    /// The value as the kernel reads it, without the quotes around it.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        let (_, value, quoted_whole) = self.split();
        let value = value?;
        if let Some(inner) = value.strip_prefix('"') {
            return Some(inner.strip_suffix('"').unwrap_or(inner));
        }
        Some(if quoted_whole { value.strip_suffix('"').unwrap_or(value) } else { value })
    }

    /// Whether the kernel takes `key` for this argument's key.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        same_key(self.key(), key)
    }

    /// Key, raw value, and whether a quote opens before the key.
    fn split(&self) -> (&str, Option<&str>, bool) {
        let (text, quoted) = match self.text.strip_prefix('"') {
            Some(rest) => (rest, true),
            None => (self.text.as_str(), false),
        };
        match text.split_once('=') {
            // The kernel looks for the `=` from the second character on: one in front belongs to the key.
            Some((key, value)) if !key.is_empty() => (key, Some(value), quoted),
            _ if quoted => (text.strip_suffix('"').unwrap_or(text), None, true),
            _ => (text, None, false),
        }
    }
}

/// White space as the kernel's `isspace` has it, of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The kernel's `parameq`: `-` and `_` are the same in a key.
fn same_key(a: &str, b: &str) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| fold(a) == fold(b))
}

impl FromStr for Karg {
    type Err = BootError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why| Err(BootError::invalid("kernel argument", text, why));
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > KARG_MAX {
            return Err(BootError::TooBig {
                what: "kernel argument".into(),
                size: text.len() as u64,
                limit: KARG_MAX as u64,
            });
        }
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                '\n' | '\r' | '\0' => return refuse("a command line is one line"),
                c if is_space(c) && !quoted => {
                    return refuse("white space outside quotes separates arguments");
                }
                _ => {}
            }
        }
        if quoted {
            return refuse("a quote is not closed");
        }
        Ok(Self { text: text.to_owned() })
    }
}

impl fmt::Display for Karg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Karg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Karg({})", self.text)
    }
}

impl PartialEq for Karg {
    fn eq(&self, other: &Self) -> bool {
        same_key(self.key(), other.key()) && self.value() == other.value()
    }
}

impl Eq for Karg {}

impl serde::Serialize for Karg {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Karg {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn karg(text: &str) -> Karg {
        text.parse().unwrap()
    }

    #[test]
    fn key_and_value_are_what_the_kernel_reads() {
        for (text, key, value) in [
            ("quiet", "quiet", None),
            ("root=UUID=1-2", "root", Some("UUID=1-2")),
            ("dyndbg=\"file a.c +p\"", "dyndbg", Some("file a.c +p")),
            ("\"module.option=a b\"", "module.option", Some("a b")),
            ("empty=", "empty", Some("")),
            ("\"flag\"", "flag", None),
            ("=odd", "=odd", None),
            ("a=b\"c d\"", "a", Some("b\"c d\"")),
        ] {
            assert_eq!((karg(text).key(), karg(text).value()), (key, value), "{text}");
        }
    }

    #[test]
    fn dash_and_underscore_are_one_in_a_key_but_not_in_a_value() {
        assert_eq!(karg("a-b=c-d"), karg("a_b=c-d"));
        assert_ne!(karg("a-b=c-d"), karg("a-b=c_d"));
        assert_eq!(karg("a=\"b\""), karg("a=b"));
    }

    #[test]
    fn what_would_not_stay_one_argument_is_refused() {
        for text in ["", "two words", "a=\"open", "line\nbreak", "nul\0"] {
            assert!(text.parse::<Karg>().is_err(), "{text:?}");
        }
        assert!(Karg::new("a", Some("b\"c")).is_err());
        assert_eq!(Karg::new("a", Some("b c")).unwrap().value(), Some("b c"));
    }
}
