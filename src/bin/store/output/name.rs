//! Names from images, made safe to print: bytes in, text out, and the bytes can be had back.
//!
//! An image chooses its names: control characters could drive a terminal, and bytes need not be UTF-8. Such bytes become
//! `\xNN` and a backslash becomes `\\`, as in composefs-dump(5); everything else stays as it is.

use std::fmt::Write as _;

/// The text for a name or a path.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                _ => push_printable(&mut text, character),
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

/// A message that quotes names already, made safe all the same: a document may hold any text, and errors quote it.
pub fn printable(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    message.chars().for_each(|character| push_printable(&mut text, character));
    text
}

fn push_printable(text: &mut String, character: char) {
    // Bidirectional overrides make a name read as another one.
    if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        push_bytes(text, character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        text.push(character);
    }
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_a_terminal() {
        assert_eq!(escape("straße 文".as_bytes()), "straße 文");
        assert_eq!(escape(b"a\x1b[2Jb\nc"), "a\\x1b[2Jb\\x0ac");
        assert_eq!(escape("\u{202e}gnp".as_bytes()), "\\xe2\\x80\\xaegnp");
    }

    #[test]
    fn messages_keep_their_backslashes_and_nothing_that_drives_a_terminal() {
        assert_eq!(printable("\"a\\xff\" has \u{1b}[2J\u{9b}x"), "\"a\\xff\" has \\x1b[2J\\xc2\\x9bx");
    }

    #[test]
    fn every_byte_can_be_had_back() {
        assert_eq!(escape(b"\xff\\x41"), "\\xff\\\\x41");
    }
}
