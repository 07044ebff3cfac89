//! Percent-encoding, as libarchive writes the names of extended attributes (`LIBARCHIVE.xattr.NAME=VALUE`).
//!
//! Source: `archive_write_set_format_pax.c`: the name URL-encoded, the value in base64 (see [`crate::base64`]).

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
