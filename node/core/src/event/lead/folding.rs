//! What a lead says of an event: one summary when complete or due, one late correction (2.10).

use std::collections::VecDeque;

use mesh30k_ledger::types::AgentId;

use super::super::fold::{FoldedAck, MAX_CONFLICTS, Slowest, Tally};
use super::super::id::EventId;
use super::super::message::UpMessage;
use super::super::spec::class_index;
use super::wave::{Dispatch, Party, Wave};
use super::{LeadAction, LeadMachine};
use crate::clock::bracketed;
use crate::time::{LocalTimeUs, MeshTimeUs};

/// Names of ended events kept to know a repetition.
const MAX_ENDED: usize = 256;

impl LeadMachine {
    /// Sends the first summary when complete or due, then one correction when there is news and nothing more can come.
    pub(super) fn settle(&mut self, now: MeshTimeUs, id: EventId) -> Option<LeadAction> {
        let wave = self.waves.get_mut(&id)?;
        let complete = wave.agents.values().all(Dispatch::is_over);
        let first = !wave.folded && (complete || now >= wave.fold_by);
        let ends = wave.agents.values().all(Dispatch::is_closed) || now >= wave.ends;
        let correct = wave.folded && ends && wave.changed;
        let correction = wave.folded;
        if first || correct {
            wave.folded = true;
            wave.changed = false;
        }
        if !ends && !first {
            return None;
        }
        let wave = self.waves.get(&id)?;
        let fold = (first || correct).then(|| self.fold(now, id, wave, correction));
        if ends && let Some(wave) = self.waves.remove(&id) {
            self.staged = None;
            self.learn_from_silence(&wave);
            self.tails.iter_mut().chain(&mut self.work_tails).for_each(crate::delay::ClassTail::decay);
            self.end(id);
        }
        fold.map(|fold| LeadAction::ToParent(UpMessage::Fold(Box::new(fold))))
    }

    /// The counts as they stand; errors by the clock estimates of now, which know the exchanges after T as well.
    pub(super) fn fold(&self, now: MeshTimeUs, event: EventId, wave: &Wave, correction: bool) -> FoldedAck {
        let mut tally = Tally::default();
        for (slot, dispatch) in &wave.agents {
            self.count_slot(now, wave, *slot, dispatch, &mut tally);
        }
        FoldedAck {
            event,
            from: self.scope(),
            correction,
            sent_at: now,
            prepare_delay_us: wave.prepare_delay_us,
            tally,
        }
    }

    /// One slot: what its agent or its standby did, whichever released first.
    fn count_slot(&self, now: MeshTimeUs, wave: &Wave, slot: AgentId, dispatch: &Dispatch, tally: &mut Tally) {
        let Some(counts) = tally.classes.get_mut(class_index(dispatch.class)) else { return };
        counts.enrolled = counts.enrolled.saturating_add(1);
        tally.hedged = tally.hedged.saturating_add(u32::from(dispatch.standby.is_some()));
        tally.unhedged = tally.unhedged.saturating_add(u32::from(dispatch.unhedged));
        let standby = dispatch.standby.as_ref().map(|s| (s.agent, &s.party));
        let parties = || std::iter::once((slot, &dispatch.primary)).chain(standby);
        let clock_of = |agent: AgentId| self.members.get(&agent).and_then(|m| m.clock.estimate(now));
        let error_of = |agent, at: Option<LocalTimeUs>| Some(clock_of(agent)?.to_mesh(at?).since_us(wave.target));
        if parties().any(|(agent, party)| error_of(agent, party.armed).is_some_and(|e| e <= 0)) {
            counts.armed_by_target = counts.armed_by_target.saturating_add(1);
        }
        let release_error = |agent, party: &Party| {
            let (claimed, heard) = party.released?;
            let at = bracketed(&clock_of(agent)?, party.sent_at?, claimed, heard);
            Some(at.since_us(wave.target))
        };
        let released = parties().filter(|(_, party)| party.released.is_some());
        let first = released.min_by_key(|(agent, party)| release_error(*agent, party));
        if let Some(conflict) = dispatch.conflict {
            counts.conflict = counts.conflict.saturating_add(1);
            if tally.conflicts.len() < MAX_CONFLICTS {
                tally.conflicts.push(conflict);
            }
            return;
        }
        let Some((agent, party)) = first else {
            counts.transit = counts.transit.saturating_add(1);
            return;
        };
        counts.released = counts.released.saturating_add(1);
        if error_of(agent, party.armed).is_some_and(|e| e > 0) {
            counts.late = counts.late.saturating_add(1);
        }
        let twice = parties().all(|(_, party)| party.released.is_some()) && standby.is_some();
        tally.duplicates = tally.duplicates.saturating_add(u32::from(twice));
        if let (Some(error_us), Some(clock)) = (release_error(agent, party), clock_of(agent)) {
            tally.errors.record(error_us);
            tally.note_slowest(Slowest { agent, error_us });
            self.grade(tally, error_us as f64, clock.bound_us);
        }
    }

    /// Proved, estimated, possible (2.10 rule 4).
    fn grade(&self, tally: &mut Tally, error_us: f64, bound_us: f64) {
        let omega = self.params.omega_us as f64;
        let grades = [
            (&mut tally.proved, error_us.abs() + bound_us),
            (&mut tally.estimated, error_us.abs()),
            (&mut tally.possible, error_us.abs() - bound_us),
        ];
        for (count, figure) in grades {
            if figure <= omega {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Whoever was sent a prepare and never said a word missed (2.3, censored samples). A wave that was called off
    /// teaches nothing.
    fn learn_from_silence(&mut self, wave: &Wave) {
        if wave.cancelled {
            return;
        }
        let p = self.params.lead_probability(self.params.hedge);
        for (agent, dispatch) in &wave.agents {
            let Some(member) = self.members.get_mut(agent) else { continue };
            if dispatch.went_unanswered() {
                member.delay.learn_silence(p);
            } else if dispatch.primary.ended && dispatch.primary.armed.is_none() && dispatch.conflict.is_none() {
                // It was there, but had to give up before it was ARMED.
                member.delay.learn(true, p);
            }
        }
    }

    pub(super) fn end(&mut self, id: EventId) {
        remember(&mut self.ended, id);
    }
}

fn remember(ended: &mut VecDeque<EventId>, id: EventId) {
    if ended.len() >= MAX_ENDED {
        ended.pop_front();
    }
    ended.push_back(id);
}
