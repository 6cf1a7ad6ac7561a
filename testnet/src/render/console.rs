//! Where the text goes, and in which colours.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::wrap;
use super::{COLUMNS, table};

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";

/// Prints for people: to standard output, or to standard error when a program reads the former.
#[derive(Debug)]
pub struct Console {
    to_stderr: bool,
    is_terminal: bool,
}

impl Console {
    /// A console; `json` leaves standard output to the report.
    #[must_use]
    pub fn new(json: bool) -> Self {
        let is_terminal = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        Self { to_stderr: json, is_terminal }
    }

    /// Prints one line; that nobody reads any more is no reason to stop a network.
    pub fn line(&self, text: &str) {
        let _ = if self.to_stderr { writeln!(io::stderr(), "{text}") } else { writeln!(io::stdout(), "{text}") };
    }

    /// Begins a part.
    pub fn heading(&self, title: &str) {
        self.line("");
        self.line(&self.paint(BOLD, title));
    }

    /// A paragraph.
    pub fn text(&self, text: &str) {
        wrap(text, "  ", COLUMNS).iter().for_each(|line| self.line(line));
    }

    /// A paragraph that stands back.
    pub fn note(&self, text: &str) {
        wrap(text, "  ", COLUMNS).iter().for_each(|line| self.line(&self.paint(DIM, line)));
    }

    /// What held, or did not and why.
    pub fn verdict(&self, failures: &[String]) {
        if failures.is_empty() {
            return self.line(&self.paint(GREEN, "  held"));
        }
        for failure in failures {
            wrap(&format!("did not hold: {failure}"), "  ", COLUMNS)
                .iter()
                .for_each(|l| self.line(&self.paint(RED, l)));
        }
    }

    /// A table; columns named in `right` hold numbers.
    pub fn table(&self, headings: &[&str], right: &[usize], rows: Vec<Vec<String>>) {
        for (index, line) in table(headings, right, rows).iter().enumerate() {
            let line = format!(" {line}");
            self.line(&if index == 0 { self.paint(DIM, &line) } else { line });
        }
    }

    /// A bar of `length` steps: drawn on a terminal, hidden elsewhere (where lines tell the same).
    #[must_use]
    pub fn progress(&self, length: u64) -> ProgressBar {
        if !self.is_terminal {
            return ProgressBar::hidden();
        }
        let target = if self.to_stderr { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::stdout() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        match ProgressStyle::with_template("  {bar:24} {pos}/{len}  {wide_msg}") {
            Ok(style) => bar.with_style(style.progress_chars("━━╌")),
            Err(_) => bar,
        }
    }

    /// Whether a person watches.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_terminal { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
