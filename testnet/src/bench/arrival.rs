//! `bench arrival`: every strategy in every scenario, several seeds; what came of it as tables, figures and files.

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
pub use mesh30k_sim::bench::ArrivalBench;
use mesh30k_sim::bench::{ArrivalReport, Progress, Table, run_bench, tables, write_all};
use mesh30k_sim::{Scenario, SimConfig, StrategyKind};

use super::tools::now;
use crate::render::{Console, grouped};

/// What `bench arrival` was asked for.
#[derive(Clone, Debug)]
pub struct ArrivalOptions {
    /// Agents.
    pub agents: u32,
    /// Events of a run.
    pub waves: u32,
    /// Runs, of which the median counts.
    pub runs: u32,
    /// Seed of the first run.
    pub seed: u64,
    /// Scenarios; empty for the usual ones.
    pub scenarios: Vec<Scenario>,
    /// Strategies; empty for all.
    pub strategies: Vec<StrategyKind>,
    /// Wanted probabilities of the calibration; empty for none.
    pub calibration: Vec<f64>,
    /// Whether cascades at once are measured.
    pub cascades: bool,
    /// Runs at once; none for one a core.
    pub threads: Option<usize>,
    /// Where everything goes.
    pub out: PathBuf,
    /// Text to standard error; the last line of standard output is the report as one JSON object.
    pub json: bool,
}

impl ArrivalOptions {
    fn bench(&self) -> ArrivalBench {
        let usual = ArrivalBench::of_size(self.agents);
        let cores = available_parallelism().map_or(1, usize::from);
        let base =
            SimConfig { waves: self.waves, seed: self.seed, threads: self.threads.unwrap_or(cores), ..usual.base };
        let scenarios = if self.scenarios.is_empty() { usual.scenarios } else { self.scenarios.clone() };
        let strategies = if self.strategies.is_empty() { usual.strategies } else { self.strategies.clone() };
        let calibration = self.calibration.clone();
        ArrivalBench { base, scenarios, strategies, runs: self.runs, calibration, cascades: self.cascades }
    }
}

/// Measures, prints and writes.
///
/// # Errors
/// Options that cannot be meant, a folder that cannot be written. A goal that is not met is a finding, not an error.
pub fn run(options: &ArrivalOptions) -> Result<()> {
    let bench = options.bench();
    let console = Console::new(options.json);
    console.heading("Arrival, measured");
    console.text(&format!(
        "{} agents, {} events a run, {} runs of every strategy in every scenario, on the same events, paths and faults. \
         Finished runs lie in {}/runs: a bench that is stopped goes on from there.",
        grouped(u64::from(options.agents)),
        options.waves,
        options.runs,
        options.out.display()
    ));
    let watch = Mutex::new(Watch::new());
    let report = run_bench(&bench, &options.out, &|progress| {
        if let Ok(mut watch) = watch.lock() {
            watch.see(&console, progress);
        }
    })?;
    if let Ok(watch) = watch.lock() {
        watch.bar.finish_and_clear();
    }
    show(&console, &report);
    for path in write_all(&report, &options.out)? {
        console.note(&path.display().to_string());
    }
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

fn show(console: &Console, report: &ArrivalReport) {
    for Table { title, headings, rows, names } in tables(report) {
        console.heading(&title);
        let right: Vec<usize> = (names..headings.len()).collect();
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        console.table(&headings, &right, rows);
    }
    for breach in report.breaches() {
        console.verdict(&[breach]);
    }
    console.heading("Written");
}

/// Tells how far a bench is.
struct Watch {
    bar: ProgressBar,
    began: Instant,
    runs: usize,
    over: usize,
    /// Events of all runs, of those that were there, and of those counted now.
    events: u64,
    found: u64,
    counted: u64,
}

impl Watch {
    fn new() -> Self {
        Self { bar: ProgressBar::hidden(), began: now(), runs: 0, over: 0, events: 0, found: 0, counted: 0 }
    }

    fn see(&mut self, console: &Console, progress: Progress<'_>) {
        match progress {
            Progress::Begins { events, runs } => {
                (self.events, self.runs) = (events, runs);
                self.bar = console.progress(events);
            }
            Progress::Event(job) => {
                self.counted += 1;
                self.bar.inc(1);
                self.bar.set_message(format!("{job}{}", self.left()));
            }
            Progress::Over { events, loaded: true, .. } => {
                self.over += 1;
                self.found += events;
                self.bar.inc(events);
            }
            Progress::Over { job, report, .. } => {
                self.over += 1;
                let share = report.map_or_else(String::new, |report| {
                    let (hit, of) = (report.counts.within_10ms, report.counts.enrolled.max(1));
                    format!(": {:.3} % within ±10 ms", (hit * 100_000 / of) as f64 / 1_000.0)
                });
                let line = format!("  run {} of {}, {job}{share}{}", self.over, self.runs, self.left());
                // Above the bar, where there is one.
                self.bar.suspend(|| console.line(&line));
            }
        }
    }

    /// Of the runs that are not there yet, by the pace so far: strategies differ, so it is a rough figure.
    fn left(&self) -> String {
        let spent = now().saturating_duration_since(self.began);
        let to_go = self.events.saturating_sub(self.found + self.counted);
        let left_s = spent.as_secs_f64() * to_go as f64 / self.counted.max(1) as f64;
        format!("; {} gone, about {} to go", clock(spent), clock(Duration::from_secs_f64(left_s.min(1e6))))
    }
}

/// Hours and minutes, or minutes and seconds.
fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds >= 3_600 {
        format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60)
    } else {
        format!("{}:{:02} min", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ArrivalOptions {
        ArrivalOptions {
            agents: 300,
            waves: 2,
            runs: 3,
            seed: 7,
            scenarios: Vec::new(),
            strategies: vec![StrategyKind::Hold],
            calibration: Vec::new(),
            cascades: false,
            threads: Some(1),
            out: PathBuf::from("somewhere"),
            json: true,
        }
    }

    #[test]
    fn options_left_out_are_the_usual_ones() {
        let bench = options().bench();
        assert_eq!(bench.scenarios, ArrivalBench::of_size(300).scenarios);
        assert_eq!((bench.strategies, bench.base.seed), (vec![StrategyKind::Hold], 7));
        let all = ArrivalOptions { strategies: Vec::new(), ..options() }.bench();
        assert_eq!(all.strategies, StrategyKind::ALL);
    }

    #[test]
    fn spans_are_told_as_people_tell_them() {
        assert_eq!(clock(Duration::from_secs(125)), "2:05 min");
        assert_eq!(clock(Duration::from_secs(3_600 * 3 + 61)), "3 h 01 min");
    }
}
