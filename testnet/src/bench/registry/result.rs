//! What was measured, for people and for programs.

use serde::Serialize;

use super::load::Load;
use crate::bench::tools::{Spread, median};
use crate::render::{grouped, table};

/// One side in one run.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Memory that the 30,000 records take, bytes.
    pub rss_bytes: u64,
    /// A point read, from the time it was due.
    pub read: Spread,
    /// A point read as one of sixteen asked together, from the time the group was due; only of a server.
    pub read_pipelined: Option<Spread>,
    /// The best 50 records, from the time they were due.
    pub query: Spread,
    /// The best 50 by name only; only of a server.
    pub query_ids: Option<Spread>,
    /// From when a change was due to be written until a reader saw it.
    pub lag: Spread,
    /// What the changes cost: share of one core, ppm. Of a server its own share and its client's together.
    pub changes_cpu_ppm: u64,
}

/// All runs.
#[derive(Clone, Debug, Serialize)]
pub struct RegistryReport {
    /// Records held.
    pub agents: u64,
    /// Changes a second asked for.
    pub changes_per_s: u32,
    /// Point reads a second asked for.
    pub reads_per_s: u32,
    /// Queries a second asked for.
    pub queries_per_s: u32,
    /// Our registry, by run.
    pub ours: Vec<Side>,
    /// Redis, with every command awaited; empty where it is not installed.
    pub redis: Vec<Side>,
    /// Redis, with each entry's changes in one go; empty where it is not installed.
    pub redis_pipelined: Vec<Side>,
}

/// What to do where there is no Redis.
pub const NO_REDIS: &str =
    "redis-server is not installed, so ours stands alone; `apt-get install redis-server` puts it beside.";

impl RegistryReport {
    /// An empty report of this load.
    #[must_use]
    pub const fn new(agents: u64, load: &Load) -> Self {
        Self {
            agents,
            changes_per_s: load.changes_per_s,
            reads_per_s: load.reads_per_s,
            queries_per_s: load.queries_per_s,
            ours: Vec::new(),
            redis: Vec::new(),
            redis_pipelined: Vec::new(),
        }
    }

    /// The report as lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let sides = [("ours", &self.ours), ("redis", &self.redis), ("redis, pipelined", &self.redis_pipelined)];
        let sides: Vec<_> = sides.into_iter().filter(|(_, runs)| !runs.is_empty()).collect();
        let mut lines = vec![format!(
            "{} records; each second {} changes, {} reads, {} queries; median of {} runs",
            grouped(self.agents),
            grouped(u64::from(self.changes_per_s)),
            grouped(u64::from(self.reads_per_s)),
            grouped(u64::from(self.queries_per_s)),
            self.ours.len(),
        )];
        let headings: Vec<&str> = std::iter::once("").chain(sides.iter().map(|(name, _)| *name)).collect();
        let row = |what: &str, figure: &dyn Fn(&Side) -> Option<f64>| {
            let cells = sides.iter().map(|(_, runs)| {
                let figures: Vec<f64> = runs.iter().filter_map(figure).collect();
                if figures.is_empty() { "-".to_owned() } else { format!("{:.1}", median(figures)) }
            });
            std::iter::once(what.to_owned()).chain(cells).collect::<Vec<String>>()
        };
        // Later runs reuse what the first one left to the allocator.
        let first = sides.iter().map(|(_, runs)| runs.first().map_or(0.0, |side| side.rss_bytes as f64));
        let mib = first.map(|bytes| format!("{:.1}", bytes / f64::from(1 << 20)));
        let memory = std::iter::once("memory of the records, MiB".to_owned()).chain(mib).collect();
        let rows = vec![
            row("point read p50, us", &|side| Some(side.read.p50_us)),
            row("point read p99, us", &|side| Some(side.read.p99_us)),
            row("point read p99 of 16 together, us", &|side| Some(side.read_pipelined?.p99_us)),
            row("best 50, records p50, us", &|side| Some(side.query.p50_us)),
            row("best 50, records p99, us", &|side| Some(side.query.p99_us)),
            row("best 50, names only p50, us", &|side| Some(side.query_ids?.p50_us)),
            row("change visible p50, us", &|side| Some(side.lag.p50_us)),
            row("change visible p99, us", &|side| Some(side.lag.p99_us)),
            row("changes, % of one core", &|side| Some(side.changes_cpu_ppm as f64 / 1e4)),
            memory,
        ];
        let right: Vec<usize> = (1..headings.len()).collect();
        lines.extend(table(&headings, &right, rows));
        if self.redis.is_empty() {
            lines.push(NO_REDIS.to_owned());
        }
        lines
    }
}
