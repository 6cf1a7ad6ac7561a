//! The life of a slot at its host: the prepare comes, the work begins and ends, T comes; or somebody stops it.

use mesh30k_ledger::types::{AgentId, ClusterId, Hash};

use super::super::ack_spread::leaves_us;
use super::super::due::{HarnessRecord, HostedAction, Item, SlotKey, Step, slots_of};
use super::super::rounds::round_us;
use super::super::surroundings::{Habitat, Surroundings};
use super::{HostedAgents, bump};
use crate::clock::guarded_target;
use crate::delay::kappa;
use crate::event::{AgentAnswer, AgentSlot, AgentState, AnswerBody, ConflictKind, EventId, SlotRight};
use crate::time::LocalTimeUs;

/// Slots of all events at one host, its agents' own and those they stand by for.
const MAX_SLOTS: usize = 1 << 16;

/// One slot that an agent of this host was asked for.
#[derive(Debug)]
pub(super) struct Slot {
    machine: AgentSlot,
    cluster: ClusterId,
    received_us: i64,
    /// When the work was to begin; how late a timer begins it counts as work.
    start: LocalTimeUs,
    /// True time until which it holds; long past where it acts as soon as it can.
    hold_us: i64,
    armed_us: Option<i64>,
}

impl<H: Habitat> HostedAgents<H> {
    pub(super) fn on_prepare(
        &mut self,
        now_us: i64,
        key: SlotKey,
        cluster: ClusterId,
        (target, start): (LocalTimeUs, LocalTimeUs),
    ) -> Option<HostedAction> {
        let hosted = self.agents.get_mut(&key.agent)?;
        let Some(staged) = self.staged.get(&key.event).copied() else {
            bump(&mut self.counters.unstaged);
            return None;
        };
        if self.slots.contains_key(&key) {
            bump(&mut self.counters.repeated);
            return None;
        }
        if self.slots.len() >= MAX_SLOTS {
            bump(&mut self.counters.overflow);
            return None;
        }
        if hosted.frozen {
            bump(&mut self.counters.frozen);
            return None;
        }
        let now = hosted.around.read(now_us);
        let told = target;
        let target = guarded_target(staged.target, told, hosted.around.host_clock(now_us));
        if target != told {
            bump(&mut self.counters.target_refused);
        }
        let mut machine = if key.stands_by() {
            AgentSlot::stand_by(staged.effects, target, now)
        } else {
            AgentSlot::receive(staged.strategy, staged.effects, target, now)
        };
        let spec = hosted.spec;
        let able =
            spec.capabilities & staged.capabilities == staged.capabilities && staged.classes.contains(spec.class);
        if !able {
            machine.conflict();
        }
        // Who corrects T corrects what was reckoned from it.
        let start = start.plus_us(target.since_us(told));
        let start_us = (start > now).then(|| {
            let due_us = hosted.around.true_time_of(start);
            due_us.saturating_add(hosted.around.timer_late_us(due_us))
        });
        let hold_us = self.hold_us(key.event, key.agent, target);
        let slot = Slot { machine, cluster, received_us: now_us, start: start.max(now), hold_us, armed_us: None };
        self.slots.insert(key, slot);
        if able {
            match start_us {
                Some(start_us) => self.plan_step(start_us, hold_us, Step::Start { key }),
                None => self.start(now_us, key),
            }
            return None;
        }
        let detail = Hash::of(&spec.capabilities.to_le_bytes());
        let body = AnswerBody::Conflict { event: key.event, kind: ConflictKind::CapabilityMismatch, detail };
        self.answer(now_us, cluster, (key.agent, key.slot), body);
        self.record(key, None)
    }

    /// The work of a slot begins, unless the slot ended before.
    pub(super) fn start(&mut self, now_us: i64, key: SlotKey) {
        let weight_milli = self.staged.get(&key.event).map_or(0, |s| s.weight_milli);
        let (Some(hosted), Some(slot)) = (self.agents.get_mut(&key.agent), self.slots.get(&key)) else { return };
        if slot.machine.state() != AgentState::Received {
            return;
        }
        if hosted.frozen {
            return bump(&mut self.counters.frozen);
        }
        if let Some(work_us) = hosted.around.work_us(now_us, kappa(weight_milli, 0)) {
            let hold_us = slot.hold_us;
            self.plan_step(now_us.saturating_add(work_us), hold_us, Step::WorkDone { key });
        }
    }

    /// A grant is obeyed while it can be; who gives up says so, even before its prepare came.
    pub(super) fn on_right(&mut self, now_us: i64, key: SlotKey, cluster: ClusterId, right: SlotRight) {
        let staged = self.staged.contains_key(&key.event);
        let Some(hosted) = self.agents.get_mut(&key.agent).filter(|_| staged) else { return };
        let now = hosted.around.read(now_us);
        if right == SlotRight::GiveUp && !self.slots.contains_key(&key) && self.slots.len() < MAX_SLOTS {
            let machine = AgentSlot::stand_by(true, now, now);
            let slot = Slot { machine, cluster, received_us: now_us, start: now, hold_us: i64::MIN, armed_us: None };
            self.slots.insert(key, slot);
        }
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match right {
            SlotRight::Grant => {
                slot.machine.grant(now);
                if let Some(at) = slot.machine.next_wakeup() {
                    let at_us = hosted.around.true_time_of(at);
                    let late_us = hosted.around.timer_late_us(at_us);
                    self.hold(at_us.saturating_add(late_us), key);
                }
            }
            SlotRight::GiveUp if slot.machine.give_up(now) => {
                let body = AnswerBody::GaveUp { event: key.event };
                self.answer(now_us, cluster, (key.agent, key.slot), body);
            }
            SlotRight::GiveUp => {}
        }
    }

    pub(super) fn on_cancel(&mut self, now_us: i64, agent: AgentId, event: EventId) {
        let Some(hosted) = self.agents.get(&agent) else { return };
        let now = hosted.around.read(now_us);
        for (_, slot) in self.slots.range_mut(slots_of(event)).filter(|(key, _)| key.agent == agent) {
            slot.machine.cancel(now);
        }
    }

    pub(super) fn on_work_done(&mut self, now_us: i64, key: SlotKey) -> Option<HostedAction> {
        let (Some(hosted), Some(slot)) = (self.agents.get_mut(&key.agent), self.slots.get_mut(&key)) else {
            return None;
        };
        if hosted.frozen {
            bump(&mut self.counters.frozen);
            return None;
        }
        let now = hosted.around.read(now_us);
        let release = slot.machine.on_work_done(now);
        let armed = slot.machine.armed()?;
        slot.armed_us = Some(now_us);
        let (received, started) = (slot.machine.received(), slot.start);
        let wakeup_us = slot.machine.next_wakeup().map(|at| hosted.around.true_time_of(at));
        let wakeup_us = wakeup_us.map(|at_us| at_us.saturating_add(hosted.around.timer_late_us(at_us)));
        let body = AnswerBody::Armed { event: key.event, received, started, armed };
        self.answer_armed(now_us, key, body);
        if let Some(release) = release {
            return self.released(now_us, key, now, release.late);
        }
        if let Some(at_us) = wakeup_us {
            self.hold(at_us, key);
        }
        None
    }

    /// In a round before T; what misses the last one goes with the answers about releases.
    fn answer_armed(&mut self, now_us: i64, key: SlotKey, body: AnswerBody) {
        let (Some(slot), Some(hosted)) = (self.slots.get(&key), self.agents.get_mut(&key.agent)) else { return };
        let (cluster, hold_us) = (slot.cluster, slot.hold_us);
        let Some(delay_us) = hosted.around.return_us(now_us) else { return };
        let ready_us = now_us.saturating_add(delay_us);
        let leaves_us = if H::Around::FORETOLD && hold_us > now_us {
            round_us(self.host, ready_us, hold_us).unwrap_or_else(|| leaves_us(hold_us, self.host, ready_us))
        } else {
            ready_us
        };
        let answer = AgentAnswer { agent: key.agent, slot: key.slot, body };
        self.plan(leaves_us, Item::Leave { cluster, ready_us, answer });
    }

    pub(super) fn on_release_due(&mut self, now_us: i64, key: SlotKey) -> Option<HostedAction> {
        let (Some(hosted), Some(slot)) = (self.agents.get(&key.agent), self.slots.get_mut(&key)) else {
            return None;
        };
        if hosted.frozen {
            bump(&mut self.counters.frozen);
            return None;
        }
        let now = hosted.around.read(now_us);
        match slot.machine.poll(now) {
            Some(release) => self.released(now_us, key, now, release.late),
            None => {
                // Rounding between the clocks may wake it a microsecond early.
                if slot.machine.next_wakeup().is_some() {
                    self.hold(now_us.saturating_add(1), key);
                }
                None
            }
        }
    }

    fn released(&mut self, now_us: i64, key: SlotKey, now: LocalTimeUs, late: bool) -> Option<HostedAction> {
        let cluster = self.slots.get(&key)?.cluster;
        let target = self.staged.get(&key.event)?.target;
        if let Some(delay_us) = self.agents.get_mut(&key.agent)?.around.return_us(now_us) {
            let leaves_us = leaves_us(target.0, self.host, now_us.saturating_add(delay_us));
            let body = AnswerBody::Released { event: key.event, released: now, late };
            let answer = AgentAnswer { agent: key.agent, slot: key.slot, body };
            self.plan(leaves_us, Item::Leave { cluster, ready_us: leaves_us, answer });
        }
        self.record(key, Some(now_us))
    }

    fn record(&self, key: SlotKey, released_us: Option<i64>) -> Option<HostedAction> {
        let (slot, staged) = (self.slots.get(&key)?, self.staged.get(&key.event)?);
        let class = self.agents.get(&key.agent)?.spec.class;
        Some(HostedAction::Record(HarnessRecord {
            agent: key.agent,
            slot: key.slot,
            class,
            event: key.event,
            strategy: staged.strategy,
            target: staged.target,
            received_us: slot.received_us,
            armed_us: slot.armed_us,
            released_us,
        }))
    }

    pub(super) fn expire(&mut self, event: EventId) {
        self.staged.remove(&event);
        let ended: Vec<SlotKey> = self.slots.range(slots_of(event)).map(|(key, _)| *key).collect();
        for key in ended {
            self.slots.remove(&key);
        }
    }
}
