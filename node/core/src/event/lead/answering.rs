//! What agents say of an event: believed once, of whom was asked, and only what can have happened (2.3, 2.10 rule 6).

use mesh30k_ledger::types::AgentId;
use thiserror::Error;

use super::super::fold::ConflictReport;
use super::super::id::EventId;
use super::super::message::AnswerBody;
use super::super::spec::class_index;
use super::{LeadAction, LeadCounters, LeadMachine};
use crate::clock::{MAX_OUTSIDE_US, outside_bracket_us};
use crate::delay::kappa;
use crate::time::{LocalTimeUs, MeshTimeUs};

/// Why an agent's answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerFault {
    /// No such event is under way here.
    #[error("event {event} is not under way")]
    UnknownEvent {
        /// Which.
        event: EventId,
    },
    /// It was not asked for this slot, or not yet.
    #[error("agent {agent} was not asked for slot {slot}")]
    NotAsked {
        /// Who.
        agent: AgentId,
        /// For whose slot.
        slot: AgentId,
    },
    /// It said so before, or something that excludes it.
    #[error("agent {agent} answered twice for slot {slot}")]
    Twice {
        /// Who.
        agent: AgentId,
        /// For whose slot.
        slot: AgentId,
    },
    /// The claimed instants cannot be true.
    #[error("agent {agent} claims an impossible time for slot {slot}")]
    Impossible {
        /// Who.
        agent: AgentId,
        /// For whose slot.
        slot: AgentId,
    },
}

impl LeadMachine {
    /// One answer about an event; what follows for the rights in its slot.
    pub(super) fn on_event_answer(
        &mut self,
        now: MeshTimeUs,
        (agent, slot): (AgentId, AgentId),
        event: EventId,
        body: &AnswerBody,
    ) -> Result<Vec<LeadAction>, AnswerFault> {
        self.check_answer(now, (agent, slot), event, body)?;
        match *body {
            AnswerBody::Probe { .. } => return Ok(Vec::new()),
            AnswerBody::Armed { received, started, armed, .. } => {
                self.note(event, (agent, slot), |party| party.armed = Some(armed));
                if agent == slot {
                    self.learn_from_armed(now, agent, event, received, armed.since_us(started));
                }
            }
            AnswerBody::Released { released, .. } => {
                self.note(event, (agent, slot), |party| party.released = Some((released, now)));
            }
            AnswerBody::Conflict { kind, detail, .. } => {
                self.note(event, (agent, slot), |party| party.ended = true);
                if agent == slot
                    && let Some(dispatch) = self.waves.get_mut(&event).and_then(|w| w.agents.get_mut(&slot))
                {
                    dispatch.conflict = Some(ConflictReport { agent, kind, detail });
                }
            }
            AnswerBody::GaveUp { .. } => self.note(event, (agent, slot), |party| party.ended = true),
        }
        Ok(self.settle_rights(event, slot))
    }

    fn check_answer(
        &mut self,
        now: MeshTimeUs,
        (agent, slot): (AgentId, AgentId),
        event: EventId,
        body: &AnswerBody,
    ) -> Result<(), AnswerFault> {
        let wave = self.waves.get_mut(&event).ok_or(AnswerFault::UnknownEvent { event })?;
        let party = wave.agents.get_mut(&slot).and_then(|d| d.party_mut(agent, slot));
        let asked = party.and_then(|p| p.sent_at.map(|at| (p, at)));
        let (party, sent_at) = asked.ok_or(AnswerFault::NotAsked { agent, slot })?;
        let (again, claims, in_order) = match *body {
            AnswerBody::Armed { received, started, armed, .. } => {
                let in_order = received <= started && started <= armed;
                (party.armed.is_some(), [Some(received), Some(armed)], in_order)
            }
            AnswerBody::Released { released, .. } => {
                let before_armed = party.armed.is_some_and(|armed| released < armed);
                (!party.is_awaited(), [Some(released), None], !before_armed)
            }
            AnswerBody::Conflict { .. } | AnswerBody::GaveUp { .. } => (!party.is_awaited(), [None, None], true),
            AnswerBody::Probe { .. } => (false, [None, None], true),
        };
        if again {
            return Err(AnswerFault::Twice { agent, slot });
        }
        let Some(clock) = self.members.get(&agent).and_then(|m| m.clock.estimate(now)) else { return Ok(()) };
        let outside_us = |at: &LocalTimeUs| outside_bracket_us(&clock, sent_at, *at, now);
        let worst_us = claims.iter().flatten().map(outside_us).max().unwrap_or(0);
        if !in_order || worst_us > MAX_OUTSIDE_US {
            return Err(AnswerFault::Impossible { agent, slot });
        }
        if worst_us > 0 {
            LeadCounters::bump(&mut self.counters.unbracketed);
        }
        Ok(())
    }

    fn note(&mut self, event: EventId, (agent, slot): (AgentId, AgentId), apply: impl FnOnce(&mut super::wave::Party)) {
        let Some(wave) = self.waves.get_mut(&event) else { return };
        if let Some(party) = wave.agents.get_mut(&slot).and_then(|d| d.party_mut(agent, slot)) {
            apply(party);
            wave.changed = true;
        }
    }

    /// The wave's lesson of ARMED for this agent and, once, for its class.
    fn learn_from_armed(
        &mut self,
        now: MeshTimeUs,
        agent: AgentId,
        event: EventId,
        received: LocalTimeUs,
        work_us: i64,
    ) {
        let p = self.params.lead_probability(self.params.hedge);
        let Some(wave) = self.waves.get(&event) else { return };
        let kappa = kappa(wave.weight_milli, 0);
        let Some((dispatch, member)) = wave.agents.get(&agent).zip(self.members.get_mut(&agent)) else { return };
        let Some(sent_at) = dispatch.primary.sent_at else { return };
        let clock = member.clock.estimate(now);
        member.delay.record_delay(sent_at, received, clock.as_ref());
        let work_us = work_us as f64;
        member.delay.record_work(work_us, kappa);
        member.delay.learn(work_us > dispatch.start_us, p);
        let Some(clock) = clock.filter(|_| dispatch.summary.warm) else { return };
        let way_us = clock.to_mesh(received).since_us(sent_at) as f64;
        let (summary, index) = (&dispatch.summary, class_index(dispatch.class));
        if let (Some(delays), Some(works)) = (self.tails.get_mut(index), self.work_tails.get_mut(index)) {
            delays.record((way_us + work_us - summary.median_us) / summary.spread_us);
            works.record((work_us - summary.work_us) / summary.work_spread_us);
        }
    }

    /// Counts a refused answer, at the lead and against who gave it.
    pub(super) fn refuse_answer(&mut self, agent: AgentId, fault: AnswerFault) {
        let counter = match fault {
            AnswerFault::UnknownEvent { .. } => &mut self.counters.unknown,
            AnswerFault::NotAsked { .. } => &mut self.counters.not_asked,
            AnswerFault::Twice { .. } => &mut self.counters.twice,
            AnswerFault::Impossible { .. } => &mut self.counters.impossible,
        };
        LeadCounters::bump(counter);
        // An event this lead has forgotten is no fault of the agent's.
        if let Some(member) = self.members.get_mut(&agent)
            && !matches!(fault, AnswerFault::UnknownEvent { .. })
        {
            member.faults = member.faults.saturating_add(1);
        }
    }
}
