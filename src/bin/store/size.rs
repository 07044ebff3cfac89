//! Sizes as people write them: `500M`, `2GiB`, `4096`.

/// Reads a size in bytes. `K`, `M`, `G`, `T` are powers of 1,024, as in coreutils and `KiB`; `kB`, `MB` and so on of 1,000.
pub fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let wrong = || format!("{text:?} is no size: expected digits and a unit, as in 500M or 2GiB");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let base: u64 = if unit.len() == 2 && unit.ends_with('B') { 1000 } else { 1024 };
    let unit = unit.to_ascii_lowercase();
    let power = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    base.checked_pow(power).and_then(|unit| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_are_those_of_coreutils() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("1K", 1024),
            ("1kB", 1000),
            ("2MiB", 2 << 20),
            ("3G", 3 << 30),
            ("5T", 5 << 40),
            ("10B", 10),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "1.5G", "-1", "1X", "99999999999T", "1 G"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
