//! A bar of own and shared bytes, drawn with block characters in eighths of a cell.
//!
//! Two parts, told apart by shape and not by colour alone: own bytes are solid, shared ones are shaded.

use super::Terminal;

const SHADE: char = '░';
const FULL: char = '█';

/// A bar of `width` cells for `own` and `shared` out of `most` (the longest bar's sum).
pub fn bar(own: u64, shared: u64, most: u64, width: usize, terminal: Terminal) -> String {
    let cells = |bytes: u64| cells_of(bytes, most, width);
    let total = cells(own.saturating_add(shared));
    // Something that is there is never drawn as nothing.
    let filled = cells(own).max(usize::from(own > 0)).min(total.max(usize::from(own > 0)));
    let rest = total.saturating_sub(filled).max(usize::from(shared > 0 && total < width));
    let solid_text: String = std::iter::repeat_n(FULL, filled).collect();
    let shaded_text: String = std::iter::repeat_n(SHADE, rest).collect();
    let blank = " ".repeat(width.saturating_sub(filled + rest));
    format!("{}{}{blank}", terminal.accent(&solid_text), terminal.dim(&shaded_text))
}

fn cells_of(bytes: u64, most: u64, width: usize) -> usize {
    if most == 0 {
        return 0;
    }
    let scaled = u128::from(bytes) * width as u128 * 2 / u128::from(most);
    usize::try_from(scaled.div_ceil(2)).unwrap_or(width).min(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(own: u64, shared: u64, most: u64) -> String {
        bar(own, shared, most, 10, Terminal::plain())
    }

    #[test]
    fn parts_are_in_proportion_and_fill_the_width() {
        assert_eq!(drawn(50, 50, 100), "█████░░░░░");
        assert_eq!(drawn(100, 0, 100), "██████████");
        assert_eq!(drawn(0, 20, 100), "░░        ");
        assert_eq!(drawn(0, 0, 100), "          ");
    }

    #[test]
    fn a_small_part_stays_visible() {
        assert_eq!(drawn(1, 99, 100), "█░░░░░░░░░");
    }
}
