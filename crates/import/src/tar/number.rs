//! Numbers of tar headers: octal and base-256 fields, decimal PAX values, PAX times.
//!
//! Rules are those of Go's `archive/tar` (`parseNumeric`, `parsePAXTime`): blanks and NULs around octal digits are
//! dropped, base-256 is two's complement and what does not fit 64 bits is refused, never wrapped.

use sealstone_store::tree::Timestamp;

/// A numeric header field; `None` when it is neither octal nor a base-256 number of at most 64 bits.
pub(super) fn numeric(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

/// Octal digits among blanks and NULs; nothing at all is zero.
fn octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let mut digits = field.iter().skip_while(|byte| is_blank(byte));
    let mut value: i64 = 0;
    for digit in digits.by_ref() {
        match digit {
            // At most 12 digits of 3 bits: no overflow.
            b'0'..=b'7' => value = value << 3 | i64::from(digit - b'0'),
            blank if is_blank(blank) => break,
            _ => return None,
        }
    }
    // After a NUL the rest is no part of the field, after a blank only blanks may follow: both as Go does, which cuts
    // at the first NUL only once the ends are trimmed.
    digits.all(is_blank).then_some(value)
}

/// A two's complement number whose first bit is the flag and whose second bit is the sign.
fn base256(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let inversion = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value = u64::from((first ^ inversion) & 0x7f);
    for byte in rest {
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte ^ inversion);
    }
    let value = i64::try_from(value).ok()?;
    Some(if inversion == 0 { value } else { !value })
}

/// A decimal number of a PAX record: an optional minus and digits, nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    match text.split_first()? {
        (b'-', digits) => 0_i64.checked_sub_unsigned(natural(digits)?),
        _ => i64::try_from(natural(text)?).ok(),
    }
}

/// Decimal digits, at least one.
pub(super) fn natural(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A PAX time: seconds since 1970 with an optional fraction. Digits past the nanosecond are dropped; a negative time
/// is floored, so that −1.5 is second −2 and 500,000,000 ns.
pub(super) fn pax_time(text: &[u8]) -> Option<Timestamp> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (text.get(..dot)?, text.get(dot + 1..)?),
        None => (text, &[][..]),
    };
    let sec = decimal(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nsec: u32 = 0;
    for place in 0..9 {
        nsec = nsec * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    }
    match (whole.first(), nsec) {
        (Some(b'-'), 1..) => Some(Timestamp { sec: sec.checked_sub(1)?, nsec: 1_000_000_000 - nsec }),
        _ => Some(Timestamp { sec, nsec }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields_may_be_padded_on_both_sides() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o7777_7777)),
            (b"777777777777", Some(0o7777_7777_7777)),
            (b"0000648\0", None),
            (b"06 44\0\0\0", None),
            (b"-000644\0", None),
        ] {
            assert_eq!(numeric(field), value, "{field:?}");
        }
    }

    #[test]
    fn base_256_is_twos_complement_and_overflow_is_refused() {
        assert_eq!(numeric(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(numeric(&[0xff; 8]), Some(-1));
        assert_eq!(numeric(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        let mut largest = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(numeric(&largest), Some(i64::MAX));
        largest[4] = 0x80;
        assert_eq!(numeric(&largest), None, "2^63 does not fit");
        assert_eq!(numeric(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), None, "2^80 + 1 is not 1");
    }

    #[test]
    fn times_before_1970_are_floored() {
        for (text, time) in [
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("-1", Some((-1, 0))),
            ("1.", Some((1, 0))),
            ("12.000000001", Some((12, 1))),
            ("12.9999999999", Some((12, 999_999_999))),
            ("12.x", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some((i64::MIN, 0))),
            ("-9223372036854775808.5", None),
        ] {
            assert_eq!(pax_time(text.as_bytes()).map(|t| (t.sec, t.nsec)), time, "{text}");
        }
    }
}
