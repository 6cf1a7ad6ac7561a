//! The node's metrics, and their text for /metrics.

use mesh30k_chain::ChunkOutcome;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::duties::DutyMetrics;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds of the release error histogram, microseconds: the windows that are promised (±5, ±10, ±50 ms) are among them.
const RELEASE_ERROR_BOUNDS_US: [f64; 11] = [100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 2.5e5, 1e6];
/// Bounds of the histogram of how long a change takes to be seen, milliseconds; the goal is half a second for 99 of 100.
const VISIBLE_BOUNDS_MS: [f64; 12] = [5.0, 10.0, 25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 1e3, 5e3];
/// Bounds of the task time histogram, milliseconds.
const TASK_BOUNDS_MS: [f64; 10] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 6e4];

/// A metric that can't be made or written; a defect of the program.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricError(String);

impl From<prometheus::Error> for MetricError {
    fn from(error: prometheus::Error) -> Self {
        Self(error.to_string())
    }
}

/// How a task ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It came to its end.
    Completed,
    /// It ended with its own failure code.
    Failed,
    /// It was refused before it ran.
    Refused,
    /// It was stopped at a limit, trapped or was cancelled.
    Stopped,
}

impl TaskOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
        }
    }
}

/// Everything the node counts. Clones share the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Blocks that became final here.
    pub blocks_final: IntCounter,
    /// Height of the last final block.
    pub final_height: IntGauge,
    /// Transactions executed in final blocks.
    pub transactions_final: IntCounter,
    /// Transactions refused, by this node or in a block.
    pub transactions_refused: IntCounter,
    /// Transactions waiting to be ordered.
    pub pool_transactions: IntGauge,
    /// Pieces of evidence against validators that are kept here.
    pub evidence_kept: IntGauge,
    /// Of these, those that the ledger has not punished.
    pub evidence_unsettled: IntGauge,
    /// Evidence this node brought before the ledger.
    pub evidence_submitted: IntCounter,
    /// Chunks of snapshots given to others.
    pub sync_chunks_served: IntCounter,
    /// What this node does for the ledger by itself.
    pub duties: DutyMetrics,
    /// Connected peers.
    pub peers: IntGauge,
    /// Agents hosted here.
    pub agents: IntGauge,
    /// Events this node orchestrated.
    pub cascades: IntCounter,
    /// Beats sent or folded by this node.
    pub beats: IntCounter,
    /// Freeze orders applied here.
    pub freezes: IntCounter,
    /// Scopes frozen now.
    pub frozen_scopes: IntGauge,
    /// Free room on the disk of the data directory.
    pub disk_free_bytes: IntGauge,
    /// 1 while nothing is written for want of room.
    pub disk_read_only: IntGauge,
    /// Task time by the host's clock.
    pub task_ms: Histogram,
    /// Energy of tasks run here.
    pub task_energy_mj: IntCounter,
    release_error_us: Histogram,
    visible_ms: Histogram,
    conflicts: IntCounter,
    drops: IntCounterVec,
    refusals: IntCounterVec,
    faults: IntGaugeVec,
    sync_chunks: IntCounterVec,
    tasks: IntCounterVec,
    leads: IntGaugeVec,
}

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Errors
    /// [`MetricError`] if two had one name; a test rules that out.
    pub fn new() -> Result<Self, MetricError> {
        let registry = Registry::new();
        let r = &registry;
        Ok(Self {
            blocks_final: counter(r, "mesh30k_ledger_blocks_final_total", "Blocks that became final here.")?,
            final_height: gauge(r, "mesh30k_ledger_final_height", "Height of the last final block.")?,
            transactions_final: counter(r, "mesh30k_ledger_transactions_final_total", "Transactions in final blocks.")?,
            transactions_refused: counter(r, "mesh30k_ledger_transactions_refused_total", "Transactions refused.")?,
            pool_transactions: gauge(r, "mesh30k_ledger_pool_transactions", "Transactions waiting to be ordered.")?,
            evidence_kept: gauge(r, "mesh30k_evidence_kept", "Pieces of evidence against validators kept here.")?,
            evidence_unsettled: gauge(
                r,
                "mesh30k_evidence_unsettled",
                "Of the evidence kept here, what the ledger has not punished.",
            )?,
            evidence_submitted: counter(
                r,
                "mesh30k_evidence_submitted_total",
                "Evidence this node brought before the ledger.",
            )?,
            sync_chunks_served: counter(r, "mesh30k_sync_chunks_served_total", "Chunks of snapshots given to others.")?,
            duties: DutyMetrics::new(r)?,
            peers: gauge(r, "mesh30k_p2p_peers", "Connected peers.")?,
            agents: gauge(r, "mesh30k_agents_hosted", "Agents hosted by this node.")?,
            cascades: counter(r, "mesh30k_arrival_cascades_total", "Events this node orchestrated.")?,
            beats: counter(r, "mesh30k_registry_beats_total", "Heartbeat batches sent or folded.")?,
            freezes: counter(r, "mesh30k_freeze_orders_total", "Freeze orders applied.")?,
            frozen_scopes: gauge(r, "mesh30k_freeze_scopes", "Scopes frozen now.")?,
            disk_free_bytes: gauge(r, "mesh30k_disk_free_bytes", "Free room on the disk of the data directory.")?,
            disk_read_only: gauge(r, "mesh30k_disk_read_only", "1 while nothing is written for want of room.")?,
            task_ms: histogram(r, "mesh30k_task_duration_ms", "Wall time of a task.", &TASK_BOUNDS_MS)?,
            task_energy_mj: counter(
                r,
                "mesh30k_task_energy_mj_total",
                "Energy of tasks run here, as receipts state it.",
            )?,
            release_error_us: histogram(
                r,
                "mesh30k_arrival_release_error_us",
                "Distance of an agent's release from T, without its sign, as this node could estimate it.",
                &RELEASE_ERROR_BOUNDS_US,
            )?,
            visible_ms: histogram(
                r,
                "mesh30k_registry_visible_ms",
                "From when a host said how its agents fare until this node's registry showed it, in sectors kept here.",
                &VISIBLE_BOUNDS_MS,
            )?,
            conflicts: counter(r, "mesh30k_arrival_conflicts_total", "Agents that answered CONFLICT.")?,
            drops: counters(r, "mesh30k_queue_dropped_total", "Messages dropped at a full queue.", "queue")?,
            refusals: counters(
                r,
                "mesh30k_arrival_refused_total",
                "Messages of the event tree refused or not sent here.",
                "reason",
            )?,
            faults: gauges(
                r,
                "mesh30k_arrival_faults",
                "What the leads, parents and agents that run here now have refused or noticed.",
                "kind",
            )?,
            sync_chunks: counters(r, "mesh30k_sync_chunks_total", "Chunks asked for, by what came of it.", "outcome")?,
            tasks: counters(r, "mesh30k_task_runs_total", "Tasks by how they ended.", "outcome")?,
            leads: gauges(r, "mesh30k_lead_roles", "Groups and clusters this node leads.", "role")?,
            registry,
        })
    }

    /// Notes how far from T an agent released, microseconds (early is negative).
    pub fn observe_release(&self, error_us: i64) {
        // Distances are far below 2^53, where f64 is exact.
        self.release_error_us.observe(error_us.unsigned_abs() as f64);
    }

    /// Notes how long a change of the registry took to be seen here, microseconds.
    pub fn observe_visible(&self, after_us: i64) {
        self.visible_ms.observe(after_us.max(0) as f64 / 1e3);
    }

    /// Notes an agent that answered CONFLICT.
    pub fn count_conflicts(&self, number: u64) {
        self.conflicts.inc_by(number);
    }

    /// Notes messages dropped at a full queue; `queue` is a constant of the program, never input.
    pub fn count_drops(&self, queue: &'static str, number: u64) {
        self.drops.with_label_values(&[queue]).inc_by(number);
    }

    /// Notes a refused message of the event tree; `reason` is a constant of the program, never input.
    pub fn count_refusal(&self, reason: &'static str) {
        self.refusals.with_label_values(&[reason]).inc();
    }

    /// Sets how often the machines of the event tree noticed something; `kind` is a constant of the program.
    pub fn set_faults(&self, kind: &'static str, number: u64) {
        self.faults.with_label_values(&[kind]).set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Notes what came of asking for a chunk of a snapshot.
    pub fn count_chunk(&self, outcome: ChunkOutcome) {
        self.sync_chunks.with_label_values(&[outcome.label()]).inc();
    }

    /// Notes chunks that did not come in time; they may come yet.
    pub fn count_late_chunks(&self, number: usize) {
        self.sync_chunks.with_label_values(&["late"]).inc_by(number as u64);
    }

    /// Notes a task that is over.
    pub fn count_task(&self, outcome: TaskOutcome, wall_us: u64, energy_mj: u64) {
        self.tasks.with_label_values(&[outcome.label()]).inc();
        if outcome != TaskOutcome::Refused {
            self.task_ms.observe(wall_us as f64 / 1_000.0);
            self.task_energy_mj.inc_by(energy_mj);
        }
    }

    /// Sets how many groups or clusters this node leads; `role` is a constant of the program ("validator", "coordinator",
    /// "lead").
    pub fn set_leads(&self, role: &'static str, number: i64) {
        self.leads.with_label_values(&[role]).set(number);
    }

    /// The text of all metrics: the node's own first, then another registry's (libp2p's) if given.
    ///
    /// # Errors
    /// [`MetricError`] if a registry can't be written.
    pub fn encode(&self, other: Option<&prometheus_client::registry::Registry>) -> Result<String, MetricError> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        if let Some(other) = other {
            // This half of the encoder leaves out "# EOF", which the older text format does not know.
            prometheus_client::encoding::text::encode_registry(&mut text, other)
                .map_err(|error| MetricError(error.to_string()))?;
        }
        Ok(text)
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, MetricError> {
    let metric = IntCounter::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, MetricError> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntCounterVec, MetricError> {
    let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntGaugeVec, MetricError> {
    let metric = IntGaugeVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(registry: &Registry, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, MetricError> {
    let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_both_registries_and_no_end_mark() {
        let metrics = Metrics::new().unwrap();
        metrics.blocks_final.inc_by(3);
        metrics.observe_release(-7_000);
        metrics.count_drops("event", 2);
        metrics.count_refusal("stranger");
        metrics.set_faults("lead_twice", 4);
        metrics.count_task(TaskOutcome::Completed, 2_500, 40);
        let mut other = prometheus_client::registry::Registry::default();
        let peers: prometheus_client::metrics::counter::Counter = Default::default();
        other.register("libp2p_dials", "Dials", peers.clone());
        peers.inc();
        let text = metrics.encode(Some(&other)).unwrap();
        for line in [
            "mesh30k_ledger_blocks_final_total 3",
            "mesh30k_arrival_release_error_us_bucket{le=\"5000\"} 0",
            "mesh30k_arrival_release_error_us_bucket{le=\"10000\"} 1",
            "mesh30k_queue_dropped_total{queue=\"event\"} 2",
            "mesh30k_arrival_refused_total{reason=\"stranger\"} 1",
            "mesh30k_arrival_faults{kind=\"lead_twice\"} 4",
            "mesh30k_task_runs_total{outcome=\"completed\"} 1",
            "mesh30k_task_energy_mj_total 40",
            "libp2p_dials_total 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
        assert!(!text.contains("# EOF"));
        let own = text.find("mesh30k_").unwrap();
        assert!(own < text.find("libp2p_").unwrap());
    }

    #[test]
    fn names_follow_the_rule() {
        let metrics = Metrics::new().unwrap();
        metrics.count_drops("event", 0);
        metrics.set_leads("lead", 2);
        metrics.count_task(TaskOutcome::Refused, 0, 0);
        for family in metrics.registry.gather() {
            let parts: Vec<_> = family.name().split('_').collect();
            assert!(parts.first() == Some(&"mesh30k") && parts.len() >= 3, "{}", family.name());
            assert!(family.help().ends_with('.'), "{}", family.name());
        }
    }
}
