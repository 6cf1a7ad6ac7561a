//! The host's side of heartbeats.

use super::{AgentReport, BatchError, BatchKind, EARLY_US, HostBatch, MAX_REPORTS};
use crate::registry::change_ppm;
use crate::time::MeshTimeUs;
use crate::wire::Hlc;
use mesh30k_ledger::types::{AgentId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// A host reports every 5 s.
pub const BEAT_EVERY_US: i64 = 5_000_000;
/// A host reports early, but not more often than once a second, when an agent jumps.
pub const MIN_BEAT_GAP_US: i64 = 1_000_000;
/// A change of `Z` by this share (20 %) is a jump.
pub const JUMP_PPM: u32 = 200_000;
/// After this many batches since the last committed full one, everything is sent again: once a minute.
pub const FULL_EVERY: u32 = 12;
/// A change of a measured delay below this share (5 %) is noise and not worth an entry.
const NOISE_PPM: u32 = 50_000;
/// A change of a share (reliability, calibration) below one point is noise.
const SHARE_NOISE_PPM: u32 = 10_000;
/// Batches remembered until they are committed.
const MAX_IN_FLIGHT: usize = 16;

/// Decides when a host reports, and what: every agent at first and then what changed since the last batch known to be
/// committed.
#[derive(Clone, Debug)]
pub struct Beater {
    host: NodeId,
    sequence: u64,
    current: BTreeMap<AgentId, AgentReport>,
    /// What the sector group is known to have, as of batch `base`; 0 when nothing is known.
    committed: BTreeMap<AgentId, AgentReport>,
    base: u64,
    in_flight: BTreeMap<u64, HostBatch>,
    /// Agents in batches after `base` whose fate is unknown: the group may hold a value other than `committed`.
    unsettled: BTreeMap<AgentId, u64>,
    since_full: u32,
    wants_full: bool,
    jumped: bool,
    last_sent: Option<MeshTimeUs>,
}

impl Beater {
    /// A beater whose first batch has a sequence above `last_sequence`. Sequences must rise across restarts:
    /// pass the unix time in milliseconds, which outruns any count of batches.
    #[must_use]
    pub const fn new(host: NodeId, last_sequence: u64) -> Self {
        Self {
            host,
            sequence: last_sequence,
            current: BTreeMap::new(),
            committed: BTreeMap::new(),
            base: 0,
            in_flight: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            since_full: 0,
            wants_full: false,
            jumped: false,
            last_sent: None,
        }
    }

    /// Takes in how one of the host's agents fares now.
    ///
    /// # Errors
    /// [`BatchError::OutOfRange`], or [`BatchError::TooMany`] when the host has too many agents.
    pub fn observe(&mut self, report: AgentReport) -> Result<(), BatchError> {
        report.check()?;
        let last = self.last_told(report.agent);
        self.jumped |= last.is_none_or(|last| is_jump(last, &report));
        if self.current.len() >= MAX_REPORTS && !self.current.contains_key(&report.agent) {
            let (count, limit) = (self.current.len().saturating_add(1), MAX_REPORTS);
            return Err(BatchError::TooMany { host: self.host, sequence: self.sequence, count, limit });
        }
        self.current.insert(report.agent, report);
        Ok(())
    }

    /// Forgets an agent that the host no longer has; the next batch is a full one, which says so.
    pub fn remove(&mut self, agent: AgentId) {
        self.wants_full |= self.current.remove(&agent).is_some();
    }

    /// The batch to sign and send, if one is due.
    pub fn poll(&mut self, now: MeshTimeUs, sent: Hlc) -> Option<HostBatch> {
        if self.next_wakeup() > now.plus_us(EARLY_US) {
            return None;
        }
        let full = self.base == 0 || self.wants_full || self.since_full >= FULL_EVERY;
        let (kind, reports) = if full {
            (BatchKind::Full, self.current.values().copied().collect())
        } else {
            (BatchKind::Delta { base: self.base }, self.changed())
        };
        Some(self.make(now, sent, kind, reports))
    }

    /// When [`Self::poll`] has the next batch.
    #[must_use]
    pub fn next_wakeup(&self) -> MeshTimeUs {
        let gap_us = if self.jumped { MIN_BEAT_GAP_US } else { BEAT_EVERY_US };
        self.last_sent.map_or(MeshTimeUs(i64::MIN), |last| last.plus_us(gap_us))
    }

    /// The batch to send when the host leaves on purpose.
    pub fn farewell(&mut self, now: MeshTimeUs, sent: Hlc) -> HostBatch {
        self.make(now, sent, BatchKind::Farewell, Vec::new())
    }

    /// The sector group is seen to hold batch `sequence` of this host (or a later one was seen: pass that).
    pub fn on_committed(&mut self, sequence: u64) {
        if sequence <= self.base {
            return;
        }
        let Some(batch) = self.in_flight.remove(&sequence) else {
            // From an earlier run, or long forgotten: what the group holds is unknown.
            self.on_full_requested();
            self.on_stale(sequence);
            return;
        };
        if batch.kind == BatchKind::Full {
            self.committed.clear();
            self.since_full = 0;
            let current: BTreeSet<AgentId> = self.current.keys().copied().collect();
            self.wants_full = !batch.agents().is_subset(&current);
        }
        self.committed.extend(batch.reports.into_iter().map(|report| (report.agent, report)));
        self.base = sequence;
        self.in_flight.retain(|later, _| *later > sequence);
        self.unsettled.retain(|_, last| *last > sequence);
    }

    /// Somebody found a gap in this host's batches: everything is sent again, until a full batch is committed.
    pub fn on_full_requested(&mut self) {
        self.wants_full = true;
        self.jumped = true;
    }

    /// A sequence at least as high as ours was seen under our name (an earlier run with a clock ahead of ours): go on
    /// above it.
    pub fn on_stale(&mut self, newest: u64) {
        if newest > self.sequence {
            self.sequence = newest;
            self.base = 0;
            self.in_flight.clear();
            self.on_full_requested();
        }
    }

    fn last_told(&self, agent: AgentId) -> Option<&AgentReport> {
        let sequence = self.unsettled.get(&agent);
        let told = sequence.and_then(|sequence| self.in_flight.get(sequence)).and_then(|batch| {
            batch.reports.binary_search_by_key(&agent, |report| report.agent).ok().and_then(|at| batch.reports.get(at))
        });
        told.or_else(|| self.committed.get(&agent))
    }

    /// What differs from the committed batch, and what was told since and may have been committed unseen: an agent that
    /// went from A to B and back to A must be told again, or B might stay.
    fn changed(&self) -> Vec<AgentReport> {
        let reports = self.current.values().filter(|report| {
            self.unsettled.contains_key(&report.agent)
                || self.committed.get(&report.agent).is_none_or(|old| is_change(old, report))
        });
        reports.copied().collect()
    }

    fn make(&mut self, now: MeshTimeUs, sent: Hlc, kind: BatchKind, reports: Vec<AgentReport>) -> HostBatch {
        self.sequence = self.sequence.saturating_add(1);
        self.since_full = self.since_full.saturating_add(1);
        self.last_sent = Some(now);
        self.jumped = false;
        let batch = HostBatch { host: self.host, sequence: self.sequence, sent, kind, reports };
        self.unsettled.extend(batch.reports.iter().map(|report| (report.agent, batch.sequence)));
        self.in_flight.insert(batch.sequence, batch.clone());
        while self.in_flight.len() > MAX_IN_FLIGHT {
            self.in_flight.pop_first();
        }
        batch
    }
}

fn is_jump(old: &AgentReport, new: &AgentReport) -> bool {
    old.state != new.state || change_ppm(new.impedance.z_us(), old.impedance.z_us()) >= JUMP_PPM
}

fn is_change(old: &AgentReport, new: &AgentReport) -> bool {
    let (a, b) = (&old.impedance, &new.impedance);
    let facts =
        (old.state, old.context, old.energy, old.price_uftns) != (new.state, new.context, new.energy, new.price_uftns);
    let delays = [
        (a.z_us(), b.z_us()),
        (a.one_way_p50_us, b.one_way_p50_us),
        (a.one_way_p95_us, b.one_way_p95_us),
        (a.processing_p50_us, b.processing_p50_us),
        (a.processing_p95_us, b.processing_p95_us),
    ];
    let shares = [
        (old.reliability_ppm, new.reliability_ppm),
        (old.calibration_ppm, new.calibration_ppm),
        (old.drift_ppm, new.drift_ppm),
    ];
    facts
        || delays.into_iter().any(|(old, new)| change_ppm(new, old) >= NOISE_PPM)
        || shares.into_iter().any(|(old, new)| old.abs_diff(new) >= SHARE_NOISE_PPM)
}
