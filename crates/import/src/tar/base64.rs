//! Base64 and percent-encoding, as libarchive writes extended attributes (`LIBARCHIVE.xattr.NAME=VALUE`).
//!
//! Source: `archive_write_set_format_pax.c`: the standard alphabet without padding, the name URL-encoded.

/// Decodes base64 with or without padding onto `out`; `None` when it is malformed.
pub(super) fn decode_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
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

/// Decodes `%XX` onto `out`; `None` when an escape is malformed.
pub(super) fn decode_percent(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let hex = |digit: Option<&u8>| char::from(*digit?).to_digit(16);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let code = hex(bytes.next())? << 4 | hex(bytes.next())?;
            out.push(u8::try_from(code).ok()?);
        } else {
            out.push(*byte);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
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
    fn percent_escapes_are_two_hexadecimal_digits() {
        for (text, bytes) in
            [("user.a%3Db", Some("user.a=b")), ("%2", None), ("%zz", None), ("%25", Some("%"))]
        {
            let mut out = Vec::new();
            let decoded = decode_percent(text.as_bytes(), &mut out).map(|()| out);
            assert_eq!(decoded.as_deref(), bytes.map(str::as_bytes), "{text}");
        }
    }
}
