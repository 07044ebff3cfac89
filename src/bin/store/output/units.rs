//! Quantities as people read them: bytes in decimal units, durations, counts with thousands separated.
//!
//! Decimal because registries, disks and `podman images` count so: 1 MB is 1,000,000 bytes. JSON never uses these.

use std::fmt;
use std::time::Duration;

/// A number of bytes, shown with three significant digits: `64 B`, `1.69 GB`.
#[derive(Clone, Copy)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1000 {
            return formatter.pad(&format!("{} B", self.0));
        }
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let mut value = self.0 as f64 / 1000.0;
        let mut unit = "kB";
        for next in units.iter().skip(1) {
            // 999.5 would be shown as 1000: the next unit reads better.
            if value < 999.5 {
                break;
            }
            value /= 1000.0;
            unit = next;
        }
        let decimals = usize::from(value < 9.995) + usize::from(value < 99.95);
        formatter.pad(&format!("{value:.decimals$} {unit}"))
    }
}

/// A count with its thousands separated: `44,123`.
#[derive(Clone, Copy)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                shown.push(',');
            }
            shown.push(digit);
        }
        formatter.pad(&shown)
    }
}

/// A count and its noun: `1 object`, `2 objects`.
pub fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", Count(count), if count == 1 { "" } else { "s" })
}

/// A duration: `14 ms`, `4.8 s`, `2 min 05 s`.
#[derive(Clone, Copy)]
pub struct Elapsed(pub Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let shown = match seconds {
            0 => format!("{} ms", self.0.as_millis()),
            1..10 => format!("{:.2} s", self.0.as_secs_f64()),
            10..60 => format!("{:.1} s", self.0.as_secs_f64()),
            _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
        };
        formatter.pad(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_the_unit_that_fits() {
        let shown = |bytes| Bytes(bytes).to_string();
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(999), "999 B");
        assert_eq!(shown(1000), "1.00 kB");
        assert_eq!(shown(999_499), "999 kB");
        assert_eq!(shown(999_500), "1.00 MB");
        assert_eq!(shown(1_685_200_000), "1.69 GB");
        assert_eq!(shown(u64::MAX), "18.4 EB");
    }

    #[test]
    fn counts_separate_thousands() {
        assert_eq!(Count(44_123).to_string(), "44,123");
        assert_eq!(Count(123).to_string(), "123");
        assert_eq!(plural(1, "object"), "1 object");
        assert_eq!(plural(1000, "object"), "1,000 objects");
    }

    #[test]
    fn durations_grow_coarser() {
        let shown = |millis| Elapsed(Duration::from_millis(millis)).to_string();
        assert_eq!(shown(14), "14 ms");
        assert_eq!(shown(4_812), "4.81 s");
        assert_eq!(shown(48_120), "48.1 s");
        assert_eq!(shown(125_000), "2 min 05 s");
    }
}
