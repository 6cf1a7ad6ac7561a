//! The truth about releases and pauses on this machine, kept only on local test networks and never read by the mesh.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh30k_core::event::EventId;
use mesh30k_core::hosted::HarnessRecord;
use mesh30k_ledger::types::AgentId;

use crate::api::types::{PauseRow, ReleaseRow};

/// Events remembered.
pub const EVENTS_MAX: usize = 32;
/// Agents and slots they release, remembered per event; a host has far fewer.
pub const AGENTS_MAX: usize = 8_192;
/// Freezes and thaws remembered.
pub const PAUSES_MAX: usize = 64;

#[derive(Debug, Default)]
struct Records {
    events: BTreeMap<EventId, BTreeMap<Place, Truth>>,
    order: VecDeque<EventId>,
    pauses: VecDeque<PauseRow>,
}

/// A slot and who releases it. A standby may be hosted beside the agent it stands by for, and each has a clock of its own.
type Place = (AgentId, AgentId);

#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    record: Option<HarnessRecord>,
    clock_error_us: Option<i64>,
}

/// Where hosted agents' true times are noted. Clones are the same; a disabled one keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Harness(Option<Arc<Mutex<Records>>>);

impl Harness {
    /// A harness that keeps records.
    #[must_use]
    pub fn enabled() -> Self {
        Self(Some(Arc::default()))
    }

    /// One that keeps nothing.
    #[must_use]
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// Whether it keeps records.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// The lead told `agent`, for a slot, an instant of its clock that is `clock_error_us` after the true one.
    pub fn note_target(&self, event: EventId, slot: AgentId, agent: AgentId, clock_error_us: i64) {
        if let Some(mut records) = self.lock()
            && let Some(truth) = records.truth(event, (slot, agent))
        {
            truth.clock_error_us = Some(clock_error_us);
        }
    }

    /// An agent is done with a slot; of two releases by it the first counts.
    pub fn note_record(&self, record: HarnessRecord) {
        if let Some(mut records) = self.lock()
            && let Some(truth) = records.truth(record.event, (record.slot, record.agent))
            && truth.record.is_none_or(|known| known.released_us.is_none())
        {
            truth.record = Some(record);
        }
    }

    /// A freeze or thaw reached the agents of this host.
    pub fn note_pause(&self, row: PauseRow) {
        let Some(mut records) = self.lock() else { return };
        // One order may reach the agents in several steps: the last one counts.
        records.pauses.retain(|known| known.order != row.order);
        if records.pauses.len() >= PAUSES_MAX {
            records.pauses.pop_front();
        }
        records.pauses.push_back(row);
    }

    /// True releases by the agents hosted here; none when disabled. Who never released is not in it; a slot that its agent and
    /// its standby released is in it twice.
    #[must_use]
    pub fn releases(&self, event: EventId) -> Option<Vec<ReleaseRow>> {
        let records = self.lock()?;
        let truths = records.events.get(&event);
        Some(truths.into_iter().flatten().filter_map(|(_, truth)| truth.row()).collect())
    }

    /// Freezes and thaws, newest first; none when disabled.
    #[must_use]
    pub fn pauses(&self) -> Option<Vec<PauseRow>> {
        Some(self.lock()?.pauses.iter().rev().cloned().collect())
    }

    fn lock(&self) -> Option<MutexGuard<'_, Records>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Records {
    /// What is known of one place in one event; none beyond [`AGENTS_MAX`].
    fn truth(&mut self, event: EventId, place: Place) -> Option<&mut Truth> {
        if !self.events.contains_key(&event) {
            if self.order.len() >= EVENTS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.events.remove(&oldest);
            }
            self.order.push_back(event);
        }
        let places = self.events.entry(event).or_default();
        if places.len() >= AGENTS_MAX && !places.contains_key(&place) {
            return None;
        }
        Some(places.entry(place).or_default())
    }
}

impl Truth {
    fn row(&self) -> Option<ReleaseRow> {
        let record = self.record?;
        Some(ReleaseRow {
            agent: record.slot,
            class: record.class,
            error_us: record.release_error_us()?,
            armed_us: record.armed_error_us(),
            clock_error_us: self.clock_error_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_core::event::Strategy;
    use mesh30k_core::time::TimeUs;
    use mesh30k_ledger::types::{AgentClass, Hash};

    fn event(n: u8) -> EventId {
        EventId::new(TimeUs(1_000 * i64::from(n)), &[n; 32])
    }

    fn record(event: EventId, released_us: Option<i64>) -> HarnessRecord {
        HarnessRecord {
            agent: AgentId(7),
            slot: AgentId(7),
            class: AgentClass::B,
            event,
            strategy: Strategy::Hold,
            target: TimeUs(10_000),
            received_us: 4_000,
            armed_us: Some(9_000),
            released_us,
        }
    }

    #[test]
    fn a_release_is_scored_against_t_with_the_clock_error_beside_it() {
        let harness = Harness::enabled();
        harness.note_target(event(1), AgentId(7), AgentId(7), -40);
        assert_eq!(harness.releases(event(1)).unwrap().len(), 0, "told is not released");
        harness.note_record(record(event(1), Some(10_250)));
        let rows = harness.releases(event(1)).unwrap();
        assert_eq!((rows[0].error_us, rows[0].armed_us, rows[0].clock_error_us), (250, Some(-1_000), Some(-40)));
        harness.note_record(record(event(2), None));
        assert!(harness.releases(event(2)).unwrap().is_empty(), "a conflict is no release");
    }

    #[test]
    fn an_agent_and_its_standby_on_one_host_keep_a_truth_each() {
        let harness = Harness::enabled();
        let standby = HarnessRecord { agent: AgentId(8), ..record(event(1), Some(10_090)) };
        harness.note_target(event(1), AgentId(7), AgentId(7), -40);
        harness.note_target(event(1), AgentId(7), AgentId(8), 60);
        [record(event(1), Some(10_250)), standby].into_iter().for_each(|record| harness.note_record(record));
        let rows = harness.releases(event(1)).unwrap();
        let truths: Vec<_> = rows.iter().map(|row| (row.agent.0, row.error_us, row.clock_error_us)).collect();
        assert_eq!(truths, [(7, 250, Some(-40)), (7, 90, Some(60))]);
    }

    #[test]
    fn only_the_last_events_are_kept_and_a_disabled_one_keeps_none() {
        let harness = Harness::enabled();
        for n in 0..=32 {
            harness.note_record(record(event(n), Some(10_000)));
        }
        assert!(harness.releases(event(0)).unwrap().is_empty());
        assert_eq!(harness.releases(event(32)).unwrap().len(), 1);
        let off = Harness::disabled();
        off.note_record(record(event(1), Some(1)));
        assert!(off.releases(event(1)).is_none() && off.pauses().is_none());
    }

    #[test]
    fn of_one_order_the_last_step_counts() {
        let harness = Harness::enabled();
        for (order, paused) in [(1, 3), (2, 5), (1, 4)] {
            let order = Hash([order; 32]);
            harness.note_pause(PauseRow { order, in_scope: 5, paused, paused_at_us: 9 });
        }
        let paused: Vec<u64> = harness.pauses().unwrap().iter().map(|row| row.paused).collect();
        assert_eq!(paused, vec![4, 5]);
    }
}
