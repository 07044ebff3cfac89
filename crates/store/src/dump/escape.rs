//! Escapes in dumps: `\\`, `\n`, `\r`, `\t`, and `\xHH` for all that is not graphic ASCII.

use std::borrow::Cow;

use crate::hex;

/// Where a text stands, which decides what else is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A field of its own: `-` alone would say that there is nothing.
    Field,
    /// Part of an extended attribute: `=` would end a name.
    Xattr,
}

/// Appends bytes as a field, `-` for none.
pub(super) fn push_field(line: &mut String, bytes: &[u8]) {
    match bytes {
        b"" => line.push('-'),
        b"-" => line.push_str("\\x2d"),
        bytes => push(line, bytes, Place::Field),
    }
}

/// Appends bytes, escaped where need be.
pub(super) fn push(line: &mut String, mut bytes: &[u8], place: Place) {
    let is_plain = |byte: &u8| {
        matches!(byte, b'!'..=b'~') && !matches!((byte, place), (b'\\', _) | (b'=', Place::Xattr))
    };
    loop {
        let (plain, rest) =
            bytes.split_at(bytes.iter().position(|byte| !is_plain(byte)).unwrap_or(bytes.len()));
        // Plain is graphic ASCII.
        line.push_str(str::from_utf8(plain).unwrap_or_default());
        let Some((byte, rest)) = rest.split_first() else { return };
        match byte {
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            byte => {
                let mut digits = [0; 2];
                hex::encode(&[*byte], &mut digits);
                line.push_str("\\x");
                line.extend(digits.map(char::from));
            }
        }
        bytes = rest;
    }
}

/// The bytes that an escaped text stands for; none if an escape is none.
pub(super) fn unescape(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'\\') {
        return Some(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let mut digit = || u8::try_from(char::from(*rest.next()?).to_digit(16)?).ok();
                    digit()? << 4 | digit()?
                }
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_read_back_and_are_graphic_ascii(bytes: Vec<u8>) {
            for place in [Place::Field, Place::Xattr] {
                let mut line = String::new();
                push(&mut line, &bytes, place);
                prop_assert!(line.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(place == Place::Field || !line.contains('='));
                prop_assert_eq!(unescape(line.as_bytes()).unwrap(), bytes.clone());
            }
        }
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for text in ["\\", "\\q", "\\x", "\\x1", "\\xg0", "a\\x0"] {
            assert_eq!(unescape(text.as_bytes()), None, "{text}");
        }
    }
}
