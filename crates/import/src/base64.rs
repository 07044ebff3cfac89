//! Base64 in the standard alphabet (RFC 4648 §4): what LIBARCHIVE attributes, auth files, `Basic` headers, keys and
//! signatures are written in.
//!
//! What never lives here: the URL-safe alphabet, line breaks (PEM strips its own).

/// Decodes base64 with or without padding onto `out`; `None` when it is malformed.
#[must_use]
pub fn decode_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let padded = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"="));
    let text = padded.unwrap_or(text);
    for group in text.chunks(4) {
        let mut bits: u32 = 0;
        for symbol in group {
            bits = bits << 6 | u32::from(value(*symbol)?);
        }
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        match group.len() {
            4 => out.extend_from_slice(bytes.get(1..)?),
            3 => out.extend_from_slice(bytes.get(1..3)?),
            2 => out.extend_from_slice(bytes.get(1..2)?),
            _ => return None,
        }
    }
    Some(())
}

const fn value(symbol: u8) -> Option<u8> {
    Some(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Encodes bytes as base64 in the standard alphabet, with padding.
#[must_use]
pub fn encode_base64(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits: u32, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let symbol = SYMBOLS.get((bits >> (18 - 6 * place) & 63) as usize);
            text.push(symbol.filter(|_| place <= group.len()).map_or('=', |symbol| char::from(*symbol)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_of_rfc_4648_with_and_without_padding() {
        for (text, bytes) in [
            ("", Some("")),
            ("Zg", Some("f")),
            ("Zg==", Some("f")),
            ("Zm8", Some("fo")),
            ("Zm9vYmE=", Some("fooba")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zm9vY", None),
            ("Zm9v YmFy", None),
        ] {
            let mut out = Vec::new();
            let decoded = decode_base64(text.as_bytes(), &mut out).map(|()| out);
            assert_eq!(decoded.as_deref(), bytes.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn encoding_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode_base64(bytes.as_bytes()), text);
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_itself(bytes: Vec<u8>) {
            let mut decoded = Vec::new();
            prop_assert_eq!(decode_base64(encode_base64(&bytes).as_bytes(), &mut decoded), Some(()));
            prop_assert_eq!(decoded, bytes);
        }
    }
}
