//! Numbers and sentences as people read them.

/// A whole number with its thousands set apart: 1,680.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of a whole with one decimal, rounded down so that 100.0 % means everybody; a dash of nothing.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    let Some(thousandths) = part.saturating_mul(1_000).checked_div(whole) else {
        return "-".to_owned();
    };
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// Microseconds as milliseconds: two decimals below 10 ms, one below 100 ms, none above.
#[must_use]
pub fn millis(us: u64) -> String {
    match us {
        0..10_000 => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
        10_000..100_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{} ms", grouped(us / 1_000)),
    }
}

/// Lines of at most `columns` characters, each begun with `indent`; a longer word stands alone.
#[must_use]
pub fn wrap(text: &str, indent: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let width = indent.chars().count() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && width > columns {
            lines.push(format!("{indent}{line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(format!("{indent}{line}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_and_never_flatter() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_680), grouped(34_992_000)],
            ["0", "999", "1,680", "34,992,000"]
        );
        assert_eq!([percent(999, 1_000), percent(9_999, 10_000), percent(5, 5)], ["99.9 %", "99.9 %", "100.0 %"]);
        assert_eq!(percent(0, 0), "-");
        assert_eq!([millis(940), millis(12_345), millis(1_234_567)], ["0.94 ms", "12.3 ms", "1,234 ms"]);
    }

    #[test]
    fn sentences_break_between_words() {
        assert_eq!(wrap("a bb ccc dddd", "  ", 8), ["  a bb", "  ccc", "  dddd"]);
        assert_eq!(wrap("unbreakable", "", 3), ["unbreakable"]);
        assert!(wrap("", "  ", 10).is_empty());
    }
}
