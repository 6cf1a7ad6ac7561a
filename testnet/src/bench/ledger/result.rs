//! What was measured, for people and for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::closed_loop::Load;
use super::etcd::{NO_ETCD, VALUE_BYTES};
use super::gaps::Gaps;
use super::limit::Limit;
use super::postgres::NO_POSTGRES;
use super::transfers::Transfers;
use super::writes::{VALIDATORS, Writes};
use crate::bench::tools::median;
use crate::render::{grouped, table};

/// All runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerReport {
    /// What the machine's cores could sign and verify.
    pub limit: Limit,
    /// Replicated writes, by run.
    pub writes: Vec<Writes>,
    /// Our transfers, by run and number of validators.
    pub transfers: Vec<Transfers>,
    /// PostgreSQL's, by run; empty where it is not installed.
    pub postgres: Vec<Transfers>,
    /// Gaps after a killed leader.
    pub gaps: Gaps,
}

/// One load of one side, the median of its runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Medians {
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Medians {
    fn of<'a>(loads: impl Iterator<Item = &'a Load> + Clone) -> Self {
        let of = |figure: fn(&Load) -> f64| median(loads.clone().map(figure).collect());
        Self { per_s: of(Load::per_s), p50_us: of(|load| load.latency.p50_us), p99_us: of(|load| load.latency.p99_us) }
    }

    fn cells(self) -> [String; 3] {
        [grouped(self.per_s as u64), format!("{:.1}", self.p50_us / 1e3), format!("{:.1}", self.p99_us / 1e3)]
    }
}

impl LedgerReport {
    /// The report as lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.writes.is_empty() {
            lines.extend(self.writes_lines());
        }
        if !self.transfers.is_empty() {
            lines.extend(self.transfers_lines());
        }
        if !self.gaps.ours_us.is_empty() {
            lines.extend(self.gaps_lines());
        }
        lines
    }

    fn writes_lines(&self) -> Vec<String> {
        let bytes = self.writes.first().map_or(0, |writes| writes.bytes);
        let mut lines = vec![format!(
            "replicated writes: ours a signed transfer of {bytes} bytes until it is final, etcd's a value of {VALUE_BYTES} bytes; \
             3 copies; median of {} runs",
            self.writes.len()
        )];
        let count = self.writes.first().map_or(0, |writes| writes.ours.len());
        let rows = (0..count).map(|at| {
            let (ours, etcd) = self.writes_at(at);
            let clients = self.writes.iter().find_map(|run| run.ours.get(at)).map_or(0, |load| load.clients);
            let mut row = vec![clients.to_string()];
            row.extend(ours.cells());
            row.extend(etcd.cells());
            row.push(ratio(ours.per_s, etcd.per_s));
            row
        });
        let headings = ["clients", "ours/s", "p50 ms", "p99 ms", "etcd/s", "p50 ms", "p99 ms", "ours/etcd"];
        lines.extend(table(&headings, &[0, 1, 2, 3, 4, 5, 6, 7], rows.collect()));
        lines.push(format!(
            "signed once and verified on {VALIDATORS} copies, these {} cores could make {} of ours a second if they did nothing else",
            self.limit.cores,
            grouped(self.limit.transfers_per_s(VALIDATORS) as u64)
        ));
        if self.writes.iter().all(|run| run.etcd.is_empty()) {
            lines.push(NO_ETCD.to_owned());
        }
        lines
    }

    fn writes_at(&self, at: usize) -> (Medians, Medians) {
        let ours = self.writes.iter().filter_map(|run| run.ours.get(at));
        let etcd = self.writes.iter().filter_map(|run| run.etcd.get(at));
        (Medians::of(ours), Medians::of(etcd))
    }

    fn transfers_lines(&self) -> Vec<String> {
        let limit = &self.limit;
        let mut lines = vec![format!(
            "signed transfers until final, signed in the run; the {} cores verify {} signatures/s, one core signs {}/s",
            limit.cores,
            grouped(limit.verified_per_s as u64),
            grouped(limit.signed_per_s as u64)
        )];
        let mut replicas: Vec<usize> = self.transfers.iter().map(|one| one.replicas).collect();
        replicas.sort_unstable_by(|one, other| other.cmp(one));
        replicas.dedup();
        let mut rows: Vec<Vec<String>> = replicas.iter().map(|replicas| self.transfers_row(*replicas)).collect();
        if let Some(first) = self.postgres.first() {
            let mut row = vec!["PostgreSQL, unsigned".to_owned(), first.replicas.to_string()];
            row.extend(Medians::of(self.postgres.iter().map(|one| &one.load)).cells());
            row.extend(["-".to_owned(), "-".to_owned(), "-".to_owned()]);
            rows.push(row);
        }
        let headings = ["side", "copies", "transfers/s", "p50 ms", "p99 ms", "limit/s", "CPU us, servers", "client"];
        lines.extend(table(&headings, &[1, 2, 3, 4, 5, 6, 7], rows));
        if self.postgres.is_empty() {
            lines.push(NO_POSTGRES.to_owned());
        }
        lines.push("the same at half that rate, in small batches handed in evenly, from when each was due".to_owned());
        let half = |replicas: &usize| {
            let runs = self.transfers.iter().filter(|one| one.replicas == *replicas);
            let mut row = vec!["ours".to_owned(), replicas.to_string()];
            row.extend(Medians::of(runs.map(|one| &one.half)).cells());
            row
        };
        let headings = ["side", "copies", "transfers/s", "p50 ms", "p99 ms"];
        lines.extend(table(&headings, &[1, 2, 3, 4], replicas.iter().map(half).collect()));
        lines
    }

    fn transfers_row(&self, replicas: usize) -> Vec<String> {
        let runs = self.transfers.iter().filter(|one| one.replicas == replicas);
        let of = |figure: fn(&Transfers) -> f64| format!("{:.0}", median(runs.clone().map(figure).collect()));
        let mut row = vec!["ours".to_owned(), replicas.to_string()];
        row.extend(Medians::of(runs.clone().map(|one| &one.load)).cells());
        row.push(grouped(self.limit.transfers_per_s(replicas) as u64));
        row.extend([of(|one| one.servers_cpu_us), of(|one| one.client_cpu_us)]);
        row
    }

    fn gaps_lines(&self) -> Vec<String> {
        let sides = [("ours, next transfer final", &self.gaps.ours_us), ("etcd, next value put", &self.gaps.etcd_us)];
        let rows = sides.into_iter().filter(|(_, gaps)| !gaps.is_empty()).map(|(side, gaps)| {
            let middle = median(gaps.iter().map(|us| *us as f64).collect()) / 1e3;
            let worst = gaps.iter().max().copied().unwrap_or(0) / 1_000;
            vec![side.to_owned(), gaps.len().to_string(), format!("{middle:.0}"), worst.to_string()]
        });
        let mut lines = vec!["leader killed (SIGKILL), until something is acknowledged again".to_owned()];
        lines.extend(table(&["side", "kills", "median ms", "worst ms"], &[1, 2, 3], rows.collect()));
        lines
    }

    /// Writes everything to a folder as JSON and CSV.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
        let put = |name: &str, bytes: Vec<u8>| {
            let path = out.join(name);
            fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
        };
        put("ledger.json", serde_json::to_vec_pretty(self)?)?;
        put("loads.csv", self.loads_csv()?)?;
        put("gaps.csv", self.gaps_csv()?)
    }

    fn loads_csv(&self) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["part", "side", "copies", "run", "clients", "per_s", "p50_us", "p99_us"])?;
        let mut row = |part: &str, side: &str, copies: usize, run: usize, load: &Load| {
            let figures = [load.per_s(), load.latency.p50_us, load.latency.p99_us].map(|figure| format!("{figure:.0}"));
            let names =
                [part.to_owned(), side.to_owned(), copies.to_string(), run.to_string(), load.clients.to_string()];
            csv.write_record(names.iter().chain(&figures))
        };
        for (run, writes) in (1..).zip(&self.writes) {
            for (side, loads) in [("ours", &writes.ours), ("etcd", &writes.etcd)] {
                loads.iter().try_for_each(|load| row("writes", side, super::etcd::MEMBERS, run, load))?;
            }
        }
        for (side, all) in [("ours", &self.transfers), ("postgres", &self.postgres)] {
            for (run, one) in (1..).zip(all) {
                row("transfers", side, one.replicas, run, &one.load)?;
            }
        }
        for (run, one) in (1..).zip(&self.transfers) {
            row("transfers at half load", "ours", one.replicas, run, &one.half)?;
        }
        Ok(csv.into_inner()?)
    }

    fn gaps_csv(&self) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["side", "kill", "gap_us"])?;
        for (side, gaps) in [("ours", &self.gaps.ours_us), ("etcd", &self.gaps.etcd_us)] {
            for (kill, gap) in (1..).zip(gaps) {
                let kill: usize = kill;
                csv.write_record([side.to_owned(), kill.to_string(), gap.to_string()])?;
            }
        }
        Ok(csv.into_inner()?)
    }
}

fn ratio(ours: f64, theirs: f64) -> String {
    if theirs > 0.0 { format!("{:.2}", ours / theirs) } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tools::Spread;

    fn load(clients: usize, per_s: u64, p99_us: f64) -> Load {
        let latency = Spread { count: per_s, p50_us: p99_us / 2.0, p99_us, max_us: p99_us };
        Load { clients, writes: per_s * 2, duration_us: 2_000_000, latency }
    }

    fn example() -> LedgerReport {
        let writes =
            |ours, etcd| Writes { bytes: 400, ours: vec![load(64, ours, 9e3)], etcd: vec![load(64, etcd, 8e3)] };
        let transfers = |replicas, per_s| Transfers {
            replicas,
            load: load(16, per_s, 5e5),
            half: load(64, per_s / 2, 77_000.0),
            ..Transfers::default()
        };
        LedgerReport {
            limit: Limit { cores: 2, verified_per_s: 64_000.0, signed_per_s: 50_000.0 },
            writes: vec![writes(9_000, 3_000), writes(8_000, 2_500), writes(1_000, 5_000)],
            transfers: vec![transfers(4, 8_500), transfers(3, 11_000), transfers(4, 7_500), transfers(4, 8_100)],
            postgres: vec![transfers(3, 1_234)],
            gaps: Gaps { ours_us: vec![900_000, 1_100_000, 2_000_000], etcd_us: vec![1_500_000] },
        }
    }

    #[test]
    fn medians_are_over_the_runs_of_each_load() {
        let lines = example().lines().join("\n");
        for part in [
            "400 bytes",
            "8,000",
            "3,000",
            "2.67",
            "8,100",
            "11,000",
            "1,234",
            "13,793",
            "17,582",
            "4,050",
            "38.5",
            "1100",
            "1500",
        ] {
            assert!(lines.contains(part), "{part} is missing in\n{lines}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut report = example();
        report.writes.iter_mut().for_each(|run| run.etcd.clear());
        report.postgres.clear();
        let lines = report.lines().join("\n");
        assert!(lines.contains(NO_ETCD) && lines.contains(NO_POSTGRES), "{lines}");
        assert!(LedgerReport::default().lines().is_empty());
    }

    #[test]
    fn files_hold_every_run() {
        let home = tempfile::tempdir().unwrap();
        example().write(home.path()).unwrap();
        let loads = fs::read_to_string(home.path().join("loads.csv")).unwrap();
        assert_eq!(loads.lines().count(), 1 + 6 + 4 + 1 + 4);
        assert!(loads.contains("writes,etcd,3,2,64,2500,4000,8000"), "{loads}");
        assert_eq!(fs::read_to_string(home.path().join("gaps.csv")).unwrap().lines().count(), 1 + 4);
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(home.path().join("ledger.json")).unwrap()).unwrap();
        assert_eq!(json["transfers"][1]["replicas"], 3);
    }
}
