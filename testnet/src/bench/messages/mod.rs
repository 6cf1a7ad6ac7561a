//! `bench messages`: messages a second, decided by one core and carried between processes.

pub mod child;
pub mod deciding;
pub mod frames;
pub mod link_mesh;
pub mod link_nats;
pub mod linking;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use self::child::Carrier;
pub use self::child::Part;
pub use self::deciding::Rate;
pub use self::linking::LinkRate;
use crate::bench::tools::median;
use crate::render::{grouped, table};

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct MessagesOptions {
    /// Length of each measurement of a link.
    pub duration: Duration,
    /// Runs, of which the median is shown.
    pub runs: usize,
    /// Only what one core decides.
    pub core_only: bool,
}

/// All runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MessagesReport {
    /// Decided by one core, by run.
    pub decided: Vec<Vec<Rate>>,
    /// Carried between processes, by run.
    pub carried: Vec<Vec<LinkRate>>,
}

/// Measures.
///
/// # Errors
/// Something measured went wrong: a figure would mean nothing.
pub fn run(options: &MessagesOptions, mut progress: impl FnMut(&str)) -> Result<MessagesReport> {
    let mut report = MessagesReport::default();
    for run in 1..=options.runs {
        progress(&format!("run {run} of {}", options.runs));
        report.decided.push(deciding::rates()?);
        if !options.core_only {
            report.carried.push(linking::rates(options.duration, &mut progress)?);
        }
    }
    Ok(report)
}

impl MessagesReport {
    /// The report as lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "decided by one core, from frame to frame; one message is one agent's; median of {} runs",
            self.decided.len()
        )];
        lines.extend(table(&["kind", "in a frame", "messages/s"], &[1, 2], self.decided_rows()));
        if self.carried.iter().any(|run| !run.is_empty()) {
            lines.push(format!("carried between processes; median of {} runs", self.carried.len()));
            let headings = ["carrier", "processes", "in a frame", "messages/s", "frames/s", "CPU, cores"];
            lines.extend(table(&headings, &[1, 2, 3, 4, 5], self.carried_rows()));
            if !self.carried.iter().flatten().any(|rate| rate.carrier == Carrier::Nats) {
                lines.push(
                    "nats-server is not installed, so ours stands alone; `apt-get install nats-server` puts it beside."
                        .to_owned(),
                );
            }
        }
        lines
    }

    fn decided_rows(&self) -> Vec<Vec<String>> {
        let Some(first) = self.decided.first() else { return Vec::new() };
        let row = |(at, rate): (usize, &Rate)| {
            let figures = self.decided.iter().filter_map(|run| run.get(at)).map(Rate::per_s).collect();
            vec![rate.kind.to_owned(), rate.per_frame.to_string(), grouped(median(figures) as u64)]
        };
        first.iter().enumerate().map(row).collect()
    }

    fn carried_rows(&self) -> Vec<Vec<String>> {
        let Some(first) = self.carried.first() else { return Vec::new() };
        let row = |(at, rate): (usize, &LinkRate)| {
            let of = |figure: fn(&LinkRate) -> f64| {
                median(self.carried.iter().filter_map(|run| run.get(at)).map(figure).collect())
            };
            vec![
                rate.carrier.to_string(),
                rate.processes.to_string(),
                rate.per_frame.to_string(),
                grouped(of(|rate| rate.messages_per_s) as u64),
                grouped(of(|rate| rate.frames_per_s) as u64),
                format!("{:.2}", of(|rate| rate.cpu_ppm as f64) / 1e6),
            ]
        };
        first.iter().enumerate().map(row).collect()
    }
}
