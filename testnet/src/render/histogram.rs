//! A histogram of release errors around T, drawn with block characters for a terminal.

/// Edges between bins, in milliseconds of true error; symmetric, finer near T.
const EDGES_MS: [i64; 13] = [-250, -100, -50, -20, -10, -5, 5, 10, 20, 50, 100, 250, 1_000];
/// Widest bar in characters.
const BAR_COLUMNS: usize = 46;
/// Eighths of a character cell, so that small counts remain visible.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Draws one line a bin: range, bar, count. `missing` (enrolled, never released) gets its own line, since silence is a
/// miss and not an absence.
#[must_use]
pub fn histogram(errors_us: &[i64], missing: u64) -> Vec<String> {
    let counts = bin_counts(errors_us);
    let most = counts.iter().copied().max().unwrap_or(0).max(missing);
    let mut lines: Vec<String> =
        counts.iter().enumerate().map(|(bin, &count)| line(&label(bin), count, most, bin == CENTRE_BIN)).collect();
    lines.push(line("never released", missing, most, false));
    lines
}

/// The bin that holds T itself: -5 to +5 ms.
const CENTRE_BIN: usize = 6;

fn bin_counts(errors_us: &[i64]) -> Vec<u64> {
    let mut counts = vec![0_u64; EDGES_MS.len() + 1];
    for error in errors_us {
        let bin = EDGES_MS.partition_point(|edge| edge * 1_000 <= *error);
        counts[bin] += 1;
    }
    counts
}

fn label(bin: usize) -> String {
    match (bin.checked_sub(1).map(|low| EDGES_MS[low]), EDGES_MS.get(bin)) {
        (None, Some(high)) => format!("below {high:+} ms"),
        (Some(low), None) => format!("from {low:+} ms"),
        (Some(low), Some(high)) => format!("{low:+} to {high:+} ms"),
        (None, None) => String::new(),
    }
}

fn line(label: &str, count: u64, most: u64, is_centre: bool) -> String {
    let mark = if is_centre { "T" } else { " " };
    format!("{label:>16} {mark}│{} {count}", bar(count, most, BAR_COLUMNS))
}

/// A bar of at most `columns` characters; the smallest count still shows.
#[must_use]
pub fn bar(count: u64, most: u64, columns: usize) -> String {
    if count == 0 || most == 0 {
        return String::new();
    }
    let cells = columns as u64 * 8;
    let eighths = ((u128::from(count) * u128::from(cells)) / u128::from(most)).max(1) as usize;
    let mut bar: String = std::iter::repeat_n('█', eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_in_exactly_one_bin() {
        let errors: Vec<i64> = (-400..2_000).map(|ms| ms * 1_000).collect();
        assert_eq!(bin_counts(&errors).iter().sum::<u64>(), errors.len() as u64);
    }

    #[test]
    fn the_centre_bin_holds_what_came_within_five_milliseconds() {
        let counts = bin_counts(&[-5_000, 0, 4_999, 5_000, -5_001]);
        assert_eq!(counts[CENTRE_BIN], 3);
    }

    #[test]
    fn the_drawing_is_the_one_agreed_on() {
        let drawn = histogram(&[-7_000, 0, 1_000, 2_000, 4_000, 30_000], 1);
        let shown: Vec<&str> = drawn.iter().filter(|line| !line.ends_with("│ 0")).map(String::as_str).collect();
        let expected = [
            "    -10 to -5 ms  │███████████▌ 1",
            "     -5 to +5 ms T│██████████████████████████████████████████████ 4",
            "   +20 to +50 ms  │███████████▌ 1",
            "  never released  │███████████▌ 1",
        ];
        assert_eq!(shown, expected);
        assert!(drawn.iter().all(|line| line.chars().count() <= crate::render::COLUMNS - 2));
    }

    #[test]
    fn a_single_miss_among_thousands_is_still_visible() {
        let lines = histogram(&vec![0; 30_000], 1);
        assert!(lines.last().unwrap().contains('▏'));
    }
}
