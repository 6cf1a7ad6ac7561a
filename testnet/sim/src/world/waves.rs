//! Events: started by the open loop, followed by the truth, counted once everybody had their say.

use mesh30k_core::event::{
    ClassSet, Enrolment, Event, EventId, HostPrepare, PlanError, PlanRequest, Prepare, Reach, SignedEvent, Strategy,
    Verb, class_index,
};
use mesh30k_core::hosted::{HarnessRecord, Surroundings as _};
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::types::{AgentId, Hash, Scope, SectorId};

use super::machines::Machine;
use super::{CLOSING_US, DEADLINE_US, Happening, START_US, TTL_MS, World};
use crate::config::{Plant, Scenario};
use crate::explain::{Circumstances, Miss, OMEGA_US, cause_of};
use crate::invariants::Fact;
use crate::layout::{class_of, position};
use crate::schedule::AHEAD_US;
use crate::surroundings::draw::{Draws, Label};
use crate::tally::Counts;
use crate::truth::{Slot, WaveTruth};

/// How long before T a coordinator is killed: everybody is being prepared, most are armed.
const KILL_BEFORE_US: i64 = 150_000;
/// A clock set this shortly before T cannot have been measured anew.
const RELEARN_US: i64 = 30_000_000;
/// Leads that stall before an event of [`Scenario::LeadStalled`], and when at the latest before T it begins.
const STALLED_SHARE: f64 = 0.05;
const STALL_BEFORE_US: i64 = 2_000_000;
const STALL_SPREAD_US: f64 = 1_000_000.0;

impl World<'_> {
    pub(super) fn dispatch(&mut self, index: u32) {
        let plan = self.plans[index as usize];
        let target = MeshTimeUs(plan.target_us);
        let now = MeshTimeUs(self.now_us);
        let strategy = self.kind.of_event();
        let ask = PlanRequest {
            target: Some(target),
            classes: ClassSet::MACHINES,
            strategy,
            weight_milli: plan.weight_milli,
            slack_us: 0,
        };
        let predicted_hit = match self.orchestrator.plan(now, &ask) {
            Ok(plan) => plan.predicted_hit,
            Err(PlanError::InsufficientLead { predicted_hit, .. }) => predicted_hit,
            Err(PlanError::Nobody) => 0.0,
        };
        let event = self.signed_event(index, strategy);
        let id = event.event.id;
        let mut slots = vec![Slot::default(); self.config.agents as usize];
        for (agent, slot) in slots.iter_mut().enumerate() {
            slot.enrolled = self.members.is_rostered(agent as u32);
        }
        let enrolled = slots.iter().filter(|slot| slot.enrolled).count() as u32;
        let wave = WaveTruth { index, plan, predicted_hit, slots, enrolled, duplicates: 0, fold: None };
        self.waves.insert(id, wave);
        self.agenda.push(plan.target_us + CLOSING_US, Happening::Close(id));
        self.doom_coordinator(index);
        let enrolments = self.sector_enrolments();
        let children: Vec<(Scope, u32)> = enrolments.iter().map(|e| (e.child, e.agents.iter().sum())).collect();
        self.watch.see(&Fact::Dispatched { event: id, at: Scope::Global, children: &children, effects: plan.effects });
        if let Some(cascades) = &mut self.cascades {
            cascades.sent(self.now_us, self.config.agents);
        }
        let prepare = Prepare { fold_by: event.event.deadline, event, sent_at: now };
        let actions = self.orchestrator.on_prepare(now, &prepare, &enrolments);
        self.parent_actions(Machine::Orchestrator, actions);
    }

    fn signed_event(&self, index: u32, strategy: Strategy) -> SignedEvent {
        let plan = self.plans[index as usize];
        let target = MeshTimeUs(plan.target_us);
        let key = SecretKey::from_seed([7; 32]);
        let nonce = Hash::of(&[self.config.seed.to_le_bytes().as_slice(), &index.to_le_bytes()].concat());
        let event = Event {
            id: EventId::new(target, nonce.as_bytes()),
            origin: key.public(),
            target,
            strategy,
            effects: plan.effects,
            kind: Verb::Sync,
            weight_milli: plan.weight_milli,
            payload: Vec::new(),
            classes: ClassSet::MACHINES,
            capabilities: 0,
            priority: 1,
            deadline: target.plus_us(DEADLINE_US),
            ttl_ms: TTL_MS,
            scope: Scope::Global,
            agents: Vec::new(),
            reach: Reach::Agents,
        };
        event.sign(&self.context, &key)
    }

    /// The denominators of a coordinator: agents of each of its clusters.
    pub(super) fn enrolments(&self, sector: u32) -> Vec<Enrolment> {
        let first = sector * self.layout.clusters_of_sector;
        let leads = first..first + self.layout.clusters_of_sector;
        let of =
            |lead| Enrolment { child: Scope::Cluster(self.layout.cluster(lead)), agents: self.agents_by_class(lead) };
        leads.map(of).filter(|e| e.agents.iter().any(|n| *n > 0)).collect()
    }

    /// Those of the orchestrator: agents of each sector.
    fn sector_enrolments(&self) -> Vec<Enrolment> {
        let of = |sector| {
            let mut agents = [0; 6];
            for below in self.enrolments(sector) {
                agents.iter_mut().zip(below.agents).for_each(|(sum, more)| *sum += more);
            }
            Enrolment { child: Scope::Sector(SectorId(sector)), agents }
        };
        (0..self.layout.sectors).map(of).collect()
    }

    fn agents_by_class(&self, lead: u32) -> [u32; 6] {
        let mut counts = [0; 6];
        for agent in self.layout.agents_of(lead).filter(|agent| self.members.is_rostered(*agent)) {
            counts[class_index(class_of(agent))] += 1;
        }
        counts
    }

    /// A lead sends: what it believes of each clock is compared with the truth.
    pub(super) fn note_prepares(&mut self, lead: u32, prepare: &mut HostPrepare) {
        let now_us = self.now_us;
        let mesh_now = self.mesh_now(Machine::Lead(lead));
        let error_us = self.lead_errors_us[lead as usize].abs();
        let scope = self.scope_of(Machine::Lead(lead));
        let Some(wave) = self.waves.get_mut(&prepare.event) else { return };
        let target_us = wave.plan.target_us;
        for entry in &mut prepare.entries {
            if self.config.plant == Some(Plant::EarlyRelease) && entry.agent.0.is_multiple_of(7) {
                entry.target = entry.target.minus_us(40_000);
            }
            let stands_by = entry.slot != entry.agent;
            // Who takes the place of one that is not asked does nothing twice.
            let asked = wave.slots.get(position(entry.slot) as usize).is_some_and(|slot| slot.sent_us.is_some());
            if stands_by && asked || self.config.plant == Some(Plant::Overspending) {
                wave.duplicates += u32::from(stands_by);
                self.watch.see(&Fact::Hedged { event: prepare.event, lead: scope });
            }
            let host = self.layout.host_of(position(entry.agent)) as usize;
            let offset_us = self.hosts.get(host).and_then(|h| h.true_offset_us(entry.agent, target_us));
            let clock = self.leads[lead as usize].clock_of(entry.agent, mesh_now);
            let bound_us = clock.map_or(0, |clock| clock.bound_us as i64) + error_us;
            let Some(slot) = wave.slot_mut(entry.slot) else { continue };
            if stands_by {
                slot.standby_us = Some(now_us);
                slot.standby_bound_us = bound_us;
                continue;
            }
            slot.sent_us = slot.sent_us.or(Some(now_us));
            slot.promised_us = self.leads[lead as usize].promised_work_us(prepare.event, entry.agent);
            let around = self.hosts.get(host).and_then(|h| h.around(entry.agent));
            // Who throws asks for a start long past: at once.
            slot.start_us = around.map(|around| match entry.start > around.read(now_us) {
                true => around.true_time_of(entry.start),
                false => now_us,
            });
            slot.aim_us = offset_us.map_or(0, |offset| entry.target.0 - offset - target_us);
            slot.bound_us = bound_us;
        }
    }

    /// A host tells the truth of a slot that ended.
    pub(super) fn note_record(&mut self, record: &HarnessRecord) {
        self.trace.record(record);
        let host = self.layout.host_of(position(record.agent)) as usize;
        let around = self.hosts.get(host).and_then(|h| h.around(record.agent));
        let set_us = around.and_then(|a| a.last_step_us(record.target.0));
        let Some(wave) = self.waves.get_mut(&record.event) else { return };
        let of = record.slot;
        wave.note(of, record);
        if let Some(cascades) = &mut self.cascades {
            cascades.received(position(record.agent), record.received_us);
        }
        let (Some(error_us), Some(slot)) = (record.release_error_us(), wave.slot_mut(of)) else { return };
        let just_set = set_us.is_some_and(|at| record.target.0 - at < RELEARN_US);
        let held = record.strategy == Strategy::Hold && !just_set;
        let bound_us = if record.agent == of { slot.bound_us } else { slot.standby_bound_us };
        let bound_us = held.then_some(bound_us);
        let fact = Fact::Released { event: record.event, agent: record.agent, slot: of, error_us, bound_us };
        self.watch.see(&fact);
        if self.config.plant == Some(Plant::SecondRelease) && record.agent.0.is_multiple_of(11) {
            self.watch.see(&fact);
        }
    }

    /// Counts an event and forgets it.
    pub(super) fn close(&mut self, event: EventId) {
        let Some(wave) = self.waves.remove(&event) else { return };
        self.told.values_mut().for_each(|events| events.retain(|(prepare, _)| prepare.event.event.id != event));
        self.watch.see(&Fact::Closed { event, enrolled: wave.enrolled });
        let mut counts = Counts::default();
        for (agent, mut result) in wave.results(self.kind) {
            let (dead, gone) = self.fate(agent, wave.plan.target_us);
            if dead || gone {
                // Nothing can be promised of it.
                result.promise_kept = None;
            }
            self.gathered.tally.add(&result);
            counts.add(&result);
            self.gathered.alive += u64::from(!dead && !gone);
            if result.error_us.is_none_or(|e| e.abs() > OMEGA_US) {
                let miss = self.explain(&wave, agent, dead, gone);
                self.gathered.miss(miss);
            }
        }
        if let Some(fold) = &wave.fold {
            self.gathered.acked += u64::from(fold.tally.sum(|c| c.released));
            self.gathered.grades.add_folded(&fold.tally);
        }
        self.close_cascade(&wave);
        self.gathered.duplicates += u64::from(wave.duplicates);
        self.gathered.predicted += wave.predicted_hit * f64::from(wave.enrolled);
        self.gathered.per_wave.push(counts);
    }

    /// Hands over who was alive, and by which way its word came.
    fn close_cascade(&mut self, wave: &WaveTruth) {
        let Some(mut cascades) = self.cascades.take() else { return };
        let enrolled = (0..self.config.agents).filter(|agent| wave.slots[*agent as usize].enrolled);
        let alive = enrolled.filter(|agent| self.fate(*agent, wave.plan.target_us) == (false, false));
        let ways = alive.map(|agent| {
            let lead = self.layout.lead_of(agent);
            let sector = Machine::Coordinator(self.layout.sector_of(lead));
            (agent, self.scope_of(Machine::Lead(lead)), self.scope_of(sector))
        });
        cascades.close(wave.enrolled, ways);
        self.cascades = Some(cascades);
    }

    /// Whether an agent was dead, or gone, when it should have worked.
    fn fate(&self, agent: u32, target_us: i64) -> (bool, bool) {
        let id = AgentId(u64::from(agent) + 1);
        match self.hosts[self.layout.host_of(agent) as usize].around(id) {
            Some(around) => (around.is_dead(target_us), false),
            None => (false, true),
        }
    }

    fn explain(&self, wave: &WaveTruth, agent: u32, dead: bool, gone: bool) -> Miss {
        let slot = &wave.slots[agent as usize];
        let target_us = wave.plan.target_us;
        let lead = self.layout.lead_of(agent);
        let from_us = slot.sent_us.unwrap_or(target_us - AHEAD_US);
        let asked_us = target_us - 6_000_000;
        let stalled = (asked_us..target_us).step_by(500_000).any(|at| self.stalled_until_us(lead, at).is_some());
        let id = AgentId(u64::from(agent) + 1);
        let around = self.hosts[self.layout.host_of(agent) as usize].around(id);
        let set_us = around.and_then(|a| a.last_step_us(target_us));
        let circumstances = Circumstances {
            strategy: self.kind.of_event(),
            target_us,
            dead,
            gone,
            lead_stalled: stalled,
            lead_lies: self.lead_errors_us[lead as usize].abs() > OMEGA_US,
            trouble: around.and_then(|a| a.trouble(from_us, target_us + CLOSING_US)),
            clock_set: set_us.is_some_and(|at| target_us - at < RELEARN_US),
        };
        Miss {
            wave: wave.index,
            agent: id.0,
            class: class_of(agent),
            cause: cause_of(slot, &circumstances),
            error_us: slot.released_us.map(|at| at - target_us),
            lead_us: slot.sent_us.map(|at| target_us - at),
            standby_us: slot.standby_us.map(|at| target_us - at),
            aim_us: slot.aim_us,
        }
    }

    /// Chooses whose coordinator dies before this event.
    fn doom_coordinator(&mut self, index: u32) {
        if self.config.scenario != Scenario::CoordinatorKilled {
            return;
        }
        let draws = Draws::new(self.config.seed, u64::MAX - 1);
        let sector = (draws.bits(Label::Schedule, u64::from(index)) % u64::from(self.layout.sectors)) as u32;
        let at_us = self.plans[index as usize].target_us - KILL_BEFORE_US;
        self.agenda.push(at_us, Happening::Kill(sector));
    }

    /// The stall that the scenario gives this lead before the next event, if one lasts at `at_us`.
    pub(super) fn event_stall_us(&self, lead: u32, at_us: i64) -> Option<i64> {
        use crate::surroundings::lead_stall::LENGTH_US;
        let index = self.plans.partition_point(|plan| plan.target_us < at_us);
        let target_us = self.plans.get(index)?.target_us;
        let draws = self.node_draws(Machine::Lead(lead));
        let dice = draws.unit(Label::LeadStall, 1 << 40 | index as u64);
        if dice >= STALLED_SHARE {
            return None;
        }
        let begin_us = target_us - STALL_BEFORE_US - (dice / STALLED_SHARE * STALL_SPREAD_US) as i64;
        (begin_us.max(START_US)..begin_us + LENGTH_US).contains(&at_us).then_some(begin_us + LENGTH_US)
    }
}
