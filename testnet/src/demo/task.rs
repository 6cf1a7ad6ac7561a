//! Step 3: a real task, paid: hourly grid carbon, aggregated by twenty agents.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::{Context as _, Result, anyhow};
use flate2::read::GzDecoder;
use mesh30k_node::execution::{Authority, CarbonAggregate};
use serde::Serialize;

use super::Stage;
use crate::render::{grouped, millis, percent};
use crate::work::{self, Module, Progress, TaskOrder};

/// Six grids of the United States, hour by hour; source and licence stand beside the file.
const SERIES: &[u8] = include_bytes!("../../data/carbon_hourly_us.csv.gz");
/// Bytes of it unpacked, at most.
const SERIES_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// Into how many parts the task is cut.
pub const PARTS: usize = 20;
/// The module that does it.
const MODULE: &str = "carbon_aggregate";

/// What the task cost and whether it was done rightly.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaskRun {
    /// Paid in all, uFTNS.
    pub price_uftns: u64,
    /// Caused in all, micrograms of CO2e.
    pub carbon_ug: u64,
    /// Ledger receipts checked offline against the genesis.
    pub receipts_verified: u64,
    /// Parts asked for.
    pub parts: u64,
    /// Energy in all, millijoules.
    pub energy_mj: u64,
    /// How many parts' energy was measured in which way.
    pub energy_methods: BTreeMap<String, u64>,
    /// Hours read by the agents.
    pub hours: u64,
    /// Hours that the grids did not report.
    pub missing_hours: u64,
    /// True when the merged result is what a plain computation here gives.
    pub is_correct: bool,
}

impl TaskRun {
    /// What does not hold.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.parts == 0 || self.receipts_verified < self.parts {
            failures.push(format!("{} of {} receipts verified", self.receipts_verified, self.parts));
        }
        if !self.is_correct {
            failures.push("the merged result differs from a plain computation".to_owned());
        }
        failures
    }
}

/// Runs the task as bob and shows what came of it.
///
/// # Errors
/// When a part can't be placed, run, paid or proven.
pub fn run(stage: &Stage<'_>) -> Result<TaskRun> {
    let csv = series()?;
    let order = TaskOrder::new(Module::Named(MODULE.to_owned()), work::split_csv(&csv, PARTS)?);
    let bar = stage.console.progress(2 * PARTS as u64);
    let result = work::run(&stage.bob, &order, &|progress| match progress {
        Progress::Opened { .. } => bar.set_message("escrow open"),
        Progress::Done { .. } => {
            bar.set_message("agents at work");
            bar.inc(1);
        }
        Progress::Released { .. } => {
            bar.set_message("parts being paid");
            bar.inc(1);
        }
    });
    bar.finish_and_clear();
    let result = result?;
    let mut merged = CarbonAggregate::default();
    let mut energy_methods = BTreeMap::new();
    for part in &result.parts {
        let output = CarbonAggregate::decode(&part.output);
        merged.merge(&output.with_context(|| format!("reading the output of part {}", part.part))?)?;
        *energy_methods.entry(part.energy_method.clone()).or_default() += 1;
    }
    let run = TaskRun {
        price_uftns: result.price_uftns,
        carbon_ug: result.carbon_ug,
        receipts_verified: result.receipts_verified,
        parts: PARTS as u64,
        energy_mj: result.energy_mj,
        energy_methods,
        hours: merged.authorities.values().map(|grid| grid.hours).sum(),
        missing_hours: merged.authorities.values().map(|grid| grid.missing_hours).sum(),
        is_correct: merged.refused == 0 && merged.authorities == plain(&csv)?,
    };
    let hosts: std::collections::BTreeSet<_> = result.parts.iter().map(|part| part.host).collect();
    let agents: std::collections::BTreeSet<_> = result.parts.iter().map(|part| part.agent).collect();
    let wall_us: u64 = result.parts.iter().map(|part| part.wall_us).sum();
    show(
        stage,
        &run,
        &merged,
        &format!("{} agents on {} nodes, {} of work", agents.len(), hosts.len(), millis(wall_us)),
    );
    Ok(run)
}

fn show(stage: &Stage<'_>, run: &TaskRun, merged: &CarbonAggregate, who: &str) {
    let console = stage.console;
    console.text(&format!(
        "Hourly carbon intensity of six grids, {} hours ({} not reported), cut into {PARTS} parts and run in the sandbox by {who}.",
        grouped(run.hours + run.missing_hours),
        grouped(run.missing_hours)
    ));
    let grams = |mg: u64| format!("{}.{:01}", mg / 1_000, mg % 1_000 / 100);
    let rows = merged.authorities.iter().map(|(name, grid)| {
        let mean = grid.mean_mg_per_kwh().map_or_else(|| "-".to_owned(), grams);
        let all = grid.hours.saturating_add(grid.missing_hours);
        vec![
            name.clone(),
            grouped(grid.hours),
            percent(grid.hours, all),
            grams(grid.min_mg_per_kwh),
            mean,
            grams(grid.max_mg_per_kwh),
        ]
    });
    console.table(&["grid", "hours", "reported", "least g/kWh", "mean", "most"], &[1, 2, 3, 4, 5], rows.collect());
    let methods: Vec<String> = run.energy_methods.iter().map(|(method, count)| format!("{method} {count}x")).collect();
    console.text(&format!(
        "One escrow, {PARTS} releases, {} of {PARTS} receipts verified offline. Price {} uFTNS, energy {} mJ ({}), carbon {} \u{b5}g CO2e. \
         The merged result {} a plain computation.",
        run.receipts_verified,
        grouped(run.price_uftns),
        grouped(run.energy_mj),
        methods.join(", "),
        grouped(run.carbon_ug),
        if run.is_correct { "equals" } else { "DIFFERS from" }
    ));
}

/// The series, unpacked.
fn series() -> Result<Vec<u8>> {
    let mut csv = Vec::new();
    GzDecoder::new(SERIES).take(SERIES_BYTES_MAX).read_to_end(&mut csv).context("unpacking the carbon series")?;
    Ok(csv)
}

/// The same figures computed here, by other means than the module: the oracle.
fn plain(csv: &[u8]) -> Result<BTreeMap<String, Authority>> {
    let empty =
        Authority { hours: 0, missing_hours: 0, sum_mg_per_kwh: 0, min_mg_per_kwh: u64::MAX, max_mg_per_kwh: 0 };
    let mut reader = csv::Reader::from_reader(csv);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header == name).ok_or_else(|| anyhow!("the series has no column {name}"))
    };
    let (grid, intensity) = (column("ba")?, column("ci_g_per_kwh")?);
    let mut grids: BTreeMap<String, Authority> = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let entry = grids.entry(record.get(grid).unwrap_or_default().to_owned()).or_insert(empty);
        let text = record.get(intensity).unwrap_or_default();
        if text.is_empty() {
            entry.missing_hours += 1;
            continue;
        }
        let grams: f64 = text.parse().with_context(|| format!("`{text}` is no carbon intensity"))?;
        let mg = (grams * 1_000.0).round() as u64;
        entry.hours += 1;
        entry.sum_mg_per_kwh += mg;
        entry.min_mg_per_kwh = entry.min_mg_per_kwh.min(mg);
        entry.max_mg_per_kwh = entry.max_mg_per_kwh.max(mg);
    }
    Ok(grids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_the_one_described() {
        let grids = plain(&series().unwrap()).unwrap();
        assert_eq!(grids.len(), 6);
        let (hours, missing) =
            grids.values().fold((0, 0), |(hours, missing), grid| (hours + grid.hours, missing + grid.missing_hours));
        assert_eq!((hours + missing, missing), (34_992, 25));
    }

    #[test]
    fn twenty_parts_hold_every_line_once() {
        let csv = series().unwrap();
        let parts = work::split_csv(&csv, PARTS).unwrap();
        let rows = |part: &[u8]| part.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() - 1;
        assert_eq!(parts.len(), PARTS);
        assert_eq!(parts.iter().map(|part| rows(part)).sum::<usize>(), rows(&csv));
    }

    #[test]
    fn an_unpaid_part_or_a_wrong_sum_is_a_failure() {
        let good = TaskRun { receipts_verified: 20, parts: 20, is_correct: true, ..TaskRun::default() };
        assert!(good.failures().is_empty());
        let bad = TaskRun { receipts_verified: 19, is_correct: false, ..good };
        assert_eq!(bad.failures().len(), 2);
    }
}
