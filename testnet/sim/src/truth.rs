//! What really happened in one event, agent by agent.

use mesh30k_core::event::FoldedAck;

use crate::layout::{class_of, position};
use crate::schedule::WavePlan;
use crate::strategies::StrategyKind;
use mesh30k_core::hosted::HarnessRecord;
use mesh30k_ledger::types::AgentId;

/// One enrolled agent's slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) enrolled: bool,
    /// When its lead sent the prepare.
    pub(crate) sent_us: Option<i64>,
    /// What its work was given for p, unless its lead took it to be down; when it was to begin, and when the prepare was there.
    pub(crate) promised_us: Option<f64>,
    pub(crate) start_us: Option<i64>,
    pub(crate) received_us: Option<i64>,
    /// True instant the lead aimed at, minus T: how wrong it had the agent's clock.
    pub(crate) aim_us: i64,
    /// What the lead said that it may be wrong at most, its own clock's error included.
    pub(crate) bound_us: i64,
    /// When a standby was sent for it.
    pub(crate) standby_us: Option<i64>,
    /// The same of its standby's clock.
    pub(crate) standby_bound_us: i64,
    /// When the work was done, and when the primary released.
    pub(crate) armed_us: Option<i64>,
    pub(crate) own_release_us: Option<i64>,
    /// When the slot was filled first, by whomever.
    pub(crate) released_us: Option<i64>,
}

impl Slot {
    /// Whether its work was done within what it was given for p, counted from when it was to begin or, had the prepare come
    /// later, from then; none when nothing was promised.
    fn promise_kept(&self) -> Option<bool> {
        let (start_us, promised_us) = self.start_us.zip(self.promised_us)?;
        let done = || Some((self.armed_us? - start_us.max(self.received_us?)) as f64 <= promised_us);
        Some(done().unwrap_or(false))
    }
}

/// One event under way.
#[derive(Debug)]
pub(crate) struct WaveTruth {
    pub(crate) index: u32,
    pub(crate) plan: WavePlan,
    pub(crate) predicted_hit: f64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) enrolled: u32,
    pub(crate) duplicates: u32,
    pub(crate) fold: Option<FoldedAck>,
}

impl WaveTruth {
    pub(crate) fn slot_mut(&mut self, agent: AgentId) -> Option<&mut Slot> {
        self.slots.get_mut(position(agent) as usize)
    }

    /// The truth of one slot, as the host of `record` reports it; `of` is whose slot it was.
    pub(crate) fn note(&mut self, of: AgentId, record: &HarnessRecord) {
        let Some(slot) = self.slot_mut(of) else { return };
        if record.agent == of {
            slot.received_us = Some(record.received_us);
            slot.armed_us = record.armed_us.or(slot.armed_us);
            slot.own_release_us = record.released_us.or(slot.own_release_us);
        }
        slot.released_us = match (slot.released_us, record.released_us) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// What counts of every enrolled slot.
    pub(crate) fn results(&self, kind: StrategyKind) -> impl Iterator<Item = (u32, SlotResult)> + '_ {
        let target_us = self.plan.target_us;
        self.slots.iter().enumerate().filter(|(_, slot)| slot.enrolled).map(move |(agent, slot)| {
            let armed_us = slot.armed_us.map(|at| at - target_us);
            let held = kind.of_event() == mesh30k_core::event::Strategy::Hold;
            let result = SlotResult {
                class: class_of(agent as u32),
                error_us: slot.released_us.map(|at| at - target_us),
                armed_by_target: armed_us.is_some_and(|e| e <= 0),
                promise_kept: if held { slot.promise_kept() } else { None },
                hold_us: armed_us.filter(|e| held && *e < 0).map(|e| -e),
            };
            (agent as u32, result)
        })
    }
}

/// One slot's outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotResult {
    pub(crate) class: mesh30k_ledger::types::AgentClass,
    /// True release minus T; none for silence.
    pub(crate) error_us: Option<i64>,
    pub(crate) armed_by_target: bool,
    /// Whether the work was done in time; none when nothing was promised.
    pub(crate) promise_kept: Option<bool>,
    /// How long the result was held.
    pub(crate) hold_us: Option<i64>,
}
