//! A list of payments in a file: CSV or JSON lines, every bad line named.

use mesh30k_ledger::ops::MAX_TRANSFERS;
use mesh30k_ledger::types::Uftns;
use serde::Deserialize;

/// Bad lines that are told at once, at most.
const MISTAKES_MAX: usize = 10;

/// One payment as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// An account or the name of a key.
    pub(crate) to: String,
    pub(crate) amount: Uftns,
}

/// What is wrong in a list: a sentence a line, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BadLines {
    said: Vec<String>,
    more: usize,
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    to: String,
    amount: String,
}

impl BadLines {
    /// Adds one; beyond a bound they are only counted.
    pub(crate) fn add(&mut self, line: usize, what: impl std::fmt::Display) {
        if self.said.len() < MISTAKES_MAX {
            self.said.push(format!("line {line}: {what}"));
        } else {
            self.more += 1;
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}

impl std::fmt::Display for BadLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.said.join("; "))?;
        if self.more > 0 {
            write!(f, "; and {} lines more", self.more)?;
        }
        Ok(())
    }
}

/// Reads a list. Lines of JSON begin with `{`; others are `to,amount`, under that heading or none. Empty lines and those
/// that begin with `#` count for nothing.
pub(crate) fn read(text: &str) -> Result<Vec<Payment>, BadLines> {
    let (mut payments, mut bad_lines) = (Vec::new(), BadLines::default());
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).zip(1_usize..);
    let meant = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    for (place, (line, number)) in meant.enumerate() {
        if place == 0 && is_heading(line) {
            continue;
        }
        match payment(line) {
            Ok((to, amount)) if payments.len() < MAX_TRANSFERS => payments.push(Payment { line: number, to, amount }),
            Ok(_) => {
                bad_lines
                    .add(number, format!("it is payment {}, and one file holds {MAX_TRANSFERS} at most", place + 1));
                break;
            }
            Err(why) => bad_lines.add(number, why),
        }
    }
    if payments.is_empty() && bad_lines.is_empty() {
        bad_lines.add(
            1,
            "there is no payment in the file; a line is `ACCOUNT,AMOUNT` or {\"to\":ACCOUNT,\"amount\":AMOUNT}",
        );
    }
    if bad_lines.is_empty() { Ok(payments) } else { Err(bad_lines) }
}

fn is_heading(line: &str) -> bool {
    fields(line) == ["to", "amount"]
}

fn fields(line: &str) -> Vec<&str> {
    line.split(',').map(str::trim).map(unquoted).collect()
}

fn unquoted(field: &str) -> &str {
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

/// As much of a line as is shown.
fn short(line: &str) -> String {
    line.chars().take(60).collect()
}

fn payment(line: &str) -> Result<(String, Uftns), String> {
    let (to, amount) = if line.starts_with('{') {
        let row: Row = serde_json::from_str(line).map_err(|error| {
            format!("it is not {{\"to\":\"ACCOUNT\",\"amount\":\"12.5\"}} with the amount as text: {error}")
        })?;
        (row.to, row.amount)
    } else {
        match fields(line).as_slice() {
            [to, amount] => ((*to).to_owned(), (*amount).to_owned()),
            found => {
                return Err(format!(
                    "`{}` has not the two fields of `ACCOUNT,AMOUNT`, but {}",
                    short(line),
                    found.len()
                ));
            }
        }
    };
    if to.is_empty() {
        return Err("it does not say who is paid".to_owned());
    }
    let amount: Uftns = amount.parse().map_err(|error| format!("{error}"))?;
    if amount.is_zero() {
        return Err(format!("amount is 0 for {to}; a payment is at least 0.000001 FTNS"));
    }
    Ok((to, amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, String, u64)> {
        read(text).unwrap().into_iter().map(|payment| (payment.line, payment.to, payment.amount.0)).collect()
    }

    #[test]
    fn both_forms_say_the_same() {
        let expected = vec![(2, "bob".to_owned(), 12_500_000), (4, "carol".to_owned(), 1)];
        assert_eq!(rows("to,amount\nbob,12.5\n\ncarol, 0.000001FTNS\n"), expected);
        assert_eq!(rows("\u{feff}\"to\",\"amount\"\r\n\"bob\",\"12.5\"\r\n# half\r\n carol ,0.000001\r\n"), expected);
        let json = "# may\n{\"to\":\"bob\",\"amount\":\"12.5\"}\n\n{\"amount\":\"0.000001\",\"to\":\"carol\"}";
        assert_eq!(rows(json), expected);
        assert_eq!(rows("bob,12.5"), [(1, "bob".to_owned(), 12_500_000)], "a heading is not needed");
    }

    #[test]
    fn every_bad_line_is_told_with_its_line() {
        let text =
            "to,amount\nbob,1\nbob\nbob,1,2\n,1\nbob,1.2345678\nbob,0\nto,amount\n{\"to\":\"bob\",\"amount\":1}\n";
        let said = read(text).unwrap_err().to_string();
        for part in [
            "line 3: `bob` has not the two fields of `ACCOUNT,AMOUNT`, but 1",
            "line 4: `bob,1,2` has not the two fields of `ACCOUNT,AMOUNT`, but 3",
            "line 5: it does not say who",
            "line 6: amount `1.2345678` has more than six decimals",
            "line 7: amount is 0 for bob",
            "line 8: amount `amount` is not a number",
            "line 9: it is not {\"to\"",
        ] {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
        assert!(read("").unwrap_err().to_string().contains("no payment"));
        assert!(read("to,amount\n").unwrap_err().to_string().contains("no payment"));
        let many = read(&"bob\n".repeat(25)).unwrap_err().to_string();
        assert!(many.contains("line 10") && !many.contains("line 11") && many.ends_with("and 15 lines more"), "{many}");
    }

    #[test]
    fn one_file_is_one_transaction() {
        assert_eq!(rows(&"bob,1\n".repeat(MAX_TRANSFERS)).len(), MAX_TRANSFERS);
        let said = read(&"bob,1\n".repeat(MAX_TRANSFERS + 9)).unwrap_err().to_string();
        assert_eq!(said, "line 1001: it is payment 1001, and one file holds 1000 at most");
    }
}
