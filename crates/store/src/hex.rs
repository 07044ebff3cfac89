//! Lower-case hexadecimal, written without branches so that the compiler makes vectors of it: an image has two digits of
//! it for each byte of each digest.

/// The digits of `bytes`, into a place of twice their length; what is longer of the two is left alone.
pub(crate) fn encode(bytes: &[u8], digits: &mut [u8]) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}

/// The bytes that digits stand for; false if one is none, or if there are not two for each byte.
#[must_use]
pub(crate) fn decode(digits: &[u8], bytes: &mut [u8]) -> bool {
    let (pairs, odd) = digits.as_chunks();
    let mut all = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (nibble(*high), nibble(*low));
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    all < 16 && odd.is_empty() && pairs.len() == bytes.len()
}

/// The value of a digit; 16 or more for what is none.
const fn nibble(digit: u8) -> u8 {
    let number = digit.wrapping_sub(b'0');
    let letter = digit.wrapping_sub(b'a');
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        0xf0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_reads_back_and_nothing_else_is_a_digit() {
        for byte in 0..=u8::MAX {
            let (mut digits, mut read) = ([0; 2], [0; 1]);
            encode(&[byte], &mut digits);
            assert_eq!(digits, format!("{byte:02x}").as_bytes());
            assert!(decode(&digits, &mut read));
            assert_eq!(read, [byte]);
            let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert_eq!(decode(&[b'0', byte], &mut read), is_digit);
            assert_eq!(decode(&[byte, b'0'], &mut read), is_digit);
        }
        assert!(!decode(b"0", &mut [0]) && !decode(b"", &mut [0]) && !decode(b"0000", &mut [0]));
    }
}
