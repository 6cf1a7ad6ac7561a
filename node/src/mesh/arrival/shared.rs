//! What the arrival thread leaves for others to read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use mesh30k_core::event::{Agreement, CLASSES, EventId, FoldedAck, GatherError, GatherOutcome, GatherRequest, Tally};
use mesh30k_core::quorum::{QuorumDecision, QuorumRates, decide};
use mesh30k_core::registry::Impedance;
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{AgentId, Hash};
use tokio::sync::watch;

use super::view::{ArrivalClock, Rules};
use crate::api::types::{EventClassRow, EventReport, GatherAnswer};
use crate::harness::Harness;
use crate::mesh::freeze::FreezeView;
use crate::telemetry::Metrics;

/// Reports of events kept; those whose time is not over are never forgotten.
pub(super) const REPORTS_MAX: usize = 256;

/// How far the measuring of links has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmUp {
    /// Machine agents in the clusters this node leads; humans take hours to measure and are not waited for.
    pub led: u32,
    /// Of those, with enough exchanges.
    pub led_warm: u32,
    /// Machine agents in the sectors this node watches: those it keeps, or all while it plans and starts events.
    pub mesh: u32,
    /// Of those, with enough exchanges, as the coordinators report it.
    pub mesh_warm: u32,
    /// Sectors whose coordinator reports to this node.
    pub sectors: u32,
    /// Sectors whose coordinator should.
    pub watched: u32,
    /// Sectors there are.
    pub known_sectors: u32,
}

/// Share of the machine agents that have to be measured before a mesh counts as formed.
const FORMED_PPM: u32 = 990_000;

impl WarmUp {
    /// Whether all but a hundredth are measured.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        self.is_warm(FORMED_PPM)
    }

    /// Whether at least `ppm` of everybody, here and in the sectors watched, are measured.
    #[must_use]
    pub fn is_warm(&self, ppm: u32) -> bool {
        let enough = |warm: u32, all: u32| u64::from(warm) * 1_000_000 >= u64::from(all) * u64::from(ppm);
        let all_report = self.known_sectors > 0 && self.sectors >= self.watched;
        all_report && enough(self.led_warm, self.led) && enough(self.mesh_warm, self.mesh)
    }
}

/// One event this node orchestrates.
#[derive(Clone, Debug)]
pub(super) struct ReportEntry {
    pub(super) target: TimeUs,
    pub(super) expires: TimeUs,
    pub(super) enrolled: [u32; 6],
    pub(super) fold: Option<FoldedAck>,
    pub(super) answers: Vec<(String, u64)>,
    pub(super) cancelled: bool,
}

#[derive(Debug, Default)]
struct Reports {
    entries: BTreeMap<EventId, ReportEntry>,
    order: VecDeque<EventId>,
}

impl Reports {
    fn is_over(&self, event: &EventId, now: TimeUs) -> bool {
        self.entries.get(event).is_none_or(|entry| entry.expires <= now)
    }

    fn has_room(&self, now: TimeUs) -> bool {
        self.order.len() < REPORTS_MAX || self.order.iter().any(|event| self.is_over(event, now))
    }

    /// Forgets the oldest event whose time is over, if there are too many.
    fn make_room(&mut self, now: TimeUs) {
        let oldest = self.order.iter().position(|event| self.is_over(event, now));
        if self.order.len() >= REPORTS_MAX
            && let Some(event) = oldest.and_then(|place| self.order.remove(place))
        {
            self.entries.remove(&event);
        }
    }
}

/// Delays of hosted agents, and whether each is frozen.
pub(super) type HostedFigures = BTreeMap<AgentId, (Impedance, bool)>;

/// The shared part.
pub(super) struct Shared {
    pub(super) clock: ArrivalClock,
    pub(super) harness: Harness,
    pub(super) metrics: Metrics,
    pub(super) changed: watch::Sender<u64>,
    /// What was last said from outside; the thread looks at it when nudged, and by itself.
    rules: ArcSwap<Rules>,
    freezes: ArcSwap<FreezeView>,
    stopped: AtomicBool,
    reports: Mutex<Reports>,
    warm: Mutex<WarmUp>,
    measured: Mutex<(Hash, HostedFigures)>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(clock: ArrivalClock, rules: Rules, harness: Harness, metrics: Metrics) -> Self {
        Self {
            clock,
            harness,
            metrics,
            changed: watch::Sender::new(0),
            rules: ArcSwap::from_pointee(rules),
            freezes: ArcSwap::default(),
            stopped: AtomicBool::new(false),
            reports: Mutex::default(),
            warm: Mutex::default(),
            measured: Mutex::new((Hash::ZERO, BTreeMap::new())),
            counts: Mutex::default(),
        }
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// True when they are news.
    pub(super) fn set_rules(&self, rules: Rules) -> bool {
        let is_new = **self.rules.load() != rules;
        if is_new {
            self.rules.store(Arc::new(rules));
        }
        is_new
    }

    pub(super) fn freezes(&self) -> Arc<FreezeView> {
        self.freezes.load_full()
    }

    pub(super) fn set_freezes(&self, view: FreezeView) {
        self.freezes.store(Arc::new(view));
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Counts something dropped or refused, by a constant name.
    pub(super) fn count(&self, name: &'static str) {
        self.metrics.count_refusal(name);
        let mut counts = lock(&self.counts);
        let slot = counts.entry(name).or_default();
        *slot = slot.saturating_add(1);
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.counts).clone()
    }

    pub(super) fn set_warm(&self, warm: WarmUp) {
        *lock(&self.warm) = warm;
    }

    pub(super) fn warm(&self) -> WarmUp {
        *lock(&self.warm)
    }

    pub(super) fn set_measured(&self, context: Hash, agents: HostedFigures) {
        *lock(&self.measured) = (context, agents);
    }

    pub(super) fn measured(&self) -> (Hash, HostedFigures) {
        lock(&self.measured).clone()
    }

    /// Whether one more report can be kept: there is a place, or an event whose time is over gives up its own.
    pub(super) fn has_room(&self, now: TimeUs) -> bool {
        lock(&self.reports).has_room(now)
    }

    pub(super) fn open_report(&self, event: EventId, entry: ReportEntry, now: TimeUs) {
        let mut reports = lock(&self.reports);
        reports.make_room(now);
        reports.order.push_back(event);
        reports.entries.insert(event, entry);
        drop(reports);
        self.bump();
    }

    pub(super) fn has_report(&self, event: EventId) -> bool {
        lock(&self.reports).entries.contains_key(&event)
    }

    pub(super) fn update_report(&self, event: EventId, update: impl FnOnce(&mut ReportEntry)) -> bool {
        let known = lock(&self.reports).entries.get_mut(&event).map(update).is_some();
        self.bump();
        known
    }

    pub(super) fn report(&self, event: EventId) -> Option<EventReport> {
        let entry = lock(&self.reports).entries.get(&event).cloned()?;
        Some(entry.report(event, self.clock.now().mesh))
    }

    /// Judges what was folded of an event so far; none when it was not started here.
    pub(super) fn gather(&self, event: EventId, request: &GatherRequest) -> Option<Result<GatherAnswer, GatherError>> {
        let entry = lock(&self.reports).entries.get(&event).cloned()?;
        Some(entry.gather(event, request, self.clock.now().mesh))
    }

    fn bump(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }
}

impl ReportEntry {
    fn tally(&self) -> Tally {
        self.fold.as_ref().map_or_else(|| Tally::all_transit(&self.enrolled), |fold| fold.tally.clone())
    }

    fn gather(&self, event: EventId, request: &GatherRequest, now: TimeUs) -> Result<GatherAnswer, GatherError> {
        let tally = self.tally();
        let outcome = request.judge(&tally, self.expires.since_us(now).max(0))?;
        let report = self.report(event, now);
        let (outcome, ready_ppm, advice) = match outcome {
            GatherOutcome::Success { ready_ppm } => ("SUCCESS", ready_ppm, Vec::new()),
            GatherOutcome::Partial { ready_ppm, advice } => ("PARTIAL", ready_ppm, advice),
        };
        Ok(GatherAnswer {
            outcome: outcome.to_owned(),
            ready_ppm,
            wanted_ppm: request.ready_ppm,
            window_us: request.counted_window_us(),
            in_window: tally.errors.within(request.window_us),
            advice,
            agreement: Agreement::of(&self.answers, report.enrolled),
            report,
        })
    }

    /// The report as of `now`: what was folded so far, over everybody enrolled at dispatch.
    fn report(&self, event: EventId, now: TimeUs) -> EventReport {
        let tally = self.tally();
        let counts = tally.trinary();
        let state = match (&self.fold, self.cancelled) {
            (_, true) => "cancelled",
            (Some(_), _) => "complete",
            (None, _) if now < self.target => "planned",
            (None, _) => "running",
        };
        // Until the ends of its corrections somebody in TRANSIT may still be heard.
        let remaining_us = self.expires.since_us(now).max(0);
        let quorum = match decide(&counts, &QuorumRates::default(), remaining_us) {
            Ok(QuorumDecision::Proceed { .. }) => "PROCEED",
            Ok(QuorumDecision::ResolveConflicts) => "RESOLVE_CONFLICTS",
            Ok(QuorumDecision::Wait { .. }) => "WAIT",
            Ok(QuorumDecision::Retry) | Err(_) => "RETRY",
        };
        let class_row = |class| {
            let counts = tally.class(class);
            EventClassRow {
                class,
                enrolled: u64::from(counts.enrolled),
                ready: u64::from(counts.released),
                late: u64::from(counts.late),
                conflict: u64::from(counts.conflict),
                transit: u64::from(counts.transit),
            }
        };
        EventReport {
            event,
            state: state.to_owned(),
            at_us: self.target.0,
            enrolled: counts.enrolled(),
            ready: counts.ready,
            transit: counts.transit,
            conflict: counts.conflict,
            armed_by_target: u64::from(tally.sum(|c| c.armed_by_target)),
            estimated_within_5ms: tally.errors.within(5_000),
            estimated_within_10ms: tally.errors.within(10_000),
            estimated_within_50ms: tally.errors.within(50_000),
            quorum: quorum.to_owned(),
            corrected: self.fold.as_ref().is_some_and(|fold| fold.correction),
            hedged: u64::from(tally.hedged),
            duplicates: u64::from(tally.duplicates),
            answers: self.answers.clone(),
            classes: CLASSES.into_iter().map(class_row).filter(|row| row.enrolled > 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_needs_somebody_and_both_counts() {
        assert!(!WarmUp::default().is_warm(0), "an empty mesh is not warm");
        let warm = WarmUp { led: 10, led_warm: 9, mesh: 100, mesh_warm: 95, sectors: 2, watched: 2, known_sectors: 9 };
        assert!(warm.is_warm(900_000));
        assert!(!WarmUp { sectors: 1, ..warm }.is_warm(900_000), "a sector that says nothing is not known to be warm");
        assert!(!warm.is_warm(910_000));
    }

    #[test]
    fn an_event_that_may_come_again_is_never_forgotten_for_another() {
        let entry = |expires| ReportEntry {
            target: TimeUs(expires),
            expires: TimeUs(expires),
            enrolled: [1; 6],
            fold: None,
            answers: Vec::new(),
            cancelled: true,
        };
        let id = |n: usize| EventId::new(TimeUs(n as i64 * 1_000), &[0; 32]);
        let mut reports = Reports::default();
        for n in 0..REPORTS_MAX {
            assert!(reports.has_room(TimeUs(0)));
            reports.order.push_back(id(n));
            reports.entries.insert(id(n), entry(if n == 7 { 500 } else { 9_000 }));
        }
        assert!(!reports.has_room(TimeUs(499)));
        reports.make_room(TimeUs(499));
        assert_eq!(reports.entries.len(), REPORTS_MAX, "nothing is over: nothing is forgotten");
        assert!(reports.has_room(TimeUs(500)));
        reports.make_room(TimeUs(500));
        assert!(!reports.entries.contains_key(&id(7)) && reports.entries.contains_key(&id(0)));
    }

    #[test]
    fn before_the_first_summary_everybody_enrolled_is_in_transit() {
        let entry = ReportEntry {
            target: TimeUs(1_000),
            expires: TimeUs(5_000),
            enrolled: [3, 0, 2, 0, 0, 0],
            fold: None,
            answers: Vec::new(),
            cancelled: false,
        };
        let event = EventId::new(TimeUs(1), &[0; 32]);
        let report = entry.report(event, TimeUs(500));
        assert_eq!((report.enrolled, report.transit, report.state.as_str()), (5, 5, "planned"));
        assert_eq!(report.quorum, "WAIT");
        assert_eq!(report.classes.len(), 2);
        assert_eq!(entry.report(event, TimeUs(1_500)).state, "running");
    }
}
