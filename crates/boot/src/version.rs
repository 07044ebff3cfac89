//! The order of version strings (UAPI.10 "Version Format Specification").
//!
//! What lives here: the comparison alone, as boot loaders do it. What does not: what a version means.

use std::cmp::Ordering;

#[cfg(test)]
mod oracle_tests;

/// Compares two versions by the UAPI rules: `~` sorts before the end, then the end, `-`, `^`, `.`, then letters, then
/// digits as numbers.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_ignored(a);
        b = skip_ignored(b);
        for mark in *b"~" {
            match (a.first() == Some(&mark), b.first() == Some(&mark)) {
                (true, true) => (a, b) = (rest(a), rest(b)),
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => {}
            }
        }
        match (a.is_empty(), b.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let mut marked = false;
        for mark in *b"-^." {
            match (a.first() == Some(&mark), b.first() == Some(&mark)) {
                (true, true) => {
                    (a, b) = (rest(a), rest(b));
                    marked = true;
                }
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => {}
            }
            if marked {
                break;
            }
        }
        if marked || is_mark(a.first()) || is_mark(b.first()) {
            continue;
        }
        let (order, rest_a, rest_b) = compare_run(a, b);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Compares the runs of digits (as numbers) or of letters at the front, and returns what follows each.
fn compare_run<'a>(a: &'a [u8], b: &'a [u8]) -> (Ordering, &'a [u8], &'a [u8]) {
    let digits = a.first().is_some_and(u8::is_ascii_digit) || b.first().is_some_and(u8::is_ascii_digit);
    let same = |byte: &u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
    let split = |text: &'a [u8]| {
        let end = text.iter().position(|byte| !same(byte)).unwrap_or(text.len());
        text.split_at_checked(end).unwrap_or((text, &[]))
    };
    let ((run_a, rest_a), (run_b, rest_b)) = (split(a), split(b));
    let order = if digits {
        // No run of digits (a letter stands there) is older than any number.
        let number = |run: &'a [u8]| {
            let zeros = run.iter().take_while(|byte| **byte == b'0').count();
            run.get(zeros..).unwrap_or_default()
        };
        let (x, y) = (number(run_a), number(run_b));
        (!run_a.is_empty()).cmp(&!run_b.is_empty()).then(x.len().cmp(&y.len())).then(x.cmp(y))
    } else {
        run_a.cmp(run_b)
    };
    (order, rest_a, rest_b)
}

fn rest(text: &[u8]) -> &[u8] {
    text.get(1..).unwrap_or_default()
}

fn is_mark(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| b"~-^.".contains(byte))
}

/// Bytes outside the specification's set count for nothing.
fn skip_ignored(text: &[u8]) -> &[u8] {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    let start = text.iter().position(counts).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own examples, and its chain.
    #[test]
    fn versions_are_ordered_as_the_specification_says() {
        let ascending = [
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare_versions(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (a, b, order) in [
            ("11", "11", Ordering::Equal),
            ("systemd-123", "systemd-123", Ordering::Equal),
            ("bar-123", "foo-123", Ordering::Less),
            ("123a", "123", Ordering::Greater),
            ("123.a", "123", Ordering::Greater),
            ("123.a", "123.b", Ordering::Less),
            ("123a", "123.a", Ordering::Greater),
            ("11α", "11β", Ordering::Equal),
            ("A", "a", Ordering::Less),
            ("", "0", Ordering::Less),
            ("0.", "0", Ordering::Greater),
            ("0", "~", Ordering::Greater),
            ("", "~", Ordering::Greater),
            ("1_", "1", Ordering::Equal),
            ("1_2", "12", Ordering::Less),
            ("000001", "1", Ordering::Equal),
        ] {
            assert_eq!(compare_versions(a, b), order, "{a} {b}");
        }
    }
}
